"""An Engine.IO link over HTTP long-polling, which may move to a WebSocket once, with nothing lost or said twice."""

from __future__ import annotations

import enum
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from palaver_protocol import engineio
from palaver_protocol.engineio import Handshake, Packet, PacketType, RemoteProtocolError, ServerHeartbeat
from palaver_protocol.polling import CLOSE, NOOP, ServerProbe, decode_payload, encode_payload

from .links import Link, OnMessage
from .websocket import Closed, WebSocket, frame_of
from .websocket_link import PING, Carrier

log = logging.getLogger(__name__)

UPGRADE_PATIENCE: Final = 10.0  # s from a WebSocket's handshake to its taking over
AT_ONCE: Final = 32  # packets of one payload handled before others have their turn


class Stage(enum.Enum):
    """Which transport a link is on."""

    POLLING = enum.auto()
    PROBING = enum.auto()  # a WebSocket is there, and says nothing that counts yet
    PROVED = enum.auto()  # it works: polls end at once, so that the client can finish them
    UPGRADED = enum.auto()
    ENDED = enum.auto()


@define(eq=False)
class Poll:
    """One GET, from its arrival until its answer is sent: as long as it is there, it is the link's writer."""

    link: PollingLink
    scope: trio.CancelScope = field(factory=trio.CancelScope)
    last_word: str = NOOP  # the answer when there is no other
    is_waiting: bool = True
    has_follower: bool = False
    answered: trio.Event = field(factory=trio.Event)

    def interrupt(self, last_word: str) -> None:
        """End the waiting."""
        if not self.scope.cancel_called:
            self.last_word = last_word
            self.scope.cancel()

    async def wait(self) -> bytes:
        """The next payload."""
        outbox = self.link.outbox
        with self.scope:
            messages = await outbox.take()
            self.is_waiting = False
            if outbox.is_closed:  # and so there will be no more
                messages.append(CLOSE)
                self.link.end()
            return encode_payload(messages)
        self.is_waiting = False
        return self.last_word.encode()


