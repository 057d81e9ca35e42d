"""A small real peer for the engine: one transport of an ICE-lite server, on a UDP socket of its own (Trio)."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
import trio
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket
from attrs import define, field

from palaver_engine.opus import Decoder, Encoder
from palaver_media import rtcp, rtp, stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.engine_messages import Candidate, Direction, OpenTransport
from palaver_media.worker_messages import DtlsRole, Fingerprint

if TYPE_CHECKING:
    from numpy.typing import NDArray

SSRC = 0x5EA5EA
PAYLOAD_TYPE = 100


@define(eq=False)
class Peer:
    """`client` is the fingerprint the engine must have."""

    socket: trio.socket.SocketType
    client: str
    certificate: Certificate = field(factory=Certificate)
    ufrag: str = field(factory=lambda: secrets.token_hex(4))
    password: str = field(factory=lambda: secrets.token_hex(12))
    is_mute_to_stun: bool = False
    deaf_to: tuple[str, int] | None = None
    address: tuple[str, int] | None = None
    checks: int = 0
    packets: list[rtp.RtpPacket] = field(factory=list)
    compounds: list[rtcp.RtcpPacket] = field(factory=list)
    connected: trio.Event = field(factory=trio.Event)
    _dtls: DtlsSrtp = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._dtls = DtlsSrtp(self.certificate)
        self._dtls.start(DtlsRole.SERVER, [Fingerprint("sha-256", self.client)])

    @property
    def port(self) -> int:
        return int(self.socket.getsockname()[1])

    def command(self, call: str, transport: str, direction: Direction, fingerprint: str = "") -> OpenTransport:
        """What the engine must be told to come here."""
        return OpenTransport(
            call,
            transport,
            direction,
            self.ufrag,
            self.password,
            (Candidate("127.0.0.1", self.port),),
            (Fingerprint("sha-256", fingerprint or self.certificate.fingerprint),),
        )

    async def run(self) -> None:
        """Answer what comes, for ever."""
        while True:
            data, address = await self.socket.recvfrom(2048)
            if address == self.deaf_to:
                continue
            if data[0] < 4:
                await self._answer(data, address)
            elif 20 <= data[0] <= 63 and address == self.address:
                self._dtls.receive(data)
                await self._flush()
            elif 128 <= data[0] <= 191 and self._dtls.state is State.CONNECTED:
                self._take(data)

    async def _answer(self, data: bytes, address: tuple[str, int]) -> None:
        request = stun.parse(data)
        self.checks += 1
        if self.is_mute_to_stun or not request.is_request(self.password):
            return
        assert request.username.partition(":")[0] == self.ufrag
        assert request.nominates
        self.address = address
        await self.socket.sendto(stun.make_answer(request, address, self.password), address)

    async def _flush(self) -> None:
        assert self.address is not None
        for datagram in self._dtls.take():
            await self.socket.sendto(datagram, self.address)
        if self._dtls.state is State.CONNECTED:
            self.connected.set()

    def _take(self, data: bytes) -> None:
        if rtp.is_rtcp(data):
            self.compounds += rtcp.parse(self._dtls.unprotect_rtcp(data))
        else:
            self.packets.append(rtp.parse(self._dtls.unprotect_rtp(data)))

    def heard(self) -> NDArray[np.int16]:
        """All that came, decoded."""
        decoder = Decoder()
        return np.concatenate([np.zeros(0, np.int16), *(decoder.decode(packet.payload) for packet in self.packets)])

    def sender_reports(self) -> list[RtcpSrPacket]:
        return [each for each in self.compounds if isinstance(each, RtcpSrPacket)]

    def receiver_reports(self) -> list[RtcpReceiverInfo]:
        return [info for each in self.compounds if isinstance(each, RtcpRrPacket) for info in each.reports]

    async def say(self, samples: NDArray[np.int16], ssrc: int = SSRC) -> None:
        """Send samples as a person's client would, in real time."""
        assert self.address is not None
        encoder = Encoder()
        start = trio.current_time()
        for count, at in enumerate(range(0, len(samples) - 959, 960)):
            payload = encoder.encode(samples[at : at + 960])
            packet = rtp.RtpPacket(PAYLOAD_TYPE, 1000 + count, 5000 + at, ssrc, payload)
            await self.socket.sendto(self._dtls.protect_rtp(packet.write()), self.address)
            if count % 50 == 0:
                await self._send_report(ssrc, 5000 + at, count)
            await trio.sleep_until(start + (count + 1) * 0.02)

    async def _send_report(self, ssrc: int, timestamp: int, count: int) -> None:
        assert self.address is not None
        info = RtcpSenderInfo(rtcp.to_ntp(time.time()), timestamp, count, count * 80)
        await self.socket.sendto(self._dtls.protect_rtcp(rtcp.write_sender_report(ssrc, info)), self.address)

    async def complain(self, ssrc: int, highest: int, fraction: float) -> None:
        """Report that a share of a stream's packets up to this number was lost."""
        assert self.address is not None
        info = RtcpReceiverInfo(ssrc, round(fraction * 256), 0, highest, 0, 0, 0)
        await self.socket.sendto(self._dtls.protect_rtcp(rtcp.write_receiver_report(1, [info])), self.address)

    async def acknowledge(self, sent: RtcpSrPacket, delay: float) -> None:
        """Report reception of a stream whose sender report came `delay` seconds ago."""
        assert self.address is not None
        info = RtcpReceiverInfo(
            ssrc=sent.ssrc,
            fraction_lost=0,
            packets_lost=0,
            highest_sequence=0,
            jitter=0,
            lsr=rtcp.to_short_ntp(sent.sender_info.ntp_timestamp),
            dlsr=int(delay * 65536),
        )
        await self.socket.sendto(self._dtls.protect_rtcp(rtcp.write_receiver_report(1, [info])), self.address)


@contextlib.asynccontextmanager
async def peer(client: str) -> AsyncIterator[Peer]:
    """A peer on loopback for the length of the block."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
        await sock.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            other = Peer(sock, client)
            nursery.start_soon(other.run)
            yield other
            nursery.cancel_scope.cancel()
