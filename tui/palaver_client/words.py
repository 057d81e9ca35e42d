"""Every sentence that people read, for line mode and for the screen."""

from __future__ import annotations

from typing import Final, assert_never

from palaver_media.engine_messages import Side
from palaver_protocol import notices
from palaver_protocol.models import (
    ChatMessage,
    EndReason,
    HostChange,
    MessageId,
    Name,
    NoticeLevel,
    Reaction,
    RoomView,
    UserId,
)
from palaver_protocol.notices import AnyNotice
from palaver_protocol.table import Code, Notice, Refusal

from . import events
from .changes import Change
from .errors import LinkLost, LinkRefused
from .events import LocalEvent
from .state import ClientState, ConnectionState

YOU_LEFT: Final = "you left the room"
SOMEBODY: Final = "somebody"

SIDES: Final = {Side.SOURCE: "microphone", Side.SINK: "speaker"}

_ENDED: Final = {
    EndReason.ENDED: "the host ended it",
    EndReason.HOST_LEFT: "the host left",
    EndReason.EMPTY: "everybody left",
    EndReason.REJECTED: "the call was rejected",
    EndReason.TIMEOUT: "nobody answered",
    EndReason.SHUTDOWN: "the server stops",
    EndReason.ERROR: "the server had a problem",
}

_TRANSPORT: Final = {
    "ice": "the media port of the server does not answer; is its UDP port open",
    "timeout": "the media port of the server does not answer; is its UDP port open",
    "consent": "the media port of the server answers no more",
    "dtls": "the sound could not be encrypted",
    "fingerprint": "the other end of the sound is not the server it should be",
}

_REMEDIES: Final = {
    Code.IN_ROOM.value: "leave your room first",
    Code.IN_CALL.value: "leave your call first",
    Code.NOT_HOST.value: "only the host may do that",
    Code.NOT_MEMBER.value: "join the room first",
    Code.OVERLOADED.value: "try again in a moment",
    Code.RATE_LIMITED.value: "wait a moment",
    Code.MEDIA_UNAVAILABLE.value: "the server is preparing its sound; it is tried again",
}


# -- what happened -----------------------------------------------------------------------------------------------------
def of_event(change: Change) -> str | None:
    """What happened, in a line, or more for a message of several; None for what is not worth one."""
    if isinstance(change.event, Notice):
        return _of_notice(change.event, change)
    return _of_local(change.event, change)


def _of_notice(told: AnyNotice, change: Change) -> str | None:
    match told:
        case notices.UserJoined():
            return None if change.old.participant(told.user_id) else f"{told.user_name} joined"
        case notices.UserLeft():
            return f"{name_of(told.user_id, change.old, change.new)} left"
        case notices.NewMessage():
            return of_message(told)
        case notices.MessageReactionUpdated():
            return f"reactions to {_whose(told.message_id, change.new)}: {of_reactions(told.reactions)}"
        case notices.MessageEdited():
            return f"{_whose(told.message_id, change.new)} now says: {_indented(told.content)}"
        case notices.MessageDeleted():
            return f"{_whose(told.message_id, change.old)} was deleted"
        case notices.HostChanged():
            is_back = told.reason is HostChange.RETURNED
            return f"{told.host_name} is back as the host" if is_back else f"{told.host_name} is the host now"
        case notices.ParticipantMediaStateUpdated():
            return f"{told.name} is {'muted' if told.is_muted else 'unmuted'}"
        case notices.RoomHostless():
            return "the host left; everybody may now do what a host may"
        case notices.CallEnded():
            return None if change.old.room is None else f"the room is over: {ending(told.reason)}"
        case notices.ServerNotice():
            return f"{_LEVELS[told.level]}: {told.message or told.code}"
        case notices.OnlineUsersUpdated() | notices.RoomListUpdated():
            return None
        case notices.NewProducer() | notices.ProducerClosed():
            return None
        case notices.TransportFailed() | notices.MediaReset():
            return None  # what became of the sound is told by MediaLost
        case _:
            assert_never(told)


_LEVELS: Final = {
    NoticeLevel.INFO: "the server says",
    NoticeLevel.WARNING: "the server warns",
    NoticeLevel.ERROR: "the server has a problem",
}


