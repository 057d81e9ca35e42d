"""An RTP packet on its way through the worker: read once, with the router's numbers, written anew for each listener."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final, TypeAlias

from palaver_media.rtp import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    MID,
    walk_extensions,
    write_send_time,
)

RTP_HEADER: Final = 12  # bytes
SEND_TIME_SIZE: Final = 3  # bytes
MARKER: Final = 0x80  # in the second byte, beside the payload type
_HEADER: Final = struct.Struct("!BBHII")
Head: TypeAlias = tuple[int, int, int, int, int]  # first byte, second, sequence number, timestamp, SSRC
read_header: Final = _HEADER.unpack_from  # bound once: to look up a Struct's method costs more than many a call of it
write_header: Final = _HEADER.pack
_EXTENSION: Final = struct.Struct("!HH")
_PADDING, _HAS_EXTENSION, _CSRC_COUNT = 0x20, 0x10, 0x0F
LONGEST: Final = 16  # bytes of a value in one-byte form
HEADS: Final = [bytes([head]) for head in range(256)]  # of header extension elements in one-byte form


class Packet:
    """What is the same for all listeners of one packet.

    `first` is the header's first byte without the extension bit, `second` marker and payload type; `sequence` the
    sender's number, `index` the producer's extended one; `elements` are the header extension elements in one-byte form
    under the router's ids, without the mid; `body` is the payload together with the padding, whose length in bytes is
    `padding`; the frame is at `primary` in the body, behind copies of earlier ones (RFC 2198), 0 if it is all of it;
    `level` is the loudness in dBov that the sender tells, if he does.
    """

    __slots__ = (
        "body", "csrcs", "elements", "first", "index", "level", "padding", "primary", "second", "sequence",
        "timestamp",
    )  # fmt: skip

    def __init__(self, data: bytes, ids: Mapping[int, int], now: float) -> None:
        """Read a packet in the clear. `ids` maps the sender's extension ids to the router's; others are cut out.

        Abs-send-time becomes `now` (s), this hop's: the listener's estimate is about the path from here.

        Raises:
            ValueError: it is broken.
        """
        if len(data) < RTP_HEADER:
            raise ValueError("RTP packet is shorter than its header")
        first, second, self.sequence, self.timestamp, _ = read_header(data)
        self.first, self.second = first & ~_HAS_EXTENSION, second
        self.index, self.primary = self.sequence, 0
        self.level: int | None = None
        position = RTP_HEADER + 4 * (first & _CSRC_COUNT)
        self.csrcs = data[RTP_HEADER:position] if first & _CSRC_COUNT else b""
        if first & _HAS_EXTENSION:
            position = self._read_extensions(data, position, ids, now)
        else:
            self.elements = b""
        if len(data) < position:
            raise ValueError("RTP packet is shorter than its header says")
        self.body = data[position:]
        self.padding = 0
        if first & _PADDING:
            self._read_padding()

    @property
    def payload(self) -> bytes:
        """What the codec made; empty in a packet of padding only."""
        return self.body[: len(self.body) - self.padding]

    def _read_padding(self) -> None:
        self.padding = self.body[-1] if self.body else 0
        if not 0 < self.padding <= len(self.body):
            raise ValueError("RTP padding is longer than the packet")

    def _read_extensions(self, data: bytes, position: int, ids: Mapping[int, int], now: float) -> int:
        """Take the elements that the router knows; where the payload begins."""
        start = position + 4
        if len(data) < start:
            raise ValueError("RTP header extension is truncated")
        profile, words = _EXTENSION.unpack_from(data, position)
        end: int = start + 4 * words
        block = data[start:end]
        self.elements = b"".join(
            [
                self._mapped(number, block[begin:stop], now)
                for id, begin, stop in walk_extensions(profile, block)
                if goes_on(number := ids.get(id, MID), stop - begin)
            ]
        )
        return end

    def _mapped(self, number: int, value: bytes, now: float) -> bytes:
        """The element under the router's id."""
        if number == ABS_SEND_TIME:
            value = write_send_time(now)
        elif number == AUDIO_LEVEL:
            self.level = -(value[0] & 0x7F)
        return HEADS[number << 4 | len(value) - 1] + value


def goes_on(number: int, size: int) -> bool:
    """Whether listeners get an element of this router's id, with a value of `size` bytes.

    Each of them has a mid of its own; and a time of sending becomes ours, so it must be as long.
    """
    return number != MID and 0 < size <= LONGEST and (number != ABS_SEND_TIME or size == SEND_TIME_SIZE)
