"""Is a device's stream well? It may stop calling, call far too often, or step to a longer latency and stay there.

PulseAudio's estimate of latency creeps by up to 7 ms a second, by 30 ms in all, and a loudspeaker's falls for moments,
while the latency stays as it is; a stall adds its length at once. So a step is measured against a value that follows
the estimate slowly.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from .blocks import BLOCK, RATE

PERIOD: Final = 0.25  # s between checks
GONE: Final = 1.5  # s without a callback; a loaded sound server may pause for a moment
TOO_OFTEN: Final = 2.5  # times the callbacks that there should be
TOO_BUSY: Final = 0.3  # of a processor for the stream's thread; our own work there takes less than 0.1
STEP: Final = 0.025  # s of latency over what it was a moment ago
CREEP: Final = 0.008  # s a second that the estimate may grow by without a step
LONGER: Final = 0.060  # s of latency over the opening's, however it came about
OPENING: Final = 8  # checks whose longest latency is the baseline: buffers fill up at first
CHECKS: Final = 4  # in a row before a verdict


SOON: Final = 3.0  # s until a stream that is opened again may be so once more
SELDOM: Final = 60.0  # s likewise, at the most: each time there is a gap, and it seems to help little


class Health(enum.Enum):
    """What `Watch.check` finds."""

    FINE = "fine"
    DEAD = "dead"
    SPINNING = "spinning"
    DELAYED = "delayed"


class Reopening:
    """How often a stream that is not well may be opened again: the less it helps, the more seldom. Times in s."""

    def __init__(self) -> None:
        self._pause = SOON
        self._next = -math.inf

    def is_due(self, now: float) -> bool:
        """Whether it may be done now; then it counts as done."""
        if now < self._next:
            return False
        has_helped = now > self._next + SELDOM
        self._pause = SOON if has_helped else min(SELDOM, 2 * self._pause)
        self._next = now + self._pause
        return True


class Watch:
    """`note` is called in each callback, `check` every `PERIOD` by somebody else. Times in s on one clock."""

    def __init__(self, now: float) -> None:
        self._last_call = self._last_check = now
        self._calls = 0
        self._busy = self._last_busy = 0.0
        self._shortest = math.inf
        self._opening = -math.inf  # the longest latency while it opened
        self._usual = -math.inf  # follows the latency
        self._checks = 0
        self._odd = 0

    def note(self, now: float, latency: float, busy: float) -> None:
        """A callback came; `latency` is the device's.

        `busy` is the CPU time of the stream's thread: PortAudio can spin between callbacks that come on time.
        """
        self._last_call = now
        self._calls += 1
        self._busy = busy
        self._shortest = min(self._shortest, latency)

    def check(self, now: float) -> Health:
        """The verdict since the last check."""
        calls, self._calls = self._calls, 0
        shortest, self._shortest = self._shortest, math.inf
        busy, self._last_busy = self._busy - self._last_busy, self._busy
        elapsed, self._last_check = now - self._last_check, now
        self._checks += 1
        if now - self._last_call > GONE:
            return Health.DEAD
        is_delayed = math.isfinite(shortest) and self._is_delayed(shortest, elapsed)
        if self._checks <= OPENING:
            return Health.FINE
        is_spinning = calls > TOO_OFTEN * elapsed * RATE / BLOCK or busy > TOO_BUSY * elapsed
        self._odd = self._odd + 1 if is_spinning or is_delayed else 0
        if self._odd < CHECKS:
            return Health.FINE
        return Health.SPINNING if is_spinning else Health.DELAYED

    def _is_delayed(self, latency: float, elapsed: float) -> bool:
        if self._checks <= OPENING:
            self._opening = max(self._opening, latency)
            self._usual = self._opening
            return False
        is_delayed = latency > min(self._usual + STEP, self._opening + LONGER)
        most = CREEP * elapsed
        self._usual += min(most, max(-most, latency - self._usual))
        return is_delayed
