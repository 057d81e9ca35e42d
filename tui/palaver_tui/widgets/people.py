"""Everybody who is online."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message

from palaver_client.state import ClientState
from palaver_protocol.models import RoomId, RoomSummary, User, UserId, UserStatus
from palaver_tui import labels

from .cells import plain, spread
from .choices import Choices
from .follow import follow

if TYPE_CHECKING:
    from textual.widgets import OptionList

RoomNames = dict[RoomId, str]


class PeopleList(Choices):
    """Name and whereabouts of each person; choosing one joins the room in which that person is."""

    class Picked(Message):
        """A person was chosen who sits in a room of the list."""

        def __init__(self, room_id: RoomId) -> None:
            super().__init__()
            self.room_id = room_id

    def __init__(self) -> None:
        super().__init__("Online", labels.NOBODY, id="people")
        self._room_of: dict[UserId, RoomId | None] = {}

    def on_mount(self) -> None:
        """Watch the people and the names of the rooms they are in."""
        follow(self, self.look, self.show)

    @staticmethod
    def look(state: ClientState) -> tuple[UserId, tuple[User, ...], tuple[RoomSummary, ...]]:
        """Ourselves, everybody, and the rooms, for their names."""
        return state.me, state.users, state.rooms

    def show(self, seen: tuple[UserId, tuple[User, ...], tuple[RoomSummary, ...]]) -> None:
        """Show the people, by name, ourselves first."""
        me, users, listed = seen
        rooms: RoomNames = {room.room_id: room.room_name for room in listed}
        users = tuple(sorted(users, key=lambda user: (user.user_id != me, user.name.casefold(), user.user_id)))
        self._room_of = {user.user_id: user.current_room_id for user in users if user.current_room_id in rooms}
        self.show_lines(
            [(user.user_id, partial(line_of, user, user.user_id == me, whereabouts(user, rooms))) for user in users]
        )

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell where that person is."""
        event.stop()
        room_id = self._room_of.get(UserId(event.option_id or ""))
        if room_id is not None:
            self.post_message(self.Picked(room_id))


def line_of(user: User, is_me: bool, where: str, width: int) -> Content:
    """One line: the name, and where that person is."""
    name = Content.assemble("  ", plain(user.name), Content.styled(" you" if is_me else "", "$foreground-muted"))
    colour = "$foreground-muted" if user.status is UserStatus.IDLE else "$text-success"
    return spread(name, plain(where, colour).truncate(width // 2, ellipsis=True), width)


def whereabouts(user: User, rooms: RoomNames) -> str:
    """Where somebody is, in words; a room that is not in the list is nobody's business."""
    if user.status is UserStatus.IDLE:
        return "idle"
    name = rooms.get(user.current_room_id) if user.current_room_id is not None else None
    return "in a call" if name is None else f"in {name}"
