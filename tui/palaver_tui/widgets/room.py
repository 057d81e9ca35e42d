"""The room we are in: its people and its chat; or what one can do without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from palaver_client.state import ClientState
from palaver_protocol.models import RoomType
from palaver_tui import labels

from .cells import plain
from .chat import ChatLog
from .chat_input import AimLine, ChatInput
from .follow import follow
from .participants import Participants

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Welcome(Static):
    """What one can do while in no room."""

    def __init__(self) -> None:
        super().__init__(
            Content("\n").join([Content.styled(text, style) for text, style in labels.WELCOME]), id="welcome"
        )


class Room(Container):
    """People and chat of our room."""

    def __init__(self) -> None:
        super().__init__(id="room")

    def compose(self) -> ComposeResult:
        """People above the chat, or beside it where the screen is wide."""
        yield Participants()
        with Vertical(id="chat"):
            yield ChatLog()
            yield AimLine(id="aim", markup=False)
            yield ChatInput()

    def on_mount(self) -> None:
        """Watch what the titles tell."""
        self.query_one("#chat").border_title = Content("Chat")
        follow(self, title, self.show_title)

    def show_title(self, title: str) -> None:
        """Name the room."""
        self.query_one(Participants).border_title = plain(title)


def title(state: ClientState) -> str:
    """The room's name, its host, how many are in it, and whether somebody records; of a call, with whom it is."""
    room = state.room
    if room is None:
        return ""
    is_recorded = any(person.is_recording for person in room.participants)
    if room.room_type is RoomType.DIRECT:
        others = [person.name for person in room.participants if person.user_id != state.me]
        parts = [labels.call_with(others)]
    else:
        host = "no host" if room.is_hostless else f"host {room.host_name}"
        parts = [room.room_name, host, labels.people(len(room.participants))]
    return " · ".join([*parts, *(["being recorded"] if is_recorded else [])])
