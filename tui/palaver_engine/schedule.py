"""When a voice's packets are to be played: as early as all but a few of them allow.

A packet's *transit* is its arrival minus its RTP time, on two clocks that have nothing to do with each other, so only
differences count. Pull time minus the RTP time that is played then is the same kind of number, the *schedule*: a packet
whose transit is above it comes too late. What counts for a frame is the first thing that brings it: the packet, a copy
in another one, or the next packet's in-band copy.

A little too much delay is left alone until it has lasted. A sound card whose blocks are not ours beats against our 10
ms over seconds, and a schedule that followed at once would go up and down with it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from attrs import define, field

from .mixer import BLOCK, RATE

TICK: Final = BLOCK / RATE  # s
MARGIN: Final = 0.002  # s kept between the slow end of the transits and the schedule
WINDOW: Final = 4.0  # s of arrivals that count
LATE_SHARE: Final = 0.02  # of the arrivals may come too late for the schedule
SETTLED: Final = 25  # arrivals before the delay is cut: half a second
PHASES: Final = 100  # pulls among which the earliest counts: a sound card's clock is not even
CALM: Final = 12.0  # s that a small excess of delay must have lasted before it is cut
PATIENCE: Final = 0.030  # s of excess: above it all is cut without waiting


@define
class Schedule:
    """The slow end of the recent transits, and how far the playout is above it (all in s)."""

    needed: float = 0.0
    _transits: deque[tuple[float, float]] = field(factory=deque)  # (pull time, the worst since the pull before)
    _sorted: list[float] = field(factory=list)
    _worst: float | None = None
    _phases: deque[float] = field(factory=lambda: deque(maxlen=PHASES))
    _pulls: int = 0
    _tight: float = -CALM  # when the excess was last less than a block; long ago if it is not to be kept

    def begin(self, transit: float) -> None:
        """Another time line, of which one packet is known. What it waits is a guess, and nothing to keep."""
        self._transits.clear()
        self._sorted.clear()
        self._worst = None
        self.needed = transit
        self.hurry()

    def hurry(self) -> None:
        """Whatever excess there is now need not last before it is cut."""
        self._tight = -CALM

    def arrived(self, transit: float) -> None:
        """Something brought a frame for the first time."""
        self._worst = transit if self._worst is None else max(self._worst, transit)

    def pulled(self, now: float) -> float:
        """A block is wanted: the time it is wanted at, freed of the unevenness of the sound card's clock."""
        self._pulls += 1
        self._phases.append(now - self._pulls * TICK)
        self._learn(now)
        return min(self._phases) + self._pulls * TICK

    def is_long(self, excess: float, now: float) -> bool:
        """Whether the delay is so much too long, or for so long, that it is to be cut."""
        if excess <= TICK:
            self._tight = now
        elif excess > PATIENCE:
            self._tight = -CALM
        return now - self._tight >= CALM and len(self._transits) >= SETTLED

    @property
    def least(self) -> float:
        """The least transit lately."""
        return self._sorted[0] if self._sorted else self.needed

    def _learn(self, now: float) -> None:
        """Keep the worst transit since the last pull: what a stall held back comes at once and counts once."""
        if self._worst is None:
            return
        self._transits.append((now, self._worst))
        insort(self._sorted, self._worst)
        self._worst = None
        while self._transits[0][0] < now - WINDOW:
            del self._sorted[bisect_left(self._sorted, self._transits.popleft()[1])]
        self.needed = self._sorted[-1 - round(LATE_SHARE * len(self._sorted))]
