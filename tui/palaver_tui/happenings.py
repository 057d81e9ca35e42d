"""What the screen tells about a change, beside showing the new state: toasts, and lines in the chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from palaver_client import Change, ConnectionState, Left, MediaFailed, MediaLost, words
from palaver_client.events import (
    Connected,
    ConnectionLost,
    Invited,
    OlderRead,
    RecordingBegan,
    RecordingEnded,
    RetryFailed,
    RingOver,
)
from palaver_protocol.models import NoticeLevel, RoomType, UserId
from palaver_protocol.notices import (
    CallAccepted,
    CallCancelled,
    CallEnded,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    HostChanged,
    ParticipantMediaStateUpdated,
    RecordingStateChanged,
    RoomHostless,
    ServerNotice,
    UserJoined,
    UserLeft,
)

from . import call_labels
from .messages import Happened, Missed, Offline, OlderShown, Severity

if TYPE_CHECKING:
    from textual.message import Message

_SEVERITIES: Final[dict[NoticeLevel, Severity]] = {
    NoticeLevel.INFO: "information",
    NoticeLevel.WARNING: "warning",
    NoticeLevel.ERROR: "error",
}

LONG: Final = 30.0  # s for a toast that one may have to look up, or that whoever was away may read still


def told(change: Change) -> Iterator[Message]:
    """The messages for the app about a change, mostly none."""
    match change.event:
        case ConnectionLost() | RetryFailed():
            yield Offline(change.event)
        case Left(reason=words.YOU_LEFT):
            return
        case OlderRead(more=more):
            yield OlderShown(more)
        case UserLeft(user_id=user_id) if _is_call(change):
            yield from _hung_up(change, user_id)
        case ServerNotice(level=level):
            yield from _happened(change, _SEVERITIES[level])
        case MediaFailed():
            yield from _happened(change, "error")
        case MediaLost() if change.new.connection is ConnectionState.CONNECTED:  # else the banner tells what is lost
            yield from _happened(change, "warning")
        case RecordingEnded():
            yield from _happened(change, "error" if change.event.problem else "information", LONG)
        case RecordingBegan():
            yield from _happened(change, "information")
        case CallTimeout(call_id=call_id) | CallCancelled(call_id=call_id) if ring := change.old.ring(call_id):
            yield Missed(ring.from_id)
            yield from _happened(change, "warning", LONG)
        case CallTimeout() | CallRejectedNew(reason="timeout"):
            yield from _happened(change, "warning", LONG)
        case CallRejected() | CallRejectedNew():
            yield from _happened(change, "warning")
        case CallEnded() | Left() | Invited() | CallAccepted() | CallCancelled() | RingOver():
            yield from _happened(change, "information")
        case Connected() if change.old.outgoing is not None and change.new.outgoing is None:
            yield from _happened(change, "information")
        case ParticipantMediaStateUpdated():
            if _is_away(change, change.event.user_id):
                yield from _happened(change, None)
        case UserJoined() | UserLeft() | RoomHostless() | HostChanged() | RecordingStateChanged():
            yield from _happened(change, None)
        case _:
            return


def _happened(change: Change, severity: Severity | None, lasts: float | None = None) -> Iterator[Message]:
    text = words.of_event(change)
    if text:
        yield Happened(text, severity, lasts)


def _hung_up(change: Change, user_id: UserId) -> Iterator[Message]:
    """A call between two is over when one of them is gone, so it is told where the chat no longer shows."""
    if user_id != change.new.me:
        yield Happened(call_labels.hung_up(words.name_of(user_id, change.old)), "information")


def _is_call(change: Change) -> bool:
    return change.old.room is not None and change.old.room.room_type is RoomType.DIRECT


def _is_away(change: Change, user_id: UserId) -> bool:
    """Whether somebody's connection was lost or came back; muting shows without words."""
    old, new = change.old.participant(user_id), change.new.participant(user_id)
    return old is not None and new is not None and old.is_away != new.is_away
