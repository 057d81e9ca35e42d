"""Writing Opus in Ogg (RFC 7845): mono, a page each second, so that a killed process leaves all but the last one."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from .blocks import RATE, Samples

FRAME: Final = 960  # samples
BITRATE: Final = 48_000  # bit/s
_OPTIONS: Final = {"application": "audio", "compression_level": "5"}  # 9 costs two thirds more and adds little here
_PAGES: Final = {"page_duration": "1000000", "flush_packets": "1"}  # us
_LOOK_AHEAD: Final = 312  # samples the encoder lags: the pre-skip that it writes
_SILENCE: Final = b"\xf8\xff\xfe"  # a frame of CELT, mono, that holds nothing (RFC 6716 sections 3.1 and 4.3)
_FRAMES: Final = 6  # in the longest packet
_LONG_SILENCE: Final = bytes((0xFB, _FRAMES)) + _FRAMES * b"\xff\xfe"  # so many in one packet (section 3.2.5)
_SETTLING: Final = 3  # frames of silence that the encoder itself makes, before a sound and after it
_TIME: Final = Fraction(1, RATE)


class OggFile:
    """One file. After an error it is whole up to the page before."""

    def __init__(self, path: Path, mode: str = "wb") -> None:
        """Begin it; `mode` is open's.

        Raises:
            OSError: it cannot be written.
        """
        self._pages = _Pages(path, mode)
        self._container = av.open(self._pages, "w", format="ogg", options=_PAGES)
        self._stream = self._container.add_stream("libopus", rate=RATE, layout="mono", options=_OPTIONS)
        self._stream.bit_rate = BITRATE
        self._at = 0  # samples
        self._unwritten = 0  # frames of silence
        self._settling = 0  # frames of silence that the encoder has still to make

    def write(self, samples: Samples) -> None:
        """Append samples, a multiple of `FRAME`.

        Raises:
            OSError: the disk is full.
        """
        self._catch_up(settling=_SETTLING)
        self._encode(samples)
        self._settling = _SETTLING
        self._check()

    def skip(self, count: int) -> None:
        """Append so many samples of silence, a multiple of `FRAME`; they are there when more is written."""
        self._unwritten += count // FRAME

    def close(self) -> None:
        """Finish it.

        Raises:
            OSError: the disk is full.
        """
        self._catch_up(settling=1)
        rest = self._stream.encode(None)  # what the encoder lags
        self._mux(rest[0] if rest else av.Packet(_SILENCE), _LOOK_AHEAD)
        self.abandon()
        self._check()

    def abandon(self) -> None:
        """Finish it as it is."""
        self._container.close()
        self._pages.close()

    def _catch_up(self, settling: int) -> None:
        """Write the silence: nearly all of it costs the encoder nothing."""
        after = min(self._settling, self._unwritten)
        before = min(settling, self._unwritten - after)
        self._encode(np.zeros(after * FRAME, np.int16))
        many, few = divmod(self._unwritten - after - before, _FRAMES)
        for _ in range(many):
            self._mux(av.Packet(_LONG_SILENCE), _FRAMES * FRAME)
        for _ in range(few):
            self._mux(av.Packet(_SILENCE), FRAME)
        self._encode(np.zeros(before * FRAME, np.int16))
        self._unwritten = self._settling = 0

    def _encode(self, samples: Samples) -> None:
        for at in range(0, len(samples), FRAME):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + FRAME], format="s16", layout="mono")
            frame.rate = RATE
            frame.pts = self._at
            for packet in self._stream.encode(frame):
                self._mux(packet, FRAME)

    def _mux(self, packet: av.Packet[Any], size: int) -> None:
        """Append a packet where we are; the encoder counts otherwise when it has not seen all the silence."""
        packet.stream = self._stream
        packet.time_base = _TIME
        packet.pts = packet.dts = self._at - _LOOK_AHEAD
        packet.duration = size
        self._container.mux(packet)
        self._at += size

    def _check(self) -> None:
        if self._pages.problem is not None:
            raise self._pages.problem


class _Pages:
    """A file that is written whole page by whole page; the muxer need not know what fails here."""

    def __init__(self, path: Path, mode: str) -> None:
        self._file = open(path, mode, buffering=0)  # noqa: SIM115 - close closes it
        self._size = 0
        self.problem: OSError | None = None

    def write(self, data: bytes) -> int:
        """Append pages; after the first that fails nothing more."""
        if self.problem is None:
            try:
                self._append(data)
            except OSError as why:
                self.problem = why
                with contextlib.suppress(OSError):
                    self._file.truncate(self._size)
        return len(data)

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _append(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._size += len(data)
