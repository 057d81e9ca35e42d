"""Speech to say into microphones, and how well it came out at the other end."""

from __future__ import annotations

import statistics
import subprocess
import wave
from pathlib import Path
from typing import Any, Final

import numpy as np
import scipy.signal
from attrs import frozen
from numpy.typing import NDArray
from pystoi import stoi

RATE: Final = 48_000
Sound = NDArray[np.int16]

PAUSE: Final = 0.5  # s between sentences

ANN: Final = (
    "The north wind and the sun were disputing which was the stronger.",
    "A traveller came along the road, wrapped in a warm cloak.",
    "They agreed that the one who first made him take it off should win.",
)
BEN: Final = (
    "A quick brown fox jumps over the lazy dog this evening.",
    "Five wizards box quickly while the kettle boils on the stove.",
    "Bring a dozen jugs of water to the harbour before the ships sail.",
)


@frozen
class Speech:
    """Sentences with pauses between them, and where each one is (samples)."""

    samples: Sound
    places: tuple[tuple[int, int], ...]


def say_sentences(sentences: tuple[str, ...], voice: str, folder: Path) -> Speech:
    """Sentences one after the other: 48 kHz mono."""
    pause = np.zeros(int(PAUSE * RATE), np.int16)
    parts: list[Sound] = []
    places: list[tuple[int, int]] = []
    at = 0
    for sentence in sentences:
        spoken = speak(sentence, voice, folder)
        parts += [pause, spoken]
        places.append((at + len(pause), len(spoken)))
        at += len(pause) + len(spoken)
    return Speech(np.concatenate(parts), tuple(places))


def speak(text: str, voice: str, folder: Path) -> Sound:
    """A text, said by espeak-ng: 48 kHz mono."""
    path = folder / f"{voice}.wav"
    subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", str(path), text], check=True)
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    resampled = scipy.signal.resample_poly(samples.astype(np.float64), RATE, rate)
    peak: float = np.max(np.abs(resampled))
    return (resampled * (12_000 / peak)).astype(np.int16)


def intelligibility(said: Speech, heard: Sound) -> float:
    """STOI of what was heard against what was said, 0 to 1: the median of the sentences.

    The median, for a machine that is held up for a moment spoils a sentence, while a fault of ours spoils them all.
    Each is aligned by itself, for the delay may change in the pauses between them; inside of a sentence a change counts
    as the damage that it is.
    """
    spread = RATE // 2
    first_start, first_length = said.places[0]
    offset = find(said.samples[first_start : first_start + first_length], heard) - first_start
    scores: list[float] = []
    for start, length in said.places:
        sentence = said.samples[start : start + length]
        begin = max(0, offset + start - spread)
        around = heard[begin : begin + length + 2 * spread]
        if len(around) < length:
            return 0.0
        at = find(sentence, around)
        score: Any = stoi(sentence.astype(np.float64), around[at : at + length].astype(np.float64), RATE)
        scores.append(float(score))
    return statistics.median(scores)


def find(said: Sound, heard: Sound) -> int:
    """Where in `heard` the speech begins, in samples."""
    matched = scipy.signal.correlate(heard.astype(np.float64), said.astype(np.float64), "valid", "fft")
    return int(np.argmax(np.abs(matched)))
