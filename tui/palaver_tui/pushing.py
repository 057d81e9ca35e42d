"""The part of the app for push-to-talk, whatever screen is open: what is let go of is let go of everywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from palaver_client.state import ClientState
from palaver_media.sound_settings import Transmit

from .keyboard import KeyHeld, KeyUp, reporting
from .messages import Asked
from .talk_key import TalkKey
from .telephone import Telephone
from .tuning import talk_key
from .wishes import Talk

if TYPE_CHECKING:
    from textual.driver import Driver
    from textual.events import AppBlur
    from textual.timer import Timer

TICK = 0.05  # s between two looks whether a held key still comes


class Pushing(Telephone):
    """Talks while the key is down."""

    def __init__(self) -> None:
        super().__init__()
        self._key = TalkKey()
        self._is_talking = False
        self._ticking: Timer | None = None

    def get_driver_class(self) -> type[Driver]:
        """The one that tells when a key is let go of."""
        return reporting(super().get_driver_class())

    def on_mount(self) -> None:
        """Keep time while a key is held that gives no other sign of it than to come again."""
        self._ticking = self.set_interval(TICK, self._tick, pause=True)

    def watch_state(self, state: ClientState) -> None:
        """What is no longer sent by the key is not sent on because of it."""
        super().watch_state(state)
        if state.room is None or state.choices.capture.transmit is not Transmit.PUSH:
            self._end()

    def on_pushed(self) -> None:
        """The key came."""
        self._key.press(time.monotonic())
        if self._key.ends_at is not None and self._ticking is not None:
            self._ticking.resume()
        self._tell()

    def on_key_up(self, event: KeyUp) -> None:
        """A key was let go of; the modifiers may have been before it."""
        if event.key.rpartition("+")[2] == talk_key(self.state.choices):
            self._key.let_go()
            self._tell()

    def on_key_held(self, _: KeyHeld) -> None:
        """A terminal that tells this will tell when the key is let go of, too."""
        self._key.is_release_told = True

    def on_app_blur(self, _: AppBlur) -> None:
        """Another window has the keys: whether this one is let go of is not told any more."""
        if self._key.is_release_told:
            self._end()

    def _tick(self) -> None:
        self._key.tick(time.monotonic())
        self._tell()
        if self._key.ends_at is None and self._ticking is not None:
            self._ticking.pause()

    def _end(self) -> None:
        self._key.end()
        self._tell()

    def _tell(self) -> None:
        if self._key.is_down != self._is_talking:
            self._is_talking = self._key.is_down
            self.post_message(Asked(Talk(self._is_talking)))
