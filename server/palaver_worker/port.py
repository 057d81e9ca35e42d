"""The worker's one UDP socket: who may be heard, datagrams sorted by their first byte, batches in and out."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from palaver_media import rtp, stun
from palaver_media.dtls import SrtpError
from palaver_media.stun import Address

if TYPE_CHECKING:
    from .transport import Transport

log = logging.getLogger(__name__)

BATCH: Final = 128  # datagrams per wake-up, so that timers and commands have their turn
BUFFER: Final = 4 * 1024 * 1024  # bytes; the kernel gives what it allows
PATIENCE: Final = 2.0  # s for a dead predecessor's port to become free
_SMALLEST_RTP: Final = 12  # bytes


class Port:
    """The socket, and the two ways to find a transport: by its ufrag, and by an address that passed its ICE check.

    Nothing is kept about strangers: what they send is counted and dropped. `now` is the worker's clock in s, which is
    its event loop's.
    """

    def __init__(self, udp: socket.socket, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.by_ufrag: dict[str, Transport] = {}
        self.by_address: dict[Address, Transport] = {}
        self.dropped: Counter[str] = Counter()
        self._socket = udp
        self._outgoing: list[tuple[bytes, Address]] = []

    def drain(self, poll: Callable[[], None]) -> None:
        """Take a batch of the datagrams that have arrived, then the commands that `poll` brings in, then act on both.

        In this order whoever sent a command before a datagram finds it applied first.
        """
        batch = self._receive()
        poll()
        for data, source in batch:
            self.take(data, source)
        self.flush()

    def take(self, data: bytes, source: Address) -> None:
        """One datagram, by its first byte (RFC 7983). Whatever is wrong with it costs only itself."""
        first = data[0] if data else 0xFF
        transport = self.by_address.get(source)
        try:
            if 128 <= first <= 191 and transport is not None and len(data) >= _SMALLEST_RTP:
                if rtp.is_rtcp(data):
                    transport.take_rtcp(data, self.now())
                else:
                    transport.take_rtp(data, self.now())
            elif first <= 3:
                self._take_check(data, source)
            elif 20 <= first <= 63 and transport is not None:
                transport.take_dtls(data)
            else:
                self.dropped["stranger"] += 1
        except (ValueError, SrtpError) as why:
            self.dropped[type(why).__name__] += 1

    def send(self, data: bytes, destination: Address) -> None:
        """Send a datagram at the batch's end."""
        self._outgoing.append((data, destination))

    def flush(self) -> None:
        """Send what the batch, command or timer has brought; what the kernel refuses is lost, as UDP may be."""
        outgoing, self._outgoing = self._outgoing, []
        for data, destination in outgoing:
            try:
                self._socket.sendto(data, destination)
            except OSError as why:
                self.dropped[f"send: {why.strerror}"] += 1

    def _receive(self) -> list[tuple[bytes, Address]]:
        batch: list[tuple[bytes, Address]] = []
        try:
            while len(batch) < BATCH:
                batch.append(self._socket.recvfrom(2048))
        except BlockingIOError:
            pass
        except OSError as why:
            self.dropped[f"receive: {why.strerror}"] += 1
        return batch

    def _take_check(self, data: bytes, source: Address) -> None:
        ours, _, _ = stun.peek_username(data).partition(":")
        transport = self.by_ufrag.get(ours)
        if transport is None:
            raise ValueError("unknown ufrag")
        transport.take_check(data, source, self.now())


async def bind(host: str, port: int) -> socket.socket:
    """A UDP socket on this address; a port that is just being given up is waited for.

    Raises:
        OSError: it cannot be had.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
    deadline = time.monotonic() + PATIENCE
    while True:
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.setblocking(False)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        try:
            udp.bind(address)
        except OSError as why:
            udp.close()
            if why.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return udp
