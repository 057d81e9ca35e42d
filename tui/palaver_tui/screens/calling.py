"""The window while one rings at somebody."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from palaver_client.state import OutgoingRing
from palaver_tui import call_labels
from palaver_tui.messages import Asked
from palaver_tui.widgets.cells import plain
from palaver_tui.widgets.follow import follow
from palaver_tui.wishes import CancelRing

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult

TICK: Final = 0.5  # s between two looks at the clock


class Calling(Window[None]):
    """Whom one calls, and for how long it rings still; closes when the call is settled.

    Nothing in it has the focus, so that the Enter that began the call cannot cancel it.
    """

    BINDINGS = [("escape,h,c", "cancel", "Cancel")]

    def __init__(self, ring: OutgoingRing) -> None:
        super().__init__()
        self._ring = ring

    def compose(self) -> ComposeResult:
        """A name, a countdown, and a button."""
        with Vertical(classes="box") as box:
            box.border_title = Content("Outgoing call")
            box.border_subtitle = Content("Esc cancels")
            yield Static(plain(call_labels.calling(self._ring.to_name), "bold"))
            yield Static(id="patience", markup=False)
            with Horizontal(classes="buttons"):
                button = Button("Cancel", variant="error", id="cancel", compact=True)
                button.can_focus = False
                yield button

    def on_mount(self) -> None:
        """Watch the call, and the clock."""
        self.set_interval(TICK, self.tick)
        follow(self, lambda state: state.outgoing, self.show)

    def show(self, ring: OutgoingRing | None) -> None:
        """Show how it stands."""
        if ring is not None and ring.call_id == self._ring.call_id:
            self._ring = ring
            self.tick()
        else:
            self.expire()

    def tick(self) -> None:
        """Count down."""
        self.query_one("#patience", Static).update(call_labels.rings_for(self._ring.ends_at, time.monotonic()))

    def on_button_pressed(self) -> None:
        """Cancel."""
        self.action_cancel()

    def action_cancel(self) -> None:
        """Ring no longer."""
        self.post_message(Asked(CancelRing()))
        self.dismiss()
