"""One client's path to the worker: ICE, then DTLS, then SRTP for its producers and consumers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from palaver_media.dtls import DtlsSrtp, State
from palaver_media.rtp import peek_ssrc
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import (
    ConnectTransport,
    OpenTransport,
    RestartIce,
    TransportConnected,
    TransportFailed,
)

from . import feedback
from .ice_lite import IceLite
from .sockaddr import Sockaddr

if TYPE_CHECKING:
    from .consumer import Consumer
    from .producer import Producer
    from .sfu import Sfu

CONNECT: Final = 10.0  # s from `ConnectTransport` to keys
CONSENT: Final = 30.0  # s without a check: the client is gone (RFC 7675)
REPORT: Final = 1.0  # s between RTCP reports
MAX_REPORTERS: Final = 64  # SSRCs a client may send RTCP with; libsrtp keeps a context for each


class Transport:
    """A transport from `OpenTransport` to its close or failure.

    The time to connect runs from `ConnectTransport`: a client may well open a transport long before it has anything
    to send. Until then it costs an object, and its owner limits how many.
    """

    def __init__(self, sfu: Sfu, command: OpenTransport) -> None:
        self.id, self.router, self.seat = command.transport, command.router, command.seat
        self.ice = IceLite(command.ufrag, command.password)
        self.dtls = DtlsSrtp(sfu.certificate)
        self.is_connected = False
        self.producers: dict[int, Producer] = {}
        self.consumers: dict[int, Consumer] = {}
        self.spent_ssrcs: set[int] = set()
        self.path = sfu.port.fanout.path()
        self._sfu = sfu
        self.port = sfu.port
        self._command: ConnectTransport | None = None
        self._reporters: set[int] = set()
        self._connecting = sfu.alarm(self._give_up)
        self._retransmission = sfu.alarm(self._retransmit)
        self._consent = sfu.alarm(self._check_consent)
        self._reports = sfu.alarm(self._send_reports)
        self._ufrags: list[str] = []  # by which the port finds us
        self._list_ufrags(self.ice.ufrags)

    def connect(self, command: ConnectTransport) -> None:
        """Begin or await the handshake, now that it is known whom to expect."""
        if self._command is None:
            self._command = command
            self._connecting.set(self.port.now() + CONNECT)
            self._start_dtls()

    def restart_ice(self, command: RestartIce) -> None:
        """Have the client come with new credentials, for its network has changed. Keys and media are not concerned."""
        self.ice.restart(command.ufrag, command.password)
        self._list_ufrags(self.ice.ufrags)

    def close(self) -> None:
        """Say goodbye, and be found no more."""
        self.dtls.close()
        for datagram in self.dtls.take():
            self.send(datagram)
        self._set_connected(False)
        for alarm in (self._connecting, self._retransmission, self._consent, self._reports):
            alarm.set(None)
        self._list_ufrags([])
        self._forget(self.ice.validated)

    # What arrives

    def take_check(self, data: bytes, source: Sockaddr, now: float) -> None:
        """An ICE check for our ufrag.

        Raises:
            ValueError: it is not the client's.
        """
        self.port.send(self.ice.answer(data, source, now), source)
        self.port.by_address[source] = self
        if self.ice.selected is not None:
            self.path.set_destination(self.ice.selected)
        self._forget(self.ice.surplus())
        self._list_ufrags(self.ice.ufrags)
        self._start_dtls()

    def take_dtls(self, data: bytes) -> None:
        """A DTLS datagram from a validated address."""
        self.dtls.receive(data)
        self._follow_dtls()

    def take_rtp(self, pointer: Any, view: memoryview, size: int, now: float) -> None:
        """An SRTP packet from a validated address, in its slot; strange SSRCs cost nothing but a look.

        Raises:
            ValueError: no producer sends this, or it is broken.
            SrtpError: it is forged or replayed.
        """
        producer = self.producers.get(peek_ssrc(view))
        if producer is None or self.dtls.inbound is None:
            raise ValueError("no producer of this SSRC")
        producer.take(view[: self.dtls.inbound.unprotect_in_place(pointer, size)], now)

    def take_rtcp(self, data: bytes, now: float) -> None:
        """An SRTCP compound from a validated address.

        Raises:
            ValueError: it is broken.
            SrtpError: it is forged or replayed.
        """
        reporter = int.from_bytes(data[4:8], "big")
        if reporter not in self._reporters and len(self._reporters) >= MAX_REPORTERS:
            raise ValueError("too many SSRCs")
        compound = self.dtls.unprotect_rtcp(data)
        self._reporters.add(reporter)
        feedback.take(self, compound, now)

    # What leaves

    def send(self, datagram: bytes) -> None:
        """Send a datagram as it is to where the client wants to be heard."""
        if self.ice.selected is not None:
            self.port.send(datagram, self.ice.selected)

    def send_rtcp(self, compound: bytes) -> None:
        """Protect and send an RTCP compound. One that cannot be protected is not sent."""
        try:
            self.send(self.dtls.protect_rtcp(compound))
        except SrtpError:
            self.port.dropped["unprotected"] += 1

    # The way to keys

    def _start_dtls(self) -> None:
        """Start as soon as it is known whom to expect and where he is; who never comes costs no OpenSSL object."""
        if self._command is not None and self.ice.selected is not None and self.dtls.state is State.NEW:
            self.dtls.start(self._command.role, self._command.fingerprints)
            self._follow_dtls()

    def _follow_dtls(self) -> None:
        for datagram in self.dtls.take():
            self.send(datagram)
        self._retransmission.set(self.dtls.deadline())
        if self.dtls.failure is not None:
            self._fail(self.dtls.failure.value)
        elif self.dtls.state is State.CONNECTED and not self.is_connected:
            self._begin()

    def _begin(self) -> None:
        self._set_connected(True)
        self._connecting.set(None)
        self._consent.set(self.ice.heard + CONSENT)
        self._reports.set(self.port.now() + REPORT)
        self._sfu.report(TransportConnected(self.router, self.id))
        for consumer in self.consumers.values():
            consumer.ask_keyframe()

    def _set_connected(self, is_connected: bool) -> None:
        self.is_connected = is_connected
        self.path.set_keys(self.dtls.outbound if is_connected else None)
        for consumer in self.consumers.values():
            consumer.producer.regroup()

    # The alarms

    def _retransmit(self) -> None:
        self.dtls.handle_timeout()
        self._follow_dtls()

    def _give_up(self) -> None:
        self._fail("timeout")

    def _check_consent(self) -> None:
        deadline = self.ice.heard + CONSENT
        if self.port.now() < deadline:
            self._consent.set(deadline)
        else:
            self._fail("consent")

    def _send_reports(self) -> None:
        now = self.port.now()
        self._reports.set(now + REPORT)
        feedback.report(self, now)

    def _fail(self, reason: str) -> None:
        self._sfu.report(TransportFailed(self.router, self.id, reason))
        self._sfu.close_transport(self)

    def _list_ufrags(self, ufrags: list[str]) -> None:
        for ufrag in self._ufrags:
            del self.port.by_ufrag[ufrag]
        for ufrag in ufrags:
            self.port.by_ufrag[ufrag] = self
        self._ufrags = ufrags

    def _forget(self, addresses: list[Sockaddr]) -> None:
        for address in addresses:
            if self.port.by_address.get(address) is self:  # not that of a successor on the same address
                del self.port.by_address[address]
