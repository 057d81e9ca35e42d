"""Everybody who is online."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message

from palaver_client.state import ClientState
from palaver_protocol.models import RoomId, RoomSummary, User, UserId, UserStatus
from palaver_tui import call_labels, labels
from palaver_tui.keys import PEOPLE_KEYS
from palaver_tui.rights import may_invite

from .cells import plain, spread
from .choices import Choices
from .follow import follow

if TYPE_CHECKING:
    from textual.widgets import OptionList

RoomNames = dict[RoomId, str]
Note = tuple[str, str]  # a few words and their colour


class PeopleList(Choices):
    """Name and whereabouts of each person; one is joined in a room, called, or invited."""

    BINDINGS = [key.binding() for key in PEOPLE_KEYS]

    class Picked(Message):
        """A person was chosen, and it is open for what."""

        def __init__(self, user: User) -> None:
            super().__init__()
            self.user = user

    class Called(Picked):
        """A person is to be called."""

    class Invited(Picked):
        """A person is to be invited to our room."""

    def __init__(self) -> None:
        super().__init__("Online", labels.NOBODY, id="people")
        self._me = UserId("")
        self._users: dict[UserId, User] = {}
        self._seen: tuple[UserId, tuple[User, ...], tuple[RoomSummary, ...]] = (UserId(""), (), ())
        self._missed: set[UserId] = set()  # whose calls nobody took, until one turns to them
        self._may_invite = False
        self._around: frozenset[UserId] = frozenset()  # who is in our room

    def on_mount(self) -> None:
        """Watch the people and the names of the rooms they are in."""
        follow(self, self.look, self.show)
        follow(self, lambda state: (may_invite(state), around(state)), self.allow)

    @staticmethod
    def look(state: ClientState) -> tuple[UserId, tuple[User, ...], tuple[RoomSummary, ...]]:
        """Ourselves, everybody, and the rooms, for their names."""
        return state.me, state.users, state.rooms

    def show(self, seen: tuple[UserId, tuple[User, ...], tuple[RoomSummary, ...]]) -> None:
        """Show the people, by name, ourselves first."""
        self._seen = seen
        me, users, listed = seen
        rooms: RoomNames = {room.room_id: room.room_name for room in listed}
        users = tuple(sorted(users, key=lambda user: (user.user_id != me, user.name.casefold(), user.user_id)))
        self._me, self._users = me, {user.user_id: user for user in users}
        self.show_lines(
            [(user.user_id, partial(line_of, user, user.user_id == me, self._note(user, rooms))) for user in users]
        )
        self._skip_ourselves()

    def _note(self, user: User, rooms: RoomNames) -> Note:
        if user.user_id in self._missed:
            return call_labels.MISSED, "bold $text-warning"
        return whereabouts(user, rooms), "$foreground-muted" if user.status is UserStatus.IDLE else "$text-success"

    def miss(self, user_id: UserId) -> None:
        """Mark somebody whose call nobody took."""
        self._missed.add(user_id)
        self.show(self._seen)

    def _turn_to_selected(self) -> None:
        """Whoever is selected has no call to be told about any more."""
        user = self.selected
        if self.screen.focused is self and user is not None and user.user_id in self._missed:
            self._missed.remove(user.user_id)
            self.show(self._seen)

    def _skip_ourselves(self) -> None:
        """Select somebody else than ourselves, who come first."""
        if self.selected is None and self.option_count > 1:
            self.highlighted = 1
        self.refresh_bindings()

    def allow(self, seen: tuple[bool, frozenset[UserId]]) -> None:
        """Whether there is a room to invite to, and who need not be called because we sit together."""
        self._may_invite, self._around = seen
        self.refresh_bindings()

    @property
    def selected(self) -> User | None:
        """The person that keys act upon, if it is another one than ourselves."""
        user = self._users.get(UserId(self.highlighted_option.id or "")) if self.highlighted_option else None
        return None if user is None or user.user_id == self._me else user

    def on_focus(self) -> None:
        """Select somebody to act upon."""
        self._skip_ourselves()
        self._turn_to_selected()

    def on_option_list_option_highlighted(self) -> None:
        """Other keys are of use for another person."""
        self._turn_to_selected()
        self.refresh_bindings()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Tell who was chosen, or that it is ourselves."""
        event.stop()
        if self.selected is not None:
            self.post_message(self.Picked(self.selected))
        else:
            self.notify(call_labels.YOURSELF, severity="warning", markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys are of use for this person."""
        match action:
            case "call":
                return self.selected is not None and self.selected.user_id not in self._around
            case "invite":
                return self._may_invite and self.check_action("call", ())
            case _:
                return True

    def action_call(self) -> None:
        """Call the selected person."""
        if self.selected is not None:
            self.post_message(self.Called(self.selected))

    def action_invite(self) -> None:
        """Invite the selected person."""
        if self.selected is not None:
            self.post_message(self.Invited(self.selected))


def around(state: ClientState) -> frozenset[UserId]:
    """Who is in our room."""
    people = () if state.room is None else state.room.participants
    return frozenset(person.user_id for person in people)


def line_of(user: User, is_me: bool, note: Note, width: int) -> Content:
    """One line: the name, and where that person is, or that we missed a call."""
    text, colour = note
    name = Content.assemble("  ", plain(user.name), Content.styled(" you" if is_me else "", "$foreground-muted"))
    return spread(name, plain(text, colour).truncate(width // 2, ellipsis=True), width)


def whereabouts(user: User, rooms: RoomNames) -> str:
    """Where somebody is, in words; a room that is not in the list is nobody's business."""
    if user.status is UserStatus.IDLE:
        return "idle"
    name = rooms.get(user.current_room_id) if user.current_room_id is not None else None
    return "in a call" if name is None else f"in {name}"
