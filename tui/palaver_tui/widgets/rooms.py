"""The rooms of the server."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message

from palaver_client.state import ClientState
from palaver_protocol.models import RoomId, RoomSummary
from palaver_tui import labels

from .cells import plain, spread
from .choices import Choices
from .follow import follow

if TYPE_CHECKING:
    from textual.widgets import OptionList

NAMES_SHOWN = 8  # of those in a room; more never fit into the line


class RoomList(Choices):
    """Name, number of people, host and names of each room; choosing one joins it."""

    class Picked(Message):
        """A room was chosen."""

        def __init__(self, room_id: RoomId) -> None:
            super().__init__()
            self.room_id = room_id

    def __init__(self) -> None:
        super().__init__("Rooms", labels.NO_ROOMS, id="rooms")

    def on_mount(self) -> None:
        """Watch the rooms, and in which of them we are."""
        follow(self, self.look, self.show)

    @staticmethod
    def look(state: ClientState) -> tuple[tuple[RoomSummary, ...], RoomId | None]:
        """The rooms, and ours."""
        return state.rooms, None if state.room is None else state.room.room_id

    def show(self, seen: tuple[tuple[RoomSummary, ...], RoomId | None]) -> None:
        """Show the rooms."""
        rooms, ours = seen
        self.show_lines([(room.room_id, partial(line_of, room, room.room_id == ours)) for room in rooms])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell which room was chosen."""
        event.stop()
        if event.option_id is not None:
            self.post_message(self.Picked(RoomId(event.option_id)))


def line_of(room: RoomSummary, is_ours: bool, width: int) -> Content:
    """Two lines: name and number of people; who they are, the host first."""
    name = Content.assemble("▸ " if is_ours else "  ", plain(room.room_name, "bold" if is_ours else ""))
    first = spread(name, Content.styled(str(room.participant_count), "$foreground-muted"), width)
    second = plain(f"  {who(room)}", "$foreground-muted").truncate(width, ellipsis=True)
    return Content.assemble(first, "\n", second)


def who(room: RoomSummary) -> str:
    """The people of a room in words."""
    others = [name for name in room.participant_names if name != room.host_name][:NAMES_SHOWN]
    host = "no host" if room.is_hostless else f"host {room.host_name}"
    return ", ".join([host, *others])
