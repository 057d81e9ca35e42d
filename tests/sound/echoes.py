"""A room between a loudspeaker and a microphone, and how much of it is left; all from seeds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import scipy.signal

from palaver_engine.blocks import BLOCK, RATE, SILENCE, Samples
from speech import find

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from palaver_engine.treatment import Treatment


def echo_of(far: Samples, delay_ms: float, ppm: float = 0.0, seed: int = 1) -> Samples:
    """What the microphone hears of the loudspeaker, 9 dB softer, where its clock is `ppm` faster."""
    random = np.random.default_rng(seed)
    room = random.standard_normal(RATE // 10) * np.exp(-np.arange(RATE // 10) / 700)
    room[0] = 4
    room *= 0.35 / np.sqrt(np.sum(room**2))
    wet = np.concatenate((np.zeros(round(delay_ms * RATE / 1000)), scipy.signal.fftconvolve(far, room)))[: len(far)]
    ticks = np.arange(len(far))
    return to_samples(np.interp(ticks * (1 + ppm * 1e-6), ticks, wet))


def to_samples(wave: NDArray[np.float64]) -> Samples:
    return np.clip(np.round(wave), -32_768, 32_767).astype(np.int16)


def treat(
    treatment: Treatment,
    near: Samples,
    far: Samples | None = None,
    meanwhile: Callable[[int], None] = lambda _: None,
) -> Samples:
    """All of it, block by block; before each `meanwhile` is told its number."""
    out: list[Samples] = []
    for number, at in enumerate(range(0, len(near) - BLOCK + 1, BLOCK)):
        meanwhile(number)
        out.append(treatment.treat(near[at : at + BLOCK], SILENCE if far is None else far[at : at + BLOCK])[0])
    return np.concatenate(out)


def return_loss(echo: Samples, left: Samples, begin: float, end: float) -> float:
    """How much softer (dB) the echo has become between two times (s)."""
    window = slice(round(begin * RATE), round(end * RATE))
    return 10 * float(np.log10(power(echo[window]) / power(left[window])))


def power(samples: Samples) -> float:
    return float(np.mean(samples.astype(np.float64) ** 2)) + 1e-3


def align(said: Samples, heard: Samples) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both in step, though the second comes later, as floats."""
    late = find(said[: len(said) - RATE // 4], heard)
    both = min(len(said), len(heard) - late)
    return said[:both].astype(np.float64), heard[late : late + both].astype(np.float64)
