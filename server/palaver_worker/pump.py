"""The event loop's way to wait while the core forwards voices: a selector that returns when there is more to do."""

from __future__ import annotations

import selectors
from collections.abc import Callable

from .fanout import SelfForwarding


class PumpSelector(selectors.EpollSelector):
    """Waits in C, where the datagrams of voices are forwarded as they come."""

    def __init__(self) -> None:
        super().__init__()
        self._fanout: SelfForwarding | None = None
        self._act: Callable[[], object] | None = None

    def attach(self, fanout: SelfForwarding, act: Callable[[], object]) -> None:
        """Forward from now on; `act` is called when there is something to process, and returns at once."""
        self._fanout, self._act = fanout, act

    def detach(self) -> None:
        """Be an ordinary selector again."""
        self._fanout = self._act = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as ever (s), forwarding meanwhile."""
        if self._fanout is None or self._act is None:
            return super().select(timeout)
        if self._fanout.wait(self.fileno(), timeout):
            self._act()
        return super().select(0)