def _of_local(event: LocalEvent, change: Change) -> str | None:
    match event:
        case events.Connected():
            return "connected" if change.old.connection is ConnectionState.CONNECTING else "connected again"
        case events.ConnectionLost(retry_in=None):
            return f"disconnected: {event.reason}"
        case events.ConnectionLost():
            return f"connection lost: {event.reason}; connecting again"
        case events.Joined():
            return of_joining(event.room, change.old, change.new)
        case events.Left():
            return event.reason
        case events.MuteChanged():
            if change.old.is_muted == event.is_muted:
                return None
            return "you are muted" if event.is_muted else "you are not muted any more"
        case events.SoundStarted():
            return f"{SIDES[event.side]}: {event.name}"
        case events.SoundProblem():
            return f"{SIDES[event.side]}: {of_problem(event.reason, event.remedy)}"
        case events.MediaConnected():
            return "the sound is connected"
        case events.MediaLost():
            return f"no sound: {event.reason}; connecting it again"
        case events.MediaFailed():
            return f"no sound: {event.reason}; everything else goes on"
        case events.MediaStarted():
            return f"you hear {name_of(event.user_id, change.new)}"
        case events.SpeakingChanged():
            return f"{name_of(event.user_id, change.new)} speaks" if event.is_speaking else None
        case events.RetryFailed() | events.SoundChosen() | events.MediaConnecting():
            return None
        case events.LevelsChanged() | events.StatsChanged() | events.DevicesChanged():
            return None
        case _:
            assert_never(event)


def of_message(said: ChatMessage) -> str:
    """A message; its further lines are indented, so that none can pass for another's."""
    quote = f" (to {said.reply_to.user_name})" if said.reply_to is not None else ""
    return f"{said.user_name}{quote}: {_indented(said.content)}"


def of_reactions(reactions: tuple[Reaction, ...]) -> str:
    """How many reacted with which emoji."""
    return ", ".join(f"{reaction.emoji} {reaction.count}" for reaction in reactions) or "none"


def _indented(content: str) -> str:
    return content.replace("\n", "\n  ")


def _whose(message_id: MessageId, state: ClientState) -> str:
    messages = () if state.room is None else state.room.messages
    said = next((said for said in messages if said.message_id == message_id), None)
    return "an older message" if said is None else f"a message of {said.user_name}"


def of_joining(room: RoomView, old: ClientState, new: ClientState) -> str:
    """Where we are, and with whom."""
    others = [person.name for person in room.participants if person.user_id != new.me]
    again = "back in" if old.room is not None else "in"
    return f"you are {again} {room.room_name}, {'with ' + listing(others) if others else 'alone so far'}"


def ending(reason: EndReason | None) -> str:
    """Why a room is over."""
    return _ENDED[reason or EndReason.ENDED]


# -- what went wrong ---------------------------------------------------------------------------------------------------
def of_refusal(no: Refusal) -> str:
    """Why the server refused, and what one can do."""
    if no.retry_after is not None:
        return f"{no.error}; try again in {duration(no.retry_after)}"
    remedy = _REMEDIES.get(no.code)
    return f"{no.error}; {remedy}" if remedy else no.error


def of_problem(reason: str, remedy: str) -> str:
    """What is wrong, and what would help."""
    return f"{reason}; {remedy}" if remedy else reason


def connect_remedy(why: LinkLost) -> str:
    """What helps where the first connection fails."""
    if isinstance(why, LinkRefused):
        return "ask whoever runs the server, or use another name"
    return "check the address, or start a server with: palaver serve"


def transport_failure(reason: str) -> str:
    """Why sound passes no more, from the one word of the engine or the server."""
    return _TRANSPORT.get(reason, reason)


# -- parts of sentences ------------------------------------------------------------------------------------------------
def name_of(user_id: UserId, *states: ClientState) -> str:
    """A person's name, from the first state that knows it."""
    for state in states:
        person = state.participant(user_id) or next((user for user in state.users if user.user_id == user_id), None)
        if person is not None:
            return person.name
    return SOMEBODY


def listing(names: list[Name]) -> str:
    """`ann`, `ann and bob`, `ann, bob and 3 others`."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} others"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 05 min`."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"
