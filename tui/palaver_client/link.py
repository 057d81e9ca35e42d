"""One connection to a server: Engine.IO and Socket.IO in the client's role, whatever carries them.

One task writes and one reads. Only the writer sends: a send that is cancelled midway would leave half a frame.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, NoReturn, TypeAlias, TypeVar, assert_never, cast

import trio
from attrs import define, field
from trio_websocket import HandshakeError

from palaver_protocol import engineio, socketio, text
from palaver_protocol.converter import read_notice, write_request
from palaver_protocol.engineio import ClientHeartbeat, RemoteProtocolError
from palaver_protocol.notices import AnyNotice
from palaver_protocol.requests import AnyRequest
from palaver_protocol.table import ROW_OF, Ack, Refusal, Request

from .carriers import Carrier, Opening
from .errors import Disconnected, LinkLost, LinkRefused, Unanswered
from .question import Question
from .upgrade import CONNECT, not_upgraded
from .url import ServerUrl

A = TypeVar("A", bound=Ack)
WhileUp: TypeAlias = Callable[[], Awaitable[None]]

log = logging.getLogger(__name__)

ANSWER: Final = 10.0  # s until a request is answered
CLOSE: Final = 1.0  # s to say good-bye
MAX_SILENCE: Final = 3600.0  # s that a server may want between two signs of life
MAX_WAITING: Final = 256  # messages not yet sent
AT_ONCE: Final = 32  # messages given to the carrier together
MAX_WORDS: Final = 200  # code points of a server's refusal


@define(eq=False)
class Link:
    """One connection, from the first byte to the last.

    `on_notice` is called for each notice, and before them `on_welcome` with what the server says when it lets us in;
    neither may block. `is_open` says whether Engine.IO's first packet has come.
    """

    url: ServerUrl
    auth: dict[str, Any]
    on_notice: Callable[[AnyNotice], None]
    on_welcome: Callable[[dict[str, Any]], None] = lambda welcome: None
    is_open: bool = False
    _socketio: socketio.ClientLink = field(factory=socketio.ClientLink)
    _asked: dict[int, Question[Any]] = field(factory=lambda: dict[int, Question[Any]]())
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _failure: LinkLost | None = None
    _is_sending: bool = False
    _carrier: Carrier | None = None
    _outbox: trio.MemorySendChannel[str | bytes] = field(init=False)
    _unsent: trio.MemoryReceiveChannel[str | bytes] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._outbox, self._unsent = trio.open_memory_channel[str | bytes](MAX_WAITING)

    async def run(self, opening: Opening, while_up: WhileUp) -> NoReturn:
        """Serve the connection until it is lost. Cancelled, it says good-bye.

        `while_up` runs beside it, from when the server has let us in to the loss.

        Raises:
            LinkLost: it could not be made, or is lost.
            LinkRefused: the server does not let us in.
        """
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    await self._serve(opening, nursery, while_up)
                    nursery.cancel_scope.cancel()
        except* HandshakeError as why:
            self._failure = not_upgraded(self.url, why)
        finally:
            self._fail_asked()
            if self._carrier is not None:
                with trio.CancelScope(shield=True):
                    await self._carrier.close()
        raise self._failure or LinkLost("the connection was closed")

    async def ask(self, asked: Request[A], then: Callable[[A], None] | None = None) -> A:
        """Send a request and wait for its answer.

        `then` is called with the answer before anything that the server says later is taken up, also when the caller
        does not wait any more.

        Raises:
            Refusal: the server said no.
            Disconnected: the connection was lost before the answer came.
        """
        row = ROW_OF[type(asked)]
        number, messages = self._socketio.ask(row.event, write_request(cast(AnyRequest, asked)))
        waiting = Question(cast(type[A], row.ack), then)
        self._send(messages)
        self._asked[number] = waiting
        with trio.move_on_after(ANSWER) as patience:
            await waiting.done.wait()
        if patience.cancelled_caught:
            self._lose(LinkLost(f"the server has not answered for {ANSWER:g} s"))
        if waiting.answer is None:
            raise Unanswered(f"{self._failure or 'the connection was closed'}; it may have been done")
        if isinstance(waiting.answer, Refusal):
            raise waiting.answer
        return waiting.answer

    async def _serve(self, opening: Opening, nursery: trio.Nursery, while_up: WhileUp) -> None:
        try:
            with trio.fail_after(CONNECT):
                carrier = self._carrier = await opening(nursery)
                heartbeat = ClientHeartbeat(await self._shake_hands(carrier), trio.current_time())
            nursery.start_soon(self._write, carrier)
            nursery.start_soon(while_up)
            try:
                await self._read(carrier, heartbeat)
            finally:
                await self._say_goodbye(carrier)
        except trio.TooSlowError:
            self._lose(LinkLost(f"the server at {self.url} did not let us in within {CONNECT:g} s"))
        except RemoteProtocolError as why:
            self._lose(LinkLost(f"the server at {self.url} does not speak our protocol ({why})"))
        except LinkLost as why:
            self._lose(why)

    async def _shake_hands(self, carrier: Carrier) -> engineio.Settings:
        """Be let in; nothing else is sent before that, so this may send by itself."""
        handshake = engineio.read_open(await carrier.receive())
        self.is_open = True
        if not 0 < handshake.settings.ping_interval + handshake.settings.ping_timeout <= MAX_SILENCE:
            raise RemoteProtocolError("a senseless heartbeat")
        await carrier.send([_wrap(message) for message in self._socketio.connect(self.auth)])
        while not self._socketio.is_connected:
            self._take(await carrier.receive())
        return handshake.settings

    async def _read(self, carrier: Carrier, heartbeat: ClientHeartbeat) -> None:
        while True:
            packet = await self._next_packet(carrier, heartbeat.deadline)
            heartbeat.heard = trio.current_time()
            self._take(packet)

    async def _next_packet(self, carrier: Carrier, deadline: float) -> engineio.Packet:
        with trio.move_on_at(deadline):
            return await carrier.receive()
        raise LinkLost(f"the server at {self.url} went silent")

    def _take(self, packet: engineio.Packet) -> None:
        match packet.type:
            case engineio.PacketType.MESSAGE:
                self._understand(self._socketio.feed(packet.data))
            case engineio.PacketType.PING:
                self._send_raw(engineio.encode(engineio.Packet(engineio.PacketType.PONG, packet.data)))
            case engineio.PacketType.CLOSE:
                raise LinkLost(f"the server at {self.url} closed the connection")
            case _:
                return

    def _understand(self, event: socketio.ClientEvent | None) -> None:
        match event:
            case None:
                return
            case socketio.Welcomed():
                self.on_welcome(event.data)
            case socketio.Refused():
                raise LinkRefused(text.one_line(event.message[:MAX_WORDS]) or "the server does not let us in")
            case socketio.Event():
                self._hear(event)
            case socketio.Acknowledged():
                self._answer(event)
            case socketio.Disconnected():
                raise LinkLost(f"the server at {self.url} ended the connection")
            case _:
                assert_never(event)

    def _hear(self, event: socketio.Event) -> None:
        """Pass a notice on; one that we do not understand is no reason to hang up."""
        try:
            told = read_notice(event.name, event.arguments[0] if event.arguments else None)
        except ValueError as why:
            log.warning("from %s: %s", self.url, why)
            return
        if told is not None:
            self.on_notice(told)

    def _answer(self, event: socketio.Acknowledged) -> None:
        waiting = self._asked.pop(event.ack_id, None)
        if waiting is None:
            raise RemoteProtocolError("an answer to nothing")
        waiting.settle(event.arguments[0] if event.arguments else None)

    async def _say_goodbye(self, carrier: Carrier) -> None:
        """Tell the server that we go on purpose, unless a half-sent frame makes that impossible."""
        if self._is_sending or self._failure is not None or not self._socketio.is_connected:
            return
        with trio.move_on_after(CLOSE, shield=True), contextlib.suppress(LinkLost):
            await carrier.send([_wrap(message) for message in self._socketio.leave()])

    async def _write(self, carrier: Carrier) -> None:
        async for message in self._unsent:
            messages = [message]
            with contextlib.suppress(trio.WouldBlock):
                while len(messages) < AT_ONCE:
                    messages.append(self._unsent.receive_nowait())
            self._is_sending = True
            try:
                await carrier.send(messages)
            except LinkLost as why:
                self._lose(why)
                return
            self._is_sending = False

    def _send(self, messages: Iterable[str | bytes]) -> None:
        for message in messages:
            self._send_raw(_wrap(message))

    def _send_raw(self, message: str | bytes) -> None:
        if self._failure is not None:
            raise Disconnected(str(self._failure))
        try:
            self._outbox.send_nowait(message)
        except trio.WouldBlock:
            self._lose(LinkLost(f"the server at {self.url} takes nothing any more"))
            raise Disconnected(str(self._failure)) from None

    def _lose(self, why: LinkLost) -> None:
        if self._failure is None and not self._scope.cancel_called:
            self._failure = why
        self._scope.cancel()

    def _fail_asked(self) -> None:
        """Wake up those who wait for an answer that will not come."""
        if self._failure is None:
            self._failure = LinkLost("the connection was closed")
        for waiting in self._asked.values():
            waiting.done.set()


def _wrap(message: str | bytes) -> str | bytes:
    """A Socket.IO message as Engine.IO carries it."""
    return engineio.encode(engineio.Packet(engineio.PacketType.MESSAGE, message))
