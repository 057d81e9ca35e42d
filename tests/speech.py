"""Speech to say into microphones, and how well it came out at the other end."""

from __future__ import annotations

import subprocess
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.signal
from numpy.typing import NDArray
from pystoi import stoi

RATE: Final = 48_000
Sound = NDArray[np.int16]

ANN: Final = (
    "The north wind and the sun were disputing which was the stronger, when a traveller came along, "
    "wrapped in a warm cloak. They agreed that the one who first made the traveller take it off should win."
)
BEN: Final = (
    "A quick brown fox jumps over the lazy dog, while five wizards box quickly in the evening. "
    "Pack my box with a dozen jugs of water, and bring them to the harbour before the ships sail."
)


def speak(text: str, voice: str, folder: Path) -> Sound:
    """A text, said by espeak-ng: 48 kHz mono."""
    path = folder / f"{voice}.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text], check=True)
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    resampled = scipy.signal.resample_poly(samples.astype(np.float64), RATE, rate)
    peak: float = np.max(np.abs(resampled))
    return (resampled * (12_000 / peak)).astype(np.int16)


def align(said: Sound, heard: Sound) -> tuple[int, Sound]:
    """Where in `heard` the speech begins (samples), and that part of it."""
    matched = scipy.signal.correlate(heard.astype(np.float64), said.astype(np.float64), "valid", "fft")
    start = int(np.argmax(np.abs(matched)))
    return start, heard[start : start + len(said)]


def intelligibility(said: Sound, heard: Sound) -> float:
    """STOI of what was heard against what was said, 0 to 1."""
    if len(heard) < len(said):
        return 0.0
    _, part = align(said, heard)
    score: Any = stoi(said.astype(np.float64), part.astype(np.float64), RATE)
    return float(score)
