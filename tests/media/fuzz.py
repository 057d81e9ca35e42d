"""For tests: genuine packets of every kind, and seeded mutations of them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from aioice.stun import Class, Message, Method
from aiortc import rtp as aiortc_rtp
from aiortc.rtp import RtcpByePacket, RtcpReceiverInfo, RtcpSenderInfo

from media_peer import audio, video, write_nack
from palaver_media import redundancy, rtcp, stun
from palaver_media.rtp import MID, RtpPacket

BOUNDARIES: Final = (0, 1, 3, 4, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF)

_INFO = RtcpSenderInfo(ntp_timestamp=0x83AA7E8012345678, rtp_timestamp=5, packet_count=6, octet_count=7)
_BLOCK = RtcpReceiverInfo(ssrc=11, fraction_lost=1, packets_lost=-2, highest_sequence=3, jitter=4, lsr=5, dlsr=6)


def _error() -> bytes:
    message = Message(Method.BINDING, Class.ERROR)
    message.attributes["ERROR-CODE"] = 487, "Role Conflict"
    message.attributes["SOFTWARE"] = "somebody's"
    message.add_message_integrity(b"password")
    return bytes(message)


_REQUEST, _ = stun.make_request("ours:theirs", "password", 2**63)
STUN: Final = (
    _REQUEST,
    stun.make_answer(stun.parse(_REQUEST), ("192.0.2.1", 32853), "password"),
    stun.make_answer(stun.parse(_REQUEST), ("2001:db8::1", 65535), "password"),
    bytes(Message(Method.BINDING, Class.INDICATION)),
    _error(),
)
RTP: Final = (
    audio(1, 1).write(),
    video(1, 2, is_keyframe=True).write(),
    RtpPacket(111, 3, 2880, 1, b"", True).write(),
    RtpPacket(111, 4, 3840, 1, b"sound\0\0\3", padding=3, csrcs=bytes(range(60))).write(),
    struct.pack("!BBHIIHH", 0x90, 111, 5, 4800, 1, 0x1000, 2) + bytes([MID, 1, 0x30, 3, 1, 0x85, 9, 0]) + b"sound",
)
REDUNDANT: Final = (  # payloads with copies of earlier frames (RFC 2198), of packets sent at 48,000
    redundancy.write(111, 48_000, b"now", []),
    redundancy.write(111, 48_000, b"now", [(46_080, b"before"), (47_040, b"just")]),
    redundancy.write(111, 48_000, bytes(60), [(48_000 - 960 * back, bytes(back)) for back in range(8, 0, -1)]),
    bytes([0x80 | 111, 0, 4, 0, 0x80 | 111, 0, 0, 1, 111]) + b"cp",  # copies of nothing and of now
)
RTCP: Final = (
    rtcp.write_sender_report(1, _INFO, [_BLOCK]) + rtcp.write_cname(1, "someone"),
    rtcp.write_sender_report(1, RtcpSenderInfo(2**64 - 1, 2**32 - 1, 2**32 - 1, 2**32 - 1)),
    rtcp.write_receiver_report(1, [_BLOCK] * 3),
    rtcp.write_pli(1, 11) + bytes(RtcpByePacket([8])),
    write_nack(11, [65534, 65535, 0, 40]),
    rtcp.write_remb(1, 250_000, [11, 12]),
    aiortc_rtp.pack_rtcp_packet(206, 4, struct.pack("!IIIBxxx", 1, 0, 11, 1)),
    aiortc_rtp.pack_rtcp_packet(205, 15, bytes(20)),
)


class Mutations:
    """Mutants of these packets: the same seed makes the same ones."""

    def __init__(self, seed: int, genuine: Sequence[bytes]) -> None:
        self._random = random.Random(seed)
        self._genuine = genuine
        self._ways: tuple[Callable[[bytearray], None], ...] = (
            self._flip,
            self._set,
            self._set_word,
            self._truncate,
            self._extend,
            self._splice,
            self._cut_out,
            self._repeat,
        )

    def make(self) -> bytes:
        """One mutant."""
        data = bytearray(self._random.choice(self._genuine))
        for _ in range(self._random.randrange(1, 5)):
            self._random.choice(self._ways)(data)
        return bytes(data[:2000])

    def take(self, count: int) -> Iterator[bytes]:
        """So many mutants."""
        for _ in range(count):
            yield self.make()

    def _somewhere(self, data: bytearray) -> int:
        """A position; often one of the first, where the headers are."""
        return self._random.randrange(min(len(data), self._random.choice((4, 24, 2000))) + 1)

    def _flip(self, data: bytearray) -> None:
        if data:
            data[min(self._somewhere(data), len(data) - 1)] ^= 1 << self._random.randrange(8)

    def _set(self, data: bytearray) -> None:
        if data:
            data[min(self._somewhere(data), len(data) - 1)] = self._random.randrange(256)

    def _set_word(self, data: bytearray) -> None:
        """Two bytes where a length may be."""
        at = self._somewhere(data) & ~1
        data[at : at + 2] = self._random.choice(BOUNDARIES).to_bytes(2, "big")

    def _truncate(self, data: bytearray) -> None:
        del data[self._somewhere(data) :]

    def _extend(self, data: bytearray) -> None:
        data += self._random.randbytes(self._random.choice((1, 2, 3, 4, 17, 400)))

    def _splice(self, data: bytearray) -> None:
        other = self._random.choice(self._genuine)
        data[self._somewhere(data) :] = other[self._random.randrange(len(other) + 1) :]

    def _cut_out(self, data: bytearray) -> None:
        at = self._somewhere(data)
        del data[at : at + self._random.randrange(1, 9)]

    def _repeat(self, data: bytearray) -> None:
        at = self._somewhere(data)
        data[at:at] = data[at : at + self._random.choice((1, 4, 40))]
