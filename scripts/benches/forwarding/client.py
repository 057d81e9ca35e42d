"""A light client: one socket, ICE with a nominating check and consent, DTLS-SRTP, and no media engine."""

from __future__ import annotations

import select
import time
from collections.abc import Iterable
from typing import Any, Final

from palaver_media import stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.worker_messages import DtlsRole, Fingerprint

from .inbox import new_socket
from .keys import Direction, make_session

BUFFER: Final = 1024 * 1024  # bytes that may wait in a client's socket
AT_ONCE: Final = 25  # clients that connect together
REPEAT: Final = 0.5  # s until an unanswered check or flight is sent again
PASSWORD: Final = "wherewithAServerMayCheckUs"
_REQUEST: Final = b"\x00\x01"  # a STUN binding request
PATIENCE: Final = 30.0  # s for one of them to connect


class Client:
    """One transport, from the client's side.

    `offer` says where the server is and how to get in: host, port, and either ufrag, password and fingerprint, or the
    key that both sides were simply given.
    """

    def __init__(self, offer: dict[str, Any], certificate: Certificate, profile: str) -> None:
        self.socket = new_socket(offer["host"], offer["port"], BUFFER)
        self.port: int = self.socket.getsockname()[1]
        self._offer = offer
        self._dtls = DtlsSrtp(certificate)
        self._is_checked = False
        self._due = 0.0
        self.protect, self.unprotect = self._dtls.protect_rtp, self._dtls.unprotect_rtp
        self.has_keys = "key" in offer
        if self.has_keys:
            key = bytes.fromhex(offer["key"])
            self.protect = make_session(key, profile, Direction.OUT).protect
            self.unprotect = make_session(key, profile, Direction.IN).unprotect

    def check(self) -> None:
        """An ICE check, which is consent as well once we are connected; the limit knows no ICE."""
        if "key" not in self._offer:
            username = f"{self._offer['ufrag']}:load"
            self.socket.send(stun.make_request(username, self._offer["password"], 1)[0])

    def press(self, now: float) -> None:
        """Do again what was not answered for too long."""
        if now < self._due:
            return
        self._due = now + REPEAT
        if not self._is_checked:
            self.check()
        else:
            self._dtls.handle_timeout()
            self._flush()

    def take(self) -> None:
        """Go on with what has arrived.

        Raises:
            RuntimeError: the handshake failed.
        """
        try:
            while not self.has_keys:
                self._take(self.socket.recv(2048))
        except BlockingIOError:
            return

    def close(self) -> None:
        """Say goodbye."""
        self._dtls.close()
        self._flush()
        self.socket.close()

    def _take(self, data: bytes) -> None:
        if data.startswith(_REQUEST):
            self.socket.send(stun.make_answer(stun.parse(data), self.socket.getpeername(), PASSWORD))
        elif data[0] < 4 and not self._is_checked:
            self._is_checked = True
            self._dtls.start(DtlsRole.CLIENT, [Fingerprint("sha-256", self._offer["fingerprint"])])
        elif 20 <= data[0] < 64:
            self._dtls.receive(data)
        self._flush()
        self.has_keys = self._dtls.state is State.CONNECTED
        if self._dtls.failure is not None:
            raise RuntimeError(f"DTLS with {self._offer['host']}:{self._offer['port']}: {self._dtls.failure.value}")

    def _flush(self) -> None:
        for datagram in self._dtls.take():
            self.socket.send(datagram)


def connect(clients: Iterable[Client]) -> None:
    """Connect them all, a few at a time.

    Raises:
        RuntimeError: one of them could not.
    """
    waiting = [client for client in clients if not client.has_keys]
    for start in range(0, len(waiting), AT_ONCE):
        _connect(waiting[start : start + AT_ONCE])


def _connect(clients: list[Client]) -> None:
    deadline = time.monotonic() + PATIENCE
    missing = {client.socket.fileno(): client for client in clients}
    with select.epoll() as poll:
        for number in missing:
            poll.register(number, select.EPOLLIN)
        while missing:
            now = time.monotonic()
            if now > deadline:
                raise RuntimeError(f"{len(missing)} clients could not connect in {PATIENCE:g} s")
            for client in missing.values():
                client.press(now)
            for number, _ in poll.poll(REPEAT):
                missing[number].take()
                if missing[number].has_keys:
                    poll.unregister(number)
                    del missing[number]
