"""Opus mono at 48 kHz through libopus itself: error correction, DTX and concealment, which PyAV does not offer.

The library is the one PyAV's wheels carry; else that of opuslib-next-bundled; else the system's.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import enum
import functools
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from attrs import frozen

from .blocks import RATE, Samples

FRAME: Final = 960  # samples of the usual frame: 20 ms
FRAMES: Final = (480, 960, 1920)  # samples that an encoder takes at a time
DTX_SIZE: Final = 2  # bytes: a packet that is not longer says only that silence goes on, and need not be sent
LOOK_AHEAD: Final = 0.0065  # s that an encoder keeps back
LONGEST: Final = 5760  # samples a packet can hold: 120 ms (RFC 6716 section 3.2.5)
REMEDY: Final = "install it: pip install --force-reinstall av, or apt install libopus0, or brew install opus"


class Application(enum.IntEnum):
    """What an encoder is made for, by libopus's numbers: speech through losses, or nearness to the sound."""

    VOIP = 2048
    AUDIO = 2049


# opus_defines.h
_SET_BITRATE: Final = 4002
_SET_COMPLEXITY: Final = 4010
_SET_INBAND_FEC: Final = 4012
_SET_PACKET_LOSS_PERC: Final = 4014
_SET_DTX: Final = 4016
_PACKET: Final = 1275  # bytes, the longest packet of one frame
_OK: Final = 0


class OpusMissing(Exception):
    """There is no libopus on this machine; the text says what would mend it."""


class OpusError(Exception):
    """libopus refuses what it was given: a broken packet."""


@frozen
class Coding:
    """How to encode: `bitrate` in bit/s, `complexity` from 0 to 10.

    `expected_loss` in per cent is what in-band FEC is made for, a poorer copy of each frame in the next packet: under
    10 hardly anything is spent on it, and 0 switches it off.
    """

    bitrate: int = 48_000
    expected_loss: int = 10
    complexity: int = 9
    is_dtx: bool = False


class Encoder:
    """Encodes frames of 10, 20 or 40 ms. Changing `coding` between two frames is not heard."""

    def __init__(self, coding: Coding = Coding(), application: Application = Application.VOIP) -> None:
        """Raises `OpusMissing` where there is no libopus."""
        self._lib = library()
        error = ctypes.c_int()
        self._state = self._lib.opus_encoder_create(RATE, 1, application, ctypes.byref(error))
        _check(error.value)
        self._out = ctypes.create_string_buffer(_PACKET)
        self._set = dict[int, int]()
        self.use(coding)

    def use(self, coding: Coding) -> None:
        """Encode like this from the next frame on."""
        wanted = {
            _SET_BITRATE: coding.bitrate,
            _SET_COMPLEXITY: coding.complexity,
            _SET_INBAND_FEC: int(coding.expected_loss > 0),
            _SET_PACKET_LOSS_PERC: coding.expected_loss,
            _SET_DTX: int(coding.is_dtx),
        }
        for request, value in wanted.items():
            if self._set.get(request) != value:
                _check(self._lib.opus_encoder_ctl(self._state, request, ctypes.c_int(value)))
        self._set = wanted

    def encode(self, samples: Samples) -> bytes:
        """The packet of one frame; `DTX_SIZE` bytes or less where nothing need be sent."""
        assert len(samples) in FRAMES
        samples = np.ascontiguousarray(samples)
        size = self._lib.opus_encode(self._state, samples.ctypes.data, len(samples), self._out, _PACKET)
        return ctypes.string_at(self._out, _check(size))

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
