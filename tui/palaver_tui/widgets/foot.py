"""The line at the bottom: the keys of the moment, and at its right those that must never be out of sight."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.widgets import Footer
from textual.widgets._footer import FooterKey  # there is no public way to it

from palaver_tui.keys import ALWAYS, FIRST

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Foot(Footer):
    """Where the line is too short for all keys, those that one needs least are left out; the help has them all."""

    def compose(self) -> ComposeResult:
        """The keys of the moment as far as they fit, then the others."""
        always = [
            FooterKey(key.key, key.shown, label, key.action).data_bind(compact=Footer.compact) for key, label in ALWAYS
        ]
        ours = [key for key in super().compose() if isinstance(key, FooterKey)]
        yield from fitting(sorted(ours, key=rank), self.size.width - sum(width(key) for key in always))
        with Horizontal(id="always"):
            yield from always

    def on_resize(self) -> None:
        """Other keys fit."""
        self.call_after_refresh(self.recompose)


def rank(key: FooterKey) -> int:
    """The place of a key; those of one rank stay in their order."""
    return FIRST.index(key.action) if key.action in FIRST else len(FIRST)


def fitting(keys: Iterable[FooterKey], space: int) -> Iterator[FooterKey]:
    """The first keys, as many as the cells of the line can hold."""
    for key in keys:
        space -= width(key)
        if space < 0:
            return
        yield key


def width(key: FooterKey) -> int:
    """The cells of a key, with the one between it and the next."""
    return len(f"{key.key_display} {key.description} ")
