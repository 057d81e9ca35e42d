"""The microphone's manual gain: smooth when it changes, and round where it would clip."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import define

from .blocks import BLOCK, Samples

KNEE: Final = 0.7  # of full scale: louder samples are bent
_FULL_SCALE: Final = 32_768.0
_RAMP: Final = (0.5 - 0.5 * np.cos(np.linspace(0, np.pi, BLOCK))).astype(np.float32)  # has no corners


def melt(before: Samples, after: Samples) -> Samples:
    """From one block into another of the same time."""
    return (before + (after.astype(np.float32) - before) * _RAMP).astype(np.int16)


@define
class Gain:
    """Amplifies one block after the other."""

    _factor: float = 1.0  # of the block before

    def amplify(self, block: Samples, db: float) -> Samples:
        """A block of `BLOCK` samples, `db` louder; a change takes the whole block."""
        factor = 10 ** (db / 20)
        before, self._factor = self._factor, factor
        if before == factor == 1.0:
            return block
        ramp = factor if before == factor else before + (factor - before) * _RAMP
        return _soften(block * np.float32(1 / _FULL_SCALE) * np.float32(ramp))


def _soften(wave: np.ndarray[tuple[int], np.dtype[np.float32]]) -> Samples:
    """Samples from float (1 is full scale): above the knee ever less is added, and 1 is never exceeded."""
    size = np.abs(wave)
    if size.max() > KNEE:
        bent = KNEE + (1 - KNEE) * np.tanh((size - KNEE) / (1 - KNEE))
        wave = np.where(size > KNEE, np.copysign(bent, wave), wave)
    return (wave * (_FULL_SCALE - 1)).astype(np.int16)
