"""What is written in the room, and the line to write in."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from palaver_client import words
from palaver_client.state import ClientState
from palaver_protocol.models import ChatMessage, MessageId, RoomId, UserId
from palaver_tui import labels

from .cells import plain
from .follow import follow
from .line import Line

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.geometry import Size

MAX_LINES: Final = 300  # shown; older ones go
MAX_TEXT: Final = 20_000  # code points in a message
INDENT: Final = 6  # cells, below the time
QUOTE: Final = 60  # cells of the message that is answered
_NAME_COLOURS: Final = ("$text-primary", "$text-accent", "$text-success", "$text-secondary")


class ChatLog(VerticalScroll):
    """Messages and happenings, the newest at the bottom."""

    def __init__(self) -> None:
        super().__init__(id="log")
        self._room: RoomId | None = None
        self._shown: dict[MessageId, tuple[ChatMessage, ChatLine]] = {}
        self._kept: list[ChatLine] = []

    def compose(self) -> ComposeResult:
        """A hint, for as long as nothing is there."""
        yield Static(labels.NO_MESSAGES, id="no-messages", markup=False)

    def on_mount(self) -> None:
        """Watch the messages, and keep to the newest unless somebody reads further up."""
        self.anchor()
        follow(self, self.look, self.show)

    @staticmethod
    def look(state: ClientState) -> tuple[RoomId | None, tuple[ChatMessage, ...]]:
        """The room and its messages."""
        return (None, ()) if state.room is None else (state.room.room_id, state.room.messages)

    def show(self, seen: tuple[RoomId | None, tuple[ChatMessage, ...]]) -> None:
        """Show the messages that are new."""
        room, messages = seen
        if room != self._room:
            self._room = room
            self._shown = {}
            self._let_go(len(self._kept))
        shown = {
            message.message_id: (message, self._shown[message.message_id][1])
            for message in messages
            if message.message_id in self._shown
        }
        self._refresh(shown, since=messages[0].timestamp if messages else 0)
        new = {
            message.message_id: (message, line_of(message)) for message in messages if message.message_id not in shown
        }
        self._shown = shown | new
        self.add([line for _, line in new.values()])

    def _refresh(self, shown: dict[MessageId, tuple[ChatMessage, ChatLine]], since: int) -> None:
        """Show edits and reactions; take off what was deleted, but not what is only too old to be kept."""
        for key, (old, line) in self._shown.items():
            if key in shown:
                if shown[key][0] != old:
                    line.put(text_of(shown[key][0]))
            elif old.timestamp >= since and line in self._kept:
                self._kept.remove(line)
                line.remove()

    def tell(self, text: str) -> None:
        """Show something that happened."""
        self.add([ChatLine(clock(time.time()), plain(text, "italic $foreground-muted"))])

    def add(self, lines: list[ChatLine]) -> None:
        """Show lines below the others, and let go of the oldest."""
        self.mount_all(lines)
        self._kept += lines
        self._let_go(len(self._kept) - MAX_LINES)
        self.query_one("#no-messages").display = not self._kept

    def _let_go(self, count: int) -> None:
        """Remove that many of the oldest lines, if it is above zero."""
        for line in self._kept[: max(count, 0)]:
            line.remove()
        del self._kept[: max(count, 0)]


class ChatLine(Widget):
    """The time, and a text that hangs to its right however often it wraps."""

    def __init__(self, when: str, text: Content) -> None:
        super().__init__()
        self._when = Content.styled(when.ljust(INDENT), "$foreground-muted")
        self._text = text.expand_tabs(4)
        self._fitted: tuple[int, list[Content]] = (0, [])

    def put(self, text: Content) -> None:
        """Show another text."""
        self._text = text.expand_tabs(4)
        self._fitted = (0, [])
        self.refresh(layout=True)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the text needs."""
        return len(self._wrapped(width))

    def render(self) -> Content:
        """The text, wrapped."""
        below = Content("\n" + " " * INDENT)
        return Content.assemble(self._when, below.join(self._wrapped(self.size.width)))

    def _wrapped(self, width: int) -> list[Content]:
        if self._fitted[0] != width:
            self._fitted = (width, self._text.wrap(max(width - INDENT, 1)) or [Content("")])
        return self._fitted[1]


class ChatInput(Line):
    """The line to write in; Enter sends it, Esc goes back to the single keys."""

    BINDINGS = [
        Binding("escape", "done", "Stop writing"),
        Binding("ctrl+t", "screen.mute", "Mute", key_display="^t"),
    ]

    class Said(Message):
        """A message is to be sent."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self) -> None:
        super().__init__(id="say", placeholder=labels.WRITE, max_length=MAX_TEXT, compact=True)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Send what was written."""
        event.stop()
        if text := event.value.strip():
            self.clear()
            self.post_message(self.Said(text))

    def put_back(self, text: str) -> None:
        """Give back what could not be sent, unless something else is being written."""
        if not self.value:
            self.value = text

    def action_done(self) -> None:
        """Write no more."""
        self.screen.focus_next("#rooms")


def line_of(message: ChatMessage) -> ChatLine:
    """A message as a line."""
    return ChatLine(clock(message.timestamp / 1000), text_of(message))


def text_of(message: ChatMessage) -> Content:
    """Who says what, to which message, and how others reacted."""
    parts = [plain(message.user_name, f"bold {colour_of(message.user_id)}"), Content("  "), plain(message.content)]
    if message.reply_to is not None:
        quoted = f"{message.reply_to.user_name}: {' '.join(message.reply_to.content.split())}"
        parts[2:2] = [plain(f"↪ {quoted}", "italic $foreground-muted").truncate(QUOTE, ellipsis=True), Content("\n")]
    if message.edited_at is not None:
        parts.append(plain(" (edited)", "italic $foreground-muted"))
    if message.reactions:
        parts += [Content("\n"), plain(words.of_reactions(message.reactions), "$foreground-muted")]
    return Content.assemble(*parts)


def colour_of(user_id: UserId) -> str:
    """A colour that somebody keeps."""
    return _NAME_COLOURS[sum(user_id.encode()) % len(_NAME_COLOURS)]


def clock(seconds: float) -> str:
    """The time of day, for seconds since the epoch."""
    return time.strftime("%H:%M", time.localtime(seconds))
