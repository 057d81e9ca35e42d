"""The 10 ms clock of everything that has no sound card: one thread for all calls."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from .blocks import BLOCK, RATE

TICK: Final = BLOCK / RATE  # s
BEHIND: Final = 0.1  # s: a clock that is later than this does not catch up

log = logging.getLogger(__name__)


class Ticker:
    """Calls functions each 10 ms. All methods may be called from any thread; the thread sleeps while there are none."""

    def __init__(self) -> None:
        self._ticked: tuple[Callable[[], object], ...] = ()
        self._round = threading.RLock()  # held while functions are called; one of them may leave
        self._changed = threading.Condition()
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)
        self._thread.start()

    def add(self, tick: Callable[[], object]) -> Callable[[], None]:
        """Call `tick` each 10 ms until the answer is called; then it is called no more, not even at this moment."""
        with self._changed:
            self._ticked = (*self._ticked, tick)
            self._changed.notify()
        return lambda: self._remove(tick)

    def close(self) -> None:
        """End the thread."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    def _remove(self, tick: Callable[[], object]) -> None:
        with self._round, self._changed:
            self._ticked = tuple(each for each in self._ticked if each is not tick)

    def _run(self) -> None:
        due = time.monotonic()
        while not self._is_closing:
            if not self._ticked:
                with self._changed:
                    self._changed.wait_for(lambda: self._ticked or self._is_closing)
                due = time.monotonic()
            with self._round:
                for tick in self._ticked:
                    self._call(tick)
            due += TICK
            now = time.monotonic()
            if now - due > BEHIND:
                due = now
            elif due > now:
                time.sleep(due - now)

    def _call(self, tick: Callable[[], object]) -> None:
        try:
            tick()
        except Exception:  # a bug in one call must not silence the others
            log.exception("a call's clock stops")
            self._remove(tick)
