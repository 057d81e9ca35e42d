"""The page that explains the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from palaver_tui import labels
from palaver_tui.keys import APP_KEYS, MAIN_KEYS, MOVES

if TYPE_CHECKING:
    from textual.app import ComposeResult

COLUMN = 16  # cells for the keys


class Help(ModalScreen[None]):
    """All keys, and what the mouse does."""

    BINDINGS = [("escape,question_mark,q", "dismiss", "Close")]

    def __init__(self) -> None:
        super().__init__(classes="window")

    def compose(self) -> ComposeResult:
        """One page to scroll."""
        with VerticalScroll(classes="box wide") as box:
            box.border_title = Content("Help")
            box.border_subtitle = Content("Esc closes")
            yield Static(page(), markup=False)

    def on_click(self) -> None:
        """A click closes it too."""
        self.dismiss()


def spelled(shown: str) -> str:
    """A key as the help writes it: `^q` is Ctrl+Q."""
    return f"Ctrl+{shown[1:].upper()}" if shown.startswith("^") else shown


def page() -> Content:
    """The whole page."""
    keys = [(spelled(key.shown), key.help) for key in (*MAIN_KEYS, *APP_KEYS)]
    lines = [
        Content.assemble((shown.ljust(COLUMN), "bold $text-primary"), explained) for shown, explained in (*keys, *MOVES)
    ]
    return Content("\n").join([*lines, *(Content(f"\n{text}") for text in labels.HELP)])
