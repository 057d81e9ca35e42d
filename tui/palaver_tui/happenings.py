"""What the screen tells about a change, beside showing the new state: toasts, and lines in the chat."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from palaver_client import Change, Left, MediaFailed, SoundProblem, words
from palaver_client.events import ConnectionLost, RetryFailed
from palaver_protocol.models import NoticeLevel
from palaver_protocol.notices import CallEnded, RoomHostless, ServerNotice, UserJoined, UserLeft

from .messages import Happened, Offline, Severity

if TYPE_CHECKING:
    from textual.message import Message

_SEVERITIES: Final[dict[NoticeLevel, Severity]] = {
    NoticeLevel.INFO: "information",
    NoticeLevel.WARNING: "warning",
    NoticeLevel.ERROR: "error",
}


def told(change: Change) -> Iterator[Message]:
    """The messages for the app about a change, mostly none."""
    match change.event:
        case ConnectionLost() | RetryFailed():
            yield Offline(change.event)
        case Left(reason=words.YOU_LEFT):
            return
        case ServerNotice(level=level):
            yield from _happened(change, _SEVERITIES[level])
        case MediaFailed():
            yield from _happened(change, "error")
        case SoundProblem():
            yield from _happened(change, "warning")
        case CallEnded() | Left():
            yield from _happened(change, "information")
        case UserJoined() | UserLeft() | RoomHostless():
            yield from _happened(change, None)
        case _:
            return


def _happened(change: Change, severity: Severity | None) -> Iterator[Message]:
    text = words.of_event(change)
    if text:
        yield Happened(text, severity)
