"""How a widget watches its slice of the client's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from textual.widget import Widget

    from palaver_client.state import ClientState
    from palaver_protocol.models import RoomId

S = TypeVar("S")


def follow(widget: Widget, look: Callable[[ClientState], S], show: Callable[[S], object]) -> None:
    """Show a slice of the state now, and again whenever that slice has changed."""
    shown: list[S] = []

    def look_again(state: ClientState) -> None:
        seen = look(state)
        if shown != [seen]:
            shown[:] = [seen]
            show(seen)

    widget.watch(widget.app, "state", look_again)


def our_room(state: ClientState) -> RoomId | None:
    """The room we are in."""
    return None if state.room is None else state.room.room_id
