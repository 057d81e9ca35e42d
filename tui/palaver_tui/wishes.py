"""What a person at the screen may want: plain values, carried out on the Trio side."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from palaver_media.engine_messages import Side
from palaver_protocol.models import RoomId


@frozen
class Connect:
    """Come online under this name; the first wish of all."""

    name: str


@frozen
class Retry:
    """Try to connect now instead of waiting."""


@frozen
class Join:
    """Sit down in a room of the list, leaving the one before."""

    room_id: RoomId
    room_name: str


@frozen
class Open:
    """Sit down in the room of that name, which is made if there is none."""

    room_name: str


@frozen
class Leave:
    """Give up the seat."""


@frozen
class End:
    """End the room for everyone."""


@frozen
class Say:
    """Write to the room."""

    text: str


@frozen
class SetMuted:
    """Mute the microphone, or unmute it."""

    is_muted: bool


@frozen
class Choose:
    """Speak into, or listen to, another device: a spec such as `device:NAME`."""

    side: Side
    spec: str


@frozen
class ListDevices:
    """Look which devices there are."""


Wish: TypeAlias = Connect | Retry | Join | Open | Leave | End | Say | SetMuted | Choose | ListDevices
