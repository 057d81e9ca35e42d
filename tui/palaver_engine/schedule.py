"""When a voice's packets are to be played: as early as all but a few of them allow.

A packet's *transit* is its arrival minus its RTP time, on two clocks that have nothing to do with each other, so only
differences count. Pull time minus the RTP time that is played then is the same kind of number, the *schedule*: a packet
whose transit is above it comes too late. What counts for a frame is the first thing that brings it: the packet, a copy
in another one, or the next packet's in-band copy.

Delay grows when more than a few frames come too late for it, and is cut when next to none would come too late without
it: what hurts is a delay that goes up and down. So a little too much of it is also left alone until it has lasted. A
sound card whose blocks are not ours beats against our 10 ms over seconds, and a schedule that followed at once would
beat with it.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from typing import Final

from attrs import define, field, frozen

from .blocks import BLOCK, RATE

TICK: Final = BLOCK / RATE  # s
MARGIN: Final = 0.002  # s kept between the slow end of the transits and the schedule
WINDOW: Final = 400  # pulls of a voice, pauses left out, whose arrivals count: 4 s
MEMORY: Final = 30.0  # s in which two clocks do not part noticeably: what is older does not count
PAUSE: Final = 10  # pulls without an arrival, more of which are a pause
LATE_SHARE: Final = 0.02  # of the arrivals may come too late for the schedule
SPARE_SHARE: Final = 0.01  # of them would come too late for a shorter one
HOLD: Final = 500  # pulls for which no shorter one is tried
SETTLED: Final = 25  # arrivals before the delay is cut: half a second
PHASES: Final = 100  # pulls among which the earliest counts: a sound card's clock is not even
CALM: Final = 3.0  # s that a small excess of delay must have lasted before it is cut
PATIENCE: Final = 0.030  # s of excess: above it all is cut without waiting


@frozen
class _Arrival:
    """The worst between two pulls. `pulled` is when (s), `heard` how many pulls of the voice there were."""

    pulled: float
    heard: int
    transit: float


@define
class Schedule:
    """The slow end of the recent transits, and how far the playout is above it (all in s)."""

    needed: float = 0.0  # less than this, and too much comes too late
    enough: float = 0.0  # more than this serves nothing
    _transits: deque[_Arrival] = field(factory=deque)
    _sorted: list[float] = field(factory=list)
    _worst: float | None = None
    _phases: deque[float] = field(factory=lambda: deque(maxlen=PHASES))
    _pulls: int = 0
    _arrived_at: int = 0  # the pull before the last arrival
    _heard: int = 0  # pulls, but for those in pauses
    _peaks: deque[tuple[int, float]] = field(factory=deque)  # of what was enough, each lower than those before it
    _tight: float = -CALM  # when the excess was last less than a block; long ago if it is not to be kept

    def begin(self, transit: float) -> None:
        """Another time line, of which one packet is known. What it waits is a guess, and nothing to keep."""
        self._transits.clear()
        self._sorted.clear()
        self._peaks.clear()
        self._worst = None
        self.needed = self.enough = transit
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
        self._heard += min(PAUSE, self._pulls - self._arrived_at)
        self._arrived_at = self._pulls
        self._transits.append(_Arrival(now, self._heard, self._worst))
        insort(self._sorted, self._worst)
        self._worst = None
        while self._is_old(self._transits[0], now):
            del self._sorted[bisect_left(self._sorted, self._transits.popleft().transit)]
        self.needed = self._all_but(LATE_SHARE)
        self.enough = self._hold(self._all_but(SPARE_SHARE))

    def _is_old(self, arrival: _Arrival, now: float) -> bool:
        return arrival.heard <= self._heard - WINDOW or arrival.pulled < now - MEMORY

    def _all_but(self, share: float) -> float:
        return self._sorted[-1 - round(share * len(self._sorted))]

    def _hold(self, value: float) -> float:
        """The highest lately."""
        peaks = self._peaks
        if len(self._transits) < SETTLED:
            return value
        while peaks and peaks[-1][1] <= value:
            peaks.pop()
        peaks.append((self._heard, value))
        while peaks[0][0] < self._heard - HOLD:
            peaks.popleft()
        return peaks[0][1]
