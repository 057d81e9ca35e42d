"""The line under the top one: what is wrong for as long as it is, and what to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.widgets import Static

from palaver_client.events import ConnectionLost, RetryFailed
from palaver_client.state import ClientState, ConnectionState, MediaState
from palaver_tui import labels, sound_labels

from .cells import plain, spread
from .follow import follow

if TYPE_CHECKING:
    from textual.timer import Timer

TICK = 0.5  # s between two looks at the clock


class Banner(Static):
    """The most important trouble; hidden while there is none. What is wrong with devices takes one line, and can go."""

    _reason = ""
    _due = 0.0  # on the monotonic clock
    _connection = ConnectionState.CONNECTING
    _trouble = ""  # with devices, or with the way of the sound
    _is_of_devices = False
    _put_away = ""  # the trouble that need not be told any more
    _ticking: Timer

    def on_mount(self) -> None:
        """Watch for trouble."""
        self._ticking = self.set_interval(TICK, self.tick, pause=True)
        follow(self, self.look, self.show)

    def lost(self, event: ConnectionLost | RetryFailed) -> None:
        """There is no connection; say why, and when the next attempt comes."""
        self._reason = event.reason
        self._due = time.monotonic() + (event.retry_in or 0)
        self.tick()

    @staticmethod
    def look(state: ClientState) -> tuple[ConnectionState, str, bool]:
        """The connection, what is wrong with the sound, and whether that is due to devices."""
        devices = device_trouble(state)
        return state.connection, devices or way_trouble(state), bool(devices)

    def show(self, seen: tuple[ConnectionState, str, bool]) -> None:
        """Tell the most important of it."""
        self._connection, self._trouble, self._is_of_devices = seen
        if not self._trouble:
            self._put_away = ""
        if self._connection is ConnectionState.RECONNECTING:
            self._ticking.resume()
        else:
            self._ticking.pause()
        self.tick()

    def tick(self) -> None:
        """Tell how it stands now."""
        match self._connection:
            case ConnectionState.RECONNECTING:
                self.tell(labels.retrying(self._reason, self._due - time.monotonic()))
            case ConnectionState.CLOSED:
                self.tell(labels.closed(self._reason))
            case ConnectionState.CONNECTING | ConnectionState.CONNECTED:
                self._tell_trouble()

    def on_resize(self) -> None:
        """Fit it into the new width."""
        self.tick()

    def put_away(self) -> None:
        """Tell of this trouble with devices no more."""
        if self._is_of_devices:
            self._put_away = self._trouble
            self.tick()

    def on_click(self) -> None:
        """A click closes it too."""
        self.put_away()

    def _tell_trouble(self) -> None:
        if not self._is_of_devices:
            self.tell(self._trouble)
            return
        self.display = self._trouble != self._put_away
        width = self.app.size.width - self.styles.padding.width
        self.update(spread(plain(self._trouble), plain(sound_labels.MEND_OR_CLOSE, "bold"), width))

    def tell(self, text: str) -> None:
        """Show the text, or nothing."""
        self.display = bool(text)
        self.update(plain(text))


def device_trouble(state: ClientState) -> str:
    """What is wrong with microphone and speaker, and what would mend it."""
    return "" if state.room is None else sound_labels.troubles((state.sound.source, state.sound.sink))


def way_trouble(state: ClientState) -> str:
    """What keeps the sound from the server."""
    return sound_labels.NO_WAY_FOR_SOUND if state.room is not None and state.media is MediaState.FAILED else ""
