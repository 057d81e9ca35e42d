"""Keeps a sum of voices below full scale by turning it down, where clipping would distort it."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from .blocks import BLOCK, RATE

Wide: TypeAlias = NDArray[np.float32]  # samples that may be louder than full scale

CEILING: Final = 32_000.0  # 0.2 dB below full scale
RELEASE: Final = 0.3  # s
_RECOVERY: Final = 1 - math.exp(-BLOCK / RATE / RELEASE)
_UNITY: Final = 0.9999  # from here on nothing is turned down
_COUNT: Final[Wide] = np.arange(1, BLOCK + 1, dtype=np.float32)


def ramp(before: float, after: float, size: int) -> Wide:
    """Gains that lead from one to another within `size` samples, at most a block's."""
    gains: Wide = _COUNT[:size] * np.float32((after - before) / max(1, size))
    gains += np.float32(before)
    return gains


class Limiter:
    """Delays nothing: within a block the gain falls until the first sample that would be too loud, and stays there.

    Afterwards it rises slowly, so that the loudness of a voice does not flutter with its pitch. The gain never leaps,
    and what comes out never exceeds the ceiling.
    """

    def __init__(self) -> None:
        self._gain = 1.0

    @property
    def is_idle(self) -> bool:
        """Whether what is below the ceiling would pass as it is."""
        return self._gain == 1.0

    def limit(self, block: Wide) -> None:
        """Turn a block of 10 ms down where it is too loud, in place."""
        loud = np.abs(block)
        peak = float(loud.max())
        if peak <= CEILING and self._gain == 1.0:
            return
        allowed = min(1.0, CEILING / peak) if peak else 1.0
        was = self._gain
        if allowed >= was:
            self._gain = self._recovered(allowed)
            block *= ramp(was, self._gain, BLOCK)
            return
        first = int(np.argmax(loud > CEILING / was))
        block[:first] *= ramp(was, allowed, first)
        block[first:] *= allowed
        self._gain = allowed

    def rest(self) -> None:
        """Nothing was heard for 10 ms."""
        if self._gain != 1.0:
            self._gain = self._recovered(1.0)

    def _recovered(self, allowed: float) -> float:
        gain = self._gain + (allowed - self._gain) * _RECOVERY
        return 1.0 if allowed == 1.0 and gain > _UNITY else gain
