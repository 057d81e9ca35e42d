"""One client's path to the worker: ICE, then DTLS, then SRTP for its producers and consumers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from palaver_media import stun
from palaver_media.dtls import DtlsSrtp, State
from palaver_media.worker_messages import (
    ConnectTransport,
    OpenTransport,
    RestartIce,
    TransportConnected,
    TransportFailed,
)

from .ice_lite import CHECKS, IceLite
from .rate import Rate
from .sockaddr import Sockaddr
from .transport import Transport

if TYPE_CHECKING:
    from .sfu import Sfu

CONNECT: Final = 10.0  # s from `ConnectTransport` to keys
CONSENT: Final = 30.0  # s without a check from where we send to: he is there no more (RFC 7675)
VOICE_PACKETS: Final = 1000  # a second of all his voices: of one there are 400 with the shortest frames of Opus
VOICE_OCTETS: Final = 400_000  # bytes a second, likewise: one at Opus' best is 64,000
RTP_RATE: Final = 2000  # packets a second of all his video: 1.5 Mbit/s are 160
TOLERANCE: Final = 4  # times the bitrate that his video is asked to keep to: several pictures, and what mends losses
RTCP_RATE: Final = 500  # compounds a second; 500 consumers are reported on in 17, the rest is for asking again
RTCP_OCTETS: Final = 100_000  # bytes of them, for what they cost is in what they name: 500 consumers are 12,000
KEPT: Final = 15.0  # s without one for which an address stays his: checks are 4 to 6 s apart, and one may be lost


class ClientTransport(Transport):
    """A transport from `OpenTransport` to its close or failure.

    The time to connect runs from `ConnectTransport`: a client may well open a transport long before it has anything
    to send. Until then it costs an object, and its owner limits how many.
    """

    def __init__(self, sfu: Sfu, command: OpenTransport) -> None:
        super().__init__(sfu, command.transport, command.router, command.seat)
        self.ice = IceLite(command.ufrag, command.password, self.client.checked, self.client.note_check)
        self.dtls = DtlsSrtp(sfu.certificate)
        self._rtp_rate = Rate(RTP_RATE, TOLERANCE * sfu.video_bitrate / 8)
        self._rtcp_rate = Rate(RTCP_RATE, RTCP_OCTETS)
        self.client.limit(VOICE_PACKETS, VOICE_OCTETS)
        self._command: ConnectTransport | None = None
        self._connecting = sfu.alarm(self._give_up)
        self._retransmission = sfu.alarm(self._retransmit)
        self._consent = sfu.alarm(self._check_consent)
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
        super().close()
        for alarm in (self._connecting, self._retransmission, self._consent):
            alarm.set(None)
        self._list_ufrags([])
        self._forget(self.ice.validated)

    def take_check(self, check: stun.Message, source: Sockaddr, now: float) -> None:
        """An ICE check for our ufrag.

        Raises:
            ValueError: it is not the client's, or comes from where somebody else is.
        """
        holder = self.port.by_address.get(source)
        if holder is not None and holder is not self and holder.keeps(source, self.ice.since(source, now), now):
            raise ValueError("somebody else's address")
        self.port.send(self.ice.answer(check, source, now), source)
        if self.ice.is_settled and holder is self:
            return
        self.port.admit(source, self)
        if self.ice.selected is not None:
            self.set_destination(self.ice.selected)
        self._forget(self.ice.surplus())
        self._list_ufrags(self.ice.ufrags)
        self._start_dtls()

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there from now on."""
        super().set_destination(destination)
        self.client.select(destination)

    def keeps(self, address: Sockaddr, since: float, now: float) -> bool:
        """Whether he is connected, was there first, and still is.

        A check may claim to come from anywhere, and a client of ours could take others' addresses by it. Who came first
        has it back with his next check even where another one got it while he connected, or was silent.
        """
        last = self.ice.last(address)
        return self.is_connected and self.ice.since(address, now) < since and now - last < KEPT

    def take_dtls(self, data: bytes) -> None:
        """A DTLS datagram from a validated address."""
        self.dtls.receive(data)
        self._follow_dtls()

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
        elif not self.is_connected and self.dtls.inbound is not None and self.dtls.outbound is not None:
            self._connecting.set(None)
            self._consent.set(self.ice.consented() + CONSENT)
            self.begin(self.dtls.inbound, self.dtls.outbound)
            self._sfu.report(TransportConnected(self.router, self.id))

    # The alarms

    def _retransmit(self) -> None:
        self.dtls.handle_timeout()
        self._follow_dtls()

    def _give_up(self) -> None:
        self._fail("timeout")

    def _check_consent(self) -> None:
        if self.ice.consented() + CONSENT <= self.port.now():
            self.ice.fall_back()
        deadline = self.ice.consented() + CONSENT
        if self.ice.selected is not None and self.port.now() < deadline:
            self.set_destination(self.ice.selected)
            self._consent.set(deadline)
        else:
            self._fail("consent")

    def _fail(self, reason: str) -> None:
        self._sfu.report(TransportFailed(self.router, self.id, reason))
        self._sfu.close_transport(self)

    def _list_ufrags(self, ufrags: list[str]) -> None:
        for ufrag in self._ufrags:
            del self.port.by_ufrag[ufrag]
        for ufrag in ufrags:
            self.port.by_ufrag[ufrag] = self
        self._ufrags = ufrags
        known = self.ice.only if ufrags else None  # while there are two, which one is used tells something
        self.client.know("" if known is None else known.ufrag, "" if known is None else known.password, CHECKS)

    def _forget(self, addresses: Iterable[Sockaddr]) -> None:
        for address in addresses:
            self.port.dismiss(address, self)
