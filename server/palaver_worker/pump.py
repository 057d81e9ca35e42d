"""The event loop's way to wait while voices are forwarded: a selector that acts on datagrams by itself."""

from __future__ import annotations

import logging
import selectors
from collections.abc import Callable

from .fanout import Fanout

log = logging.getLogger(__name__)


class PumpSelector(selectors.DefaultSelector):
    """Waits in the core. Voices cost no event, call-back or turn of the loop, and in C not even a word of Python."""

    def __init__(self) -> None:
        super().__init__()
        self._fanout: Fanout | None = None
        self._act: Callable[[bool], object] | None = None

    def attach(self, fanout: Fanout, act: Callable[[bool], object]) -> None:
        """Forward from now on.

        `act` is called when there is something to process, within `select`; it is told whether another source of events
        may have one, too.
        """
        self._fanout, self._act = fanout, act

    def detach(self) -> None:
        """Be an ordinary selector again."""
        self._fanout = self._act = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Wait as ever (s), forwarding meanwhile."""
        if self._fanout is None or self._act is None:
            return super().select(timeout)
        are_others = True
        try:
            is_due, are_others = self._fanout.wait(self.fileno(), timeout)
            if is_due:
                self._act(are_others)
        except Exception:  # as with a call-back: it costs this batch, not the loop
            log.exception("a batch of datagrams")
        return super().select(0) if are_others else []
