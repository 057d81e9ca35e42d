"""What can be turned in one's own sound."""

from __future__ import annotations

import enum


class Knob(enum.Enum):
    """One thing that can be turned."""

    TRANSMIT = "transmit"
    TALK_KEY = "talk key"
    HEADSET = "headset"
    ECHO = "echo"
    NOISE = "noise"
    GAIN = "gain"
    HIGH_PASS = "high-pass"
    MICROPHONE = "microphone"
    VOLUME = "volume"
    FRAME = "frame"
    BITRATE = "bitrate"
    FORM = "form"
