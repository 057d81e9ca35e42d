"""What happened, as JSON objects for scripts: one each, with `event`, and `time` in ms since the epoch.

Names of people are as they are on the wire; figures carry their unit in their name (`rtt_ms`, `in_kbps`). What there is
tells `json_help`.
"""

from __future__ import annotations

from typing import assert_never

from palaver_protocol import notices, text
from palaver_protocol.models import EndReason, RoomView, UserId
from palaver_protocol.notices import AnyNotice
from palaver_protocol.table import Notice, Refusal

from . import events, json_sound, words
from .changes import Change
from .events import LocalEvent
from .json_objects import Fields, of_message, of_participant, of_person, of_reaction, write
from .listings import Listing
from .sound_choices import SoundSettings
from .state import ClientState


class JsonLines:
    """What line mode prints with `--json`."""

    def of_change(self, change: Change) -> str | None:
        """The line of a change, or the lines where we had missed messages; None for what only the screen needs."""
        event = change.event
        line = _of_notice(event, change) if isinstance(event, Notice) else _of_local(event, change)
        missed = [write("message", **of_message(said)) for said in change.missed]
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

    def of_sound(self, settings: SoundSettings) -> str | None:
        """How the sound was chosen: a script knows, or reads the profile."""
        return None

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
            return write("callAccepted", callId=told.room_id, **of_person(told.user_id, change.new, change.old))
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
            return write("userLeft", **of_person(told.user_id, change.old, change.new))
        case notices.NewMessage():
            return write("message", **of_message(told))
        case notices.MessageReactionUpdated():
            return write("reactions", messageId=told.message_id, reactions=[of_reaction(one) for one in told.reactions])
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
            people = [of_participant(person) for person in room.participants]
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
            older = [of_message(said) for said in event.messages]
            return write("older", roomId=event.room_id, messages=older, more=event.more)
        case _:
            return json_sound.of_event(event, change)


def _recording(user_id: UserId, change: Change, *, is_recording: bool) -> str:
    return write("recording", **of_person(user_id, change.new, change.old), isRecording=is_recording)


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
