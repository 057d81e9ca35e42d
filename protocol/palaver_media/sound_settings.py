"""How a call's sound is treated: what a person can change while he talks. Volumes in dB, 0 leaves all as it is."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any, Final

from attrs import field, frozen, validators

MICROPHONE_DB: Final = (-20.0, 20.0)
VOLUME_DB: Final = (-40.0, 12.0)
BITRATES: Final = (16_000, 64_000)  # bit/s
FRAMES: Final = (10, 20, 40)  # ms


def _between(least: float, most: float) -> Callable[[Any, Any, float], Any]:
    return validators.and_(validators.ge(least), validators.le(most))


class Transmit(enum.Enum):
    """When the microphone is sent: always, while somebody speaks into it, or while a key is held."""

    OPEN = "open"
    VOICE = "voice"
    PUSH = "push"


@frozen
class Capture:
    """What happens to the microphone's sound before it is sent.

    `echo`, `noise`, `gain` and `high_pass` switch WebRTC's processing; `microphone_db` is the manual gain beside the
    automatic one.
    """

    echo: bool = True
    noise: bool = True
    gain: bool = True
    high_pass: bool = True
    microphone_db: float = field(default=0.0, validator=_between(*MICROPHONE_DB))
    transmit: Transmit = Transmit.OPEN


@frozen
class Encoding:
    """How Opus encodes: the highest bitrate (bit/s), and the length of a frame (ms)."""

    bitrate: int = field(default=48_000, validator=_between(*BITRATES))
    frame_ms: int = field(default=20, validator=validators.in_(FRAMES))


@frozen
class Volume:
    """How loud all voices together are heard; who is deaf hears nothing."""

    volume_db: float = field(default=0.0, validator=_between(*VOLUME_DB))
    is_deaf: bool = False


@frozen
class PersonVolume:
    """How one voice is heard here. While one with priority talks, the others are quieter."""

    volume_db: float = field(default=0.0, validator=_between(*VOLUME_DB))
    is_muted: bool = False
    is_priority: bool = False


class RecordingForm(enum.Enum):
    """The files of a recording: Opus in Ogg, or samples."""

    OGG = "ogg"
    WAV = "wav"
