"""The page that explains the keys."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from palaver_tui import labels, sound_labels
from palaver_tui.keys import MOVES, SECTIONS, TALK_KEYS, Key
from palaver_tui.tuning import talk_key
from palaver_tui.widgets.follow import follow

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

COLUMN = 16  # cells for the keys


class Help(Window[None]):
    """All keys, and what the mouse does."""

    BINDINGS = [("escape,question_mark,q", "dismiss", "Close")]

    def compose(self) -> ComposeResult:
        """One page to scroll."""
        with VerticalScroll(classes="box wide") as box:
            box.border_title = Content("Help")
            box.border_subtitle = Content("Esc closes")
            yield Static(id="page", markup=False)

    def on_mount(self) -> None:
        """Watch which key is chosen for push-to-talk."""
        follow(self, lambda state: talk_key(state.choices), self.show)

    def show(self, talk: str) -> None:
        """Explain all keys, this one as the one for push-to-talk."""
        self.query_one("#page", Static).update(page(talk))

    def on_click(self) -> None:
        """A click closes it too."""
        self.dismiss()


def spelled(shown: str) -> str:
    """A key as the help writes it: `^q` is Ctrl+Q."""
    return f"Ctrl+{shown[1:].upper()}" if shown.startswith("^") else shown


def page(talk: str) -> Content:
    """The whole page, with the key that is chosen for push-to-talk."""

    def name(key: Key) -> str:
        return sound_labels.key_name(talk) if key in TALK_KEYS else spelled(key.shown)

    lines = [Content.assemble((shown.ljust(COLUMN), "bold $text-primary"), explained) for shown, explained in MOVES]
    for title, keys in SECTIONS:
        lines += [Content.styled(f"\n{title}", "bold")] if title else []
        lines += [Content.assemble((name(key).ljust(COLUMN), "bold $text-primary"), key.help) for key in keys]
    return Content("\n").join([*lines, *(Content(f"\n{text}") for text in labels.HELP)])
