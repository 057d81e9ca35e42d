"""Where a person at the screen wants to sit."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from palaver_protocol.models import RoomType, RoomView

from .wishes import Join, Open


@frozen
class Stay:
    """A seat that we have already: somebody called, or accepted our call."""

    room: RoomView


Seat: TypeAlias = Join | Open | Stay


def again(seat: Seat | None) -> Join | Open | None:
    """What to want from a server that may know no ids of old; a call between two is over with it."""
    match seat:
        case Stay(room=room):
            return Open(room.room_name) if room.room_type is RoomType.GROUP else None
        case Join() | Open():
            return Open(seat.room_name)
        case None:
            return None
