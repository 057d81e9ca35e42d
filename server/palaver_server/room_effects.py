"""What a room's change brings about outside of it; the room carries them out once the change is made."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from attrs import frozen

from palaver_media.worker_messages import WorkerCommand
from palaver_protocol.models import MessageId, UserId
from palaver_protocol.notices import AnyNotice


@frozen
class Tell:
    """Give a notice to these connections."""

    to: tuple[int, ...]
    notice: AnyNotice


@frozen
class Moved:
    """A user took a seat, or lost it."""

    user_id: UserId
    is_seated: bool


@frozen
class Listed:
    """What lists show of the room has changed."""


@frozen
class Kept:
    """A message was added, changed or removed: the store is to know."""

    message_id: MessageId


Effect: TypeAlias = Tell | Moved | Listed | Kept | WorkerCommand


class TellAll(Protocol):
    """Gives a notice to everybody in the room."""

    def __call__(self, notice: AnyNotice, but: UserId | None = None) -> None:
        """With `but`, to all except him."""
