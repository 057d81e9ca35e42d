"""What a call can say without a device: a file, a tone, its owner's samples, or nothing."""

from __future__ import annotations

import stat
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from palaver_media.paths import expanded

from .blocks import BLOCK, RATE, Samples
from .specs import Kind, SoundError, Spec

if TYPE_CHECKING:
    import av.container

PCM_HELD: Final = 60 * RATE  # samples a `pcm` source keeps for later: a minute
TONE_DBFS: Final = -12.0
TONES: Final = (20.0, 20_000.0)  # Hz, from and to
_NOT_READ: Final = "give a WAV file with PCM samples, or FLAC, Ogg or MP3"


class Source(Protocol):
    """Speaks when asked, each 10 ms, in a sound thread."""

    def read(self) -> Samples | None:
        """The next `BLOCK` samples; None: nothing to say now."""

    def close(self) -> None:
        """Give back what it holds."""


def open_source(spec: Spec, pcm: PcmSource) -> Source:
    """The source of a spec that is no device; `pcm` is the call's own.

    Raises:
        SoundError: it does not work.
    """
    match spec.kind:
        case Kind.FILE:
            return FileSource(Path(spec.value))
        case Kind.TONE:
            return ToneSource(spec.value)
        case Kind.PCM:
            return pcm
        case Kind.NULL | Kind.DEVICE:
            return NullSource()


class NullSource:
    """Says nothing."""

    def read(self) -> None:
        """Nothing."""

    def close(self) -> None:
        """Hold nothing."""


class ToneSource:
    """A sine wave of -12 dBFS (root mean square)."""

    def __init__(self, hertz: str) -> None:
        try:
            frequency = float(hertz)
        except ValueError:
            frequency = 0.0
        if not TONES[0] <= frequency <= TONES[1]:
            raise SoundError(f"{hertz!r} is no frequency", f"write tone:HZ with {TONES[0]:g} to {TONES[1]:g}")
        self._peak = 32_768 * 10 ** (TONE_DBFS / 20) * 2**0.5
        self._step = 2 * np.pi * frequency / RATE
        self._phase = 0.0

    def read(self) -> Samples:
        """The next 10 ms of the wave."""
        phases = self._phase + self._step * np.arange(BLOCK)
        self._phase = (self._phase + self._step * BLOCK) % (2 * np.pi)
        samples: Samples = np.round(self._peak * np.sin(phases)).astype(np.int16)
        return samples

    def close(self) -> None:
        """Hold nothing."""


class PcmSource:
    """What the call's owner sends, in its order; a minute of it at most."""

    def __init__(self) -> None:
        self._held: deque[Samples] = deque()
        self._size = 0
        self._lock = threading.Lock()

    def push(self, data: bytes) -> bool:
        """Say these samples (signed 16-bit little-endian) after those before; False if it is too much."""
        samples = np.frombuffer(data[: len(data) & ~1], "<i2").astype(np.int16)
        with self._lock:
            if self._size + len(samples) > PCM_HELD:
                return False
            self._held.append(samples)
            self._size += len(samples)
        return True

    def read(self) -> Samples | None:
        """The next 10 ms, filled up with silence at the end."""
        with self._lock:
            if not self._size:
                return None
            block = np.zeros(BLOCK, np.int16)
            filled = 0
            while filled < BLOCK and self._held:
                samples = self._held.popleft()
                taken = samples[: BLOCK - filled]
                block[filled : filled + len(taken)] = taken
                filled += len(taken)
                if len(taken) < len(samples):
                    self._held.appendleft(samples[len(taken) :])
            self._size -= filled
        return block

    def close(self) -> None:
        """Forget what was not said yet."""
        with self._lock:
            self._held.clear()
            self._size = 0


class FileSource:
    """A sound file of any rate, width and number of channels, as 48 kHz mono; nothing after its end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._container = _open(path)
        self._blocks = _decode(self._container)
        try:
            self._next = self._following()
            if self._next is None:
                raise SoundError(f"{path}: there is no sound in it", _NOT_READ)
        except SoundError:
            self._container.close()
            raise

    def read(self) -> Samples | None:
        """The next 10 ms; a file that is cut off ends there."""
        block = self._next
        if block is not None:
            try:
                self._next = self._following()
            except SoundError:
                self._next = None
        return block

    def close(self) -> None:
        """Close the file."""
        self._next = None
        self._blocks = iter(())
        self._container.close()

    def _following(self) -> Samples | None:
        from av.error import FFmpegError

        try:
            return next(self._blocks, None)
        except (FFmpegError, OSError, ValueError, MemoryError) as why:
            raise _unread(self._path, why) from why


def _open(path: Path) -> av.container.InputContainer:
    """PyAV takes a third of a second to import, and is needed for files alone."""
    import av
    from av.error import FFmpegError

    try:
        written = expanded(path)
        if not stat.S_ISREG(written.stat().st_mode) and not written.is_dir():  # a pipe's opening waits for its writer
            raise SoundError(f"{path}: it is no file", _NOT_READ)
        with written.open("rb") as file:
            return av.open(file.name, mode="r", metadata_errors="ignore")
    except FileNotFoundError:
        raise SoundError(f"{path}: there is no such file", "check the path, or record the file first") from None
    except (PermissionError, IsADirectoryError) as why:
        raise SoundError(f"{path}: {_text(why)}", "give a file that you may read") from why
    except (FFmpegError, OSError, ValueError, MemoryError) as why:
        raise _unread(path, why) from why


def _decode(container: av.container.InputContainer) -> Iterator[Samples]:
    """The file's sound in blocks, the last one filled up with silence."""
    import av

    if not container.streams.audio:
        return
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    held = np.zeros(0, np.int16)
    for frame in container.decode(audio=0):
        frame.pts = None
        pieces = [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        held = np.concatenate([held, *pieces])
        whole = len(held) // BLOCK * BLOCK
        yield from held[:whole].reshape(-1, BLOCK)
        held = held[whole:]
    held = np.concatenate([held, *(piece.to_ndarray()[0] for piece in resampler.resample(None))])
    held = np.concatenate([held, np.zeros(-len(held) % BLOCK, np.int16)])
    yield from held.reshape(-1, BLOCK)


def _unread(path: Path, why: Exception) -> SoundError:
    return SoundError(f"{path}: {_text(why)}", _NOT_READ)


def _text(why: Exception) -> str:
    return (getattr(why, "strerror", None) or str(why) or type(why).__name__).lower()
