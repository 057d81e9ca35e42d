"""The chat as one uses it: a message is selected, answered, reacted to, edited, deleted; older ones are read back."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from textual.message import Message

from palaver_protocol.models import ChatMessage
from palaver_tui.keys import CHAT_KEYS
from palaver_tui.messages import Asked
from palaver_tui.wishes import ReadOlder

from .chat_line import ChatLine
from .chat_lines import ChatLines, Top, Written

if TYPE_CHECKING:
    from textual.events import Click


class Deed(enum.Enum):
    """What one can do with a message; the names of the actions."""

    REPLY = "reply"
    REACT = "react"
    EDIT = "edit"
    DELETE = "delete"


_ONLY_OWN: Final = (Deed.EDIT, Deed.DELETE)


class ChatLog(ChatLines):
    """The lines, of which one is selected while keys go here."""

    BINDINGS = [key.binding() for key in CHAT_KEYS]

    class Wanted(Message):
        """Somebody wants to do something with a message."""

        def __init__(self, deed: Deed, said: ChatMessage) -> None:
            super().__init__()
            self.deed = deed
            self.said = said

    def __init__(self) -> None:
        super().__init__()
        self._selected: ChatLine | None = None
        self._shows_mark = False
        self._awaits_own = False
        self._asked: ChatLine | None = None  # above this line older ones were asked for

    # -- the selected message ------------------------------------------------------------------------------------------
    @property
    def selected(self) -> ChatMessage | None:
        """The message that keys act upon."""
        return self._selected.said if self._selected is not None and self._selected.is_attached else None

    def select(self, line: ChatLine | None) -> None:
        """Let keys act upon this line."""
        if self._selected is not None:
            self._selected.mark(False)
        self._selected = line
        if line is not None:
            line.mark(self._shows_mark)
            if line is self._kept[-1]:
                self.anchor()
            else:
                self.scroll_to_widget(line, animate=False)
        self.refresh_bindings()

    def enter(self, seen: Written) -> None:
        """Begin with a room, where nothing is selected."""
        self._selected, self._asked = None, None
        super().enter(seen)

    def show(self, seen: Written) -> None:
        """Show the messages; with one that was deleted nothing can be done, and our new one is selected."""
        before = self.messages[-1:]
        super().show(seen)
        newest = self.messages[-1:]
        if self._awaits_own and newest and newest != before and self._is_own(newest[0]):
            self._awaits_own = False
            self.select(newest[0])
        if self._selected is not None and self.selected is None:
            self.select(None)

    def _is_own(self, line: ChatLine) -> bool:
        return line.said is not None and line.said.user_id == self._me

    def to_own(self) -> None:
        """Let keys act upon the message that we have just written, as soon as it is there."""
        self._awaits_own = True
        self.select(None)
        self.anchor()

    def on_focus(self) -> None:
        """Mark the selected message, at first the newest."""
        self._shows_mark = True
        self.select(self._selected if self.selected is not None else next(iter(self.messages[-1:]), None))

    def on_blur(self) -> None:
        """No key acts here."""
        self._shows_mark = False
        if self._selected is not None:
            self._selected.mark(False)

    def on_chat_line_clicked(self, event: ChatLine.Clicked) -> None:
        """Select what was clicked."""
        event.stop()
        self._selected = event.line
        self.focus(scroll_visible=False)
        self.select(event.line)

    def action_move(self, step: int) -> None:
        """Select the next message in a direction; above the first one, read on."""
        lines = self.messages
        if not lines:
            return
        if self._selected not in lines:
            self.select(lines[-1])
            return
        place = lines.index(self._selected) + step
        if place < 0:
            self.scroll_home(animate=False)
            self._read_on()
        self.select(lines[min(max(place, 0), len(lines) - 1)])

    # -- what one can do with it ---------------------------------------------------------------------------------------
    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys are of use for the selected message."""
        match action, parameters:
            case "deed", (str(name),):
                return self.selected is not None and (Deed(name) not in _ONLY_OWN or self.selected.user_id == self._me)
            case "older", _:
                return bool(self.messages)
            case _:
                return True

    def action_deed(self, name: str) -> None:
        """Tell what somebody wants."""
        if self.selected is not None:
            self.post_message(self.Wanted(Deed(name), self.selected))

    # -- older pages ---------------------------------------------------------------------------------------------------
    def action_older(self) -> None:
        """Ask for the page above the oldest message."""
        self._asked = self.messages[0]
        self.post_message(Asked(ReadOlder()))

    def on_click(self, event: Click) -> None:
        """A click on what stands above the first line reads on too."""
        if self.top is Top.OLDER and event.widget is not None and event.widget.id == "top":
            self.action_older()

    def older_shown(self, has_older: bool) -> None:
        """A page came, perhaps an empty one."""
        self.show_top(Top.OLDER if has_older else Top.NO_OLDER)

    def _read_on(self) -> None:
        """At the top, ask for the page above, once."""
        lines = self.messages
        if self.scroll_y <= 0 and self.top is Top.OLDER and lines and lines[0] is not self._asked:
            self.action_older()

    def action_page_up(self) -> None:
        """Scroll up, and beyond the top."""
        self._read_on()
        super().action_page_up()

    def action_scroll_home(self) -> None:
        """Scroll to the top, and beyond it."""
        self._read_on()
        super().action_scroll_home()

    def on_mouse_scroll_up(self) -> None:
        """Scroll on beyond the top."""
        self._read_on()
