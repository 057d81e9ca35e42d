"""Every sentence that people read about what happens, for line mode and for the screen."""

from __future__ import annotations

from typing import Final, assert_never

from palaver_protocol import notices
from palaver_protocol.models import HostChange, NoticeLevel, Participant, RoomType, UserId
from palaver_protocol.notices import AnyNotice
from palaver_protocol.table import Notice

from . import events, sound_sentences
from .changes import Change
from .events import LocalEvent
from .phrases import (
    ROOM_GONE,
    SIDES,
    SOMEBODY,
    YOU_LEFT,
    connect_remedy,
    duration,
    ending,
    indented,
    is_own_words,
    listing,
    name_of,
    of_message,
    of_participant,
    of_polling,
    of_problem,
    of_reactions,
    of_refusal,
    of_rejection,
    of_ring,
    of_user,
    quoted,
    transport_failure,
    whose,
)
from .state import ClientState, ConnectionState

__all__ = [
    "ROOM_GONE",
    "SIDES",
    "SOMEBODY",
    "YOU_LEFT",
    "connect_remedy",
    "duration",
    "ending",
    "is_own_words",
    "listing",
    "name_of",
    "of_event",
    "of_message",
    "of_participant",
    "of_problem",
    "of_reactions",
    "of_recording",
    "of_refusal",
    "of_rejection",
    "of_ring",
    "of_user",
    "transport_failure",
]


def of_event(change: Change) -> str | None:
    """What happened, in a line, or more for a message of several; None for what is not worth one."""
    if isinstance(change.event, Notice):
        return _of_notice(change.event, change)
    return _of_local(change.event, change)


def _of_notice(told: AnyNotice, change: Change) -> str | None:
    match told:
        case notices.IncomingCall() | notices.IncomingCallNew():
            return of_ringing(told, change.new)
        case notices.CallAccepted():
            return f"{name_of(told.user_id, change.new, change.old)} accepts the invitation"
        case notices.CallAcceptedNew():
            return f"{_callee(change.old)} accepts the call"
        case notices.CallRejected():
            return of_rejection(told.user_name, told.reason)
        case notices.CallRejectedNew():
            return of_rejection(_callee(change.old), told.reason)
        case notices.CallCancelled() | notices.CallTimeout():
            return _of_settled(told, change.old)
        case notices.UserJoined():
            return None if change.old.participant(told.user_id) else f"{told.user_name} joined"
        case notices.UserLeft():
            is_call = change.old.room is not None and change.old.room.room_type is RoomType.DIRECT
            return f"{name_of(told.user_id, change.old, change.new)} {'hung up' if is_call else 'left'}"
        case notices.NewMessage():
            return of_message(told)
        case notices.MessageReactionUpdated():
            return f"reactions to {quoted(told.message_id, change.new)}: {of_reactions(told.reactions, change.new)}"
        case notices.MessageEdited():
            return f"{whose(told.message_id, change.new)} now says: {indented(told.content)}"
        case notices.MessageDeleted():
            return f"{whose(told.message_id, change.old)} was deleted"
        case notices.HostChanged():
            subject = "you are" if told.host_id == change.new.me else f"{told.host_name} is"
            return f"{subject} back as the host" if told.reason is HostChange.RETURNED else f"{subject} the host now"
        case notices.ParticipantMediaStateUpdated():
            return _of_media_state(told, change.old.participant(told.user_id))
        case notices.RecordingStateChanged():
            return of_recording(told.user_id, change, is_recording=told.is_recording)
        case notices.RoomHostless():
            return "the host left; everybody may now do what a host may"
        case notices.CallEnded():
            return None if change.old.room is None else f"the room is over: {ending(told.reason)}"
        case notices.ServerNotice():
            return f"{_LEVELS[told.level]}: {told.message or told.code}"
        case notices.Snapshot():
            return _of_recorders(change)
        case notices.OnlineUsersUpdated() | notices.RoomListUpdated() | notices.ActiveSpeakers():
            return None
        case notices.NewProducer() | notices.ProducerClosed():
            return None
        case notices.TransportFailed() | notices.MediaReset():
            return None  # what became of the sound is told by MediaLost
        case _:
            assert_never(told)


