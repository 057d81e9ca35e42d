"""RTP packets (RFC 3550) with their header extensions (RFC 8285): read and written."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Final

from attrs import define, field

# The router's header extension ids (WIRE, getRouterRtpCapabilities).
MID: Final = 1  # urn:ietf:params:rtp-hdrext:sdes:mid
ABS_SEND_TIME: Final = 4  # http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
AUDIO_LEVEL: Final = 10  # urn:ietf:params:rtp-hdrext:ssrc-audio-level
VIDEO_ORIENTATION: Final = 11  # urn:3gpp:video-orientation

# The router's payload types of voices.
OPUS: Final = 100
RED: Final = 105  # Opus with copies of earlier frames (RFC 2198)

_HEADER: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")
ONE_BYTE: Final = 0xBEDE
_TWO_BYTE: Final = 0x1000  # the low four bits are for applications
_ANY_APPLICATION: Final = 0xFFF0
_RESERVED: Final = 0xF0  # id 15
_VERSION, _PADDING, _HAS_EXTENSION, _CSRC_COUNT = 0x80, 0x20, 0x10, 0x0F
_RTCP_TYPES: Final = range(192, 224)  # RFC 5761, section 4


def is_rtcp(packet: bytes | memoryview) -> bool:
    """Whether a packet on the shared port is RTCP; at least two bytes."""
    return packet[1] in _RTCP_TYPES


def peek_ssrc(packet: bytes | memoryview) -> int:
    """The SSRC of an RTP packet of at least 12 bytes, protected or not."""
    return int.from_bytes(packet[8:12], "big")


@define(eq=False)
class RtpPacket:
    """An RTP packet.

    `timestamp` counts in the codec's clock rate; `extensions` are the values by id; `body` is the payload together
    with the padding, whose length in bytes is `padding` (0 = none).
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    body: bytes
    is_marked: bool = False
    extensions: dict[int, bytes] = field(factory=dict[int, bytes])
    csrcs: bytes = b""
    padding: int = 0

    @property
    def payload(self) -> bytes:
        """What the codec made; empty in a packet of padding only."""
        return self.body[: len(self.body) - self.padding]

    def write(self) -> bytes:
        """The packet's bytes."""
        first = _VERSION | len(self.csrcs) >> 2 | (_PADDING if self.padding else 0)
        second = self.payload_type | (0x80 if self.is_marked else 0)
        block = b""
        if elements := write_extensions(self.extensions):
            first |= _HAS_EXTENSION
            words = (len(elements) + 3) >> 2
            block = _EXTENSION.pack(ONE_BYTE, words) + elements.ljust(words << 2, b"\0")
        header = _HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        return header + self.csrcs + block + self.body


def parse(data: bytes) -> RtpPacket:
    """Read an RTP packet.

    Raises:
        ValueError: it is not one.
    """
    if len(data) < _HEADER.size:
        raise ValueError("RTP packet is shorter than its header")
    first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    if first >> 6 != 2:
        raise ValueError("RTP version is not 2")
    position = _HEADER.size + 4 * (first & _CSRC_COUNT)
    csrcs = data[_HEADER.size : position]
    extensions: dict[int, bytes] = {}
    if first & _HAS_EXTENSION:
        if len(data) < position + 4:
            raise ValueError("RTP header extension is truncated")
        profile, words = _EXTENSION.unpack_from(data, position)
        start, position = position + 4, position + 4 + 4 * words
        extensions = read_extensions(profile, data[start:position])
    if len(data) < position:
        raise ValueError("RTP packet is shorter than its header says")
    padding = data[-1] if first & _PADDING else 0
    if padding > len(data) - position or (first & _PADDING and not padding):
        raise ValueError("RTP padding is longer than the packet")
    is_marked = second > 0x7F
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[position:], is_marked, extensions, csrcs, padding)


def walk_extensions(profile: int, block: bytes) -> Iterator[tuple[int, int, int]]:
    """Each element of a one- or two-byte block: its id, and where its value begins and ends.

    An unknown profile holds none.

    Raises:
        ValueError: an element reaches beyond the block.
    """
    is_short = profile == ONE_BYTE
    at, size = 0, len(block) if is_short or profile & _ANY_APPLICATION == _TWO_BYTE else 0
    while at < size:
        head = block[at]
        if head == 0:  # padding
            at += 1
            continue
        if is_short and head >= _RESERVED:  # stop here (RFC 8285, 4.2)
            return
        start = at + 1 if is_short else at + 2
        end = start + (head & 0x0F) + 1 if is_short else start + int.from_bytes(block[at + 1 : start], "big")
        if end > size:
            raise ValueError("RTP header extension element is truncated")
        yield head >> 4 if is_short else head, start, end
        at = end


def read_extensions(profile: int, block: bytes) -> dict[int, bytes]:
    """The extension elements of a block by id. Raises as `walk_extensions`."""
    return {number: block[start:end] for number, start, end in walk_extensions(profile, block)}


def write_extensions(extensions: Mapping[int, bytes]) -> bytes:
    """One-byte elements, not yet padded; what has no one-byte form (id over 14, 0 or over 16 bytes) is left out."""
    elements = bytearray()
    for number, value in extensions.items():
        if 0 < number < 15 and 0 < len(value) <= 16:
            elements.append(number << 4 | len(value) - 1)
            elements += value
    return bytes(elements)


def write_audio_level(dbov: int, is_voice: bool) -> bytes:
    """The value of an audio level extension (RFC 6464): -127 to 0 dBov and whether it is speech."""
    return bytes([(0x80 if is_voice else 0) | -max(-127, min(0, dbov))])


def write_send_time(seconds: float) -> bytes:
    """The value of an abs-send-time extension: 24 bits, seconds in 6.18 fixed point."""
    return (int(seconds * (1 << 18)) & 0xFFFFFF).to_bytes(3, "big")
