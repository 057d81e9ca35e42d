"""One time line for what is heard and what is said, though two sound cards keep two times.

A pure machine. The blocks that are heard are the time line. A block that is said belongs to the one heard at the same
moment; the callbacks of two cards come in bursts, so that each may wait for the other a little. Where blocks are
missing there is silence of their length.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import define, field, frozen

from .blocks import BLOCK, RATE, SILENCE, Samples

TICK: Final = BLOCK / RATE  # s
SLACK: Final = 0.05  # s that one card may be ahead of or behind the other
PAUSE: Final = 0.2  # s without a block: nothing was heard, and time went on


@frozen(eq=False)
class Heard:
    """Every voice's block at `now`, the `number`-th since the beginning; numbers that are missing were dropped."""

    now: float
    number: int
    voices: Mapping[str, Samples]


@frozen(eq=False)
class Said:
    """Our own block at `now`; None is nothing said."""

    now: float
    block: Samples | None


@frozen(eq=False)
class Moment:
    """10 ms of everybody."""

    said: Samples
    voices: Mapping[str, Samples]


@define(eq=False)
class Timeline:
    """Take what comes with `put`, in the order of its time within each kind; `moments` are what is complete."""

    _heard: deque[Heard] = field(factory=deque)
    _said: deque[Said] = field(factory=deque)
    _last: Heard | None = None
    _is_apart: bool = True  # what is said lags or leads, or there is none: it joins where its time is

    def put(self, event: Heard | Said) -> None:
        """Take 10 ms of what is heard or said."""
        if isinstance(event, Said):
            self._said.append(event)
            return
        if self._last is not None:
            self._fill(self._last, event)
        self._last = event
        self._heard.append(event)

    def moments(self, *, is_over: bool = False) -> Iterator[Moment]:
        """What is complete by now; when all `is_over`, nothing is waited for."""
        while self._heard:
            heard = self._heard[0]
            reach = TICK if self._is_apart else SLACK
            if self._said and self._said[0].now < heard.now - reach:
                self._said.popleft()
                self._is_apart = True
                continue
            if self._said and self._said[0].now <= heard.now + reach:
                said = self._said.popleft().block
                self._is_apart = False
            elif self._said or is_over or self._heard[-1].now > heard.now + SLACK:
                said = None
                self._is_apart = True
            else:
                return
            self._heard.popleft()
            yield Moment(SILENCE if said is None else said, heard.voices)

    def _fill(self, last: Heard, event: Heard) -> None:
        """Silence for what was dropped, or while nothing called."""
        missing = event.number - last.number - 1
        if event.now - last.now > PAUSE:
            missing = max(missing, round((event.now - last.now) / TICK) - 1)
        step = (event.now - last.now) / (missing + 1)
        self._heard.extend(Heard(last.now + count * step, 0, {}) for count in range(1, missing + 1))
