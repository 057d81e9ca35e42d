"""The worker's one UDP port: who may be heard, and datagrams sorted by their first byte, batch by batch."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from palaver_media import stun
from palaver_media.rtp import is_rtcp
from palaver_media.srtp import SrtpError

from .datagrams import Incoming, Outgoing
from .fanout import Fanout, choose
from .sockaddr import Sockaddr

if TYPE_CHECKING:
    from .client_transport import ClientTransport
    from .transport import Transport

log = logging.getLogger(__name__)

BUFFER: Final = 4 * 1024 * 1024  # bytes; the kernel gives what it allows
NEVER_FRAGMENT: Final = (socket.IPPROTO_IP, 10, 3)  # Linux' IP_MTU_DISCOVER, IP_PMTUDISC_PROBE
NEVER_FRAGMENT_IPV6: Final = (socket.IPPROTO_IPV6, 23, 3)
PATIENCE: Final = 2.0  # s for a dead predecessor's port to become free
_SMALLEST_RTP: Final = 12  # bytes


class Port:
    """The socket, and the two ways to find a transport: by its ufrag, and by an address that passed its ICE check.

    Nothing is kept about strangers: what they send is counted and dropped. `now` is the worker's clock in s, which is
    its event loop's.
    """

    def __init__(
        self,
        udp: socket.socket,
        now: Callable[[], float] = time.monotonic,
        core: Callable[[Incoming, Outgoing], Fanout] = choose,
    ) -> None:
        self.now = now
        self.by_ufrag: dict[str, ClientTransport] = {}
        self.by_address: dict[Sockaddr, Transport] = {}
        self.dropped: Counter[str] = Counter()
        self._incoming = Incoming(udp)
        self._outgoing = Outgoing(udp, self.dropped)
        self.fanout = core(self._incoming, self._outgoing)

    @property
    def name_size(self) -> int:
        """Bytes of an address on this socket."""
        return self._incoming.name_size

    def drain(self, poll: Callable[[], None]) -> None:
        """Take a batch of the datagrams that have arrived, then the commands that `poll` brings in, then act on both.

        In this order whoever sent a command before a datagram finds it applied first.
        """
        self.fanout.receive(self.dropped)
        self.act(poll)

    def act(self, poll: Callable[[], None] | None) -> None:
        """The same, with the batch that was taken; None: there are no commands."""
        if poll is not None:
            poll()
        now = self.now()
        for slot in self.fanout.process(now, self.dropped):
            self._take(slot, now)
        self.flush()

    def admit(self, source: Sockaddr, transport: Transport) -> None:
        """A client's check came from there: hear him, and no other."""
        if self.by_address.get(source) is not transport:
            self.by_address[source] = transport
            self.fanout.admit(source, transport.client)

    def dismiss(self, source: Sockaddr, transport: Transport) -> None:
        """Hear this client there no more; a successor on the same address stays."""
        if self.by_address.get(source) is transport:
            del self.by_address[source]
            self.fanout.dismiss(source)

    def send(self, data: bytes, destination: Sockaddr) -> None:
        """Send a datagram at the batch's end."""
        self._outgoing.put(data, destination)

    def flush(self) -> None:
        """Send what the batch, command or timer has brought; what the kernel refuses is lost, as UDP may be."""
        self._outgoing.flush()
        if self.fanout.failures:
            self.dropped["unprotected"] += self.fanout.failures
            self.fanout.failures = 0

    def _take(self, slot: int, now: float) -> None:
        """One datagram, by its first byte (RFC 7983). Whatever is wrong with it costs only itself."""
        incoming = self._incoming
        size, view, source = incoming.arrived[slot], incoming.views[slot], incoming.source(slot)
        first = view[0] if size else 0xFF
        transport = self.by_address.get(source)
        try:
            if 128 <= first <= 191 and transport is not None and size >= _SMALLEST_RTP:
                if is_rtcp(view):
                    transport.take_rtcp(incoming.data(slot), now)
                else:
                    transport.take_rtp(incoming.pointers[slot], view, size, now)
            elif first <= 3:
                self._take_check(incoming.data(slot), source, now)
            elif 20 <= first <= 63 and transport is not None:
                transport.take_dtls(incoming.data(slot))
            else:
                self.dropped["stranger"] += 1
        except (ValueError, SrtpError) as why:
            self.dropped[type(why).__name__] += 1

    def _take_check(self, data: bytes, source: Sockaddr, now: float) -> None:
        check = stun.parse(data)
        ours, _, _ = check.username.partition(":")
        transport = self.by_ufrag.get(ours)
        if transport is None:
            raise ValueError("unknown ufrag")
        transport.take_check(check, source, now)


async def bind(host: str, port: int) -> socket.socket:
    """A UDP socket on this address; a port that is just being given up is waited for.

    No datagram of it is fragmented: all fit any path that carries media (RFC 8085, 3.2), nobody can have the kernel
    cut them up by telling of a narrow one, and none needs an identification of its own, which costs a hash.

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
        if family == socket.AF_INET6:  # `::` is heard by both
            udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        if sys.platform == "linux":
            with contextlib.suppress(OSError):  # what is no Linux, but passes for it, may refuse
                udp.setsockopt(*NEVER_FRAGMENT)
                if family == socket.AF_INET6:
                    udp.setsockopt(*NEVER_FRAGMENT_IPV6)
        try:
            udp.bind(address)
        except OSError as why:
            udp.close()
            if why.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.05)
        else:
            return udp
