"""ICE against a server that is always ICE-lite (RFC 8445 section 2.5): no gathering, no pairs, no roles to settle.

One *connected* UDP socket per server candidate: the kernel drops what strangers send, and it works where there is only
a loopback interface. The first answered check wins. Consent is asked for every few seconds (RFC 7675); when an answer
stays away, new sockets are tried beside the old one, for the machine may have moved to another network.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import socket
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define, field

from palaver_media import stun
from palaver_media.engine_messages import Candidate

from .receiver import Receiver

FIRST_CHECKS: Final = (0.05, 0.1, 0.2, 0.3)  # s between checks, then the last for ever
CONSENT: Final = (4.0, 5.0)  # s between checks of a path that works
DOUBT: Final = 7.0  # s without an answer: look for other paths
DEAD: Final = 30.0  # s without an answer (RFC 7675 section 5.1)
PENDING: Final = 32  # checks under way that are remembered
MOST_PATHS: Final = 8  # candidates tried; a server that names more would have us send to whomever it likes

log = logging.getLogger(__name__)


class ConsentLost(Exception):
    """The server answered no check for 30 s."""


@define(eq=False)
class Path:
    """A connected socket to one candidate."""

    candidate: Candidate
    socket: socket.socket

    def send(self, data: bytes) -> bool:
        """Send a datagram, from any thread; one that the kernel does not take is lost, as on any path."""
        try:
            self.socket.send(data)
        except OSError:
            return False
        return True


@define(eq=False)
class Ice:
    """The way to one transport of a server.

    `on_datagram` is called in the receive thread with all that is not STUN, from the chosen path only. What else comes
    is counted in `dropped`, which belongs to the receive thread.
    """

    ufrag: str
    password: str
    candidates: tuple[Candidate, ...]
    receiver: Receiver
    on_datagram: Callable[[bytes, float], None]
    dropped: Counter[str] = field(factory=Counter)
    rtt: float | None = None  # s, of the last answered check
    _ours: str = field(factory=lambda: secrets.token_hex(4))
    _tie_breaker: int = field(factory=lambda: secrets.randbits(64))
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _paths: list[Path] = field(factory=list)
    _chosen: Path | None = None
    _answered: asyncio.Event = field(factory=asyncio.Event)
    _last_answer: float = 0.0
    _pending: dict[bytes, tuple[Path, float]] = field(factory=dict)

    async def connect(self) -> None:
        """Check all candidates until one answers; the caller limits the time."""
        self._open_paths()
        waits = list(FIRST_CHECKS)
        while self._chosen is None:
            self._check()
            await self._wait(waits.pop(0) if len(waits) > 1 else waits[0])

    async def keep(self) -> None:
        """Ask for consent for ever.

        Raises:
            ConsentLost: no answer for 30 s.
        """
        while True:
            await asyncio.sleep(random.uniform(*CONSENT))
            self._check()
            await self._wait(1.0)
            while (silence := time.monotonic() - self._last_answer) > DOUBT:
                if silence > DEAD:
                    raise ConsentLost
                self._renew_paths()
                self._check()
                await self._wait(1.0)

    def send(self, data: bytes) -> bool:
        """Send a datagram on the chosen path, from any thread; False if it was not sent."""
        path = self._chosen
        return path is not None and path.send(data)

    def close(self) -> None:
        """Give all sockets back."""
        self._chosen = None
        self._keep_only(None)

    async def _wait(self, patience: float) -> None:
        self._answered.clear()
        try:
            await asyncio.wait_for(self._answered.wait(), patience)
        except TimeoutError:
            return

    def _open_paths(self) -> None:
        for candidate in self.candidates[:MOST_PATHS]:
            family = socket.AF_INET6 if ":" in candidate.ip else socket.AF_INET
            try:
                sock = socket.socket(family, socket.SOCK_DGRAM)
            except OSError as why:  # no IPv6 here
                log.info("%s: %s", candidate, why)
                continue
            sock.setblocking(False)
            try:
                sock.connect((candidate.ip, candidate.port))
            except OSError as why:
                log.info("%s: %s", candidate, why)
                sock.close()
                continue
            path = Path(candidate, sock)
            self._paths.append(path)
            self.receiver.add(sock, lambda data, now, path=path: self._receive(path, data, now))  # type: ignore[misc]

    def _renew_paths(self) -> None:
        self._keep_only(self._chosen)
        self._open_paths()

    def _keep_only(self, kept: Path | None) -> None:
        for path in self._paths:
            if path is not kept:
                self.receiver.remove(path.socket)
        self._paths = [] if kept is None else [kept]

    def _check(self) -> None:
        for path in self._paths:
            request, transaction = stun.make_request(f"{self.ufrag}:{self._ours}", self.password, self._tie_breaker)
            self._pending[transaction] = path, time.monotonic()  # before its answer can be here
            path.send(request)
        while len(self._pending) > PENDING:
            del self._pending[next(iter(self._pending))]

    def _receive(self, path: Path, data: bytes, now: float) -> None:
        """A datagram, in the receive thread."""
        if data[0] < 4 and bytes(data[8:20]) in self._pending:  # nobody else's answer is worth the loop's time
            self._loop.call_soon_threadsafe(self._answer, path, data, now)
        elif data[0] >= 4 and path is self._chosen:
            self.on_datagram(data, now)
        else:
            self.dropped["stranger"] += 1

    def _answer(self, path: Path, data: bytes, now: float) -> None:
        """A STUN message that names one of our checks, in the loop's thread."""
        transaction = data[8:20]
        if path not in self._paths or self._pending.get(transaction, (None, 0.0))[0] is not path:
            return
        try:
            message = stun.parse(data)
        except ValueError:
            return
        if not message.is_answer(transaction, self.password):
            return
        _, sent = self._pending.pop(transaction)
        self.rtt, self._last_answer = now - sent, now
        self._answered.set()
        if self._chosen is None or len(self._paths) > 1:
            self._chosen = path
            self._keep_only(path)
