"""What the others say, for programs that listen."""

from __future__ import annotations

from typing import Final
from weakref import WeakSet

from attrs import define, field, frozen

from palaver_protocol.models import UserId

from .feed import Feed

MAX_HEARD: Final = 1_000  # blocks of 20 ms that wait for a slow listener


@frozen
class Heard:
    """A block of somebody's sound: 48 kHz mono, signed 16-bit little-endian samples.

    In a big room it is that of `speaker-1`, `speaker-2`, ..., each of which carries now one person, now another.
    """

    user_id: UserId
    samples: bytes


@define(eq=False)
class Ears:
    """Those who listen to a call. Whoever listens no more is forgotten."""

    _ears: WeakSet[Feed[Heard]] = field(factory=WeakSet[Feed[Heard]])
    _is_closed: bool = False

    def add(self) -> Feed[Heard]:
        """One more; of what he has not taken yet the oldest is dropped after some seconds."""
        ear = Feed[Heard](MAX_HEARD)
        self._ears.add(ear)
        if self._is_closed:
            ear.close()
        return ear

    def put(self, heard: Heard) -> None:
        """Let all hear it."""
        for ear in self._ears:
            ear.put(heard)

    def close(self) -> None:
        """Nothing more comes."""
        self._is_closed = True
        for ear in self._ears:
            ear.close()
