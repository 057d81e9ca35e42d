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
        try:
            with self.outbox.scope:
                await carry(self.websocket, self.outbox, heartbeat, on_message)
        except* (RemoteProtocolError, ConnectionClosed, trio.TooSlowError) as why:
            log.debug("link %s ends: %s", self.sid, why.exceptions[0])


async def carry(
    websocket: WebSocketConnection, outbox: Outbox, heartbeat: ServerHeartbeat, on_message: OnMessage
) -> None:
    """Carry an outbox to a client, and its messages back, until either side closes.

    Raises:
        RemoteProtocolError, ConnectionClosed, TooSlowError: in groups: the link is broken.
    """
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_write, websocket, outbox)
        await _read(websocket, outbox, heartbeat, on_message)
        nursery.cancel_scope.cancel()


async def _write(websocket: WebSocketConnection, outbox: Outbox) -> None:
    """The one task that sends: a cancelled send leaves half a frame, so the stream is closed after one."""
    while messages := await outbox.take():
        for message in messages:
            with trio.fail_after(SEND_PATIENCE):
                await websocket.send_message(message)
    with trio.move_on_after(CLOSE_PATIENCE):
        await websocket.aclose(1001, "the server ends")


async def _read(
    websocket: WebSocketConnection, outbox: Outbox, heartbeat: ServerHeartbeat, on_message: OnMessage
) -> None:
    while True:
        received: str | bytes | None = None
        with trio.CancelScope(deadline=heartbeat.deadline):
            received = await websocket.get_message()
        if received is None:
            if heartbeat.expire(trio.current_time()):
                outbox.put(PING)
            continue
        packet = engineio.decode(received)
        match packet.type:
            case PacketType.MESSAGE:
                on_message(packet.data)
            case PacketType.PONG:
                heartbeat.pong(trio.current_time())
            case PacketType.CLOSE:
                return
            case _:
                raise RemoteProtocolError(f"a client does not send {packet.type.name}")
