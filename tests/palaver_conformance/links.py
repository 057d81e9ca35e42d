"""Engine.IO transports as a client: messages in and out over a WebSocket, or by long-polling."""

from __future__ import annotations

import abc
import math
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Final, cast

import h11
import orjson
import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from palaver_protocol.engineio import RemoteProtocolError, decode
from palaver_protocol.polling import SEPARATOR

from .target import POLLING, WEBSOCKET, Target, http

SEND: Final = 10.0  # s that a server may take to read a message
MAX_MESSAGE: Final = 16 * 1024 * 1024  # bytes
NETWORK: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    ConnectionClosed,
    h11.RemoteProtocolError,
)


class LinkLost(Exception):
    """There is no link (any more)."""


class Link(abc.ABC):
    """One Engine.IO connection."""

    close_code: int | None = None  # of the WebSocket, once it is closed

    @abc.abstractmethod
    async def send(self, message: str | bytes) -> None:
        """Send a packet; on a dead link nothing happens."""

    @abc.abstractmethod
    def messages(self) -> AsyncGenerator[str | bytes, None]:
        """Packets, until the link ends."""

    @abc.abstractmethod
    async def close(self) -> None:
        """End it, telling the server."""

    @abc.abstractmethod
    async def cut(self) -> None:
        """End it as a torn cable does."""


@define(eq=False)
class WebSocketLink(Link):
    """Over a WebSocket."""

    stream: trio.abc.Stream
    socket: WebSocketConnection

    async def send(self, message: str | bytes) -> None:
        with trio.move_on_after(SEND), suppress(*NETWORK):
            await self.socket.send_message(message)

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        while True:
            try:
                yield await self.socket.get_message()
            except ConnectionClosed:
                self.close_code = None if self.socket.closed is None else self.socket.closed.code
                return

    async def close(self) -> None:
        with trio.move_on_after(1):
            await self.socket.aclose()

    async def cut(self) -> None:
        await trio.aclose_forcefully(self.stream)


async def open_websocket(target: Target, nursery: trio.Nursery, path: str = WEBSOCKET) -> WebSocketLink:
    """A WebSocket, whose reader runs in the nursery, which raises HandshakeError if the server refuses.

    Raises:
        LinkLost: there is nobody, or he hangs up.
    """
    with trio.move_on_after(target.patience):
        try:
            stream = await target.dial()
        except (OSError, trio.BrokenResourceError) as why:
            raise LinkLost(f"{target} cannot be reached ({why})") from None
        try:
            socket = await wrap_client_stream(
                nursery, cast(trio.SocketStream, stream), target.authority, path, max_message_size=MAX_MESSAGE
            )
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return WebSocketLink(stream, socket)
    raise LinkLost(f"{target} opens no WebSocket within {target.patience:g} s")


@define(eq=False)
class PollingLink(Link):
    """By HTTP requests, each on a connection of its own; may move to a WebSocket."""

    target: Target
    nursery: trio.Nursery
    sid: str = ""
    upgraded: WebSocketLink | None = None
    _is_over: bool = False
    _polled: trio.Event = field(factory=trio.Event)  # no poll waits any more, because of the upgrade
    _is_upgrading: bool = False
    _moved: trio.Event = field(factory=trio.Event)

    @property
    def path(self) -> str:
        """Where this link polls."""
        return f"{POLLING}&sid={self.sid}" if self.sid else POLLING

    async def send(self, message: str | bytes) -> None:
        if self.upgraded is not None:
            await self.upgraded.send(message)
        elif not self._is_over:
            assert isinstance(message, str)  # this protocol has no binary events
            await self._request("POST", message.encode(), SEND)

    async def _request(self, method: str, body: bytes = b"", patience: float = math.inf) -> bytes | None:
        """The body of the answer; None where the link is over."""
        try:
            status, received = await http(self.target, method, self.path, body, patience)
        except (*NETWORK, trio.TooSlowError):
            status, received = 0, b""
        self._is_over = self._is_over or status != 200
        return None if self._is_over else received

    async def messages(self) -> AsyncGenerator[str | bytes, None]:
        while not self._is_upgrading:
            received = await self._request("GET")
            if received is None:
                return
            for message in received.decode().split(SEPARATOR):
                if message.startswith("0"):
                    self.sid = read_sid(message)
                yield message
        self._polled.set()
        await self._moved.wait()
        assert self.upgraded is not None
        async with aclosing(self.upgraded.messages()) as messages:
            async for later in messages:
                yield later

    async def upgrade(self) -> None:
        """Move to a WebSocket, as Socket.IO's clients do.

        Raises:
            LinkLost: the server does not play along.
        """
        websocket = await open_websocket(self.target, self.nursery, f"{WEBSOCKET}&sid={self.sid}")
        try:
            await self._move(websocket)
        finally:
            if self.upgraded is None:
                await websocket.cut()

    async def _move(self, websocket: WebSocketLink) -> None:
        await websocket.send("2probe")
        with trio.move_on_after(self.target.patience):
            if await websocket.socket.get_message() != "3probe":
                raise LinkLost("the probe of an upgrade is not answered with 3probe")
            self._is_upgrading = True
            await self._polled.wait()  # the server ends a poll that waits
            await websocket.send("5")
            self.upgraded = websocket
            self._moved.set()
            return
        raise LinkLost("the probe of an upgrade is not answered, or a waiting poll is not ended by it")

    async def close(self) -> None:
        if self.upgraded is not None:
            await self.upgraded.close()
        await self.send("1")
        self._is_over = True

    async def cut(self) -> None:
        self._is_over = True
        if self.upgraded is not None:
            await self.upgraded.cut()


def read_sid(message: str) -> str:
    """The session's id in an open packet."""
    try:
        return str(orjson.loads(decode(message).data)["sid"])
    except (RemoteProtocolError, ValueError, KeyError, TypeError):
        return ""
