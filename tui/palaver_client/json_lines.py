"""What happened, as JSON objects for scripts: one each, with `event`, and `time` in ms since the epoch.

Names of people are as they are on the wire; figures carry their unit in their name (`rtt_ms`, `in_kbps`). What there is
tells `json_help`.
"""

from __future__ import annotations

import time
from typing import Any, Final, TypeAlias, assert_never

import orjson

from palaver_media.engine_messages import ConsumerStats
from palaver_protocol import notices, text
from palaver_protocol.models import ChatMessage, EndReason, Participant, Reaction, RoomView, UserId
from palaver_protocol.notices import AnyNotice
from palaver_protocol.table import Notice, Refusal

from . import events, words
from .changes import Change
from .events import LocalEvent
from .listings import Listing
from .sound_choices import SoundSettings
from .state import CallStats, ClientState

Fields: TypeAlias = dict[str, Any]


def write(event: str, **fields: Any) -> str:
    """A line."""
    return orjson.dumps({"event": event, "time": time.time_ns() // 1_000_000, **fields}).decode()


class JsonLines:
    """What line mode prints with `--json`."""

    def of_change(self, change: Change) -> str | None:
        """The line of a change, or the lines where we had missed messages; None for what only the screen needs."""
        event = change.event
        line = _of_notice(event, change) if isinstance(event, Notice) else _of_local(event, change)
        missed = [write("message", **_message(said)) for said in change.missed]
        return "\n".join(filter(None, [line, *missed])) or None

    def of_error(self, message: str, no: Refusal | None = None) -> str:
        """Something that was asked could not be done; the call goes on."""
        if no is None:
            return write("error", message=message, code=None, canRetry=False, retryAfter=None)
        return write("error", message=message, code=no.code, canRetry=no.can_retry, retryAfter=no.retry_after)

    def of_help(self, message: str) -> str:
        """What one can type, or what was asked for."""
        return write("help", message=message)

    def of_listing(self, listing: Listing) -> str:
        """Who or what there is."""
        return write(listing.event, **listing.fields)

    def of_waiting(self) -> str:
        """Nobody talks with us yet."""
        return write("waiting")

    def of_ringing(self, message: str) -> str | None:
        """It still rings: a script has been told for how long."""
        return None

    def of_hanging_up(self, reason: EndReason, seconds: float, room: RoomView | None) -> str:
        """One of several calls is over."""
        return write("hungUp", reason=reason.value, seconds=round(seconds, 3))

    def of_failure(self) -> str | None:
        """The last line where it has not begun; why, is said on standard error."""
        return write("ended", reason=EndReason.ERROR.value, seconds=0.0)

    def of_end(self, reason: EndReason | None, seconds: float, room: RoomView | None, *, was_talking: bool) -> str:
        """The last line; without a reason we left by our own will."""
        return write("ended", reason="left" if reason is None else reason.value, seconds=round(seconds, 3))


def _of_notice(told: AnyNotice, change: Change) -> str | None:
    match told:
        case notices.IncomingCall() | notices.IncomingCallNew():
            return write("incomingCall", **_incoming(told))
        case notices.CallAccepted():
            return write("callAccepted", callId=told.room_id, **_person(told.user_id, change.new, change.old))
        case notices.CallAcceptedNew():
            return write("callAccepted", callId=told.call_id, **_callee(change.old))
        case notices.CallRejected():
            who = {"userId": told.user_id, "name": told.user_name}
            return write("callRejected", callId=told.room_id, **who, **_reason(told.reason))
        case notices.CallRejectedNew():
            return write("callRejected", callId=told.call_id, **_callee(change.old), **_reason(told.reason))
        case notices.CallCancelled():
            return write("callOver", callId=told.call_id, reason="cancelled")
        case notices.CallTimeout():
            return write("callOver", callId=told.call_id, reason="timeout")
        case notices.UserJoined():
            return write("userJoined", userId=told.user_id, name=told.user_name)
        case notices.UserLeft():
            return write("userLeft", **_person(told.user_id, change.old, change.new))
        case notices.NewMessage():
            return write("message", **_message(told))
        case notices.MessageReactionUpdated():
            return write("reactions", messageId=told.message_id, reactions=[_reaction(one) for one in told.reactions])
        case notices.MessageEdited():
            return write("messageEdited", messageId=told.message_id, text=told.content, editedAt=told.edited_at)
        case notices.MessageDeleted():
            return write("messageDeleted", messageId=told.message_id)
        case notices.HostChanged():
            return write("hostChanged", userId=told.host_id, name=told.host_name, reason=told.reason.value)
        case notices.ParticipantMediaStateUpdated():
            return write(
                "mediaState",
                userId=told.user_id,
                name=told.name,
                isMuted=told.is_muted,
                isVideoEnabled=told.is_video_enabled,
                isAway=told.is_away,
            )
        case notices.RecordingStateChanged():
            return _recording(told.user_id, change, is_recording=told.is_recording)
        case notices.RoomHostless():
            return write("roomHostless", message=told.message)
        case notices.ServerNotice():
            return write("notice", level=told.level.value, code=text.one_line(told.code), message=told.message)
        case notices.CallEnded() | notices.OnlineUsersUpdated() | notices.RoomListUpdated():
            return None  # the end of our own room is told by `ended`
        case notices.Snapshot():
            began, ended = change.recorders
            lines = [_recording(user, change, is_recording=user in began) for user in (*began, *ended)]
            return "\n".join(lines) or None
        case notices.ActiveSpeakers():
            return None  # `speaking` is what we hear ourselves, and `connected` says that all was kept
        case notices.NewProducer() | notices.ProducerClosed():
            return None
        case notices.TransportFailed() | notices.MediaReset():
            return None  # what becomes of the sound is told by `media`
        case _:
            assert_never(told)


def _of_local(event: LocalEvent, change: Change) -> str | None:
    match event:
        case events.Connected():
            return write("connected", userId=change.new.me, name=change.new.name, isResumed=event.is_resumed)
        case events.CarrierChanged():
            return write("carrier", isPolling=event.is_polling, reason=event.reason)
        case events.ConnectionLost() | events.RetryFailed():
            return write("connectionLost", reason=event.reason, retryIn=event.retry_in)
        case events.Joined():
            room = event.room
            people = [_participant(person) for person in room.participants]
            return write(
                "joined",
                roomId=room.room_id,
                roomName=room.room_name,
                roomType=room.room_type.value,
                participants=people,
                isAgain=event.is_again,
            )
        case events.Left():
            return None if event.reason == words.YOU_LEFT else write("left", reason=event.reason)
        case events.Calling():
            ring = event.ring
            return write("calling", callId=ring.call_id, userId=ring.to_id, name=ring.to_name) if ring.ends_at else None
        case events.RingOver():
            return write("callOver", callId=event.call_id, reason=event.reason or "settled")
        case events.Invited():
            return write("invited", roomId=event.room.room_id, userIds=list(event.user_ids))
        case events.OlderRead():
            older = [_message(said) for said in event.messages]
            return write("older", roomId=event.room_id, messages=older, more=event.more)
        case events.MuteChanged():
            return write("muted", isMuted=event.is_muted) if event.is_muted != change.old.is_muted else None
        case events.SoundStarted():
            return write("soundStarted", side=event.side.value, name=event.name)
        case events.SoundProblem():
            return write("soundProblem", side=event.side.value, reason=event.reason, remedy=event.remedy)
        case events.MediaConnecting():
            return write("media", state="connecting", reason="")
        case events.MediaConnected():
            return write("media", state="connected", reason="")
        case events.MediaLost():
            return write("media", state="lost", reason=event.reason)
        case events.MediaFailed():
            return write("media", state="failed", reason=event.reason)
        case events.MediaStarted():
            return write("mediaStarted", **_person(event.user_id, change.new))
        case events.SpeakingChanged():
            return write("speaking", **_person(event.user_id, change.new), isSpeaking=event.is_speaking)
        case events.StatsChanged():
            return write("stats", **_stats(event.stats, change.new))
        case events.SendingChanged():
            return write("sending", isSending=event.is_sending)
        case events.EchoTestChanged():
            return write("echoTest", isOn=event.is_on)
        case events.RecordingBegan():
            return write("recordingBegan", folder=event.folder)
        case events.RecordingEnded():
            return write("recordingEnded", folder=event.folder, problem=event.problem, remedy=event.remedy)
        case events.CallSoundChanged() | events.RecordingWanted() | events.TalkingChanged():
            return None
        case events.SoundSettingsChanged():
            return write("soundSettings", **of_settings(event.settings))
        case events.SoundChosen() | events.LevelsChanged() | events.DevicesChanged():
            return None
        case _:
            assert_never(event)


def of_settings(settings: SoundSettings) -> Fields:
    """What is chosen for the sound, as it is used."""
    capture, encoding = settings.used_capture, settings.used_encoding
    return {
        "transmit": capture.transmit.value,
        "echo": capture.echo,
        "noise": capture.noise,
        "agc": capture.gain,
        "highpass": capture.high_pass,
        "gain_db": capture.microphone_db,
        "bitrate": encoding.bitrate,
        "frame_ms": encoding.frame_ms,
        "isHeadset": settings.is_headset,
        "volume_db": settings.volume.volume_db,
        "isDeaf": settings.volume.is_deaf,
    }


def _person(user_id: UserId, *states: ClientState) -> Fields:
    return {"userId": user_id, "name": words.name_of(user_id, *states)}


def _recording(user_id: UserId, change: Change, *, is_recording: bool) -> str:
    return write("recording", **_person(user_id, change.new, change.old), isRecording=is_recording)


def _callee(old: ClientState) -> Fields:
    calling = old.outgoing
    return {"userId": calling.to_id if calling else "", "name": calling.to_name if calling else words.SOMEBODY}


def _reason(reason: str | None) -> Fields:
    return {"reason": reason or "rejected", "isOwnWords": words.is_own_words(reason)}


def _incoming(told: notices.IncomingCall | notices.IncomingCallNew) -> Fields:
    if isinstance(told, notices.IncomingCallNew):
        who: Fields = {"callId": told.call_id, "userId": told.from_, "name": told.from_name}
        where: Fields = {"roomId": None, "roomType": None}
    else:
        who = {"callId": told.room_id, "userId": told.from_user_id, "name": told.from_user_name}
        where = {"roomId": told.room_id, "roomType": told.room_type.value}
    return {**who, **where, "ringsFor": told.rings_for}


def _participant(person: Participant) -> Fields:
    marks = {"isHost": person.is_host, "isMuted": person.is_muted, "isRecording": person.is_recording}
    return {"userId": person.user_id, "name": person.name, **marks}


def _message(said: ChatMessage) -> Fields:
    return {
        "messageId": said.message_id,
        "userId": said.user_id,
        "name": said.user_name,
        "text": said.content,
        "timestamp": said.timestamp,
        "replyTo": None if said.reply_to is None else said.reply_to.message_id,
    }


def _reaction(reaction: Reaction) -> Fields:
    return {"emoji": reaction.emoji, "count": reaction.count, "userIds": list(reaction.user_ids)}


# What is heard is summed up by its worst voice; null where nobody is heard.
_WORST: Final = ("jitter_ms", "loss", "playout_ms")


def _stats(stats: CallStats, state: ClientState) -> Fields:
    voices = list(stats.users.values())
    worst = {figure: max((getattr(voice, figure) for voice in voices), default=None) for figure in _WORST}
    return {
        "rtt_ms": stats.rtt_ms,
        **worst,
        "in_kbps": round(sum(voice.in_kbps for voice in voices), 2),
        "out_kbps": stats.out_kbps,
        "users": [_voice(user, voice, state) for user, voice in stats.users.items()],
    }


def _voice(user: UserId, voice: ConsumerStats, state: ClientState) -> Fields:
    return {
        **_person(user, state),
        "jitter_ms": voice.jitter_ms,
        "loss": voice.loss,
        "concealed": voice.concealed,
        "playout_ms": voice.playout_ms,
        "in_kbps": voice.in_kbps,
    }