def of_ringing(told: notices.IncomingCall | notices.IncomingCallNew, state: ClientState) -> str:
    """Who calls, or invites to which room, and for how long it rings."""
    patience = "" if told.rings_for is None else f"; it rings for {duration(told.rings_for / 1000)}"
    if isinstance(told, notices.IncomingCallNew):
        return f"{told.from_name} calls you{patience}"
    if told.room_type is RoomType.DIRECT:
        return f"{told.from_user_name} calls you{patience}"
    room = next((room.room_name for room in state.rooms if room.room_id == told.room_id), "a room")
    return f"{told.from_user_name} invites you to {room}{patience}"


def of_recording(user_id: UserId, change: Change, *, is_recording: bool) -> str:
    """That somebody's words are being kept, or no longer, and by whom."""
    is_me = user_id == change.new.me
    who = "you" if is_me else name_of(user_id, change.new, change.old)
    if is_recording:
        return f"{who} {'are' if is_me else 'is'} recording this call"
    return f"{who} no longer {'record' if is_me else 'records'} this call"


def _of_recorders(change: Change) -> str | None:
    """Who records where we come, or began or ended it while we were cut off; a line each."""
    began, ended = change.recorders
    lines = [of_recording(user, change, is_recording=user in began) for user in (*began, *ended)]
    return "\n".join(lines) or None


def _of_settled(told: notices.CallCancelled | notices.CallTimeout, old: ClientState) -> str | None:
    if (ring := old.ring(told.call_id)) is not None:
        is_missed = isinstance(told, notices.CallTimeout)
        return f"you missed a call from {ring.from_name}" if is_missed else f"the call from {ring.from_name} is over"
    if old.outgoing is not None and old.outgoing.call_id == told.call_id:
        return of_rejection(old.outgoing.to_name, "timeout")
    return None


def _callee(old: ClientState) -> str:
    return SOMEBODY if old.outgoing is None else old.outgoing.to_name


def _of_media_state(told: notices.ParticipantMediaStateUpdated, old: Participant | None) -> str | None:
    if told.is_away != (old is not None and old.is_away):
        return f"{told.name} lost the connection; the seat is kept" if told.is_away else f"{told.name} is back"
    if old is not None and old.is_muted == told.is_muted:
        return None
    return f"{told.name} is {'muted' if told.is_muted else 'unmuted'}"


_LEVELS: Final = {
    NoticeLevel.INFO: "the server says",
    NoticeLevel.WARNING: "the server warns",
    NoticeLevel.ERROR: "the server has a problem",
}


def _of_local(event: LocalEvent, change: Change) -> str | None:
    match event:
        case events.Connected():
            return _of_connecting(change.old, change.new)
        case events.CarrierChanged():
            return of_polling(event.reason) if event.is_polling else "the connection is a WebSocket again"
        case events.ConnectionLost(retry_in=None):
            return f"disconnected: {event.reason}"
        case events.ConnectionLost():
            return f"connection lost: {event.reason}; connecting again"
        case events.Joined():
            return "\n".join(filter(None, [of_joining(event, change.old, change.new), _of_recorders(change)]))
        case events.Left(reason=reason) if reason == YOU_LEFT and change.old.room is not None:
            is_call = change.old.room.room_type is RoomType.DIRECT
            return reason if is_call else f"you left {change.old.room.room_name}"
        case events.Left():
            return event.reason
        case events.Calling():
            return None if event.ring.ends_at is None else f"it rings at {event.ring.to_name}"
        case events.RingOver():
            return event.reason or None
        case events.Invited():
            return f"it rings at {listing([name_of(user_id, change.new) for user_id in event.user_ids])}"
        case events.RetryFailed() | events.OlderRead():
            return None
        case _:
            return sound_sentences.of_event(event, change)


def of_joining(event: events.Joined, old: ClientState, new: ClientState) -> str:
    """Where we are, and with whom; and what was lost where the room had to be made anew."""
    room = event.room
    others = [person.name for person in room.participants if person.user_id != new.me]
    company = f"with {listing(others)}" if others else "alone so far"
    place = "a call" if room.room_type is RoomType.DIRECT else room.room_name
    if event.is_again and old.room is not None and old.room.room_id != room.room_id:
        return f"you are in a new room {place}, {company}; the one before and its chat are gone"
    return f"you are {'back in' if event.is_again else 'in'} {place}, {company}"


def _of_connecting(old: ClientState, new: ClientState) -> str:
    if old.connection is ConnectionState.CONNECTING:
        return "connected"
    if old.outgoing is not None and new.outgoing is None:
        return f"connected again; your call to {old.outgoing.to_name} is over"
    return "connected again"
