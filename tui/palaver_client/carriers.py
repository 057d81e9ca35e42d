"""What carries Engine.IO packets to a server and back: a WebSocket, or HTTP long-polling."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeAlias

import trio
from attrs import define
from trio_websocket import ConnectionClosed, WebSocketConnection

from palaver_protocol import engineio
from palaver_protocol.engineio import Packet

from .errors import LinkLost
from .upgrade import upgrade
from .url import ServerUrl


class Carrier(Protocol):
    """An open way to a server, on which one task sends and one receives."""

    async def receive(self) -> Packet:
        """The next packet. Raises LinkLost or RemoteProtocolError."""
        ...

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """Send packets, given as their WebSocket messages. May raise LinkLost, where `receive` would not."""

    async def close(self) -> None:
        """Give up all connections, without a word."""


Opening: TypeAlias = Callable[[trio.Nursery], Awaitable[Carrier]]  # the nursery is for what must run beside it


def websocket_over(stream: trio.abc.Stream, url: ServerUrl) -> Opening:
    """A WebSocket over a stream to the server. Opened, it raises LinkLost, or HandshakeError out of the nursery."""

    async def opening(nursery: trio.Nursery) -> Carrier:
        try:
            return WebSocketCarrier(url, stream, await upgrade(stream, nursery, url))
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise

    return opening


@define(eq=False)
class WebSocketCarrier:
    """A WebSocket: each message is one packet."""

    _url: ServerUrl
    _stream: trio.abc.Stream
    _socket: WebSocketConnection

    async def receive(self) -> Packet:
        """The next packet."""
        try:
            return engineio.decode(await self._socket.get_message())
        except ConnectionClosed:
            raise LinkLost(f"the server at {self._url} closed the connection") from None

    async def send(self, messages: Sequence[str | bytes]) -> None:
        """Send packets."""
        try:
            for message in messages:
                await self._socket.send_message(message)
        except ConnectionClosed:
            return  # `receive` meets it too, after what the server still had to say

    async def close(self) -> None:
        """Close the stream."""
        await trio.aclose_forcefully(self._stream)
