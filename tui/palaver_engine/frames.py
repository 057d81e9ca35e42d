"""The frames of one voice that have come and were not played yet, by their place in time.

RTP time goes on at 48 kHz (RFC 7587 section 4.1) and is extended beyond its 32 bits here. A frame comes as a packet of
its own, or as a copy in a later packet (RFC 2198); the packet itself is the better of the two.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field, frozen

MOST_HELD: Final = 400  # frames: a second of the shortest
REMEMBERED: Final = 256  # frames whose first arrival is known


@frozen
class Voice:
    """One RTP packet of a voice; `sequence` (16 bits) and `timestamp` (32 bits, 48 kHz) as they are on the wire.

    `copies` are earlier frames that it brings along, each with its own timestamp.
    """

    sequence: int
    timestamp: int
    payload: bytes
    copies: tuple[tuple[int, bytes], ...] = ()


@frozen
class Frame:
    """What is to be decoded at `time` (extended RTP time of its first sample), `size` samples."""

    time: int
    size: int
    arrival: float
    payload: bytes
    is_copy: bool = False


@define
class Frames:
    """Held until they are played."""

    began: int = 0  # extended RTP time of the first packet
    newest: int = 0  # extended RTP time of the newest packet
    newest_arrival: float = 0.0
    _held: dict[int, Frame] = field(factory=dict)
    _seen: dict[int, None] = field(factory=dict)  # in the order of arrival

    def __len__(self) -> int:
        return len(self._held)

    def extend(self, timestamp: int) -> int:
        """The RTP time of a timestamp: the one nearest to the newest."""
        return self.newest + (timestamp - self.newest + 0x80000000 & 0xFFFFFFFF) - 0x80000000

    def is_first(self, time: int) -> bool:
        """Whether this is the first that is heard of the frame at this time."""
        if time in self._seen:
            return False
        self._seen[time] = None
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        return True

    def hold(self, frame: Frame) -> None:
        """Keep a frame; a packet takes the place of a copy, and nothing takes that of a packet."""
        there = self._held.get(frame.time)
        has_room = len(self._held) < MOST_HELD if there is None else there.is_copy and not frame.is_copy
        if has_room:
            self._held[frame.time] = frame

    def first(self) -> Frame | None:
        """The one to be played first."""
        return self._held[min(self._held)] if self._held else None

    def drop(self, frame: Frame) -> None:
        """Hold it no more."""
        self._held.pop(frame.time, None)

    def drop_before(self, end: int) -> None:
        """Hold nothing more that ends at a time or before it."""
        for frame in [frame for frame in self._held.values() if frame.time + frame.size <= end]:
            del self._held[frame.time]

    def clear(self, newest: int) -> None:
        """Another time line."""
        self._held.clear()
        self._seen.clear()
        self.began = self.newest = newest


def has_inband_copy(payload: bytes) -> bool:
    """Whether an Opus packet of one frame carries the frame before it, too (RFC 6716 sections 3.1 and 4.2.3)."""
    if len(payload) < 2 or payload[0] & 0x83:
        return False  # no SILK in it, or more than one frame
    config = payload[0] >> 3
    silk_frames = max(1, config % 4) if config < 12 else 1
    return bool(payload[1] >> (7 - silk_frames) & 1)
