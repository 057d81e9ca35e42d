"""What a recording says: when something was heard, how good it is, and how much of an echo is left. Pure."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.signal
from attrs import frozen
from pystoi import stoi

from .recorder import RATE, Recording

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDE: Final = 16_000  # Hz, PESQ-WB's rate
MARGIN: Final = 0.25  # s of silence around what is scored
EARLIEST, LATEST = -0.05, 1.0  # s that hearing may come after saying
WINDOW: Final = 0.4  # s of speech in which one delay is told from another
LOUD: Final = 0.1  # of the loudest window's level: less is a pause, and tells no delay
LIKE: Final = 0.3  # least correlation of a window that was found


def find(sound: NDArray[np.float64], where: Recording) -> tuple[float, float]:
    """When (s, monotonic) a sound begins in a recording, and how like it is what is there (0 to 1)."""
    if len(where.samples) < len(sound):
        return where.began, 0.0
    found = scipy.signal.correlate(where.samples, sound, "valid", "fft")
    energy = np.concatenate(([0.0], np.cumsum(where.samples**2)))
    energies = energy[len(sound) :] - energy[: -len(sound)]
    at = int(np.argmax(np.abs(found)))
    norm = np.sqrt(float(energies[at]) * float(np.sum(sound**2)))
    return where.began + at / RATE, float(abs(found[at]) / norm) if norm > 0 else 0.0


@frozen
class Heard:
    """One utterance, from a mouth to an ear: the delay (ms), PESQ-WB (1 to 4.64) and STOI (0 to 1)."""

    delay_ms: float
    pesq: float
    stoi: float


def hear(utterance: NDArray[np.int16], said_at: float, ear: Recording) -> Heard | None:
    """How an utterance that was said then was heard; None if it was not."""
    clean = utterance.astype(np.float64)
    length = len(clean) / RATE
    at, likeness = find(clean, ear.between(said_at + EARLIEST, said_at + LATEST + length))
    if likeness < LIKE / 2:
        return None
    ends = (at - MARGIN, at + length + MARGIN)
    heard = ear.between(*ends).samples
    margin = np.zeros(round(MARGIN * RATE))
    clean = np.concatenate((margin, clean, margin))
    heard = np.pad(heard, (0, max(0, len(clean) - len(heard))))[: len(clean)]
    intelligible: Any = stoi(clean, heard, RATE)
    return Heard((at - said_at) * 1000, pesq_wide(clean, heard), float(intelligible))


def pesq_wide(clean: NDArray[np.float64], heard: NDArray[np.float64]) -> float:
    """PESQ-WB (ITU-T P.862.2) of 48 kHz samples."""
    from pesq import NoUtterancesError, pesq  # pyright: ignore[reportMissingImports] -- of the group `bench` alone

    reference, degraded = (scipy.signal.resample_poly(sound, WIDE, RATE) / 32768 for sound in (clean, heard))
    try:
        return float(pesq(WIDE, reference, degraded, "wb"))
    except NoUtterancesError:
        return 1.0


def delays(said: NDArray[np.int16], said_at: float, ear: Recording) -> list[tuple[float, float]]:
    """How the delay (ms) goes while somebody speaks: when something was said (s, monotonic), and how late it came."""
    size = round(WINDOW * RATE)
    windows = [(at, said[at : at + size].astype(np.float64)) for at in range(0, len(said) - size, size // 2)]
    loudest = max(float(np.std(window)) for _, window in windows)
    found: list[tuple[float, float]] = []
    for at, window in windows:
        if np.std(window) < LOUD * loudest:
            continue
        when = said_at + at / RATE
        heard_at, likeness = find(window, ear.between(when + EARLIEST, when + LATEST + WINDOW))
        if likeness >= LIKE:
            found.append((when, (heard_at - when) * 1000))
    return found


@frozen
class Recovery:
    """Delay around a stall (ms): before it, at its worst after, 5 s after, and s until within 20 ms of the former."""

    before_ms: float
    worst_ms: float
    after_5_s_ms: float
    back_after_s: float | None


def recovery(course: Sequence[tuple[float, float]], stall_ends: float, stall_s: float, near_ms: float) -> Recovery:
    """What a stall did to the delay; `course` as `delays` tells it."""
    before = statistics.median(delay for when, delay in course if when < stall_ends - stall_s - WINDOW)
    after = [(when - stall_ends, delay) for when, delay in course if when >= stall_ends]
    late = [since for since, delay in after if delay > before + near_ms]
    still = [since for since, _ in after if not late or since > late[-1]]
    five = [delay for since, delay in after if 4.5 <= since <= 6.5]
    return Recovery(
        before,
        max(delay for _, delay in after),
        statistics.median(five) if five else float("nan"),
        max(0.0, still[0]) if still else None,
    )


def level_db(samples: NDArray[np.float64]) -> float:
    """RMS in dB of full scale, at least -100."""
    return max(-100.0, 20 * float(np.log10(np.sqrt(np.mean(samples**2)) / 32768 + 1e-12))) if len(samples) else -100.0


def loss_db(
    echo: Recording, left: Recording, delay_s: float, start: float, end: float, quietest_db: float = -50.0
) -> float:
    """How much quieter what is left of an echo is (dB), `delay_s` later.

    It is the median over the moments (0.1 s) between two times in which there is an echo.

    Raises:
        statistics.StatisticsError: there is none.
    """
    losses: list[float] = []
    for at in np.arange(start, end - 0.1, 0.1):
        loud = level_db(echo.between(float(at), float(at) + 0.1).samples)
        if loud > quietest_db:
            losses.append(loud - level_db(left.between(float(at) + delay_s, float(at) + delay_s + 0.1).samples))
    return statistics.median(losses)
