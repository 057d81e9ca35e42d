"""The window in which one chooses an emoji."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Label, Static

from palaver_protocol.text import is_emoji
from palaver_tui import chat_labels
from palaver_tui.widgets.cells import plain
from palaver_tui.widgets.line import Line

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

OFFERED: Final = ("👍", "👎", "😂", "🎉", "😮", "😢", "🙏", "🔥")  # two cells wide on every terminal


class ChooseEmoji(Window[str | None]):
    """A few emoji under digits, and a line for any other one."""

    BINDINGS = [
        ("escape", "dismiss", "Cancel"),
        *((str(number), f"choose({number})", "Choose") for number in range(1, len(OFFERED) + 1)),
        ("left", "app.focus_previous", "Previous"),
        ("right", "app.focus_next", "Next"),
    ]

    def __init__(self, quote: str) -> None:
        super().__init__(of_room=True)
        self._quote = quote

    def compose(self) -> ComposeResult:
        """The message, buttons, and a line."""
        with Vertical(classes="box") as box:
            box.border_title = Content("React")
            box.border_subtitle = Content("Esc cancels")
            yield Static(plain(self._quote, "italic"), classes="quote")
            yield Label(chat_labels.ASK_EMOJI, markup=False)
            with Horizontal(classes="choices"):
                for number, emoji in enumerate(OFFERED, 1):
                    yield Button(f"{number} {emoji}", name=emoji, compact=True)
            yield Line(id="answer", compact=True, placeholder=chat_labels.OTHER_EMOJI)
            yield Static("", id="wrong", markup=False)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """A button is an answer."""
        self.dismiss(event.button.name)

    def action_choose(self, number: int) -> None:
        """So is a digit."""
        self.dismiss(OFFERED[number - 1])

    def on_input_submitted(self, event: Line.Submitted) -> None:
        """Take any other emoji, but nothing else."""
        emoji = event.value.strip()
        if is_emoji(emoji):
            self.dismiss(emoji)
        else:
            self.query_one("#wrong", Static).update(chat_labels.NO_EMOJI)
