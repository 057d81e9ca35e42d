"""The line at the bottom: the keys of the moment, and at its right those that must never be out of sight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.widgets import Footer
from textual.widgets._footer import FooterKey  # there is no public way to it

from palaver_tui.keys import ALWAYS

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Foot(Footer):
    """Where the line is too short for all keys, those in the middle are cut off."""

    def compose(self) -> ComposeResult:
        """The keys of the moment, then the others."""
        yield from super().compose()
        with Horizontal(id="always"):
            for key, label in ALWAYS:
                yield FooterKey(key.key, key.shown, label, key.action).data_bind(compact=Footer.compact)
