"""What all windows share."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

from palaver_tui.widgets.ringing import Ringing

T = TypeVar("T")


class Window(ModalScreen[T]):
    """A window above the main screen; calls that come in show above it."""

    def __init__(self) -> None:
        super().__init__(classes="window")
        self._is_over = False

    def on_mount(self) -> None:
        """Show what rings."""
        self.mount(Ringing())

    def on_screen_resume(self) -> None:
        """The window above was closed."""
        self._close()

    def expire(self) -> None:
        """There is nothing more to ask: close, now or when no other window is above."""
        self._is_over = True
        self._close()

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Close with a result; but a second click, or news that come with a key, close no other window."""
        return super().dismiss(result) if self.is_active else AwaitComplete()

    def _close(self) -> None:
        if self._is_over:
            self.dismiss(None)
