"""An Engine.IO link over a WebSocket: the heartbeat, the one writer, and what the client says."""

from __future__ import annotations

import logging
from typing import Final

import trio
from attrs import define

from palaver_protocol import engineio
from palaver_protocol.engineio import Handshake, PacketType, RemoteProtocolError, ServerHeartbeat

from .links import Link, OnMessage
from .session import Outbox
from .websocket import (
    GOING_AWAY,
    NO_STATUS,
    NORMAL,
    PROTOCOL_ERROR,
    Closed,
    FrameError,
    WebSocket,
    closing_frame,
    frame_of,
)

log = logging.getLogger(__name__)

SEND_PATIENCE: Final = 8.0  # s that one message may take to a client that does not read
GOODBYES: Final = (NORMAL, GOING_AWAY)
CLOSE_PATIENCE: Final = 1.0  # s for the closing handshake
PING: Final = "2"


@define(eq=False)
class WebSocketLink(Link):
    """A link that is a WebSocket from its first packet to its last."""

    websocket: WebSocket

    async def serve(self, on_message: OnMessage) -> None:
        """Live as long as the WebSocket."""
        handshake = Handshake(self.sid, upgrades=(), settings=self.settings)
        self.outbox.put(engineio.encode(engineio.open_packet(handshake)))
        heartbeat = ServerHeartbeat(self.settings, trio.current_time())
        carrier = Carrier(self.websocket, self.outbox, heartbeat, on_message)
        try:
            with self.outbox.scope:
                await carrier.run()
        except* (Closed, trio.TooSlowError) as why:
            log.debug("link %s ends: %s", self.sid, why.exceptions[0])
        finally:
            self.has_left = carrier.has_left


@define(eq=False)
class Carrier:
    """Carries an outbox to a client over a WebSocket, and the client's messages back."""

    websocket: WebSocket
    outbox: Outbox
    heartbeat: ServerHeartbeat
    on_message: OnMessage
    has_left: bool = False  # the client said goodbye
    _rest: bytes | memoryview = b""  # of a frame whose beginning is sent
    _close_with: tuple[int, str] = (GOING_AWAY, "the server closes this connection")

    async def run(self) -> None:
        """Until either side closes, or the client breaks the protocol and was told so.

        Raises:
            Closed, TooSlowError: in groups: the connection is broken.
        """
        self.websocket.answer = self.outbox.put
        self.outbox.send_now = self._send_now
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, nursery.cancel_scope)
                try:
                    await self._read()
                except RemoteProtocolError as why:
                    log.debug("a client breaks the protocol: %s", why)
                    code = why.code if isinstance(why, FrameError) else PROTOCOL_ERROR
                    self._end_with(nursery.cancel_scope, code, str(why))
                    await self.websocket.wait_closed()
                except Closed as why:
                    if why.code is None:
                        raise
                    self.has_left = why.code in GOODBYES
                    self._end_with(nursery.cancel_scope, NORMAL if why.code == NO_STATUS else why.code, "")
        finally:
            self.outbox.send_now = None

    def _end_with(self, scope: trio.CancelScope, code: int, reason: str) -> None:
        """Have the writer say a last word, if that can be said soon."""
        self._close_with = (code, reason)
        self.outbox.close()
        scope.deadline = min(scope.deadline, trio.current_time() + CLOSE_PATIENCE)

    def _send_now(self, message: str | bytes) -> bool:
        """Send a message while the writer waits, if the socket takes any of it; the end may be left to the writer."""
        frame = frame_of(message)
        sent = self.websocket.send_now(frame)
        if 0 < sent < len(frame):
            self._rest = memoryview(frame)[sent:]
            self.outbox.wake()
        return sent > 0

    async def _write(self, scope: trio.CancelScope) -> None:
        """The one task that sends: a cancelled send leaves half a frame, so the stream is closed after one."""
        while True:
            messages = await self.outbox.take()
            rest, self._rest = self._rest, b""
            if rest:
                await self._send(rest)
            elif not messages:
                break
            for message in messages:
                await self._send(frame_of(message))
        scope.deadline = min(scope.deadline, trio.current_time() + CLOSE_PATIENCE)
        await self._send(closing_frame(*self._close_with))

    async def _send(self, data: bytes | memoryview) -> None:
        with trio.fail_after(SEND_PATIENCE):
            await self.websocket.send(data)

    async def _read(self) -> None:
        """Listen, and ping when that is due."""
        while True:
            with trio.CancelScope(deadline=self.heartbeat.deadline) as beat:
                await self._listen(beat)
            if self.heartbeat.expire(trio.current_time()):
                self.outbox.put(PING)

    async def _listen(self, beat: trio.CancelScope) -> None:
        """Do what the client says, until it closes or the heartbeat is due."""
        while True:
            packet = engineio.decode(await self.websocket.receive())
            match packet.type:
                case _ if self.outbox.is_closed:
                    pass  # said after the goodbye
                case PacketType.MESSAGE:
                    self.on_message(packet.data)
                case PacketType.PONG:
                    self.heartbeat.pong(trio.current_time())
                    beat.deadline = self.heartbeat.deadline
                case PacketType.CLOSE:
                    raise Closed(NORMAL)
                case _:
                    raise RemoteProtocolError(f"a client does not send {packet.type.name}")
