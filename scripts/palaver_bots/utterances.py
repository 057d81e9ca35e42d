"""Cuts a voice into what is said between two pauses."""

from __future__ import annotations

import math
from array import array
from collections import deque
from typing import Final

from attrs import define, field

BYTES_PER_SECOND: Final = 96_000  # 48 kHz mono, signed 16-bit
LOUD: Final = -45.0  # dBFS
PAUSE: Final = 0.7  # s of silence that end an utterance
LONGEST: Final = 10.0  # s
ONSET: Final = 0.2  # s before the first loud block that belong to it


@define
class Utterances:
    """The voice of one person."""

    _before: deque[bytes] = field(factory=deque[bytes])
    _said: bytearray = field(factory=bytearray)
    _silence: float = 0.0

    def feed(self, samples: bytes) -> bytes | None:
        """The utterance that ends with these samples, if one does."""
        length = len(samples) / BYTES_PER_SECOND
        is_loud = level(samples) >= LOUD
        if not self._said and not is_loud:
            self._before.append(samples)
            while sum(map(len, self._before)) > ONSET * BYTES_PER_SECOND:
                self._before.popleft()
            return None
        self._said += b"".join(self._before) + samples
        self._before.clear()
        self._silence = 0.0 if is_loud else self._silence + length
        if self._silence < PAUSE and len(self._said) < LONGEST * BYTES_PER_SECOND:
            return None
        said, self._said, self._silence = bytes(self._said), bytearray(), 0.0
        return said


def level(samples: bytes) -> float:
    """How loud they are on average, in dBFS; -100 is silence. `samples` are signed 16-bit, mono."""
    values = array("h", samples)
    power = sum(value * value for value in values) / max(1, len(values))
    return max(-100.0, 10 * math.log10(power / 2**30)) if power else -100.0
