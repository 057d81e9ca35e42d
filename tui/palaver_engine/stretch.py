"""Speech made a little shorter or longer without a change of pitch: waveform similarity and overlap-add (WSOLA).

A piece is left out, or played twice, whose two ends look alike: in voiced speech one or more periods of its pitch. The
seam is a cross-fade whose power stays even also where the two sides have nothing in common.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .blocks import Samples

SEAM: Final = 240  # samples that overlap: 5 ms
SHORTEST: Final = 96  # samples: a piece of 2 ms, a period of 500 Hz
_COARSE: Final = 6  # samples taken together in the first search: 8 kHz
_NEARLY: Final = 0.03  # of likeness, for a piece that fits better
_IN: Final = np.linspace(0, 1, SEAM, dtype=np.float32)
_OUT: Final = 1 - _IN

_Wave = NDArray[np.float32]


def shorten(samples: Samples, most: int, alike: float) -> Samples | None:
    """Leave a piece of `SHORTEST` to `most` samples out of the beginning; the longest that does well.

    `samples` has at least `most` + `SEAM`. None if no two places have a likeness (-1 to 1) of `alike`.
    """
    wave = samples[: most + SEAM].astype(np.float32)
    at, likeness = _best(wave[:SEAM], wave, SHORTEST, most, prefers_last=True)
    return leave_out(samples, at, likeness) if likeness >= alike else None


def lengthen(before: Samples, samples: Samples, least: int, most: int, alike: float) -> Samples | None:
    """Play the last `least` to `most` samples of what was heard before once more; the shortest piece that does well.

    `before` has at least `most` samples, and `least` is `SEAM` or more. None as in `shorten`.
    """
    wave = np.concatenate((before[-most:], samples[:SEAM])).astype(np.float32)
    at, likeness = _best(wave[most:], wave, 0, most - least, prefers_last=True)
    return play_again(before, samples, most - at, likeness) if likeness >= alike else None


def leave_out(samples: Samples, size: int, likeness: float = 0.0) -> Samples:
    """Without `size` samples of the beginning; at least `SEAM` must be left."""
    return np.concatenate((seam(samples[:SEAM], samples[size : size + SEAM], likeness), samples[size + SEAM :]))


def play_again(before: Samples, samples: Samples, size: int, likeness: float = 0.0) -> Samples:
    """With the last `size` samples (`SEAM` or more) of what was heard before them once more."""
    again = before[-size:]
    return np.concatenate((seam(samples[:SEAM], again[:SEAM], likeness), again[SEAM:], samples))


def seam(old: Samples, new: Samples, likeness: float = 0.0) -> Samples:
    """From `old` to `new`, `SEAM` samples each, with even power when they are as much alike as that."""
    power = _OUT**2 + _IN**2 + 2 * max(0.0, min(1.0, likeness)) * _OUT * _IN
    mixed = (old * _OUT + new * _IN) / np.sqrt(power)
    return np.clip(mixed, -32_768, 32_767).astype(np.int16)


def _best(template: _Wave, wave: _Wave, first: int, last: int, *, prefers_last: bool) -> tuple[int, float]:
    """Where, from `first` to `last`, `wave` is like the template: the last such place, and how much alike."""
    coarse, small = _thin(wave), _thin(template)
    low, high = first // _COARSE, last // _COARSE
    found = _likeness(small, coarse[low : high + len(small)])
    good = np.flatnonzero(found >= found.max() - _NEARLY)
    around = (low + int(good[-1 if prefers_last else 0])) * _COARSE
    low, high = max(first, around - _COARSE), min(last, around + _COARSE)
    fine = _likeness(template, wave[low : high + len(template)])
    best = int(np.argmax(fine))
    return low + best, float(fine[best])


def _thin(wave: _Wave) -> _Wave:
    size = len(wave) // _COARSE
    thin: _Wave = wave[: size * _COARSE].reshape(size, _COARSE).sum(axis=1)
    return thin


def _likeness(template: _Wave, wave: _Wave) -> _Wave:
    """The normalised correlation of the template with each place of the wave."""
    places = sliding_window_view(wave, len(template))
    powers = np.einsum("ij,ij->i", places, places)
    found: _Wave = places @ template / np.sqrt(powers * np.dot(template, template) + 1.0)
    return found
