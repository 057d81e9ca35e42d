"""The window that asks what to do with somebody who is online."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.widgets import Button

from palaver_tui.widgets.cells import plain

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskPerson(Window[str | None]):
    """Gives `call`, `invite` or None."""

    BINDINGS = [("escape", "dismiss", "Cancel"), ("p", "dismiss('call')", "Call"), ("i", "invite", "Invite")]

    def __init__(self, name: str, room_name: str | None) -> None:
        super().__init__(of_room=True)
        self._who = name
        self._room_name = room_name

    def compose(self) -> ComposeResult:
        """A button for everything that can be done."""
        with Vertical(classes="box") as box:
            box.border_title = plain(self._who)
            with Horizontal(classes="choices"):
                yield Button("p Call", name="call", variant="primary", compact=True)
                if self._room_name is not None:
                    yield Button(plain(f"i Invite to {self._room_name}"), name="invite", compact=True)
                yield Button("Cancel", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.name)

    def action_invite(self) -> None:
        """Answer by a key."""
        if self._room_name is not None:
            self.dismiss("invite")
