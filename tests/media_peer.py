"""For tests: a worker process with its reports, and clients that speak ICE, DTLS and SRTP to it over loopback."""

from __future__ import annotations

import secrets
import struct
from collections.abc import Callable, Iterable
from typing import TypeVar

import trio
from aiortc import rtp as aiortc_rtp

from palaver_media import rtp, stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.process import MediaProcess
from palaver_media.rtp import AUDIO_LEVEL, MID, RtpPacket
from palaver_media.worker_messages import (
    WORKER_CODEC,
    AddConsumer,
    AddProducer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    OpenTransport,
    Ready,
    RestartIce,
    ResumeConsumer,
    TransportConnected,
    WorkerCommand,
    WorkerReport,
)

R = TypeVar("R")

PATIENCE = 10.0  # s for anything a test waits for
CERTIFICATE = Certificate()
OTHER = {DtlsRole.CLIENT: DtlsRole.SERVER, DtlsRole.SERVER: DtlsRole.CLIENT}


class News:
    """Wakes who waits for a condition when something may have changed."""

    def __init__(self) -> None:
        self._event = trio.Event()

    def tell(self) -> None:
        self._event.set()
        self._event = trio.Event()

    async def until(self, is_so: Callable[[], object]) -> None:
        with trio.fail_after(PATIENCE):
            while not is_so():
                await self._event.wait()


class Worker:
    """A worker process and all it has reported."""

    def __init__(self, port: int = 0) -> None:
        self.reports: list[WorkerReport] = []
        self.news = News()
        arguments = ("--host", "127.0.0.1", "--port", str(port))
        self.process = MediaProcess("palaver_worker", arguments, WORKER_CODEC, self._on_report)

    def _on_report(self, report: WorkerReport) -> None:
        self.reports.append(report)
        self.news.tell()

    def tell(self, *commands: WorkerCommand) -> None:
        for command in commands:
            self.process.tell(command)

    def having(self, kind: type[R]) -> list[R]:
        return [each for each in self.reports if isinstance(each, kind)]

    async def wait(self, report: WorkerReport) -> None:
        await self.news.until(lambda: report in self.reports)

    @property
    def ready(self) -> Ready:
        return self.having(Ready)[0]

    @property
    def address(self) -> tuple[str, int]:
        return "127.0.0.1", self.ready.port


class Peer:
    """One transport of a client: a UDP socket, ICE, DTLS-SRTP, and what it has heard."""

    def __init__(self, worker: Worker, id: str, *, is_deaf: bool = False) -> None:
        self.worker, self.id = worker, id
        self.ufrag, self.password = f"ufrag-{id}", secrets.token_hex(12)
        self.certificate = CERTIFICATE
        self.dtls = DtlsSrtp(self.certificate)
        self.is_deaf = is_deaf  # to DTLS
        self.rtp: list[RtpPacket] = []
        self.raw: list[bytes] = []  # the same as it came
        self.rtcp: list[bytes] = []
        self.sockets: list[trio.socket.SocketType] = []  # through which each of them came
        self.answers: list[bytes] = []  # to ICE checks
        self.news = News()

    async def open(self, nursery: trio.Nursery) -> None:
        """Open the transport at the worker, and our socket."""
        self.worker.tell(OpenTransport("room", f"seat-{self.id}", self.id, self.ufrag, self.password))
        await self.move(nursery)

    async def move(self, nursery: trio.Nursery) -> None:
        """Speak from a new socket from now on; the old one is still read."""
        self.socket = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
        await self.socket.bind(("127.0.0.1", 0))
        nursery.start_soon(self._listen, self.socket)

    def accept(self, role: DtlsRole, *fingerprints: Fingerprint) -> None:
        """Tell the worker whom to expect; `role` is ours."""
        expected = fingerprints or (Fingerprint("sha-256", self.certificate.fingerprint),)
        self.worker.tell(ConnectTransport(self.id, OTHER[role], expected))

    async def connect(self, nursery: trio.Nursery, role: DtlsRole = DtlsRole.CLIENT) -> None:
        """Everything until media can pass."""
        await self.open(nursery)
        self.accept(role)
        await self.check()
        await self.handshake(role)
        await self.news.until(lambda: self.dtls.state is State.CONNECTED)
        await self.worker.wait(TransportConnected("room", self.id))

    def restart(self) -> tuple[str, str]:
        """Restart ICE: our next checks come with new credentials. The answer is the old ufrag and password."""
        old = self.ufrag, self.password
        self.ufrag, self.password = f"again-{secrets.token_hex(4)}", secrets.token_hex(12)
        self.worker.tell(RestartIce(self.id, self.ufrag, self.password))
        return old

    async def check(self, credentials: tuple[str, str] | None = None) -> None:
        """One ICE check, and its answer."""
        ufrag, password = credentials or (self.ufrag, self.password)
        request, transaction = stun.make_request(f"{ufrag}:us", password, 1)
        await self.send(request)
        await self.news.until(lambda: any(each[8:20] == transaction for each in self.answers))
        assert stun.parse(self.answers[-1]).is_answer(transaction, password)

    async def handshake(self, role: DtlsRole) -> None:
        """Start DTLS in our role."""
        self.dtls.start(role, [Fingerprint("sha-256", self.worker.ready.fingerprint)])
        await self.flush()

    async def flush(self) -> None:
        for datagram in self.dtls.take():
            await self.send(datagram)

    async def send(self, data: bytes) -> None:
        await self.socket.sendto(data, self.worker.address)

    async def say(self, packet: RtpPacket) -> bytes:
        """Send an RTP packet; the answer is the datagram."""
        datagram = self.dtls.protect_rtp(packet.write())
        await self.send(datagram)
        return datagram

    async def _listen(self, socket: trio.socket.SocketType) -> None:
        with socket:
            while True:
                data = await socket.recv(2048)
                await self._take(data, socket)
                self.news.tell()

    async def _take(self, data: bytes, socket: trio.socket.SocketType) -> None:
        if data[0] < 4:
            self.answers.append(data)
        elif data[0] < 64:
            if not self.is_deaf:
                self.dtls.receive(data)
                await self.flush()
        elif rtp.is_rtcp(data):
            self.rtcp.append(self.dtls.unprotect_rtcp(data))
        else:
            self.raw.append(data)
            self.sockets.append(socket)
            self.rtp.append(rtp.parse(self.dtls.unprotect_rtp(data)))


