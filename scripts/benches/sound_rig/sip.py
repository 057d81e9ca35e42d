"""The least of a SIP proxy: it stands between two user agents and writes other media ports into their descriptions."""

from __future__ import annotations

import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import trio

Address: TypeAlias = tuple[str, int]

PORT: Final = re.compile(rb"^m=audio (\d+)", re.MULTILINE)
LENGTH: Final = re.compile(rb"^(Content-Length|l):[ \t]*\d+", re.MULTILINE | re.IGNORECASE)


def reroute(message: bytes, ports: Mapping[int, int]) -> bytes:
    """The same message, with other audio ports in its body."""
    head, gap, body = message.partition(b"\r\n\r\n")
    body = PORT.sub(lambda found: b"m=audio %d" % ports.get(int(found[1]), int(found[1])), body)
    return LENGTH.sub(lambda found: b"%s: %d" % (found[1], len(body)), head) + gap + body


@asynccontextmanager
async def proxying(callee: int, ports: Mapping[int, int]) -> AsyncIterator[int]:
    """A proxy to the user agent at UDP port `callee` of loopback, for one caller; its own port."""
    with _opened() as near, _opened() as far:
        far.connect(("127.0.0.1", callee))
        callers: list[Address] = []

        async def there() -> None:
            while True:
                message, caller = await _take(near)
                callers[:] = [caller]
                far.send(reroute(message, ports))

        async def back() -> None:
            while True:
                message, _ = await _take(far)
                near.sendto(reroute(message, ports), callers[0])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(there)
            nursery.start_soon(back)
            yield near.getsockname()[1]
            nursery.cancel_scope.cancel()


def _opened() -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    return end


async def _take(end: socket.socket) -> tuple[bytes, Address]:
    await trio.lowlevel.wait_readable(end)
    return end.recvfrom(65536)
