"""Somebody in a case: asks, is answered, hears, and notes whatever is not as the protocol has it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Any, Final

import orjson
import trio
from attrs import define, field
from trio_websocket import HandshakeError

from palaver_protocol import engineio, socketio
from palaver_protocol.engineio import RemoteProtocolError
from palaver_protocol.table import NOTICES, Code

from .checks import answer_faults, check_fields, check_refusal, notice_faults
from .links import Link, LinkLost, PollingLink, open_websocket
from .shape import shown
from .target import Target
from .verdicts import Failed

# Told to everybody at any time; a case looks at them only if it is about them.
AMBIENT: Final = frozenset({"onlineUsersUpdated", "roomListUpdated", "activeSpeakers", "serverNotice"})


@define
class Heard:
    """A notice that came."""

    event: str
    payload: Any
    at: float  # s, monotonic
    is_expected: bool = False


@define(eq=False)
class Person:
    """A client of the server. Every answer and notice is held against the schema as it comes."""

    target: Target
    name: str
    user_id: str
    transport: str = "websocket"
    answers_pings: bool = True
    link: Link | None = None
    handshake: dict[str, Any] = field(factory=dict[str, Any])
    welcome: socketio.Packet | None = None  # the answer to CONNECT
    heard: list[Heard] = field(factory=list[Heard])
    wrong: list[str] = field(factory=list[str])  # against the schema
    pings: list[float] = field(factory=list[float])
    extra_answers: list[Any] = field(factory=list[Any])
    others: list[socketio.Packet] = field(factory=list[socketio.Packet])  # of namespaces that we are not in
    left: trio.Event = field(factory=trio.Event)
    why_left: str = ""
    _asked: dict[int, str] = field(factory=dict[int, str])
    _answers: dict[int, Any] = field(factory=dict[int, Any])
    _numbers: Iterator[int] = field(factory=itertools.count)
    _news: trio.Event = field(factory=trio.Event)
    _decoder: socketio.Decoder = field(factory=socketio.Decoder)

    # -- the link ------------------------------------------------------------------------------------------------------
    async def live(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Have a link, and listen until it ends."""
        try:
            async with trio.open_nursery() as nursery:
                if self.transport == "polling":
                    self.link = PollingLink(self.target, nursery)
                else:
                    self.link = await open_websocket(self.target, nursery)
                task_status.started()
                async with aclosing(self.link.messages()) as messages:
                    async for message in messages:
                        await self._receive(message)
                        self._tell_news()
                nursery.cancel_scope.cancel()
        except* (LinkLost, HandshakeError) as group:
            self.why_left = str(group.exceptions[0]) or type(group.exceptions[0]).__name__
        except* (RemoteProtocolError, ValueError) as group:
            self.wrong.append(f"what is no packet of Engine.IO or Socket.IO: {group.exceptions[0]}")
        finally:
            self.left.set()
            self._tell_news()
            if self.link is None:
                task_status.started()
            else:
                await self.link.cut()

    def _tell_news(self) -> None:
        self._news.set()
        self._news = trio.Event()

    async def _receive(self, message: str | bytes) -> None:
        packet = engineio.decode(message)
        match packet.type:
            case engineio.PacketType.OPEN:
                self.handshake = orjson.loads(packet.data)
            case engineio.PacketType.PING:
                self.pings.append(trio.current_time())
                if self.answers_pings:
                    await self.send("3")
            case engineio.PacketType.MESSAGE:
                said = self._decoder.feed(packet.data)
                if said is not None and said.namespace == "/":
                    self._take(said, str(packet.data))
                elif said is not None:
                    self.others.append(said)
            case _:
                return

    def _take(self, packet: socketio.Packet, text: str) -> None:
        match packet.type:
            case socketio.PacketType.CONNECT | socketio.PacketType.CONNECT_ERROR:
                if self.welcome is not None:
                    self.wrong.append("a second answer to CONNECT")
                self.welcome = packet
            case socketio.PacketType.ACK:
                self._take_answer(packet)
            case socketio.PacketType.EVENT:
                self._take_notice(packet.data, text)
            case _:
                self.wrong.append(f"an unexpected packet {packet.type.name}")

    def _take_answer(self, packet: socketio.Packet) -> None:
        number = packet.ack_id
        if number not in self._asked or number in self._answers:
            self.wrong.append(f"an answer to nothing, or a second one: {shown(packet.data)}")
            return
        event = self._asked[number]
        self._answers[number] = packet.data[0] if packet.data else None
        if len(packet.data) != 1:
            self.wrong.append(f"the answer to {event} has {len(packet.data)} arguments instead of one")
        else:
            self.wrong += [f"the answer to {event}, {what}" for what in answer_faults(event, packet.data[0])]

    def _take_notice(self, data: list[Any], text: str) -> None:
        self.heard.append(Heard(data[0], data[1] if len(data) > 1 else None, trio.current_time()))
        self.wrong += notice_faults(text)

    # -- speaking ------------------------------------------------------------------------------------------------------
    async def send(self, message: str | bytes) -> None:
        """Send an Engine.IO packet as it is."""
        if self.link is not None:
            await self.link.send(message)

    async def connect(self, **auth: Any) -> socketio.Packet:
        """Socket.IO's CONNECT and its answer, whatever it is."""
        await self.send("40" + orjson.dumps(auth).decode())
        await self.until(lambda: self.welcome is not None, "an answer to CONNECT")
        assert self.welcome is not None
        return self.welcome

    async def pose(self, event: str, *arguments: Any) -> int:
        """Send a request without waiting; its answer will carry this number."""
        number = next(self._numbers)
        self._asked[number] = event
        await self.send(f"42{number}" + orjson.dumps([event, *arguments]).decode())
        return number

    async def answer(self, number: int) -> Any:
        """The answer to what was posed."""
        await self.until(lambda: number in self._answers, f"an answer to {self._asked[number]}")
        return self._answers[number]

    async def put(self, event: str, *arguments: Any) -> Any:
        """A request with these very arguments, and its answer."""
        return await self.answer(await self.pose(event, *arguments))

    async def ask(self, event: str, **payload: Any) -> Any:
        """A request and its answer."""
        return await self.put(event, payload)

    async def does(self, event: str, **payload: Any) -> dict[str, Any]:
        """A request that succeeds: its answer."""
        answer = await self.ask(event, **payload)
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise Failed(f"{event} succeeds for {self.name}", shown(answer))
        self.check()
        return answer

    async def manages(self, event: str, **payload: Any) -> dict[str, Any]:
        """A request that succeeds, once the server no longer finds that one asks too much: its answer."""
        while is_limited(answer := await self.ask(event, **payload)):  # noqa: ASYNC110 -- the server names the time
            await trio.sleep(answer["retryAfter"])
        if not isinstance(answer, dict) or answer.get("success") is not True:
            raise Failed(f"{event} succeeds for {self.name}", shown(answer))
        self.check()
        return answer

    async def refused(self, event: str, *codes: Code, **payload: Any) -> dict[str, Any]:
        """A request that is refused with one of these codes: the refusal."""
        refusal = check_refusal(f"{event} by {self.name}", await self.ask(event, **payload), *codes)
        self.check()
        return refusal

    async def barrier(self) -> None:
        """Wait until all that the server has said so far is here: answers and notices come in order."""
        await self.ask("joinRoom", roomId="nowhere-at-all")

    # -- hearing -------------------------------------------------------------------------------------------------------
    async def until(self, condition: Callable[[], bool], what: str, within: float | None = None) -> None:
        """Wait until this holds, looking again whenever something came."""
        within = self.target.patience if within is None else within
        with trio.move_on_after(within):
            while not condition():
                if self.left.is_set():
                    raise Failed(f"{what} for {self.name}", f"the connection ended {self.why_left}")
                await self._news.wait()
            return
        last = [f"{heard.event} {shown(heard.payload)}" for heard in self.heard if heard.event not in AMBIENT][-2:]
        raise Failed(
            f"{what} for {self.name}", f"nothing within {within:g} s; last heard: {'; '.join(last) or 'nothing'}"
        )

    async def hears(self, event: str, within: float | None = None, **fields: Any) -> Any:
        """The next notice of this name, which has these fields: its payload. Others may have come before."""
        await self.until(lambda: self._next(event) is not None, f"the notice {event}", within)
        heard = self._next(event)
        assert heard is not None
        heard.is_expected = True
        self.check()
        check_fields(f"{event} to {self.name}", heard.payload, **fields)
        return heard.payload

    def _next(self, event: str) -> Heard | None:
        return next((heard for heard in self.heard if heard.event == event and not heard.is_expected), None)

    def may_hear(self, *events: str) -> None:
        """It is open whether this person is told; what came of these does not count."""
        for heard in self.heard:
            heard.is_expected = heard.is_expected or heard.event in events

    async def sees(self, event: str, is_so: Callable[[Any], bool], what: str) -> Any:
        """Wait until the latest of a notice that repeats is so; its payload."""

        def latest() -> Any:
            return next((heard.payload for heard in reversed(self.heard) if heard.event == event), None)

        def holds() -> bool:
            payload = latest()
            return isinstance(payload, dict) and not self.wrong and is_so(payload)

        await self.until(lambda: bool(self.wrong) or holds(), f"{event} with {what}")
        self.check()
        return latest()

    async def is_let_go(self, within: float | None = None) -> int | None:
        """Wait for the server to end the connection; the WebSocket's close code."""
        with trio.move_on_after(self.target.patience if within is None else within):
            await self.left.wait()
            return self.link.close_code if self.link is not None else None
        raise Failed(f"the connection of {self.name} is closed", "it stays open")

    def events(self) -> set[str]:
        """The events that were answered or heard."""
        return {self._asked[number] for number in self._answers} | {heard.event for heard in self.heard}

    # -- going ---------------------------------------------------------------------------------------------------------
    async def leave(self) -> None:
        """Go as Socket.IO's clients do."""
        await self.send("41")
        assert self.link is not None
        await self.link.close()

    async def cut(self) -> None:
        """Vanish without a word."""
        assert self.link is not None
        await self.link.cut()
        self.left.set()

    def check(self) -> None:
        """Raise what was wrong so far. Raises Failed."""
        if self.wrong:
            raise Failed("what the schema says (docs/protocol.json)", f"{self.name} got {self.wrong[0]}")

    def check_nothing_else(self) -> None:
        """Raise the first notice that no case expected. Raises Failed."""
        for heard in self.heard:
            is_ambient = heard.event in AMBIENT and "seatMoved" not in str(heard.payload)
            if heard.event in NOTICES and not heard.is_expected and not is_ambient:
                raise Failed(f"no further notice for {self.name}", f"{heard.event} {shown(heard.payload)}")


def is_limited(answer: Any) -> bool:
    """Whether a request came too soon after too many."""
    return (
        isinstance(answer, dict)
        and answer.get("code") == Code.RATE_LIMITED.value
        and isinstance(answer.get("retryAfter"), int | float)
    )
