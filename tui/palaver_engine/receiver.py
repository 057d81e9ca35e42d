"""The receive thread: every datagram of every transport, handed on the moment it arrives.

It owns the sockets it is given and closes them, so none is closed while the thread waits for it.
"""

from __future__ import annotations

import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

Handler: TypeAlias = Callable[[bytes, float], None]  # a datagram and when it came (s, time.monotonic)

DATAGRAM: Final = 2048  # bytes, more than any path carries
BATCH: Final = 32  # datagrams of one socket before the others have their turn

log = logging.getLogger(__name__)


class Receiver:
    """One thread for all sockets of the engine. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._changes: deque[tuple[socket.socket, Handler | None]] = deque()
        self._wake, wakened = socket.socketpair()
        wakened.setblocking(False)
        self._selector.register(wakened, selectors.EVENT_READ, None)
        self._wakened = wakened
        self._is_closing = False
        self._thread = threading.Thread(target=self._run, name="receive", daemon=True)
        self._thread.start()

    def add(self, sock: socket.socket, handler: Handler) -> None:
        """Call `handler` in the receive thread for each datagram of a non-blocking socket."""
        self._change(sock, handler)

    def remove(self, sock: socket.socket) -> None:
        """Close a socket; its handler may still be running for a moment."""
        self._change(sock, None)

    def close(self) -> None:
        """End the thread and close all sockets."""
        self._is_closing = True
        self._wake.send(b"\0")
        self._thread.join()
        self._wake.close()

    def _change(self, sock: socket.socket, handler: Handler | None) -> None:
        self._changes.append((sock, handler))
        self._wake.send(b"\0")

    def _run(self) -> None:
        while not self._is_closing:
            for key, _ in self._selector.select():
                if key.data is None:
                    self._apply_changes()
                else:
                    _drain(key.fileobj, key.data)  # type: ignore[arg-type]  # only sockets are registered
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]  # only sockets are registered
        self._selector.close()

    def _apply_changes(self) -> None:
        self._wakened.recv(4096)
        while self._changes:
            sock, handler = self._changes.popleft()
            if handler is not None:
                self._selector.register(sock, selectors.EVENT_READ, handler)
            else:
                self._selector.unregister(sock)
                sock.close()


def _drain(sock: socket.socket, handler: Handler) -> None:
    for _ in range(BATCH):
        try:
            data = sock.recv(DATAGRAM)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error of an earlier send; whether the path is dead, consent will tell
            continue
        if data:
            _handle(handler, data)


def _handle(handler: Handler, data: bytes) -> None:
    try:
        handler(data, time.monotonic())
    except Exception:  # a bug in one call must not make the others deaf
        log.exception("a datagram was not handled")
