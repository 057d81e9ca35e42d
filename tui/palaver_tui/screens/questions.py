"""What the main screen asks before a wish: the answer is posted as one, or as what leads to one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from palaver_client.state import ClientState
from palaver_protocol.models import User
from palaver_tui import labels
from palaver_tui.messages import Asked
from palaver_tui.rights import may_invite
from palaver_tui.widgets.people import PeopleList
from palaver_tui.wishes import End, Invite, Open, Record

if TYPE_CHECKING:
    from textual.screen import Screen


def ask_record(screen: Screen[None], state: ClientState) -> None:
    """Record, once form and folder of the files are chosen."""
    from .record import AskRecord

    def record(wish: Record | None) -> None:
        if wish is not None:
            screen.post_message(Asked(wish))

    screen.app.push_screen(AskRecord(state.choices), record)


def ask_room(screen: Screen[None], last_room: str) -> None:
    """Make a room, once it has a name."""
    from .ask import AskName

    def open_room(name: str | None) -> None:
        if name is not None:
            screen.post_message(Asked(Open(name)))

    screen.app.push_screen(AskName("New room", labels.ASK_ROOM, last_room), open_room)


def ask_end(screen: Screen[None]) -> None:
    """End the room, once that is confirmed."""
    from .ask import Confirm

    def end(is_sure: bool | None) -> None:
        if is_sure:
            screen.post_message(Asked(End()))

    screen.app.push_screen(Confirm(labels.CONFIRM_END, "End it"), end)


def ask_about(screen: Screen[None], state: ClientState, user: User) -> None:
    """Call somebody, or invite them to our room."""
    from .person import AskPerson

    def do(answer: str | None) -> None:
        if answer == "call":
            screen.post_message(PeopleList.Called(user))
        elif answer == "invite":
            screen.post_message(Asked(Invite(user.user_id)))

    room = state.room.room_name if state.room is not None and may_invite(state) else None
    screen.app.push_screen(AskPerson(user.name, room), do)
