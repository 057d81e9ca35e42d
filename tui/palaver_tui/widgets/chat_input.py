"""The line to write in, and what one writes there: something new, an answer, or a message put differently."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

from attrs import frozen
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Input, Static

from palaver_client.state import ClientState
from palaver_protocol.models import ChatMessage, RoomId, UserId
from palaver_tui import chat_labels
from palaver_tui.wishes import Edit, Say

from .cells import plain
from .follow import follow
from .line import Line
from .outbox import Outbox, Sent

if TYPE_CHECKING:
    from textual.events import Paste

MAX_TEXT: Final = 20_000  # code points in a message
BREAK: Final = "↵"  # a line break of a message that is written in one line


@frozen
class Answering:
    """The next message answers this one."""

    said: ChatMessage


@frozen
class Editing:
    """The line puts this message differently; `draft` was half written before, and comes back."""

    said: ChatMessage
    draft: str


Aim: TypeAlias = Answering | Editing | None


class ChatInput(Line):
    """Enter sends what is written, Esc goes back to the single keys."""

    BINDINGS = [
        Binding("escape", "done", "Stop writing"),
        Binding("ctrl+t", "screen.mute", "Mute", key_display="^t"),
    ]

    class Said(Message):
        """Something is to be sent."""

        def __init__(self, wish: Say | Edit) -> None:
            super().__init__()
            self.wish = wish

    class AimChanged(Message):
        """Something else is being written now."""

        def __init__(self, aim: Aim) -> None:
            super().__init__()
            self.aim = aim

    def __init__(self) -> None:
        super().__init__(
            id="say", placeholder=chat_labels.WRITE, max_length=MAX_TEXT, compact=True, select_on_focus=False
        )
        self._aim: Aim = None
        self._room: tuple[RoomId, str] | None = None  # for which it is written
        self._drafts: dict[RoomId, str] = {}  # half written for other rooms
        self._outbox: Outbox[Aim] = Outbox()
        self._returned: Sent[Aim] | None = None  # what came back from it last

    def on_mount(self) -> None:
        """Watch in which room we are."""
        follow(self, self.look, self.enter)
        follow(self, written, self.take_back)

    @staticmethod
    def look(state: ClientState) -> tuple[RoomId, str] | None:
        """Our room and its name."""
        return None if state.room is None else (state.room.room_id, state.room.room_name)

    def enter(self, room: tuple[RoomId, str] | None) -> None:
        """Go on with what was half written for this room; what was for the one before waits there."""
        if room is None or room == self._room:
            return
        before, self._room = self._room, room
        if before is None or before[1] == room[1]:
            return  # a lost room that is made anew is the same to those who write
        if self._aim is not None:
            self.stop()
        self._drafts[before[0]] = self.value
        self._write(self._drafts.pop(room[0], ""))

    def _write(self, text: str) -> None:
        self.value = text
        self.cursor_position = len(self.value)

    def answer(self, said: ChatMessage) -> None:
        """Write an answer; what is half written becomes one."""
        self._begin(Answering(said))

    def edit(self, said: ChatMessage) -> None:
        """Write a message anew."""
        self._begin(Editing(said, self.value))
        self._write(said.content)

    def stop(self) -> None:
        """Write an ordinary message again."""
        self._begin(None)

    def _begin(self, aim: Aim) -> None:
        if isinstance(self._aim, Editing):
            self._write(self._aim.draft)
        self._aim = aim
        if aim is not None:
            self.screen.set_focus(self)
        self.post_message(self.AimChanged(aim))

    def validate_value(self, value: str) -> str:
        """Line breaks show as a sign, wherever they come from."""
        return super().validate_value(value.replace("\n", BREAK))

    def _on_paste(self, event: Paste) -> None:
        """Take all lines of what is pasted; the line of Textual would take the first one only."""
        event.prevent_default()
        event.stop()
        self.replace(BREAK.join(event.text.splitlines()), *self.selection)

    def restricted(self) -> None:
        """Say that it is too much, of which nothing is taken."""
        self.notify(chat_labels.TOO_LONG, severity="warning", markup=False)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send what was written."""
        event.stop()
        text = event.value.replace(BREAK, "\n").strip()
        if not text:
            return
        match self._aim:
            case Editing(said=said):
                wish: Say | Edit = Edit(said.message_id, text)
            case Answering(said=said):
                wish = Say(text, said.message_id)
                self.clear()
            case None:
                wish = Say(text)
                self.clear()
        if self._returned is not None:
            self._outbox.drop(self._returned)
            self._returned = None
        self._outbox.send(text, self._aim)
        self.stop()
        self.post_message(self.Said(wish))

    def put_back(self, text: str) -> None:
        """Give back what could not be sent, unless it shows in the chat or something else is being written."""
        sent = self._outbox.find(text)
        if self.value or sent is None:
            return
        if sent.aim is not None:
            self._begin(sent.aim)
        self._write(text)
        self._returned = sent

    def take_back(self, seen: tuple[UserId, tuple[ChatMessage, ...]]) -> None:
        """Empty the line again where what it gave back has arrived after all."""
        me, messages = seen
        if self._returned in self._outbox.arrived(messages, me) and self._returned is not None:
            if self.value == self.validate_value(self._returned.text):
                self.stop()
                self.clear()
            self._returned = None

    def action_done(self) -> None:
        """Write an ordinary message again, or no more: then keys act upon what is written."""
        if self._aim is not None:
            self.stop()
        else:
            self.screen.set_focus(self.screen.query_one("#log"))


def written(state: ClientState) -> tuple[UserId, tuple[ChatMessage, ...]]:
    """Ourselves, and the newest messages."""
    return state.me, () if state.room is None else state.room.messages


class AimLine(Static):
    """What is being written, where it is no ordinary message; a click ends that."""

    class Dropped(Message):
        """It shall be an ordinary message."""

    def show(self, aim: Aim) -> None:
        """Tell it."""
        self.display = aim is not None
        match aim:
            case Answering(said=said):
                self.update(plain(chat_labels.answering(said.user_name, said.content)))
            case Editing():
                self.update(plain(chat_labels.EDITING))
            case None:
                return

    def on_click(self) -> None:
        """Drop it."""
        self.post_message(self.Dropped())
