"""For tests: calls of light sessions through a worker, and strangers beside them."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import trio
from attrs import define

from media_peer import CERTIFICATE, Peer, Worker, add_consumer, add_producer, audio
from palaver_media.dtls import DtlsSrtp
from palaver_media.worker_messages import DtlsRole

FRAME = 0.02  # s of sound in a packet
MOST_LOST = 0.005  # of the genuine packets
MOST_GROWN = 8 * 1024  # KiB
CONSENT = 5.0  # s between two checks
PATIENCE = 1.0  # s for a packet that was sent; then it is lost

ALERTS = (
    bytes.fromhex("15fefd000000000000000000020228"),  # handshake_failure
    bytes.fromhex("15feff000000000000000100020100"),  # close_notify
)


def client_hello() -> bytes:
    """A genuine ClientHello."""
    dtls = DtlsSrtp(CERTIFICATE)
    dtls.start(DtlsRole.CLIENT, [])
    return dtls.take()[0]


def resident(pid: int) -> int:
    """The memory of a process, in KiB."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0])


def stranger() -> socket.socket:
    """A socket of somebody whom nobody knows."""
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 0))
    udp.setblocking(False)
    return udp


def is_answered(udp: socket.socket) -> bool:
    """Whether anything came back to a stranger."""
    try:
        return bool(udp.recv(2048))
    except (BlockingIOError, ConnectionRefusedError):  # the latter: the kernel itself refused one
        return False


async def spray(datagrams: Sequence[bytes], targets: Callable[[], Iterable[tuple[str, int]]]) -> None:
    """Send all these to all targets about 200 times a second, for ever, and be answered by none."""
    with stranger() as udp:
        while True:
            for target in targets():
                for datagram in datagrams:
                    try:
                        udp.sendto(datagram, target)
                    except ConnectionRefusedError:
                        continue
            assert not is_answered(udp)
            await trio.sleep(0.005)


@asynccontextmanager
async def working() -> AsyncIterator[tuple[Worker, trio.Nursery]]:
    """A worker for the length of the block, and a nursery that ends with it."""
    async with trio.open_nursery() as nursery:
        worker = Worker()
        await nursery.start(worker.process.run)
        yield worker, nursery
        nursery.cancel_scope.cancel()


@define(eq=False)
class Call:
    """Two people who hear each other."""

    peers: tuple[Peer, Peer]
    ssrcs: tuple[int, int]
    rounds: int = 0

    @classmethod
    async def connect(cls, worker: Worker, nursery: trio.Nursery, number: int) -> Call:
        """A call from its transports to its tracks; one plays each role in DTLS."""
        peers = Peer(worker, f"a{number}"), Peer(worker, f"b{number}")
        for peer, role in zip(peers, DtlsRole, strict=True):
            await peer.connect(nursery, role)
        ssrcs = 2 * number + 1, 2 * number + 2
        for speaker, listener, ssrc in zip(peers, peers[::-1], ssrcs, strict=True):
            add_consumer(listener, add_producer(speaker, ssrc), ssrc + 1_000_000)
        call = cls(peers, ssrcs)
        nursery.start_soon(call.keep)
        return call

    async def keep(self) -> None:
        """Give consent every few seconds, for ever."""
        while True:
            await trio.sleep(CONSENT)
            for peer in self.peers:
                await peer.check()

    async def say(self) -> None:
        """A packet of each."""
        self.rounds += 1
        for peer, ssrc in zip(self.peers, self.ssrcs, strict=True):
            await peer.say(audio(ssrc, self.rounds))

    @property
    def lost(self) -> int:
        """How many packets have not come."""
        return 2 * self.rounds - sum(len(peer.rtp) for peer in self.peers)

    async def settle(self) -> None:
        """Wait for the last packet of each; when it has come, what is missing is lost."""
        last = self.rounds & 0xFFFF
        for peer in self.peers:
            with trio.move_on_after(PATIENCE):
                await peer.news.until(lambda peer=peer: peer.rtp and peer.rtp[-1].sequence == last)  # type: ignore[misc]


async def talk(calls: Sequence[Call], seconds: float) -> None:
    """Let all say something every 20 ms."""
    start = trio.current_time()
    for frame in range(round(seconds / FRAME)):
        for call in calls:
            await call.say()
        await trio.sleep_until(start + (frame + 1) * FRAME)
    for call in calls:
        await call.settle()


def loss(calls: Iterable[Call]) -> float:
    """The share of packets that did not come, of all calls together."""
    calls = tuple(calls)
    return sum(call.lost for call in calls) / sum(2 * call.rounds for call in calls)
