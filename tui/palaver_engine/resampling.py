"""From a device's blocks, of whatever length and rate, to our 10 ms at 48 kHz and back.

soxr's engine for variable rates is used at a fixed one: it gives samples as they come, 5 ms late at 44.1 kHz, where
the ordinary one gives none for a while and then twice as many.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from .backends import Hear, Talk
from .blocks import BLOCK, RATE, Samples

_NOTHING: Final[Samples] = np.zeros(0, np.int16)


class Resampler:
    """Changes the rate of a mono stream."""

    def __init__(self, old: int, new: int) -> None:
        import soxr  # late: most devices need none

        self._stream: Any = soxr.ResampleStream(old, new, 1, dtype="int16", quality="HQ", vr=True)
        self._old, self._new = old, new
        self._owed = 0.0  # samples that went in and are still to come

    @property
    def delay(self) -> float:
        """How long (s) samples stay inside."""
        return self._owed / self._new

    def resample(self, samples: Samples) -> Samples:
        """The next samples; at first fewer than there should be."""
        out: Samples = self._stream.resample_chunk(samples)
        self._owed += len(samples) * self._new / self._old - len(out)
        return out


class Intake:
    """Blocks of a microphone at `rate`; each 10 ms are passed on to `talk`."""

    def __init__(self, rate: int, talk: Talk) -> None:
        self._talk = talk
        self._resampler = None if rate == RATE else Resampler(rate, RATE)
        self._kept = _NOTHING

    def put(self, samples: Samples, age: float) -> None:
        """Take samples that are the caller's no more; the first was there `age` s ago."""
        if self._resampler is not None:
            samples = self._resampler.resample(samples)
            age += self._resampler.delay
        if len(self._kept):
            age += len(self._kept) / RATE
            samples = np.concatenate((self._kept, samples))
        whole = len(samples) // BLOCK * BLOCK
        for at in range(0, whole, BLOCK):
            self._talk(samples[at : at + BLOCK], age - at / RATE)
        self._kept = samples[whole:]


class Outlet:
    """Blocks for a loudspeaker at `rate`, made of the 10 ms that `hear` gives."""

    def __init__(self, rate: int, hear: Hear) -> None:
        self._hear = hear
        self._resampler = None if rate == RATE else Resampler(RATE, rate)
        self._rate = rate
        self._kept = _NOTHING

    def take(self, frames: int, delay: float) -> Samples:
        """So many samples; the first will be heard in `delay` s."""
        while len(self._kept) < frames:
            later = delay + len(self._kept) / self._rate
            block = self._hear(later if self._resampler is None else later + self._resampler.delay)
            if self._resampler is not None:
                block = self._resampler.resample(block)
            self._kept = np.concatenate((self._kept, block)) if len(self._kept) else block
        taken, self._kept = self._kept[:frames], self._kept[frames:]
        return taken
