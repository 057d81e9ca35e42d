"""An Engine.IO link over a WebSocket: the heartbeat, the one writer, and what the client says."""

from __future__ import annotations

import logging
from typing import Final

import trio
from attrs import define
from trio_websocket import ConnectionClosed, WebSocketConnection

from palaver_protocol import engineio
from palaver_protocol.engineio import Handshake, PacketType, RemoteProtocolError, ServerHeartbeat

from .links import Link, OnMessage
from .session import Outbox

log = logging.getLogger(__name__)

SEND_PATIENCE: Final = 10.0  # s that one message may take to a client that does not read
NORMAL: Final = 1000  # RFC 6455, section 7.4.1
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
GOODBYES: Final = (NORMAL, GOING_AWAY)
CLOSE_PATIENCE: Final = 1.0  # s for the closing handshake
PING: Final = "2"


@define(eq=False)
class WebSocketLink(Link):
    """A link that is a WebSocket from its first packet to its last."""

    websocket: WebSocketConnection

    async def serve(self, on_message: OnMessage) -> None:
        """Live as long as the WebSocket."""
        handshake = Handshake(self.sid, upgrades=(), settings=self.settings)
        self.outbox.put(engineio.encode(engineio.open_packet(handshake)))
        heartbeat = ServerHeartbeat(self.settings, trio.current_time())
        carrier = Carrier(self.websocket, self.outbox, heartbeat, on_message)
        try:
            with self.outbox.scope:
                await carrier.run()
        except* (ConnectionClosed, trio.TooSlowError) as why:
            log.debug("link %s ends: %s", self.sid, why.exceptions[0])
        finally:
            self.has_left = carrier.has_left


@define(eq=False)
class Carrier:
    """Carries an outbox to a client over a WebSocket, and the client's messages back."""

    websocket: WebSocketConnection
    outbox: Outbox
    heartbeat: ServerHeartbeat
    on_message: OnMessage
    has_left: bool = False  # the client said goodbye
    _close_with: tuple[int, str] = (GOING_AWAY, "the server closes this connection")

    async def run(self) -> None:
        """Until either side closes, or the client breaks the protocol and was told so.

        Raises:
            ConnectionClosed, TooSlowError: in groups: the connection is broken.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write)
            try:
                await self._read()
            except RemoteProtocolError as why:
                log.debug("a client breaks the protocol: %s", why)
                self._close_with = (PROTOCOL_ERROR, str(why))
                self.outbox.close()
                nursery.cancel_scope.deadline = trio.current_time() + CLOSE_PATIENCE
            else:
                nursery.cancel_scope.cancel()

    async def _write(self) -> None:
        """The one task that sends: a cancelled send leaves half a frame, so the stream is closed after one."""
        while messages := await self.outbox.take():
            for message in messages:
                with trio.fail_after(SEND_PATIENCE):
                    await self.websocket.send_message(message)
        with trio.move_on_after(CLOSE_PATIENCE):
            await self.websocket.aclose(*self._close_with)

    async def _read(self) -> None:
        while True:
            received: str | bytes | None = None
            with trio.CancelScope(deadline=self.heartbeat.deadline):
                received = await self._next()
            if received is None:
                if self.heartbeat.expire(trio.current_time()):
                    self.outbox.put(PING)
                continue
            packet = engineio.decode(received)
            match packet.type:
                case PacketType.MESSAGE:
                    self.on_message(packet.data)
                case PacketType.PONG:
                    self.heartbeat.pong(trio.current_time())
                case PacketType.CLOSE:
                    self.has_left = True
                    return
                case _:
                    raise RemoteProtocolError(f"a client does not send {packet.type.name}")

    async def _next(self) -> str | bytes:
        try:
            return await self.websocket.get_message()
        except ConnectionClosed as why:
            self.has_left = why.reason is not None and why.reason.code in GOODBYES
            raise
