"""One transport: ICE, then DTLS as the client, then SRTP both ways."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from attrs import define, field

from palaver_media import rtp
from palaver_media.dtls import Certificate, DtlsSrtp, Failure, State
from palaver_media.engine_messages import OpenTransport
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import DtlsRole

from .ice import ConsentLost, Ice
from .receiver import Receiver

ICE_TIME: Final = 10.0  # s until a candidate must have answered
DTLS_TIME: Final = 10.0  # s for the handshake
POSTED: Final = 64  # DTLS datagrams waiting for the loop; more are dropped

log = logging.getLogger(__name__)


class Failed(Exception):
    """The transport is dead; the text is the reason as `TransportFailed` gives it."""


@define(eq=False)
class Transport:
    """A transport's life. `on_rtp` and `on_rtcp` are called in the receive thread with what was authentic.

    Whatever comes and is of no use is counted in `dropped`, by reason; the receive thread does so.
    """

    command: OpenTransport
    certificate: Certificate
    receiver: Receiver
    on_connected: Callable[[], None]
    on_failed: Callable[[str], None]
    on_rtp: Callable[[bytes, float], None]
    on_rtcp: Callable[[bytes, float], None]
    dropped: Counter[str] = field(factory=Counter)
    _ice: Ice = field(init=False)
    _dtls: DtlsSrtp = field(init=False)
    _lock: threading.Lock = field(factory=threading.Lock)  # the sound, receive and loop threads use the keys
    _loop: asyncio.AbstractEventLoop = field(factory=asyncio.get_running_loop)
    _came: asyncio.Event = field(factory=asyncio.Event)
    _posted: int = 0
    _task: asyncio.Task[None] = field(init=False)

    def __attrs_post_init__(self) -> None:
        asked = self.command
        self._ice = Ice(asked.ufrag, asked.password, asked.candidates, self.receiver, self._receive, self.dropped)
        self._dtls = DtlsSrtp(self.certificate)
        self._task = self._loop.create_task(self._live())

    @property
    def is_connected(self) -> bool:
        """Whether media can pass."""
        return self._dtls.state is State.CONNECTED

    @property
    def rtt(self) -> float | None:
        """The round trip (s) of the last answered connectivity check."""
        return self._ice.rtt

    def send_rtp(self, packet: bytes) -> int:
        """Protect and send an RTP packet, from any thread; the answer is the bytes sent, 0 if it cannot be now."""
        return self._protect_and_send(self._dtls.protect_rtp, packet)

    def send_rtcp(self, compound: bytes) -> int:
        """Protect and send an RTCP compound, as `send_rtp` does."""
        return self._protect_and_send(self._dtls.protect_rtcp, compound)

    def close(self) -> None:
        """Say goodbye and give everything back."""
        self._task.cancel()
        with self._lock:
            self._dtls.close()
        self._flush()
        self._ice.close()

    async def _live(self) -> None:
        try:
            await self._connect()
            self.on_connected()
            await self._ice.keep()
        except ConsentLost:
            self._fail("consent")
        except Failed as why:
            self._fail(str(why))

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(ICE_TIME):
                await self._ice.connect()
        except TimeoutError:
            raise Failed("ice") from None
        try:
            async with asyncio.timeout(DTLS_TIME):
                await self._shake_hands()
        except TimeoutError:
            raise Failed("dtls") from None

    async def _shake_hands(self) -> None:
        self._dtls.start(DtlsRole.CLIENT, self.command.fingerprints)
        self._flush()
        while self._dtls.state is State.CONNECTING:
            self._came.clear()
            deadline = self._dtls.deadline()
            try:
                async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                    await self._came.wait()
            except TimeoutError:
                self._dtls.handle_timeout()
                self._flush()
        if self._dtls.failure is Failure.FINGERPRINT:
            raise Failed("fingerprint")
        if self._dtls.state is not State.CONNECTED:
            raise Failed("dtls")

    def _fail(self, reason: str) -> None:
        self.close()
        self.on_failed(reason)

    def _receive(self, data: bytes, now: float) -> None:
        """A datagram from the chosen path, in the receive thread."""
        if 20 <= data[0] <= 63:
            self._post_dtls(data)
        elif 128 <= data[0] <= 191 and len(data) >= 12:
            try:
                self._receive_srtp(data, now)
            except (SrtpError, ValueError) as why:
                self.dropped[type(why).__name__] += 1
        else:
            self.dropped["stranger"] += 1

    def _receive_srtp(self, data: bytes, now: float) -> None:
        if rtp.is_rtcp(data):
            with self._lock:
                plain = self._dtls.unprotect_rtcp(data)
            self.on_rtcp(plain, now)
        else:
            with self._lock:
                plain = self._dtls.unprotect_rtp(data)
            self.on_rtp(plain, now)

    def _post_dtls(self, data: bytes) -> None:
        if self._posted < POSTED:
            self._posted += 1
            self._loop.call_soon_threadsafe(self._receive_dtls, data)
        else:
            self.dropped["handshake"] += 1

    def _receive_dtls(self, data: bytes) -> None:
        """A DTLS datagram, in the loop's thread."""
        self._posted -= 1
        with self._lock:
            self._dtls.receive(data)
        self._flush()
        self._came.set()

    def _protect_and_send(self, protect: Callable[[bytes], bytes], packet: bytes) -> int:
        if not self.is_connected:
            return 0
        try:
            with self._lock:
                protected = protect(packet)
        except SrtpError as why:  # closed meanwhile
            log.debug("%s: %s", self.command.transport, why)
            return 0
        return len(protected) if self._ice.send(protected) else 0

    def _flush(self) -> None:
        for datagram in self._dtls.take():
            self._ice.send(datagram)
