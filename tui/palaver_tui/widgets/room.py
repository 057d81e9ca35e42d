"""The room we are in: its people and its chat; or what one can do without one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Container, Vertical
from textual.content import Content
from textual.widgets import Static

from palaver_client.state import ClientState
from palaver_protocol.models import ChatMessage, RoomType
from palaver_tui import call_labels, chat_labels, labels
from palaver_tui.messages import Asked
from palaver_tui.wishes import Delete, React, Say, TransferHost, Wish

from .cells import plain
from .chat import ChatLog, Deed
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
    """People and chat of our room; what is wanted of them is asked and becomes a wish."""

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

    def _ask(self, wish: Wish) -> None:
        self.post_message(Asked(wish))

    def on_participants_chosen(self, event: Participants.Chosen) -> None:
        """Hand over the role of the host, once that is confirmed."""
        from palaver_tui.screens.ask import Confirm

        def hand_over(is_sure: bool | None) -> None:
            if is_sure:
                self._ask(TransferHost(event.occupant.person.user_id))

        question = labels.confirm_host(event.occupant.person.name, event.occupant.is_me)
        self.app.push_screen(Confirm(question, "Yes"), hand_over)

    def on_participants_opened(self, event: Participants.Opened) -> None:
        """Tell how somebody is heard, and let it be changed."""
        from palaver_tui.screens.voice import Voice

        self.app.push_screen(Voice(event.occupant.person))

    def on_chat_log_wanted(self, event: ChatLog.Wanted) -> None:
        """Begin with what is wanted of a message."""
        match event.deed:
            case Deed.REPLY:
                self.query_one(ChatInput).answer(event.said)
            case Deed.EDIT:
                self.query_one(ChatInput).edit(event.said)
            case Deed.REACT:
                self._react(event.said)
            case Deed.DELETE:
                self._delete(event.said)

    def _react(self, said: ChatMessage) -> None:
        from palaver_tui.screens.emoji import ChooseEmoji

        def react(emoji: str | None) -> None:
            if emoji is not None:
                self._ask(React(said.message_id, emoji))

        self.app.push_screen(ChooseEmoji(chat_labels.quote(said.user_name, said.content)), react)

    def _delete(self, said: ChatMessage) -> None:
        from palaver_tui.screens.ask import Confirm

        def delete(is_sure: bool | None) -> None:
            if is_sure:
                self._ask(Delete(said.message_id))

        self.app.push_screen(Confirm(chat_labels.confirm_delete(said.content), "Delete it"), delete)

    def on_chat_input_said(self, event: ChatInput.Said) -> None:
        """Send what was written."""
        self._ask(event.wish)
        if isinstance(event.wish, Say):
            self.query_one(ChatLog).to_own()

    def on_chat_input_aim_changed(self, event: ChatInput.AimChanged) -> None:
        """Tell what is being written."""
        self.query_one(AimLine).show(event.aim)

    def on_aim_line_dropped(self) -> None:
        """Write an ordinary message again."""
        self.query_one(ChatInput).stop()


def title(state: ClientState) -> str:
    """The room's name, its host, how many are in it, and whether somebody records; of a call, with whom it is."""
    room = state.room
    if room is None:
        return ""
    is_recorded = any(person.is_recording for person in room.participants)
    if room.room_type is RoomType.DIRECT:
        others = [person.name for person in room.participants if person.user_id != state.me]
        parts = [call_labels.call_with(others)]
    else:
        host = "no host" if room.is_hostless else f"host {room.host_name}"
        parts = [room.room_name, host, labels.people(len(room.participants))]
    return " · ".join([*parts, *(["being recorded"] if is_recorded else [])])
