"""One voice that is heard: its packets, its playout, and what is told about it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from attrs import define, evolve, field

from palaver_media import redundancy
from palaver_media.engine_messages import ConsumerStats, Receive
from palaver_media.rtcp import Reception
from palaver_media.rtp import RtpPacket

from .blocks import RATE, Meter, Samples
from .frames import Voice
from .playout import Playout
from .tally import Tally

if TYPE_CHECKING:
    from aiortc.rtp import RtcpReceiverInfo

MS: Final = 1000


@define(eq=False)
class Consumer:
    """The receive thread puts, a sound thread pulls, the loop asks."""

    command: Receive
    meter: Meter = field(factory=Meter)
    has_started: bool = False
    _lock: threading.Lock = field(factory=threading.Lock)
    _playout: Playout = field(factory=Playout)
    _reception: Reception = field(init=False)
    _bytes: int = 0
    _told: Tally = field(factory=Tally)
    _told_bytes: int = 0

    def __attrs_post_init__(self) -> None:
        self._reception = Reception(self.command.ssrc, RATE)

    def succeed(self, command: Receive) -> Consumer:
        """The consumer that takes this one's place with another SSRC or transport; what is heard goes on.

        This one is put and pulled no more.
        """
        with self._lock:
            self._playout.expect_another()
            return evolve(self, command=command)

    def put(self, packet: RtpPacket, size: int, now: float) -> None:
        """Take a packet of `size` bytes in all.

        Raises:
            ValueError: it carries something else than was announced.
        """
        voice = self._read(packet)
        with self._lock:
            self._bytes += size
            self._reception.count(packet.sequence, packet.timestamp, now)
            self._playout.put(voice, now)

    def _read(self, packet: RtpPacket) -> Voice:
        opus, timestamp = self.command.payload_type, packet.timestamp
        if packet.payload_type == opus:
            return Voice(packet.sequence, timestamp, packet.payload)
        if not 0 < packet.payload_type == self.command.red_payload_type:
            raise ValueError("another payload type")
        read = redundancy.parse(opus, timestamp, packet.payload)
        return Voice(packet.sequence, timestamp, read.primary, read.copies)

    def note_sender_report(self, ntp: int, now: float) -> None:
        """Remember the 64-bit NTP time of the sender's report."""
        with self._lock:
            self._reception.note_sender_report(ntp, now)

    def pull(self, now: float) -> Samples:
        """The next 10 ms."""
        with self._lock:
            block = self._playout.pull(now)
            self.has_started = self.has_started or self._playout.has_played
        self.meter.add(block)
        return block

    def report(self, now: float) -> RtcpReceiverInfo | None:
        """The report block for the server; None before anything came."""
        with self._lock:
            return self._reception.report(now) if self._reception.received else None

    def stats(self, seconds: float, way: float | None = None) -> ConsumerStats:
        """What happened since the last call, `seconds` ago.

        `way` (s) is what a sound needs from mouth to ear without its frame and its wait here.
        """
        with self._lock:
            tally, size, jitter = self._playout.tally, self._bytes, self._reception.jitter
            here = self._playout.frame / RATE + tally.delay
        was, was_size = self._told, self._told_bytes
        self._told, self._told_bytes = tally, size
        lost, received = tally.lost - was.lost, tally.received - was.received
        return ConsumerStats(
            jitter_ms=round(jitter * MS, 2),
            loss=_share(lost, lost + received),
            concealed=_share(tally.concealed - was.concealed, tally.blocks - was.blocks),
            late=_share(tally.late - was.late, received),
            playout_ms=round(tally.delay * MS, 1),
            in_kbps=round((size - was_size) * 8 / 1000 / seconds, 2),
            mouth_to_ear_ms=None if way is None or not tally.played else round((way + here) * MS, 1),
        )


def _share(part: int, whole: int) -> float:
    """From 0 to 1; stragglers can make a loss of an earlier second negative."""
    return round(min(1.0, max(0.0, part / whole)), 4) if whole > 0 else 0.0