def add_producer(peer: Peer, ssrc: int, media: MediaKind = MediaKind.AUDIO) -> str:
    """A track of this peer, with a browser's numbers: payload type 111 or 96, mid 4, level 3."""
    producer = f"producer-{ssrc}"
    types = {111: 100} if media is MediaKind.AUDIO else {96: 101}
    rate = 48000 if media is MediaKind.AUDIO else 90000
    peer.worker.tell(AddProducer(peer.id, producer, media, rate, ssrc, types, {4: MID, 3: AUDIO_LEVEL}))
    return producer


def add_consumer(peer: Peer, producer: str, ssrc: int, mid: str = "0") -> str:
    """The producer forwarded to this peer from now on."""
    consumer = f"consumer-{ssrc}"
    peer.worker.tell(
        AddConsumer(peer.id, consumer, producer, ssrc, mid, "someone", (MID, AUDIO_LEVEL)), ResumeConsumer(consumer)
    )
    return consumer


def audio(ssrc: int, sequence: int, body: bytes = b"sound") -> RtpPacket:
    """A packet as a browser would send it."""
    return RtpPacket(111, sequence & 0xFFFF, 960 * sequence, ssrc, body, False, {4: b"theirs", 3: b"\x85"})


def video(ssrc: int, sequence: int, is_keyframe: bool) -> RtpPacket:
    """A VP8 packet that starts a frame."""
    return RtpPacket(96, sequence, 3000 * sequence, ssrc, b"\x10" + (b"\0" if is_keyframe else b"\1"), True, {4: b"1"})


def read_audio_level(value: bytes) -> tuple[int, bool]:
    """The level in dBov (-127 to 0) and whether it is speech (RFC 6464)."""
    return -(value[0] & 0x7F), value[0] > 0x7F


def write_nack(ssrc: int, lost: Iterable[int]) -> bytes:
    """A generic NACK for these sequence numbers, oldest first (RFC 4585, 6.2.1)."""
    entries: list[list[int]] = []
    for sequence in lost:
        ahead = (sequence - entries[-1][0] - 1) & 0xFFFF if entries else 16
        if ahead < 16:
            entries[-1][1] |= 1 << ahead
        else:
            entries.append([sequence, 0])
    body = struct.pack("!II", 1, ssrc) + b"".join(struct.pack("!HH", *each) for each in entries)
    return aiortc_rtp.pack_rtcp_packet(aiortc_rtp.RTCP_RTPFB, aiortc_rtp.RTCP_RTPFB_NACK, body)
