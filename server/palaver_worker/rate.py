"""How often something may come from one who is known: what is more costs him alone."""

from __future__ import annotations

import math
from typing import Final

BURST: Final = 1.0  # s without anything, after which as many may come at once


class Rate:
    """So many a second, or so many bytes, or part of each.

    A bucket that leaks, written as the time when the next one would come if they were as many.
    """

    def __init__(self, per_second: float, octets: float = math.inf) -> None:
        self._interval, self._per_octet = 1 / per_second, 1 / octets
        self._due = -math.inf

    def admits(self, now: float, octets: int = 0) -> bool:
        """Whether one of this size may come now (s); if so, it counts."""
        due = max(self._due, now - BURST)
        if due > now:
            return False
        self._due = due + self._interval + octets * self._per_octet
        return True
