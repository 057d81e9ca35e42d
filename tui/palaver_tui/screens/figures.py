"""The window that tells how the sound travels, each second anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widget import Widget

from palaver_client.state import ClientState
from palaver_tui import figures
from palaver_tui.widgets.cells import plain, spread
from palaver_tui.widgets.follow import follow

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

LEAST = 12  # cells for a name


class Figures(Window[None]):
    """A row for each person who is heard, and what is said of our own voice."""

    BINDINGS = [("escape,g,q", "dismiss", "Close")]

    def __init__(self) -> None:
        super().__init__(of_room=True)

    def compose(self) -> ComposeResult:
        """One table to scroll."""
        with VerticalScroll(classes="box wide") as box:
            box.border_title = Content("Figures")
            box.border_subtitle = Content("each second · Esc closes")
            yield Table()

    def on_click(self) -> None:
        """A click closes it too."""
        self.dismiss()


class Table(Widget):
    """The figures, fitted to the width."""

    _rows: tuple[figures.Row, ...] = ()
    _ours: tuple[str, ...] = ()

    def on_mount(self) -> None:
        """Watch the figures."""
        follow(self, self.look, self.show)

    @staticmethod
    def look(state: ClientState) -> tuple[tuple[figures.Row, ...], tuple[str, ...]]:
        """What is told of the others, and of us."""
        return figures.rows(state), figures.ours(state)

    def show(self, seen: tuple[tuple[figures.Row, ...], tuple[str, ...]]) -> None:
        """Tell it."""
        self._rows, self._ours = seen
        self.refresh(layout=True)

    def render(self) -> Content:
        """What we send, a head, and a line for each person."""
        width = self.size.width
        lines = [plain(line) for line in self._ours]
        if self._rows:
            lines += [Content(""), *lines_of(figures.HEAD, width, "$foreground-muted")]
        for row in self._rows:
            lines += lines_of(row, width, "bold")
        lines += [Content(""), Content.styled(figures.MEANING, "$foreground-muted")]
        return Content("\n").join(lines)


def lines_of(row: figures.Row, width: int, style: str) -> list[Content]:
    """A name, and at the right the figures under their heads; below the name where there is no space for it."""
    name, cells = row
    columns = [cell.rjust(len(head)) for cell, head in zip(cells, figures.HEAD[1], strict=True)]
    for gap in ("  ", " "):
        one = Content(gap.join(columns))
        if one.cell_length + LEAST <= width:
            return [spread(plain(name, style), one, width)]
    return [*([plain(name, style)] if name else []), spread(Content(""), Content(" ".join(columns)), width)]
