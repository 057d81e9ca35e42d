"""RTCP (RFC 3550, 4585, 5104): compounds split and read one by one, reports and feedback written, reception counted.

aiortc's classes stand for SR, RR, SDES and BYE; feedback, which it leaves half read, has classes of its own here.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

from aiortc import rtp
from aiortc.rtp import (
    RtcpByePacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
)
from attrs import define, field, frozen

MOST_LOST: Final = 256  # numbers that the NACKs of a compound may name: nobody mends more at once, 2 kB can name 8,000
MOST_BITRATE: Final = 1 << 40  # bit/s: nobody's path takes more, and a message must be able to tell it
FEEDBACK_SSRC: Final = 1  # of one who sends no media
NTP_EPOCH: Final = 2_208_988_800  # s from 1900 to 1970
_HEADER: Final = struct.Struct("!BBH")
_NACK_ENTRY: Final = struct.Struct("!HH")
_NACK_HEADER: Final = 12  # bytes
_FIR_ENTRY: Final = struct.Struct("!IB3x")
_CNAME: Final = 1


@frozen
class Nack:
    """The receiver of `ssrc` misses these sequence numbers."""

    ssrc: int
    lost: tuple[int, ...]


@frozen
class KeyframeRequest:
    """The receiver of `ssrc` wants a keyframe (PLI or FIR)."""

    ssrc: int


@frozen
class Remb:
    """The receiver of these SSRCs can take so many bits per second in all."""

    bitrate: int
    ssrcs: tuple[int, ...]


RtcpPacket: TypeAlias = RtcpSrPacket | RtcpRrPacket | RtcpSdesPacket | RtcpByePacket | Nack | KeyframeRequest | Remb


def parse(compound: bytes) -> list[RtcpPacket]:
    """The packets of a compound that we know and can read; the others are skipped one by one.

    Raises:
        ValueError: it is no RTCP at all.
    """
    if len(compound) < _HEADER.size or compound[0] >> 6 != 2:
        raise ValueError("no RTCP packet")
    packets: list[RtcpPacket] = []
    left = MOST_LOST
    for data in _split(compound):
        if data[0] & 0x1F == rtp.RTCP_RTPFB_NACK and data[1] == rtp.RTCP_RTPFB:
            if (nack := _read_nack(data, left)) is not None:
                packets.append(nack)
                left -= len(nack.lost)
            continue
        try:
            for packet in rtp.RtcpPacket.parse(data):
                packets += _read(packet)
        except (ValueError, struct.error, IndexError):
            continue
    return packets


def _split(compound: bytes) -> Iterator[bytes]:
    position = 0
    while position + _HEADER.size <= len(compound):
        _, _, words = _HEADER.unpack_from(compound, position)
        end = position + 4 * (words + 1)
        yield compound[position:end]
        position = end


def _read_nack(data: bytes, most: int) -> Nack | None:
    """A generic NACK (RFC 4585, 6.2.1) with at most so many numbers, the first ones; None if it is broken."""
    if len(data) < _NACK_HEADER or len(data) != 4 * (int.from_bytes(data[2:4], "big") + 1):
        return None
    lost: list[int] = []
    for first, others in _NACK_ENTRY.iter_unpack(data[_NACK_HEADER:]):
        lost.append(first)
        lost += [(first + bit) & 0xFFFF for bit in range(1, 17) if others >> (bit - 1) & 1]
        if len(lost) >= most:
            break
    return Nack(int.from_bytes(data[8:12], "big"), tuple(lost[: max(0, most)]))


def _read(packet: rtp.AnyRtcpPacket) -> list[RtcpPacket]:
    match packet:
        case RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_PLI):
            return [KeyframeRequest(packet.media_ssrc)]
        case RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_FIR):
            return [KeyframeRequest(ssrc) for ssrc, _ in _FIR_ENTRY.iter_unpack(packet.fci)]
        case RtcpPsfbPacket(fmt=rtp.RTCP_PSFB_APP):
            bitrate, ssrcs = rtp.unpack_remb_fci(packet.fci)
            return [Remb(min(bitrate, MOST_BITRATE), tuple(ssrcs))]  # 18 bits, shifted by up to 63
        case RtcpRtpfbPacket() | RtcpPsfbPacket():
            return []
        case _:
            return [packet]


def write_sender_report(ssrc: int, info: RtcpSenderInfo, reports: Iterable[RtcpReceiverInfo] = ()) -> bytes:
    """An SR: how much was sent, and which RTP time belongs to which NTP time."""
    return bytes(RtcpSrPacket(ssrc, info, list(reports)))


def write_receiver_report(ssrc: int, reports: Iterable[RtcpReceiverInfo]) -> bytes:
    """An RR of at most 31 blocks."""
    return bytes(RtcpRrPacket(ssrc, list(reports)))


def write_cname(ssrc: int, cname: str) -> bytes:
    """An SDES with the CNAME, which binds the streams of one person together."""
    return bytes(RtcpSdesPacket([RtcpSourceInfo(ssrc, [(_CNAME, cname.encode()[:255])])]))


def write_nack(sender: int, ssrc: int, lost: Iterable[int]) -> bytes:
    """A request to send these packets of `ssrc` again, by their extended sequence numbers, oldest first."""
    entries: list[tuple[int, int]] = []  # a number, and which of the 16 after it are missing too
    for index in lost:
        if entries and index - entries[-1][0] <= 16:
            first, others = entries[-1]
            entries[-1] = first, others | 1 << (index - first - 1)
        else:
            entries.append((index, 0))
    fci = b"".join(_NACK_ENTRY.pack(first & 0xFFFF, others) for first, others in entries)
    return rtp.pack_rtcp_packet(rtp.RTCP_RTPFB, rtp.RTCP_RTPFB_NACK, struct.pack("!II", sender, ssrc) + fci)


def write_pli(sender: int, ssrc: int) -> bytes:
    """A request for a keyframe of `ssrc`."""
    return bytes(RtcpPsfbPacket(rtp.RTCP_PSFB_PLI, sender, ssrc))


def write_remb(sender: int, bitrate: int, ssrcs: Iterable[int]) -> bytes:
    """The bits per second we can take of these SSRCs together."""
    return bytes(RtcpPsfbPacket(rtp.RTCP_PSFB_APP, sender, 0, rtp.pack_remb_fci(bitrate, list(ssrcs))))


def to_ntp(unix: float) -> int:
    """A time (s since 1970) as a 64-bit NTP timestamp."""
    return int((unix + NTP_EPOCH) * (1 << 32)) & 0xFFFF_FFFF_FFFF_FFFF


def to_short_ntp(ntp: int) -> int:
    """The middle 32 bits of an NTP timestamp, in units of 1/65536 s: what LSR carries."""
    return ntp >> 16 & 0xFFFF_FFFF


def round_trip(report: RtcpReceiverInfo, now: int) -> float | None:
    """The round trip (s) that a report block shows; `now` is the 64-bit NTP time of its arrival.

    None before the peer has had a sender report of ours (RFC 3550, 6.4.1).
    """
    if report.lsr == 0:
        return None
    delay = (to_short_ntp(now) - report.lsr - report.dlsr) & 0xFFFF_FFFF
    return 0.0 if delay > 0x7FFF_FFFF else delay / 65536  # coarse clocks can make it negative


@define(eq=False)
class Reception:
    """What a receiver counts of one SSRC (RFC 3550, A.1, A.3 and A.8). `clock_rate` in Hz, times in s."""

    ssrc: int
    clock_rate: int
    received: int = 0
    highest: int = field(default=-1, init=False)  # extended sequence number: cycles << 16 | sequence
    _first: int = field(default=0, init=False)
    _jitter: float = field(default=0.0, init=False)  # in units of the clock
    transit: float | None = field(default=None, init=False)  # of the last packet: its arrival less its timestamp
    _reported: tuple[int, int] = field(default=(0, 0), init=False)  # expected, received at the last report
    _sender_report: tuple[int, float] | None = field(default=None, init=False)  # short NTP, arrival

    def count(self, sequence: int, timestamp: int, now: float) -> int:
        """Count a packet that arrived at `now`; the answer is its extended sequence number."""
        highest = self.highest
        if highest < 0:
            self._first = self.highest = highest = sequence
        index = highest + ((sequence - highest + 0x8000) & 0xFFFF) - 0x8000  # as `extend` has it
        if index > highest:
            self.highest = index
        elif index < self._first:
            self._first = index
        self.received += 1
        transit = now * self.clock_rate - timestamp
        if self.transit is not None:
            change = (transit - self.transit + 0x8000_0000) % 0x1_0000_0000 - 0x8000_0000
            self._jitter += (abs(change) - self._jitter) / 16
        self.transit = transit
        return index

    def extend(self, sequence: int) -> int:
        """The extended sequence number that is meant: the nearest to the highest one that came."""
        return self.highest + ((sequence - self.highest + 0x8000) & 0xFFFF) - 0x8000

    def set_counts(self, first: int, highest: int, received: int, jitter: float) -> None:
        """Take over what was counted elsewhere; `jitter` in units of the clock."""
        self._first, self.highest, self.received, self._jitter = first, highest, received, jitter

    def take_over(self, other: Reception) -> None:
        """Take over what another one counted."""
        self.set_counts(other._first, other.highest, other.received, other._jitter)

    def note_sender_report(self, ntp: int, now: float) -> None:
        """Remember the sender's last report (its 64-bit NTP time), for LSR and DLSR."""
        self._sender_report = to_short_ntp(ntp), now

    @property
    def jitter(self) -> float:
        """The interarrival jitter in s."""
        return self._jitter / self.clock_rate

    @property
    def expected(self) -> int:
        """How many packets should have come."""
        return self.highest - self._first + 1 if self.received else 0

    def report(self, now: float) -> RtcpReceiverInfo:
        """The report block for what came since the last one."""
        expected, received = self.expected - self._reported[0], self.received - self._reported[1]
        self._reported = self.expected, self.received
        lost = max(0, expected - received)
        lsr, arrival = self._sender_report or (0, now)
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=min(255, 256 * lost // expected) if expected > 0 else 0,
            packets_lost=rtp.clamp_packets_lost(self.expected - self.received),
            highest_sequence=max(0, self.highest) & 0xFFFF_FFFF,
            jitter=int(self._jitter),
            lsr=lsr,
            dlsr=int((now - arrival) * 65536) & 0xFFFF_FFFF,
        )
