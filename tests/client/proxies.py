"""A proxy between clients and a server: a real one, over TCP, that does to connections what some networks do."""

from __future__ import annotations

import enum
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import trio
from attrs import define, field


class Upgrades(enum.Enum):
    """What becomes of a request to go on as a WebSocket."""

    PASS = "passed on"
    FORBIDDEN = "403 Forbidden"
    BAD_GATEWAY = "502 Bad Gateway"
    CUT = "cut"
    CUT_LATER = "passed on, and cut as soon as the server has said yes"


@define(eq=False)
class Proxy:
    """What lies between. `is_open` False lets nobody in."""

    port: int  # of the server
    upgrades: Upgrades
    is_open: bool = True
    url: str = ""
    refused: int = 0  # upgrades that were not passed on
    _streams: set[trio.SocketStream] = field(factory=set[trio.SocketStream])

    def cut(self) -> None:
        """Break all connections, as a cable that is pulled does."""
        for stream in tuple(self._streams):
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            stream.socket.close()

    async def serve(self, client: trio.SocketStream) -> None:
        """Pass one connection on, or not."""
        self._streams.add(client)
        try:
            head = await self._head(client)
            is_upgrade = b"upgrade: websocket" in head.lower()
            if head and self.is_open and not (is_upgrade and await self._refuses(client)):
                await self._pass_on(client, head, is_upgrade and self.upgrades is Upgrades.CUT_LATER)
        except* (trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            pass
        finally:
            self._streams.discard(client)
            await trio.aclose_forcefully(client)

    async def _head(self, client: trio.SocketStream) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head:
            data = await client.receive_some(4096)
            if not data:
                return b""
            head += data
        return head

    async def _refuses(self, client: trio.SocketStream) -> bool:
        match self.upgrades:
            case Upgrades.PASS:
                return False
            case Upgrades.CUT | Upgrades.CUT_LATER:
                self.refused += 1
                return self.upgrades is Upgrades.CUT
            case _:
                self.refused += 1
                await client.send_all(f"HTTP/1.1 {self.upgrades.value}\r\nContent-Length: 0\r\n\r\n".encode())
                return True

    async def _pass_on(self, client: trio.SocketStream, head: bytes, is_cut_later: bool) -> None:
        server = await trio.open_tcp_stream("127.0.0.1", self.port)
        self._streams.add(server)
        try:
            await server.send_all(head)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._copy, client, server, nursery, False)
                nursery.start_soon(self._copy, server, client, nursery, is_cut_later)
        finally:
            self._streams.discard(server)
            await trio.aclose_forcefully(server)

    async def _copy(
        self, source: trio.SocketStream, sink: trio.SocketStream, nursery: trio.Nursery, is_once: bool
    ) -> None:
        async for data in source:
            if is_once:
                await sink.send_all(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")  # the answer, and no packet
                break
            await sink.send_all(data)
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def proxy(url: str, upgrades: Upgrades = Upgrades.PASS) -> AsyncIterator[Proxy]:
    """A proxy in front of the server at `url`, for the length of the block."""
    port = urlsplit(url).port
    assert port is not None
    between = Proxy(port, upgrades)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, between.serve, 0)
        between.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        yield between
        nursery.cancel_scope.cancel()
