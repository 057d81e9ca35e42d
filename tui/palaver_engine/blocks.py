"""Blocks of sound: 10 ms, mono, 48 kHz, signed 16-bit; and how loud they are."""

from __future__ import annotations

import math
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.int16]

RATE: Final = 48_000  # samples a second
BLOCK: Final = 480  # samples: 10 ms
SILENT: Final = -100.0  # dBFS of digital silence
_FULL_SCALE: Final = 32_768.0

SILENCE: Final[Samples] = np.zeros(BLOCK, np.int16)
SILENCE.flags.writeable = False


def level(block: Samples) -> float:
    """The root mean square of a block in dBFS, from -100 (silence) to 0 (a full-scale square wave)."""
    if not len(block):
        return SILENT
    wide = block.astype(np.float32)
    power = float(np.dot(wide, wide)) / len(wide)
    if power <= 0:
        return SILENT
    return max(SILENT, 10 * math.log10(power / _FULL_SCALE**2))


class Meter:
    """The loudest block since one last looked. Filled by one thread, read by another."""

    def __init__(self) -> None:
        self._loudest = SILENT

    def add(self, block: Samples) -> None:
        """Listen to a block."""
        self._loudest = max(self._loudest, level(block))

    def read(self) -> float:
        """The level in dBFS; begins anew."""
        loudest, self._loudest = self._loudest, SILENT
        return loudest
