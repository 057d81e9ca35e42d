"""Opus mono at 48 kHz through libopus itself: forward error correction and concealment, which PyAV does not offer.

The library is the one PyAV's wheels carry; else that of opuslib-next-bundled; else the system's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np

from .mixer import RATE, Samples

FRAME: Final = 960  # samples an encoder takes at a time: 20 ms
LONGEST: Final = 5760  # samples a packet can hold: 120 ms (RFC 6716 section 3.2.5)
REMEDY: Final = "install it: pip install --force-reinstall av, or apt install libopus0, or brew install opus"

# opus_defines.h
_APPLICATION_VOIP: Final = 2048
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_PACKET: Final = 1275  # bytes, the longest packet of one frame
_OK: Final = 0


class OpusMissing(Exception):
    """There is no libopus on this machine; the text says what would mend it."""


class OpusError(Exception):
    """libopus refuses what it was given: a broken packet."""


class Encoder:
    """Encodes 20 ms blocks for speech, with the previous frame's copy inside each packet (in-band FEC)."""

    def __init__(self, *, bitrate: int = 32_000, expected_loss: int = 10, complexity: int = 9) -> None:
        """`bitrate` in bit/s; `expected_loss` in per cent: under 10 the encoder hardly spends anything on FEC."""
        self._lib = library()
        error = ctypes.c_int()
        self._state = self._lib.opus_encoder_create(RATE, 1, _APPLICATION_VOIP, ctypes.byref(error))
        _check(error.value)
        for request, value in (
            (_SET_BITRATE, bitrate),
            (_SET_COMPLEXITY, complexity),
            (_SET_INBAND_FEC, 1),
            (_SET_PACKET_LOSS_PERC, expected_loss),
        ):
            _check(self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))
        self._out = ctypes.create_string_buffer(_PACKET)

    def encode(self, samples: Samples) -> bytes:
        """The packet of `FRAME` samples."""
        assert samples.shape == (FRAME,)
        samples = np.ascontiguousarray(samples)
        size = self._lib.opus_encode(self._state, samples.ctypes.data, FRAME, self._out, _PACKET)
        return self._out.raw[: _check(size)]

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._lib.opus_encoder_destroy(self._state)


class Decoder:
    """Decodes packets of any duration, one sender's, in their order; stereo comes out as mono."""

    def __init__(self) -> None:
        self._lib = library()
        error = ctypes.c_int()
        self._state = self._lib.opus_decoder_create(RATE, 1, ctypes.byref(error))
        _check(error.value)

    def decode(self, packet: bytes) -> Samples:
        """A packet's samples.

        Raises:
            OpusError: it is broken.
        """
        return self._decode(packet, LONGEST, fec=0)

    def recover(self, packet: bytes, missing: int) -> Samples:
        """The `missing` samples just before a packet, from the copy in it; concealed where it has none.

        Raises:
            OpusError: the packet is broken.
        """
        return self._decode(packet, missing, fec=1)

    def conceal(self, missing: int) -> Samples:
        """A guess at `missing` samples (a multiple of 2.5 ms) that never came."""
        return self._decode(None, missing, fec=0)

    def _decode(self, packet: bytes | None, capacity: int, fec: int) -> Samples:
        out = np.empty(capacity, np.int16)
        size = len(packet) if packet else 0
        count = self._lib.opus_decode(self._state, packet, size, out.ctypes.data, capacity, fec)
        return out[: _check(count)]

    def __del__(self) -> None:
        if hasattr(self, "_state"):
            self._lib.opus_decoder_destroy(self._state)


def duration(packet: bytes) -> int:
    """How many samples a packet holds, 0 if it is broken; nothing is decoded."""
    count: int = library().opus_packet_get_nb_samples(packet, len(packet), RATE)
    return count if 0 < count <= LONGEST else 0


@functools.cache
def library() -> ctypes.CDLL:
    """Libopus, loaded once.

    Raises:
        OpusMissing: it is nowhere to be found.
    """
    for path in _places():
        try:
            return _declare(ctypes.CDLL(str(path)))
        except OSError:
            continue
    raise OpusMissing("there is no libopus on this machine")


def _places() -> Iterator[Path | str]:
    """Where libopus may be, the best place first."""
    for package, folders in (("av", ("../av.libs", ".dylibs")), ("opuslib_next", ("_native",))):
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            continue
        for folder in folders:
            for pattern in ("libopus*.so*", "libopus*.dylib", "*opus*.dll"):
                yield from sorted((Path(spec.origin).parent / folder).glob(pattern))
    found = ctypes.util.find_library("opus")
    if found is not None:
        yield found


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    state, size, bytes_ = ctypes.c_void_p, ctypes.c_int32, ctypes.c_char_p
    lib.opus_encoder_create.restype = state
    lib.opus_encoder_create.argtypes = [size, ctypes.c_int, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    lib.opus_encoder_ctl.argtypes = [state, ctypes.c_int]  # the rest is variadic
    lib.opus_encode.argtypes = [state, ctypes.c_void_p, ctypes.c_int, bytes_, size]
    lib.opus_encode.restype = size
    lib.opus_encoder_destroy.argtypes = [state]
    lib.opus_encoder_destroy.restype = None
    lib.opus_decoder_create.restype = state
    lib.opus_decoder_create.argtypes = [size, ctypes.c_int, ctypes.POINTER(ctypes.c_int)]
    lib.opus_decode.argtypes = [state, bytes_, size, ctypes.c_void_p, ctypes.c_int, ctypes.c_int]
    lib.opus_decoder_destroy.argtypes = [state]
    lib.opus_decoder_destroy.restype = None
    lib.opus_packet_get_nb_samples.argtypes = [bytes_, size, size]
    lib.opus_strerror.argtypes = [ctypes.c_int]
    lib.opus_strerror.restype = bytes_
    return lib


def _check(result: int) -> int:
    if result < _OK:
        raise OpusError(library().opus_strerror(result).decode())
    return result
