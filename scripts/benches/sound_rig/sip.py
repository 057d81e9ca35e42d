"""The least of a SIP proxy: it stands between two user agents and writes other media ports into their descriptions."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import trio

PORT = re.compile(rb"^m=audio (\d+)", re.MULTILINE)
LENGTH = re.compile(rb"^(Content-Length|l):[ \t]*\d+", re.MULTILINE | re.IGNORECASE)


def reroute(message: bytes, ports: Mapping[int, int]) -> bytes:
    """The same message, with other audio ports in its body."""
    head, gap, body = message.partition(b"\r\n\r\n")
    body = PORT.sub(lambda found: b"m=audio %d" % ports.get(int(found[1]), int(found[1])), body)
    return LENGTH.sub(lambda found: b"%s: %d" % (found[1], len(body)), head) + gap + body


@asynccontextmanager
async def proxying(callee: int, ports: Mapping[int, int]) -> AsyncIterator[int]:
    """A proxy to the user agent at UDP port `callee` of loopback, for one caller; its own port."""
    near = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    far = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with near, far:
        await near.bind(("127.0.0.1", 0))
        await far.connect(("127.0.0.1", callee))
        caller: list[tuple[str, int]] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_there, near, far, caller, ports)
            nursery.start_soon(_back, near, far, caller, ports)
            yield near.getsockname()[1]
            nursery.cancel_scope.cancel()


async def _there(
    near: trio.socket.SocketType, far: trio.socket.SocketType, caller: list[tuple[str, int]], ports: Mapping[int, int]
) -> None:
    while True:
        message, source = await near.recvfrom(65536)
        caller[:] = [source]
        await far.send(reroute(message, ports))


async def _back(
    near: trio.socket.SocketType, far: trio.socket.SocketType, caller: list[tuple[str, int]], ports: Mapping[int, int]
) -> None:
    while True:
        message = await far.recv(65536)
        await near.sendto(reroute(message, ports), caller[0])
