"""Writing WAV: 48 kHz, mono, 16 bits; the header is right after each write, however the process ends."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from typing import Final

from .blocks import RATE, Samples

_HEADER: Final = struct.Struct("<4sI4s4sIHHIIHH4sI")


class WavFile:
    """One file. After an error it is whole up to the write before."""

    def __init__(self, path: Path, mode: str = "wb") -> None:
        """Begin it; `mode` is open's.

        Raises:
            OSError: it cannot be written.
        """
        self._size = 0  # bytes of samples
        self._file = open(path, mode, buffering=0)  # noqa: SIM115 - close closes it
        try:
            self._write(0, _header(0))
        except OSError:
            self._file.close()
            raise

    def write(self, samples: Samples) -> None:
        """Append samples.

        Raises:
            OSError: the disk is full.
        """
        data = samples.astype("<i2").tobytes()
        self._write(_HEADER.size + self._size, data)
        self._size += len(data)
        self._write(0, _header(self._size))

    def skip(self, count: int) -> None:
        """Append so many samples of silence; they are there when more is written, and take no room on most disks."""
        self._size += 2 * count

    def close(self) -> None:
        """Finish it.

        Raises:
            OSError: the disk is full.
        """
        with self._file:
            self._file.truncate(_HEADER.size + self._size)
            self._write(0, _header(self._size))

    def abandon(self) -> None:
        """Finish it as it is."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        while data:
            data = data[self._file.write(data) :]


def _header(size: int) -> bytes:
    """The 44 bytes before `size` bytes of samples; of more than 4 GiB (12 hours) a reader sees the first."""
    size = min(size, 0xFFFFFFFF - 36)
    return _HEADER.pack(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", size)
