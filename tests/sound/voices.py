"""Known sounds, and what tells them apart, for the engine's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 48_000


def tone(hertz: float, seconds: float, dbfs: float = -12.0) -> NDArray[np.int16]:
    """A sine wave whose root mean square is `dbfs`."""
    time = np.arange(round(seconds * RATE)) / RATE
    peak = 32_768 * 10 ** (dbfs / 20) * np.sqrt(2)
    return np.round(peak * np.sin(2 * np.pi * hertz * time)).clip(-32_768, 32_767).astype(np.int16)


def speech(seconds: float, seed: int = 1, has_pauses: bool = True) -> NDArray[np.int16]:
    """Something like speech: syllables of harmonics under an envelope, with or without pauses between words."""
    random = np.random.default_rng(seed)
    out = np.zeros(round(seconds * RATE))
    at = 0
    while at < len(out):
        size = int(random.uniform(0.12, 0.28) * RATE)
        time = np.arange(size) / RATE
        pitch = random.uniform(100, 180) * (1 + 0.1 * np.sin(2 * np.pi * 3 * time))
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        formant = random.uniform(400, 900)
        wave = sum(np.exp(-((h * 140 - formant) ** 2) / 4e5) * np.sin(h * phase) / h for h in range(1, 20))
        syllable = wave * np.maximum(np.hanning(size), 0 if has_pauses else 0.3) * 9000
        end = min(at + size, len(out))
        out[at:end] += syllable[: end - at]
        at = end + int(random.choice([0, 0, 0.25 if has_pauses else 0]) * RATE)
    return out.clip(-32_768, 32_767).astype(np.int16)


def pitch(samples: NDArray[np.int16]) -> float:
    """The frequency in Hz with the most energy."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * RATE / len(samples)


def rms(samples: NDArray[np.int16]) -> float:
    """The root mean square in dBFS; -100 is silence."""
    power = float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0
    return max(-100.0, 10 * np.log10(power / 32_768**2)) if power else -100.0


def likeness(heard: NDArray[np.int16], said: NDArray[np.int16]) -> float:
    """The correlation of two sounds of one length, -1 to 1."""
    a, b = heard.astype(np.float64), said.astype(np.float64)
    return float(np.dot(a, b) / np.sqrt(np.dot(a, a) * np.dot(b, b)))
