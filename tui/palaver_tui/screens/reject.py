"""The window in which one says why a call is rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Label

from palaver_client.state import IncomingRing
from palaver_tui import call_labels
from palaver_tui.widgets.cells import plain
from palaver_tui.widgets.follow import follow
from palaver_tui.widgets.line import Line

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

MAX_REASON: Final = 200  # code points


class AskReason(Window[str | None]):
    """Ask why; gives the reason, which may be empty, or None where the call is not rejected or over."""

    BINDINGS = [("escape", "dismiss", "Back")]

    def __init__(self, ring: IncomingRing) -> None:
        super().__init__()
        self._ring = ring

    def compose(self) -> ComposeResult:
        """A line, and some reasons to choose from."""
        with Vertical(classes="box") as box:
            box.border_title = plain(call_labels.rejecting(self._ring.from_name))
            box.border_subtitle = Content("Esc lets it ring")
            yield Label(call_labels.ASK_REASON, markup=False)
            yield Line(id="answer", compact=True, max_length=MAX_REASON, placeholder=call_labels.A_REASON)
            with Horizontal(classes="buttons choices"):
                for reason in call_labels.REASONS:
                    yield Button(reason, name=reason, compact=True)

    def on_mount(self) -> None:
        """Close when it rings no longer."""
        self.query_one(Line).focus()
        follow(self, lambda state: state.ring(self._ring.call_id) is None, self.show)

    def show(self, is_over: bool) -> None:
        """Whether it rings no longer."""
        if is_over:
            self.expire()

    def on_input_submitted(self, event: Line.Submitted) -> None:
        """Enter answers."""
        self.dismiss(event.value.strip())

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """So does a reason that is offered."""
        self.dismiss(event.button.name)
