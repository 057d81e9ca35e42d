"""Is a device's stream well? It may stop calling, call far too often, or step to a longer latency and stay there."""

from __future__ import annotations

import enum
import math
from typing import Final

from .mixer import BLOCK, RATE

PERIOD: Final = 0.25  # s between checks
GONE: Final = 1.5  # s without a callback; a loaded sound server may pause for a moment
TOO_OFTEN: Final = 2.5  # times the callbacks that there should be
TOO_BUSY: Final = 0.3  # of a processor for the stream's thread; our own work there takes less than 0.1
STEP: Final = 0.050  # s of latency over the opening's: PulseAudio's clock estimate alone wanders by 40 ms at first
OPENING: Final = 8  # checks whose longest latency is the baseline: buffers fill up at first
CHECKS: Final = 4  # in a row before a verdict


class Health(enum.Enum):
    """What `Watch.check` finds."""

    FINE = "fine"
    DEAD = "dead"
    SPINNING = "spinning"
    DELAYED = "delayed"


class Watch:
    """`note` is called in each callback, `check` every `PERIOD` by somebody else. Times in s on one clock."""

    def __init__(self, now: float) -> None:
        self._last_call = self._last_check = now
        self._calls = 0
        self._busy = self._last_busy = 0.0
        self._shortest = math.inf
        self._baseline = -math.inf
        self._checks = 0
        self._odd = 0

    def note(self, now: float, latency: float, busy: float) -> None:
        """A callback came; `latency` is from the microphone to the loudspeaker, or of the one half there is.

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
        is_known = math.isfinite(shortest)
        if self._checks <= OPENING:
            self._baseline = max(self._baseline, shortest) if is_known else self._baseline
            return Health.FINE
        is_spinning = calls > TOO_OFTEN * elapsed * RATE / BLOCK or busy > TOO_BUSY * elapsed
        is_delayed = is_known and shortest > self._baseline + STEP
        self._odd = self._odd + 1 if is_spinning or is_delayed else 0
        if self._odd < CHECKS:
            return Health.FINE
        return Health.SPINNING if is_spinning else Health.DELAYED
