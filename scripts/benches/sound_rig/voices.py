"""Who speaks: voices and sentences, some to choose parameters by (tuning) and others to report figures of."""

from __future__ import annotations

import itertools
import random
import subprocess
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import scipy.signal
from attrs import frozen

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE: Final = 48_000
PEAK: Final = 12_000  # of 32,767: speech of about -26 dBFS, as into a well set microphone
LEAST: Final = 2.4  # s of an utterance: PESQ wants some
BOOK: Final = Path("/usr/share/pocketsphinx/test/data/librivox")  # a person who reads: pocketsphinx-testdata, BSD


@frozen
class Split:
    """Speakers, what they say, and the seed of a first round. `book` is of a person, the others are synthetic.

    A speaker is `espeak VOICE` (formants) or `flite VOICE` (modelled on a person's recordings).
    """

    speakers: tuple[str, ...]
    sentences: tuple[str, ...]
    book: tuple[str, ...]
    seed: int


REPORT: Final = Split(
    speakers=("flite slt", "espeak en-gb+m1", "flite awb", "espeak en-us+f3", "espeak en-gb-scotland+m7"),
    sentences=(
        "A traveller came along the road, wrapped in a warm cloak.",
        "The harbour lights went out, one after the other, before dawn.",
        "She keeps her grandfather's watch in a small wooden box.",
        "Five wizards box quickly while the kettle boils on the stove.",
        "Nobody had told the new neighbours about the narrow bridge.",
        "We shall need fresh bread, some cheese and a sharp knife.",
        "The last train to the coast leaves at a quarter past nine.",
    ),
    book=("0890", "0930"),
    seed=1,
)
TUNE: Final = Split(
    speakers=("flite rms", "espeak en-us+m3", "flite kal16", "espeak en-gb+f2", "espeak en-us+f5"),
    sentences=(
        "The north wind and the sun were disputing which was the stronger.",
        "Bring a dozen jugs of water to the barn before it gets dark.",
        "Her brother repairs old clocks in a workshop behind the mill.",
        "They agreed to meet again beneath the chestnut tree on Sunday.",
        "A quick brown fox jumps over the lazy dog this evening.",
        "Put the heavy parcels on the shelf and close the cellar door.",
        "It rained for a week, and then the valley turned green.",
    ),
    book=("0880", "0920"),
    seed=1001,
)


def utterances(split: Split, count: int, seed: int, folder: Path) -> list[NDArray[np.int16]]:
    """So many utterances, each by another voice than the one before: 48 kHz mono. A person's is always among them."""
    order = random.Random(seed)
    speakers, sentences = list(split.speakers), list(split.sentences)
    order.shuffle(speakers)
    order.shuffle(sentences)
    said = itertools.cycle(sentences)
    spoken = [_speak(speaker, said, folder) for speaker in itertools.islice(itertools.cycle(speakers), count)]
    if spoken and BOOK.exists():
        chapter = order.choice(split.book)
        spoken[order.randrange(count)] = _load(BOOK / f"sense_and_sensibility_01_austen_64kb-{chapter}.wav")
    return spoken


def save(samples: NDArray[np.int16], path: Path) -> None:
    """Write a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.astype("<i2").tobytes())


def _speak(speaker: str, sentences: itertools.cycle[str], folder: Path) -> NDArray[np.int16]:
    """One sentence, or as many as make it long enough."""
    parts: list[NDArray[np.int16]] = []
    while sum(map(len, parts)) < LEAST * RATE:
        engine, voice = speaker.split()
        path, text = folder / f"{voice}.wav", next(sentences)
        if engine == "flite":
            line = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
        else:
            line = ["espeak-ng", "-v", voice, "-s", "160", "-w", str(path), text]
        subprocess.run(line, check=True)
        parts.append(_load(path))
    return np.concatenate(parts)


def _load(path: Path) -> NDArray[np.int16]:
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), np.int16)
    resampled = scipy.signal.resample_poly(samples.astype(np.float64), RATE, rate)
    return (resampled * (PEAK / np.abs(resampled).max())).astype(np.int16)
