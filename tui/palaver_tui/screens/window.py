"""What all windows share."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

from palaver_protocol.models import RoomId
from palaver_tui.widgets.follow import follow, our_room
from palaver_tui.widgets.ringing import Ringing

from .talking import Talking

T = TypeVar("T")


class Window(Talking[T], ModalScreen[T]):
    """A window above the main screen; calls that come in show above it, and one can mute and talk.

    One that is `of_room` asks about the room or the seat we have, and closes when that is another one.
    """

    def __init__(self, *, of_room: bool = False) -> None:
        super().__init__(classes="window")
        self._is_over = False
        self._of_room = of_room
        self._rooms: set[RoomId | None] = set()  # in which we were since it is open

    def on_mount(self) -> None:
        """Show what rings."""
        self.mount(Ringing())
        if self._of_room:
            follow(self, our_room, self._stay)

    def _stay(self, room_id: RoomId | None) -> None:
        self._rooms.add(room_id)
        if len(self._rooms) > 1:
            self.expire()

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
