"""What all windows share."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import ModalScreen

from palaver_tui.widgets.ringing import Ringing

T = TypeVar("T")


class Window(ModalScreen[T]):
    """A window above the main screen; calls that come in show above it."""

    def __init__(self) -> None:
        super().__init__(classes="window")

    def on_mount(self) -> None:
        """Show what rings."""
        self.mount(Ringing())
