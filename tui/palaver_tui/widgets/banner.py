"""The line under the top one: what is wrong for as long as it is, and what to do."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.widgets import Static

from palaver_client.events import ConnectionLost, RetryFailed
from palaver_client.state import ClientState, ConnectionState, MediaState
from palaver_tui import labels

from .cells import plain
from .follow import follow

if TYPE_CHECKING:
    from textual.timer import Timer

TICK = 0.5  # s between two looks at the clock


class Banner(Static):
    """The most important trouble; hidden while there is none."""

    _reason = ""
    _due = 0.0  # on the monotonic clock
    _connection = ConnectionState.CONNECTING
    _trouble = ""
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
    def look(state: ClientState) -> tuple[ConnectionState, str]:
        """The connection, and what is wrong with the sound."""
        return state.connection, sound_trouble(state)

    def show(self, seen: tuple[ConnectionState, str]) -> None:
        """Tell the most important of it."""
        self._connection, self._trouble = seen
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
                self.tell(self._trouble)

    def tell(self, text: str) -> None:
        """Show the text, or nothing."""
        self.display = bool(text)
        self.update(plain(text))


def sound_trouble(state: ClientState) -> str:
    """What keeps us from hearing or being heard, and what would mend it."""
    if state.room is None:
        return ""
    if trouble := labels.troubles((state.sound.source, state.sound.sink)):
        return trouble
    return labels.NO_WAY_FOR_SOUND if state.media is MediaState.FAILED else ""
