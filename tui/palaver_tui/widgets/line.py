"""A line to write in."""

from __future__ import annotations

from textual.widgets import Input

from palaver_protocol.text import sanitise


class Line(Input):
    """Takes text from the keyboard and from the clipboard, where anything may come from."""

    def validate_value(self, value: str) -> str:
        """What the terminal would obey, instead of showing it, is replaced."""
        return sanitise(value)
