"""WebRTC's audio processing, from whichever library has it: echo cancellation, noise suppression, high-pass and gain.

`Cleaner` takes away what does not belong to the voice and is one object, since the steps share the division into bands:
apart they cost half as much again and a quarter of a PESQ point. `Leveller` evens out the loudness, adds no delay, and
tells how likely it is that somebody speaks.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any, Final, Protocol

import numpy as np
from attrs import frozen

from .blocks import RATE, Samples

NOISE_LEVEL: Final = 1  # of 0 to 3: 12 dB
MOST_GAIN: Final = 6.0  # dB: the library's 50 lifts any speech by 12 dB and its noise with it
REMEDY: Final = "install it: pip install pywebrtc-audio (or livekit)"


@frozen
class Cleaning:
    """What a cleaner does; the high-pass goes with echo cancellation in any case."""

    echo: bool
    noise: bool
    high_pass: bool


class Cleaner(Protocol):
    """Belongs to one thread."""

    def process(self, near: Samples, far: Samples) -> Samples:
        """The microphone's block without what the loudspeaker's block, and others before it, have left in it."""
        ...


class Leveller(Protocol):
    """Belongs to one thread."""

    def process(self, block: Samples) -> tuple[Samples, float | None]:
        """A block at its new loudness, and how likely it is speech (0 to 1; None: the library does not say)."""
        ...


class Library(Protocol):
    """Makes both."""

    name: str

    def cleaner(self, cleaning: Cleaning) -> Cleaner:
        """A cleaner that has learnt nothing yet; making it takes some ms."""
        ...

    def leveller(self) -> Leveller:
        """A leveller that has learnt nothing yet."""
        ...


class ProcessingMissing(Exception):
    """No library with WebRTC's audio processing is installed; `REMEDY` says what would mend it."""


@functools.cache
def library() -> Library:
    """What is installed; `pywebrtc-audio` before `livekit`.

    Raises:
        ProcessingMissing: neither is.
    """
    for kind in (PyWebRtc, LiveKit):
        try:
            return kind()
        except (ImportError, OSError):  # not there, or not for this machine
            continue
    raise ProcessingMissing("echo, noise and loudness are left as they are: pywebrtc-audio is not installed")


class PyWebRtc:
    """`pywebrtc-audio`: small, and nothing but this."""

    name = "pywebrtc-audio"

    def __init__(self) -> None:
        """Load it, not before it is wanted.

        Raises:
            ImportError: it is not installed.
        """
        import pywebrtc_audio

        self._module = pywebrtc_audio

    def cleaner(self, cleaning: Cleaning) -> Cleaner:
        """See `Library`."""
        return self._module.AudioProcessor(
            sample_rate=RATE,
            echo_cancellation=cleaning.echo,
            noise_suppression=cleaning.noise,
            high_pass_filter=cleaning.high_pass,
            ns_level=NOISE_LEVEL,
        )

    def leveller(self) -> Leveller:
        """See `Library`."""
        return _Agc2(self._module.GainController(sample_rate=RATE, max_gain_db=MOST_GAIN))


class _GainController(Protocol):
    speech_probability: float

    def process(self, audio: Samples) -> Samples: ...


@frozen(eq=False)
class _Agc2:
    _gain: _GainController

    def process(self, block: Samples) -> tuple[Samples, float]:
        out = self._gain.process(block)
        return out, self._gain.speech_probability


class LiveKit:
    """`livekit`'s audio processing module; its strengths cannot be chosen."""

    name = "livekit"

    def __init__(self) -> None:
        """Load it, not before it is wanted.

        Raises:
            ImportError: it is not installed.
        """
        self._module: Any = importlib.import_module("livekit.rtc.apm").AudioProcessingModule
        self._frame: Any = importlib.import_module("livekit.rtc.audio_frame").AudioFrame

    def cleaner(self, cleaning: Cleaning) -> Cleaner:
        """See `Library`."""
        module = self._module(
            echo_cancellation=cleaning.echo,
            noise_suppression=cleaning.noise,
            high_pass_filter=cleaning.high_pass,
        )
        return _Apm(module, self._frame, has_far_end=cleaning.echo)

    def leveller(self) -> Leveller:
        """See `Library`."""
        return _ApmLeveller(_Apm(self._module(auto_gain_control=True), self._frame, False))


class _Apm:
    def __init__(self, module: Any, frame: Any, has_far_end: bool) -> None:
        self._module = module
        self._frame = frame
        self._has_far_end = has_far_end

    def process(self, near: Samples, far: Samples) -> Samples:
        if self._has_far_end:
            self._module.process_reverse_stream(self._frame(bytearray(far.tobytes()), RATE, 1, len(far)))
            self._module.set_stream_delay_ms(0)
        data = bytearray(near.tobytes())
        self._module.process_stream(self._frame(data, RATE, 1, len(near)))
        return np.frombuffer(data, np.int16)


@frozen(eq=False)
class _ApmLeveller:
    _apm: _Apm

    def process(self, block: Samples) -> tuple[Samples, None]:
        return self._apm.process(block, block), None
