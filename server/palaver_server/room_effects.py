"""What a room's change brings about outside of it; the room carries them out once the change is made."""

from __future__ import annotations

from typing import Protocol, TypeAlias

from attrs import frozen

from palaver_media.worker_messages import WorkerCommand
from palaver_protocol.models import MessageId, ProducerId, UserId
from palaver_protocol.negotiate import ProducerPlan
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


@frozen
class Order:
    """Have the worker of one part do something."""

    part: int
    command: WorkerCommand


@frozen
class Carry:
    """Have a track of one part on another one, under the same id."""

    part: int
    to: int
    user_id: UserId
    producer: ProducerId
    plan: ProducerPlan
    cname: str


def carrier_id(producer: ProducerId, to: int) -> str:
    """The consumer that carries a track to a part."""
    return f"{producer}>{to}"


@frozen
class Spread:
    """The room is large for the workers that it has: one more would be welcome."""


Effect: TypeAlias = Tell | Moved | Listed | Kept | Order | Carry | Spread


class TellAll(Protocol):
    """Gives a notice to everybody in the room."""

    def __call__(self, notice: AnyNotice, but: UserId | None = None) -> None:
        """With `but`, to all except him."""
