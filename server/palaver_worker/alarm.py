"""One deadline that can be moved or taken back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

GRID: Final = 0.02  # s


def together(deadline: float) -> float:
    """A little before a deadline, where others are, too: waking up costs more than what is then done."""
    return deadline // GRID * GRID


class Alarm:
    """Calls `ring` once at the deadline, on the event loop's clock (s)."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float | None) -> None:
        """Ring at `deadline` instead; None: not at all."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline is not None:
            self._timer = asyncio.get_running_loop().call_at(deadline, self._go)

    @property
    def is_set(self) -> bool:
        """Whether it will ring."""
        return self._timer is not None

    def _go(self) -> None:
        self._timer = None
        self._ring()
