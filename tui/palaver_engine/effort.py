"""How hard the encoder works: as well as the machine lets it. A pure machine: what frames cost in, complexity out."""

from __future__ import annotations

from typing import Final

from attrs import define, field

LEVELS: Final = (2, 5, 8, 10)  # complexities; between others of libopus's there is little to choose
DEAR: Final = 0.06  # of the time a frame lasts: what costs more is lowered
CHEAP: Final = 0.035  # what costs less may be raised, to see what that costs
WINDOW: Final = 50  # frames whose median counts: whoever interrupts the sound thread for once is not the encoder
CALM, LONG_CALM = 10, 600  # cheap windows in a row before it is raised: the more, the more often that was in vain


@define
class Effort:
    """Lowered as soon as a window is too dear, raised after a calm only, which doubles whenever it is lowered.

    From one level to the next the cost may grow little or fourfold (with frames of 10 ms); it has to be tried.
    """

    _level: int = len(LEVELS) - 1
    _costs: list[float] = field(factory=list)
    _cheap: int = 0  # windows in a row
    _calm: int = CALM // 2

    @property
    def complexity(self) -> int:
        """For the encoder, 0 to 10."""
        return LEVELS[self._level]

    def note(self, cost: float, lasts: float) -> None:
        """A frame that lasts so long took so much of the sound thread's time, both in s."""
        self._costs.append(cost / lasts)
        if len(self._costs) < WINDOW:
            return
        share = sorted(self._costs)[WINDOW // 2]
        self._costs.clear()
        self._cheap = self._cheap + 1 if share < CHEAP else 0
        if share > DEAR and self._level > 0:
            self._level -= 1
            self._calm = min(LONG_CALM, 2 * self._calm)
        elif self._cheap >= self._calm and self._level < len(LEVELS) - 1:
            self._level += 1
            self._cheap = 0
