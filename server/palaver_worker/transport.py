"""What a path to somebody carries: producers that come from there, consumers that go there, RTCP about both."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from palaver_media.rtp import peek_ssrc
from palaver_media.srtp import SENT_WINDOW, Session, SrtpError

from . import feedback
from .contexts import Contexts
from .rate import Rate
from .sockaddr import Sockaddr
from .statistics import Traffic

if TYPE_CHECKING:
    from .consumer import Consumer
    from .producer import Producer, Taker
    from .sfu import Sfu


class Transport:
    """A path with its tables; how it gets its keys and its destination is its kind's affair."""

    def __init__(self, sfu: Sfu, id: str, router: str = "", seat: str = "") -> None:
        self.id, self.router, self.seat = id, router, seat
        self.is_connected = False
        self.connected = 0.0  # when it was
        self.inbound: Session | None = None
        self.outbound: Session | None = None
        self.destination: Sockaddr | None = None
        self.round_trip: float | None = None  # s, as the last report from there shows it
        self.received, self.sent = Traffic(), Traffic()  # of tracks that are gone
        self.producers: dict[int, Producer] = {}
        self._takers: dict[int, Taker] = {}  # by SSRC
        self.consumers: dict[int, Consumer] = {}
        self.due = 0  # the round of `Reports` in which it is to be told of the clocks of what goes there; 0: the next
        self.highest_ssrc = -1  # that ever went there
        self.port = sfu.port
        self.path = sfu.port.fanout.path()
        self.client = sfu.port.fanout.client()
        self._sfu = sfu
        self._contexts = Contexts()
        self._rtp_rate = self._rtcp_rate = Rate(math.inf)  # of what the core leaves to us

    def begin(self, inbound: Session, outbound: Session) -> None:
        """There are keys: media can pass."""
        self._set_keys(inbound, outbound)
        self.connected = self.port.now()
        self._sfu.rtcp_reports.add(self)
        for consumer in self.consumers.values():
            self._widen(consumer)
            consumer.ask_keyframe()

    def close(self) -> None:
        """Carry nothing more."""
        self._set_keys(None, None)
        self._sfu.rtcp_reports.remove(self)

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there from now on."""
        self.destination = destination
        self.path.set_destination(destination)

    def add_producer(self, producer: Producer) -> None:
        """A track comes from there."""
        self.producers[producer.ssrc] = producer
        self._takers.update(producer.takers)
        self._contexts.open(producer.ssrcs)

    def remove_producer(self, producer: Producer) -> None:
        """It comes no more."""
        del self.producers[producer.ssrc]
        for ssrc in producer.takers:
            del self._takers[ssrc]
        for ssrc in self._contexts.close(producer.ssrcs):
            if self.inbound is not None:
                self.inbound.forget(ssrc)

    def add_consumer(self, consumer: Consumer) -> None:
        """A track goes there."""
        self.consumers[consumer.ssrc] = consumer
        self._widen(consumer)

    def remove_consumer(self, consumer: Consumer) -> None:
        """It goes there no more."""
        del self.consumers[consumer.ssrc]
        self.sent.add(consumer.leg.packets, consumer.leg.octets)
        if self.outbound is not None:
            self.outbound.forget(consumer.ssrc)
            if consumer.retransmissions is not None:
                self.outbound.forget(consumer.retransmissions.ssrc)

    def keeps(self, address: Sockaddr, since: float, now: float) -> bool:
        """Whether an address where we hear this one stays his, though somebody else comes from there, too, `since`."""
        return True

    def take_dtls(self, data: bytes) -> None:
        """A DTLS datagram from there.

        Raises:
            ValueError: none is expected.
        """
        raise ValueError("no handshake here")

    def take_rtp(self, pointer: Any, view: memoryview, size: int, now: float) -> None:
        """An SRTP packet from there that the core left in its slot; strange SSRCs cost nothing but a look.

        Raises:
            ValueError: no producer sends this, or it is broken.
            SrtpError: it is forged or replayed.
        """
        keys, take = self.inbound, self._takers.get(peek_ssrc(view))
        if keys is None or take is None:
            raise ValueError("no producer of this SSRC")
        size = keys.unprotect_in_place(pointer, size)
        if self._rtp_rate.admits(now, size):  # asked after unprotecting, or strangers could use his share up
            take(view[:size], now)
        else:
            self.port.dropped["excess"] += 1

    def take_rtcp(self, data: bytes, now: float) -> None:
        """An SRTCP compound from there.

        Raises:
            ValueError: it is broken, or there are no keys yet.
            SrtpError: it is forged or replayed.
        """
        if self.inbound is None:
            raise ValueError("no keys")
        reporter = int.from_bytes(data[4:8], "big")
        if not self._contexts.admits(reporter):
            raise ValueError("too many SSRCs")
        compound = self.inbound.unprotect_rtcp(data)
        self._contexts.note(reporter)
        if self._rtcp_rate.admits(now, len(compound)):
            feedback.take(self, compound, now)
        else:
            self.port.dropped["excess"] += 1

    def send(self, datagram: bytes) -> None:
        """Send a datagram there as it is, if it is known where."""
        if self.destination is not None:
            self.port.send(datagram, self.destination)

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send an RTCP compound. One that cannot be protected is not sent."""
        try:
            if self.outbound is not None:
                self.send(self.outbound.protect_rtcp(compound))
        except SrtpError:
            self.port.dropped["unprotected"] += 1

    def _widen(self, consumer: Consumer) -> None:
        """Let SRTP send again all that is kept for it."""
        if self.outbound is not None and consumer.producer.reach > SENT_WINDOW:
            self.outbound.widen(consumer.ssrc)

    def _set_keys(self, inbound: Session | None, outbound: Session | None) -> None:
        self.inbound, self.outbound, self.is_connected = inbound, outbound, outbound is not None
        self.path.set_keys(outbound)
        self.client.set_keys(inbound)
        for consumer in self.consumers.values():
            consumer.producer.regroup()
