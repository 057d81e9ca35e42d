"""One Engine.IO link over a WebSocket: the heartbeat, the one writer, and what the client says."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio
from attrs import define, field
from trio_websocket import ConnectionClosed, WebSocketConnection

from palaver_protocol import engineio
from palaver_protocol.engineio import Handshake, Packet, PacketType, RemoteProtocolError, ServerHeartbeat, Settings

from .session import Outbox

log = logging.getLogger(__name__)

SEND_PATIENCE: Final = 10.0  # s that one message may take to a client that does not read
GOING_AWAY: Final = 1001  # RFC 6455, section 7.4.1
PROTOCOL_ERROR: Final = 1002
CLOSE_PATIENCE: Final = 1.0  # s for the closing handshake
PING: Final = "2"


@define(eq=False)
class Link:
    """One client's link. `on_message` gets each Engine.IO message, at once and in order; it must not block."""

    websocket: WebSocketConnection
    settings: Settings
    sid: str
    outbox: Outbox = field(factory=Outbox)
    _close_with: tuple[int, str] = (GOING_AWAY, "the server closes this connection")

    async def serve(self, on_message: Callable[[str | bytes], None]) -> None:
        """Live until the client leaves, breaks the protocol, falls silent, or is cut off by its outbox."""
        handshake = Handshake(self.sid, upgrades=(), settings=self.settings)
        self.outbox.put(engineio.encode(engineio.open_packet(handshake)))
        try:
            with self.outbox.scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._write)
                    try:
                        await self._read(on_message)
                    except RemoteProtocolError as why:
                        log.debug("link %s breaks the protocol: %s", self.sid, why)
                        self._close_with = (PROTOCOL_ERROR, str(why))
                        self.outbox.close()
                        nursery.cancel_scope.deadline = trio.current_time() + CLOSE_PATIENCE
                    else:
                        nursery.cancel_scope.cancel()
        except* (ConnectionClosed, trio.TooSlowError) as why:
            log.debug("link %s ends: %s", self.sid, why.exceptions[0])

    async def _write(self) -> None:
        """The one task that sends: a cancelled send leaves half a frame, so the stream is closed after one."""
        while messages := await self.outbox.take():
            for message in messages:
                with trio.fail_after(SEND_PATIENCE):
                    await self.websocket.send_message(message)
        with trio.move_on_after(CLOSE_PATIENCE):
            await self.websocket.aclose(*self._close_with)

    async def _read(self, on_message: Callable[[str | bytes], None]) -> None:
        heartbeat = ServerHeartbeat(self.settings, trio.current_time())
        while True:
            received: str | bytes | None = None
            with trio.CancelScope(deadline=heartbeat.deadline):
                received = await self.websocket.get_message()
            if received is None:
                if heartbeat.expire(trio.current_time()):
                    self.outbox.put(PING)
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


async def close_stream(stream: trio.abc.Stream) -> None:
    """Close a stream for good, without waiting for the other side."""
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await trio.aclose_forcefully(stream)


def message(data: str | bytes) -> str | bytes:
    """The WebSocket message that carries an Engine.IO message."""
    return engineio.encode(Packet(PacketType.MESSAGE, data))