@define(eq=False)
class PollingLink(Link):
    """A link that begins with polling. `serve` is its life; the tasks of its HTTP requests come and go."""

    _stage: Stage = Stage.POLLING
    _poll: Poll | None = None
    _is_pushing: bool = False
    _on_message: OnMessage | None = None
    _heartbeat: ServerHeartbeat = field(init=False)
    _beat: trio.CancelScope = field(factory=trio.CancelScope)  # sleeps until the heartbeat is due
    _websocket: WebSocket | None = None
    _upgraded: trio.Event = field(factory=trio.Event)
    _ended: trio.Event = field(factory=trio.Event)

    @property
    def is_polling(self) -> bool:
        """Whether GET and POST have a meaning."""
        return self._stage not in (Stage.UPGRADED, Stage.ENDED)

    @property
    def can_upgrade(self) -> bool:
        """Whether a WebSocket may try to take over."""
        return self._stage is Stage.POLLING

    async def serve(self, on_message: OnMessage) -> None:
        """Live as long as the client polls and answers pings, or as the WebSocket it moved to."""
        self._on_message = on_message
        self._heartbeat = ServerHeartbeat(self.settings, trio.current_time())
        handshake = Handshake(self.sid, upgrades=("websocket",), settings=self.settings)
        self.outbox.put(engineio.encode(engineio.open_packet(handshake)))
        try:
            with self.outbox.scope:
                carrier = Carrier(await self._keep_alive(), self.outbox, self._heartbeat, on_message)
                try:
                    await carrier.run()
                finally:
                    self.has_left = carrier.has_left
        except* (RemoteProtocolError, Closed, trio.TooSlowError) as why:
            log.debug("link %s ends: %s", self.sid, why.exceptions[0])
        finally:
            self.end()
            self._ended.set()

    async def _keep_alive(self) -> WebSocket:
        """Ping until the client has moved to a WebSocket."""
        while self._websocket is None:
            with trio.CancelScope(deadline=self._heartbeat.deadline) as self._beat:
                await self._upgraded.wait()
            if self._heartbeat.expire(trio.current_time()):
                self.outbox.put(PING)
        return self._websocket

    def end(self, last_word: str = CLOSE) -> None:
        """Let the client go; a poll that waits is answered by the last word."""
        self._stage = Stage.ENDED
        if self._poll is not None:
            self._poll.interrupt(last_word)
        self.outbox.scope.cancel()

    # -- GET -----------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def polling(self) -> AsyncIterator[Poll]:
        """A poll, which is over when its answer is sent or failed to be.

        Raises:
            RemoteProtocolError: another one waits; nobody can say which of them is read, so the link ends.
        """
        if self._poll is not None:
            await self._follow(self._poll)
        poll = self._poll = Poll(self)
        if self._stage is Stage.PROVED:
            poll.interrupt(NOOP)
        try:
            yield poll
        except BaseException:  # what it took is lost
            self.end()
            raise
        finally:
            self._poll = None
            poll.answered.set()

    async def _follow(self, poll: Poll) -> None:
        """Wait for an answer to be sent: a quick client polls again before we know that it has it."""
        if poll.is_waiting or poll.has_follower:
            self.end()
            raise RemoteProtocolError("two polls at once")
        poll.has_follower = True
        await poll.answered.wait()
        if not self.is_polling:
            raise RemoteProtocolError("the session has ended, or moved to a WebSocket")

    # -- POST ----------------------------------------------------------------------------------------------------------
    async def push(self, payload: bytes) -> None:
        """Do what a payload says.

        Raises:
            RemoteProtocolError: it says nothing that a client may say, or overtakes another one; the link has ended.
        """
        try:
            if self._is_pushing:
                raise RemoteProtocolError("two payloads at once")
            self._is_pushing = True
            for number, packet in enumerate(decode_payload(payload), 1):
                self._receive(packet)
                if number % AT_ONCE == 0:
                    await trio.lowlevel.checkpoint()
                if self._stage is Stage.ENDED:
                    break
            self._is_pushing = False
        except BaseException:
            self.end()
            raise

    def _receive(self, packet: Packet) -> None:
        assert self._on_message is not None  # the client has its sid from `serve`
        match packet.type:
            case PacketType.MESSAGE:
                self._on_message(packet.data)
            case PacketType.PONG:
                self._heartbeat.pong(trio.current_time())
                self._beat.deadline = self._heartbeat.deadline
            case PacketType.CLOSE:
                self.has_left = True
                self.end(NOOP)
            case _:
                raise RemoteProtocolError(f"a client does not send {packet.type.name}")

    # -- the upgrade ---------------------------------------------------------------------------------------------------
    async def upgrade(self, websocket: WebSocket) -> None:
        """Let a WebSocket take over, and stay until the link ends; return at once if it does not come to that."""
        if self._stage is not Stage.POLLING:
            return
        self._stage = Stage.PROBING
        try:
            with trio.fail_after(UPGRADE_PATIENCE):
                await self._probe(websocket)
        except (RemoteProtocolError, Closed, trio.TooSlowError) as why:
            log.debug("link %s stays with polling: %s", self.sid, why)
        finally:
            if self._stage in (Stage.PROBING, Stage.PROVED):
                self._stage = Stage.POLLING
        if self._stage is Stage.UPGRADED:
            if self._poll is not None:  # one writer at a time
                await self._poll.answered.wait()
            self._websocket = websocket
            self._upgraded.set()
            await self._ended.wait()

    async def _probe(self, websocket: WebSocket) -> None:
        """Go through the probe; as soon as the WebSocket works, a poll is not left to wait."""
        probe = ServerProbe()
        while not probe.is_done:
            answer = probe.feed(await websocket.receive())
            if answer is not None:
                await websocket.send(frame_of(answer))
                if self._stage is Stage.PROBING:
                    self._stage = Stage.PROVED
                if self._poll is not None:
                    self._poll.interrupt(NOOP)
        if self._stage is Stage.PROVED:  # and did not end meanwhile
            self._stage = Stage.UPGRADED
