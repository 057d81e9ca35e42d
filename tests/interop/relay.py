"""A path between a client and a media worker that loses some of the video: a real one, over UDP."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from palaver_media.rtp import is_rtcp

LOSS: Final = 0.2  # of the video that is sent to the client, or by it
AUDIO: Final = frozenset({100, 111})  # payload types of Opus: the router's, and Chromium's


@define(eq=False)
class Relay:
    """Passes on datagrams between clients and the port `target`. Both ways lose video, by one seeded chance."""

    port: int
    target: int = 0
    passed: int = 0  # packets of video
    lost: int = 0
    _chance: random.Random = field(factory=lambda: random.Random(1))

    def loses(self, data: bytes) -> bool:
        """Whether this one does not get through."""
        is_video = data[0] >> 6 == 2 and not is_rtcp(data) and data[1] & 0x7F not in AUDIO
        is_lost = is_video and self._chance.random() < LOSS
        self.passed += is_video and not is_lost
        self.lost += is_lost
        return is_lost


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    """A relay on loopback, for the length of the block."""
    with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as near:
        await near.bind(("127.0.0.1", 0))
        async with trio.open_nursery() as nursery:
            between = Relay(near.getsockname()[1])
            nursery.start_soon(_pass_on, near, between, nursery)
            yield between
            nursery.cancel_scope.cancel()


async def _pass_on(near: trio.socket.SocketType, between: Relay, nursery: trio.Nursery) -> None:
    """What clients send, each from a socket of his own."""
    clients: dict[tuple[str, int], trio.socket.SocketType] = {}
    while True:
        data, client = await near.recvfrom(2048)
        if client not in clients:
            clients[client] = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
            await clients[client].connect(("127.0.0.1", between.target))
            nursery.start_soon(_pass_back, clients[client], near, client, between)
        if not between.loses(data):
            await clients[client].send(data)


async def _pass_back(
    far: trio.socket.SocketType, near: trio.socket.SocketType, client: tuple[str, int], between: Relay
) -> None:
    with far:
        while True:
            data = await far.recv(2048)
            if not between.loses(data):
                await near.sendto(data, client)
