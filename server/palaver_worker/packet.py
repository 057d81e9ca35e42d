"""An RTP packet on its way through the worker: read once, with the router's numbers, written anew for each listener."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from palaver_media.rtp import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    MID,
    ONE_BYTE,
    TWO_BYTE,
    write_send_time,
)

RTP_HEADER: Final = 12  # bytes
SEND_TIME_SIZE: Final = 3  # bytes
MARKER: Final = 0x80  # in the second byte, beside the payload type
_HEADER: Final = struct.Struct("!BBHI")
_EXTENSION: Final = struct.Struct("!HH")
_PADDING, _HAS_EXTENSION, _CSRC_COUNT = 0x20, 0x10, 0x0F
_RESERVED: Final = 0xF0  # id 15
_ANY_APPLICATION: Final = 0xFFF0  # of the two-byte form's profile
LONGEST: Final = 16  # bytes of a value in one-byte form
HEADS: Final = [bytes([head]) for head in range(256)]  # of header extension elements in one-byte form


class Packet:
    """What is the same for all listeners of one packet.

    `first` is the header's first byte without the extension bit, `second` marker and payload type; `sequence` the
    sender's number, `index` the producer's extended one; `elements` are the header extension elements in one-byte form
    under the router's ids, without the mid; `body` is the payload together with the padding, whose length in bytes is
    `padding`; `level` is the loudness in dBov that the sender tells, if he does.
    """

    __slots__ = (
        "body", "csrcs", "elements", "first", "index", "level", "padding", "second", "sequence", "timestamp",
    )  # fmt: skip

    def __init__(self, data: bytes, ids: Mapping[int, int], now: float) -> None:
        """Read a packet in the clear. `ids` maps the sender's extension ids to the router's; others are cut out.

        Abs-send-time becomes `now` (s), this hop's: the listener's estimate is about the path from here.

        Raises:
            ValueError: it is broken.
        """
        if len(data) < RTP_HEADER:
            raise ValueError("RTP packet is shorter than its header")
        first, second, self.sequence, self.timestamp = _HEADER.unpack_from(data)
        self.first, self.second = first & ~_HAS_EXTENSION, second
        self.index = self.sequence
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
        if profile == ONE_BYTE:
            self.elements = self._map_one_byte(block, ids, now)
        else:
            self.elements = self._map_two_byte(block, ids, now) if profile & _ANY_APPLICATION == TWO_BYTE else b""
        return end

    def _map_two_byte(self, block: bytes, ids: Mapping[int, int], now: float) -> bytes:
        elements = b""
        at, size = 0, len(block)
        while at < size:
            if block[at] == 0:  # padding between elements
                at += 1
                continue
            following = at + 2 + block[at + 1] if at + 1 < size else size + 1
            if following > size:
                raise ValueError("RTP header extension element is truncated")
            value = block[at + 2 : following]
            if 0 < len(value) <= LONGEST:
                elements += self._mapped(ids.get(block[at], MID), value, now)
            at = following
        return elements

    def _map_one_byte(self, block: bytes, ids: Mapping[int, int], now: float) -> bytes:
        """By hand, without a dictionary in between: most of the work on a packet is this."""
        elements = b""
        at, size = 0, len(block)
        while at < size:
            head = block[at]
            if head == 0:  # padding between elements
                at += 1
                continue
            if head >= _RESERVED:  # stop here (RFC 8285, 4.2)
                break
            following = at + 2 + (head & 0x0F)
            if following > size:
                raise ValueError("RTP header extension element is truncated")
            if (number := ids.get(head >> 4, MID)) != MID:
                elements += self._mapped(number, block[at + 1 : following], now)
            at = following
        return elements

    def _mapped(self, number: int, value: bytes, now: float) -> bytes:
        """The element under the router's id; each listener has a mid of its own, so there is none here."""
        if number == MID or (number == ABS_SEND_TIME and len(value) != SEND_TIME_SIZE):
            return b""
        if number == ABS_SEND_TIME:
            value = write_send_time(now)
        elif number == AUDIO_LEVEL:
            self.level = -(value[0] & 0x7F)
        return HEADS[number << 4 | len(value) - 1] + value
