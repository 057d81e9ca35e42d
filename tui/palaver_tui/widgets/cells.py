"""Text fitted into cells."""

from __future__ import annotations

from textual.content import Content

from palaver_protocol.text import sanitise


def plain(text: str, style: str = "") -> Content:
    """Somebody's words as they are: never markup, and safe even where they came by another way than the server's."""
    return Content.styled(sanitise(text, keep="\n\t"), style)


def spread(left: Content, right: Content, width: int) -> Content:
    """One line with something at either end; the left end gives way."""
    room = max(width - right.cell_length - 1, 0)
    fitted = left.truncate(room, ellipsis=True, pad=True)
    return Content.assemble(fitted, " ", right).truncate(width)
