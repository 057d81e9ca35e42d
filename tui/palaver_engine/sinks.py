"""Where a call can be heard without a device: in a file, by its owner, or nowhere."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from palaver_media.codec import Pcm
from palaver_media.paths import expanded

from .blocks import Samples
from .specs import Kind, SoundError, Spec
from .wav import WavFile

FLUSH: Final = 10  # blocks between two writes to a file: 100 ms
WAITING: Final = 250  # PCM blocks on their way to the owner; more are dropped


class Sink(Protocol):
    """Is given what is heard, each 10 ms, in a sound thread."""

    def write(self, mixed: Samples, voices: Mapping[str, Samples]) -> None:
        """Take a block of all voices together and one of each.

        Raises:
            SoundError: it does not work any more.
        """

    def close(self) -> None:
        """Finish and give back what it holds."""


def open_sink(spec: Spec, call: str, report: Callable[[Pcm], None], loop: asyncio.AbstractEventLoop) -> Sink:
    """The sink of a spec that is no device.

    Raises:
        SoundError: it does not work.
    """
    match spec.kind:
        case Kind.FILE:
            return FileSink(Path(spec.value))
        case Kind.PCM:
            return PcmSink(call, report, loop)
        case Kind.NULL | Kind.DEVICE | Kind.TONE:
            return NullSink()


class NullSink:
    """Is deaf."""

    def write(self, mixed: Samples, voices: Mapping[str, Samples]) -> None:
        """Forget it."""

    def close(self) -> None:
        """Hold nothing."""


class FileSink:
    """A 48 kHz mono 16-bit WAV; its header is right after each write, however the process ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[Samples] = []
        try:
            self._file = WavFile(expanded(path))
        except OSError as why:
            raise _cannot_write(path, why) from why

    def write(self, mixed: Samples, voices: Mapping[str, Samples]) -> None:
        """Append a block."""
        self._held.append(mixed)
        if len(self._held) >= FLUSH:
            self._flush()

    def close(self) -> None:
        """Append what is left and close the file."""
        try:
            self._flush()
        except SoundError:  # it was told when it happened first
            self._file.abandon()
        else:
            with contextlib.suppress(OSError):
                self._file.close()

    def _flush(self) -> None:
        held, self._held = self._held, []
        if not held:
            return
        try:
            self._file.write(np.concatenate(held))
        except OSError as why:
            raise _cannot_write(self._path, why) from why


class PcmSink:
    """Sends each voice to the call's owner in blocks of 20 ms."""

    def __init__(self, call: str, report: Callable[[Pcm], None], loop: asyncio.AbstractEventLoop) -> None:
        self._call = call
        self._report = report
        self._loop = loop
        self._halves: dict[str, Samples] = {}
        self._waiting = 0

    def write(self, mixed: Samples, voices: Mapping[str, Samples]) -> None:
        """Send what makes 20 ms."""
        halves, self._halves = self._halves, {}
        for consumer, block in voices.items():
            if consumer not in halves:
                self._halves[consumer] = block
            elif self._waiting < WAITING:
                self._waiting += 1
                samples = np.concatenate((halves[consumer], block)).astype("<i2").tobytes()
                self._loop.call_soon_threadsafe(self._send, Pcm(self._call, consumer, samples))

    def close(self) -> None:
        """Hold nothing."""

    def _send(self, pcm: Pcm) -> None:
        self._waiting -= 1
        self._report(pcm)


def _cannot_write(path: Path, why: OSError) -> SoundError:
    return SoundError(f"{path}: {(why.strerror or str(why)).lower()}", "give a file in a folder where you may write")
