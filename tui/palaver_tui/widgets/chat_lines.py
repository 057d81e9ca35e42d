"""What is written in the room, line by line, as it is now."""

from __future__ import annotations

import enum
import time
from typing import TYPE_CHECKING, Final

from attrs import frozen
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from palaver_client.state import ClientState
from palaver_protocol.models import ChatMessage, MessageId, RoomId, UserId
from palaver_tui import chat_labels

from .cells import plain
from .chat_line import ChatLine, line_of, text_of
from .follow import follow

if TYPE_CHECKING:
    from textual.app import ComposeResult

MAX_LINES: Final = 500  # shown; older ones go
FIRST_PAGE: Final = 50  # messages that come with a room; with fewer of them there are no older ones


class Top(enum.Enum):
    """What stands above the first line."""

    NOTHING = ""
    EMPTY = chat_labels.NO_MESSAGES
    OLDER = chat_labels.OLDER
    NO_OLDER = chat_labels.NO_OLDER


@frozen
class Written:
    """Who reads, in which room, and its newest messages."""

    me: UserId
    room_id: RoomId | None = None
    room_name: str = ""
    messages: tuple[ChatMessage, ...] = ()


class ChatLines(VerticalScroll):
    """Messages and happenings, the newest at the bottom."""

    def __init__(self) -> None:
        super().__init__(id="log")
        self.top = Top.EMPTY
        self._me = UserId("")
        self._room: RoomId | None = None  # whose lines are shown
        self._room_name = ""
        self._is_out = True
        self._lines: dict[MessageId, ChatLine] = {}  # the messages of the room
        self._kept: list[ChatLine] = []  # all lines, and also what happened

    def compose(self) -> ComposeResult:
        """What stands above the first line."""
        yield Static(chat_labels.NO_MESSAGES, id="top", markup=False)

    def on_mount(self) -> None:
        """Watch the messages, and keep to the newest unless somebody reads further up."""
        self.anchor()
        follow(self, self.look, self.show)

    @property
    def messages(self) -> list[ChatLine]:
        """The lines with which one can do something."""
        return [line for line in self._kept if line.said is not None]

    @staticmethod
    def look(state: ClientState) -> Written:
        """The room and its messages."""
        room = state.room
        return Written(state.me) if room is None else Written(state.me, room.room_id, room.room_name, room.messages)

    def show(self, seen: Written) -> None:
        """Show the messages that are new, and the others as they are now."""
        self._me = seen.me
        if seen.room_id is None:
            self._is_out = True  # nobody sees the lines now; they stay for whoever comes back by a new connection
            return
        if self._is_out or seen.room_id != self._room:
            self.enter(seen)
        self._let_old_ones_be(seen.messages)
        new: list[ChatLine] = []
        for said in seen.messages:
            line = self._lines.get(said.message_id)
            if line is None:
                new.append(line_of(said, seen.me))
                continue
            if line.said != said:
                line.put(text_of(said, seen.me), said)
            self._put_above(line, new)
            new = []
        self._lines |= {line.said.message_id: line for line in new if line.said is not None}
        self.add(new)

    def enter(self, seen: Written) -> None:
        """Begin with a room: on an empty page, or below the lines of a lost room that had this name."""
        is_successor = seen.room_id != self._room and seen.room_name == self._room_name and bool(self._kept)
        self._room, self._room_name, self._is_out, self._lines = seen.room_id, seen.room_name, False, {}
        self.show_top(Top.OLDER if len(seen.messages) >= FIRST_PAGE else Top.EMPTY)
        if is_successor:
            for line in self._kept:
                line.said = None
            self.tell(chat_labels.new_room(seen.room_name))
        else:
            self._let_go(len(self._kept))

    def _let_old_ones_be(self, messages: tuple[ChatMessage, ...]) -> None:
        """Strike what was deleted out, but not what is only too old to be kept."""
        there = {said.message_id for said in messages}
        since = min((said.timestamp for said in messages), default=0)
        for key in self._lines.keys() - there:
            line = self._lines[key]
            if line.said is not None and line.said.timestamp >= since:
                del self._lines[key]
                line.strike()
            else:
                line.forget()

    def _put_above(self, below: ChatLine, lines: list[ChatLine]) -> None:
        """Show messages that were read back above a line, which stays where it is on the screen."""
        if not lines:
            return
        self._lines |= {line.said.message_id: line for line in lines if line.said is not None}
        self.mount_all(lines, before=below)
        place = self._kept.index(below)
        self._kept[place:place] = lines
        self.call_after_refresh(self.scroll_to_widget, below, animate=False, top=True)

    def tell(self, text: str) -> None:
        """Show something that happened."""
        self.add([ChatLine(time.time(), plain(text, "italic $foreground-muted"))])

    def add(self, lines: list[ChatLine]) -> None:
        """Show lines below the others, and let go of the oldest."""
        if lines and self.top is Top.EMPTY:
            self.show_top(Top.NOTHING)
        self.mount_all(lines)
        self._kept += lines
        self._let_go(len(self._kept) - MAX_LINES)

    def _let_go(self, count: int) -> None:
        """Remove that many of the oldest lines, if it is above zero."""
        gone = self._kept[: max(count, 0)]
        del self._kept[: max(count, 0)]
        for line in gone:
            line.remove()
        if gone:
            self._lines = {key: line for key, line in self._lines.items() if line not in gone}

    def show_top(self, top: Top) -> None:
        """Say what comes before the first line, if anything."""
        self.top = top
        static = self.query_one("#top", Static)
        static.display = bool(top.value)
        static.update(Content.styled(top.value, "$foreground-muted"))
