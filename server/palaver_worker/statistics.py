"""How everything fares: what is counted on the way, and the reports on it, a few of them at a time.

Packets are counted by those who handle them anyway; here is only what nobody else needs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from attrs import define

from palaver_media.rtcp import to_short_ntp
from palaver_media.worker_messages import (
    AddressFamily,
    ConsumerStatistics,
    ProducerStatistics,
    StatisticsTaken,
    TransportStatistics,
)

from .sockaddr import unmapped

if TYPE_CHECKING:
    from aiortc.rtp import RtcpReceiverInfo

    from .client_transport import ClientTransport
    from .consumer import Consumer
    from .producer import Producer
    from .sfu import Sfu

PERIOD: Final = 4.0  # s in which every transport has its turn
FRESH: Final = 3.0  # s that a listener's word on losses is good for; each has one a second
FRESH_BITRATE: Final = 10.0  # s that one on his bandwidth is; who stops telling would hold a sender down for good
PART: Final = 100  # transports and tracks in one report, about 0.5 ms of work: so long may packets wait for it


@define
class Traffic:
    """Packets, and the bytes of their payload."""

    packets: int = 0
    octets: int = 0

    def add(self, packets: int, octets: int) -> None:
        """Count these too."""
        self.packets += packets
        self.octets += octets


class Hearing:
    """How a listener gets a track, by its own receiver reports: the last one, and the round trip (s) it shows."""

    def __init__(self) -> None:
        self.report: RtcpReceiverInfo | None = None
        self.round_trip: float | None = None
        self._taken = 0.0  # when the last one came
        self._bitrate: tuple[int, float] | None = None  # bit/s, and when he told it
        self._sent: tuple[tuple[int, float], ...] = ()  # the last sender reports: short NTP, and when they left

    def note_sender_report(self, ntp: int, now: float) -> None:
        """Remember when a sender report (its 64-bit NTP time) went to the listener.

        The one before it may be the last that the listener had when it reported, so both are kept.
        """
        self._sent = (*self._sent[-1:], (to_short_ntp(ntp), now))

    def take(self, report: RtcpReceiverInfo, now: float) -> float | None:
        """A report block of the listener's, and the round trip if it shows one (RFC 3550, section 6.4.1)."""
        self.report, self._taken = report, now
        for ntp, sent in self._sent:
            if ntp == report.lsr:
                self.round_trip = max(0.0, now - sent - report.dlsr / 65536)  # coarse clocks can make it negative
                return self.round_trip
        return None

    def lately(self, now: float) -> RtcpReceiverInfo | None:
        """The last report, unless it is an old one."""
        return self.report if now - self._taken < FRESH else None

    def take_bitrate(self, bitrate: int, now: float) -> None:
        """What the listener says that it can take (REMB), in bit/s."""
        self._bitrate = bitrate, now

    def bitrate(self, now: float) -> int | None:
        """The last of these words, unless it is an old one."""
        return None if self._bitrate is None or now - self._bitrate[1] >= FRESH_BITRATE else self._bitrate[0]


class Statistics:
    """Reports on all transports of a worker, a part of them at a time and evenly over time."""

    def __init__(self, sfu: Sfu) -> None:
        self._sfu = sfu
        self._alarm = sfu.alarm(self._report)
        self._parts: list[list[ClientTransport]] = []  # that have yet to have their turn
        self._pause = PERIOD

    def start(self) -> None:
        """Report from now on."""
        self._alarm.set(self._sfu.port.now() + self._pause)

    def close(self) -> None:
        """Report no more."""
        self._alarm.set(None)

    def _report(self) -> None:
        now = self._sfu.port.now()
        try:
            self._tell_part(now)
        finally:  # whatever happened there, the next report comes
            self._alarm.set(now + self._pause)

    def _tell_part(self, now: float) -> None:
        if not self._parts:
            self._parts = split(self._sfu.transports.values())
            self._pause = PERIOD / max(1, len(self._parts))
        if self._parts:
            rooms: defaultdict[str, tuple[TransportStatistics, ...]] = defaultdict(tuple)
            for transport in self._parts.pop():
                if transport.id in self._sfu.transports:  # not closed since
                    rooms[transport.router] += (describe(transport, now),)
            if rooms:
                self._sfu.report(StatisticsTaken(rooms))


def split(transports: Iterable[ClientTransport]) -> list[list[ClientTransport]]:
    """The transports in parts of about the same work."""
    parts: list[list[ClientTransport]] = []
    left = 0
    for transport in transports:
        if left <= 0:
            parts.append([])
            left = PART
        parts[-1].append(transport)
        left -= 1 + len(transport.producers) + len(transport.consumers)
    return parts


def describe(transport: ClientTransport, now: float) -> TransportStatistics:
    """A transport's figures at `now`."""
    producers = tuple(describe_producer(each) for each in transport.producers.values())
    consumers = tuple(describe_consumer(each, now) for each in transport.consumers.values())
    received, sent = transport.received, transport.sent
    return TransportStatistics(
        transport_id=transport.id,
        packets_received=received.packets + sum(each.packets_received for each in producers),
        bytes_received=received.octets + sum(each.bytes_received for each in producers),
        packets_sent=sent.packets + sum(each.packets_sent for each in consumers),
        bytes_sent=sent.octets + sum(each.bytes_sent for each in consumers),
        producers=producers,
        consumers=consumers,
        connected_for=round(now - transport.connected, 1) if transport.is_connected else None,
        family=None if transport.destination is None else family_of(unmapped(transport.destination)[0]),
        profile=transport.dtls.profile.decode() or None,
        round_trip=in_ms(transport.round_trip),
    )


def describe_producer(producer: Producer) -> ProducerStatistics:
    """A producer's figures."""
    reception = producer.reception
    return ProducerStatistics(
        producer_id=producer.id,
        kind=producer.media,
        packets_received=reception.received,
        bytes_received=producer.octets,
        packets_lost=max(0, reception.expected - reception.received),
        fraction_lost=0.0 if producer.told is None else share(producer.told),
        jitter=round(reception.jitter * 1000, 1),
        packets_nacked=producer.nacked,
        keyframe_requests=producer.keyframe_requests,
        level=None if producer.level is None else -producer.level,
    )


def describe_consumer(consumer: Consumer, now: float) -> ConsumerStatistics:
    """A consumer's figures."""
    heard = consumer.hearing.report
    return ConsumerStatistics(
        consumer_id=consumer.id,
        producer_id=consumer.producer.id,
        is_paused=consumer.is_paused,
        packets_sent=consumer.leg.packets,
        bytes_sent=consumer.leg.octets,
        packets_resent=consumer.resends,
        packets_lost=None if heard is None else heard.packets_lost,
        fraction_lost=None if heard is None else share(heard),
        jitter=None if heard is None else in_ms(heard.jitter / consumer.producer.clock_rate),
        round_trip=in_ms(consumer.hearing.round_trip),
        bitrate=consumer.hearing.bitrate(now),
    )


def share(report: RtcpReceiverInfo) -> float:
    """The share of packets lost since the report before, 0 to 1."""
    return round(report.fraction_lost / 256, 3)


def in_ms(seconds: float | None) -> float | None:
    """Seconds in ms."""
    return None if seconds is None else round(seconds * 1000, 1)


def family_of(host: str) -> AddressFamily:
    """What kind of address this is."""
    return AddressFamily.IPV6 if ":" in host else AddressFamily.IPV4
