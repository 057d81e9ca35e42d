"""Plays sounds and listens for them: how long the way from loudspeaker to microphone is, and how loud the echo."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import numpy as np
from attrs import define, field

from palaver_media.engine_messages import EngineReport, Side, SoundProblem, SoundTested, TestSound

from .blocks import BLOCK, RATE, SILENCE, SILENT, Samples, level
from .sound import Sound
from .sources import PcmSource
from .ticker import Ticker

if TYPE_CHECKING:
    from numpy.typing import NDArray

QUIET: Final = 1.0  # s of listening before the first sound, of which the second half counts as noise
GAP: Final = 0.6  # s from one sound to the next, longer than any way from loudspeaker to microphone
CHIRPS: Final = 4
CHIRP: Final = 0.08  # s
BAND: Final = (400.0, 4000.0)  # Hz, which any loudspeaker and microphone have
PEAK: Final = 0.25  # of full scale
CLEAR: Final = 6.0  # times the correlation's usual size: below it nothing was heard
AGREE: Final = 0.005  # s by which the single ways may differ


def chirp() -> Samples:
    """A sound that is easily found again: it rises from one end of the band to the other."""
    time = np.arange(round(CHIRP * RATE)) / RATE
    low, high = BAND
    phase = 2 * np.pi * (low * time + (high - low) * time**2 / (2 * CHIRP))
    samples: Samples = np.round(PEAK * 32_767 * np.sin(phase) * np.hanning(len(time))).astype(np.int16)
    return samples


def program() -> Samples:
    """What is played: quiet, then chirps at even distances, then the time that the last one needs."""
    sound = np.zeros(round((QUIET + GAP * CHIRPS) * RATE) // BLOCK * BLOCK, np.int16)
    for start in starts():
        sound[start : start + len(chirp())] = chirp()
    return sound


def starts() -> list[int]:
    """Where the chirps begin, in samples."""
    return [round((QUIET + GAP * each) * RATE) for each in range(CHIRPS)]


def find(heard: NDArray[np.int16]) -> tuple[float, float] | None:
    """The way (s) and the echo's loudness over what was played (dB), from what the microphone gave meanwhile.

    None: nothing was heard, or not in the same time after each chirp.
    """
    mark = chirp().astype(np.float64)
    ways: list[float] = []
    gains: list[float] = []
    for start in starts():
        part = heard[start : start + round(GAP * RATE)].astype(np.float64)
        if len(part) < len(mark):
            return None
        size = 1 << (len(part) + len(mark) - 1).bit_length()
        spectrum = np.fft.rfft(part, size) * np.conj(np.fft.rfft(mark, size))
        found = np.abs(np.fft.irfft(spectrum, size)[: len(part) - len(mark) + 1])
        at = int(np.argmax(found))
        if found[at] <= CLEAR * float(np.sqrt(np.mean(found**2))):
            return None
        ways.append(at / RATE)
        gains.append(20 * float(np.log10(found[at] / np.dot(mark, mark))))
    way = float(np.median(ways))
    if sum(abs(each - way) > AGREE for each in ways) > 1:
        return None
    return way, float(np.median(gains))


@define(eq=False)
class Loopback:
    """One test. `_talk` and `_hear` belong to sound threads, `run` to the loop."""

    command: TestSound
    ticker: Ticker
    post: Callable[[EngineReport], None]
    control: Callable[[Callable[[], None]], None]
    loop: asyncio.AbstractEventLoop
    _program: Samples = field(factory=program)
    _at: int = 0  # samples played
    _heard: list[Samples] = field(factory=list)
    _problems: dict[Side, SoundProblem] = field(factory=dict)
    _done: asyncio.Event = field(factory=asyncio.Event)

    async def run(self) -> None:
        """Play, listen and tell."""
        sound = Sound(
            self.command.call, PcmSource(), self._talk, self._hear, _forget, self.ticker, self._note, self.loop
        )
        self.control(lambda: sound.use(Side.SOURCE, self.command.source))
        self.control(lambda: sound.use(Side.SINK, self.command.sink))
        try:
            await self._done.wait()
        finally:
            self.control(sound.close)
        self.post(self._result())

    def _talk(self, block: Samples | None) -> None:
        if self._at:  # what is heard is counted from the first block that was played
            self._heard.append(SILENCE if block is None else block)

    def _hear(self) -> tuple[Samples, dict[str, Samples]]:
        block = self._program[self._at : self._at + BLOCK]
        self._at += BLOCK
        if not len(block):
            self.loop.call_soon_threadsafe(self._done.set)
            return SILENCE, {}
        return block, {}

    def _note(self, report: EngineReport) -> None:
        if isinstance(report, SoundProblem):
            self._problems.setdefault(report.side, report)

    def _result(self) -> SoundTested:
        heard = np.concatenate(self._heard) if self._heard else SILENCE
        before = heard[round(QUIET / 2 * RATE) : round(QUIET * RATE)]
        found = None if self._problems else find(heard)
        return SoundTested(
            self.command.call,
            noise_dbfs=round(level(before), 1) if len(before) else SILENT,
            latency_ms=None if found is None else round(found[0] * 1000, 1),
            echo_db=None if found is None else round(found[1], 1),
            problems={side: f"{each.reason}; {each.remedy}" for side, each in self._problems.items()},
        )


def _forget(block: Samples) -> None:
    """Nobody cancels the echo that is looked for."""
