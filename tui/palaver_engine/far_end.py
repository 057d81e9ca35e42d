"""What the loudspeaker plays, on its way to the echo canceller, which wants a block of it with each of the near end.

One device gives and takes in turn, and nothing ever waits here. Two devices have a thread and a clock each: their
blocks come unevenly, and one clock is a little faster. What matters then is that the two signals stay in step, for a
canceller that has learnt how late the echo is must learn anew after every shift. So a block that is not there yet
shifts the reference once, by silence, and from then on one more is in hand for the next time; and only what has lain
there unused for a while is taken out.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from .blocks import SILENCE, Samples

MOST: Final = 50  # blocks kept: half a second
WINDOW: Final = 200  # blocks: what was never needed for so long is too much
SPARE: Final = 2  # blocks more than needed that are left in hand, lest clocks that drift be followed to and fro


@define(eq=False)
class FarEnd:
    """`put` belongs to the loudspeaker's thread, `take` to the microphone's; neither ever waits for the other."""

    shifts: int = 0  # times that the reference was moved against the microphone
    _blocks: deque[Samples] = field(factory=lambda: deque(maxlen=MOST))
    _is_dry: bool = False
    _least: int = MOST  # in hand after a block was taken, lately
    _taken: int = 0

    def put(self, block: Samples) -> None:
        """This is played next."""
        self._blocks.append(block)

    def take(self) -> Samples:
        """What goes with the next block of the microphone: `BLOCK` samples, silence if nothing is played."""
        try:
            block = self._blocks.popleft()
        except IndexError:
            self._least = 0
            self._is_dry = True
            return SILENCE
        if self._is_dry:
            self._is_dry = False
            self.shifts += 1
        self._settle()
        return block

    def _settle(self) -> None:
        """Now and then take out what nobody needed."""
        self._least = min(self._least, len(self._blocks))
        self._taken += 1
        if self._taken < WINDOW:
            return
        if self._least > SPARE:
            self.shifts += 1
            for _ in range(self._least - SPARE):
                self._blocks.popleft()
        self._taken, self._least = 0, MOST
