"""Small worlds in which things happen in every order: the real exchange, rooms and connections, wires in memory.

A `Party` is a client that writes down what it is told, and folds it into what it believes; `check` compares that with
what is, after each step: nobody sits where he is not, every ring has one end that its two people know, and everybody
in a room knows who else is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any

import orjson
import trio
from attrs import define, field
from trio.testing import MockClock, wait_all_tasks_blocked

from palaver_protocol import engineio
from palaver_server.connection import Connection
from palaver_server.exchange import Exchange
from palaver_server.links import Link, OnMessage
from palaver_server.policy import DEFAULT, Policy
from world import RecordingRouters

LONGEST = 200.0  # s after which no deadline of any kind is left


@define(eq=False)
class Wire(Link):
    """A link in memory: what is put into its outbox is heard at once."""

    hear: Callable[[str], None] = field(kw_only=True)

    async def serve(self, on_message: OnMessage) -> None:
        with self.outbox.scope:
            while messages := await self.outbox.take():
                for message in messages:
                    self.hear(message)


@define(eq=False)
class Party:
    """One connection of somebody, over as many wires as it needs."""

    scene: Scene
    user_id: str
    resumes: bool = True
    connection: Connection | None = None
    token: str = ""
    acks: dict[int, Any] = field(factory=dict)
    rings: dict[str, str] = field(factory=dict)  # call id -> how it ended here; "" while it rings
    placed: dict[str, list[str]] = field(factory=dict)  # call id -> every end it was told
    room: str | None = None
    people: set[str] = field(factory=set)
    _numbers: count[int] = field(factory=count)

    # -- the wire ------------------------------------------------------------------------------------------------------
    async def come(self) -> None:
        """Connect, or come back."""
        wire = Wire(engineio.Settings(), "sid", hear=self.hear)
        self.connection = Connection(wire, self.scene.exchange, "192.0.2.1")
        self.scene.nursery.start_soon(self.connection.serve)
        auth = {"userId": self.user_id, "name": self.user_id} | ({"resume": self.token} if self.resumes else {})
        self.connection.receive("0" + orjson.dumps(auth).decode())
        await self.scene.settle()

    async def cut(self) -> None:
        """The cable is torn."""
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.link.outbox.scope.cancel()
            if not self.resumes:
                self.forget()
            await self.scene.settle()

    async def go(self) -> None:
        """Say goodbye."""
        if self.connection is not None:
            connection, self.connection = self.connection, None
            connection.receive("1")
            self.forget()
            await self.scene.settle()

    def forget(self) -> None:
        """A new life begins."""
        self.token, self.room, self.people = "", None, set()
        self.rings.clear()
        self.placed.clear()

    # -- asking --------------------------------------------------------------------------------------------------------
    async def ask(self, event: str, **payload: Any) -> dict[str, Any] | None:
        """A request and its answer; nothing while there is no wire."""
        if self.connection is None:
            return None
        number = next(self._numbers)
        if event == "callUser":
            self.placed.setdefault(payload["callId"], [])
        self.connection.receive(f"2{number}" + orjson.dumps([event, payload]).decode())
        await self.scene.settle()
        ack = self.acks.pop(number)
        assert ack.get("code") != "internal", ack
        self.answered(event, payload, ack)
        return ack

    def answered(self, event: str, payload: dict[str, Any], ack: dict[str, Any]) -> None:
        """Take up an answer."""
        call_id = payload.get("callId") or payload.get("roomId")
        if event == "callUser" and not ack["success"]:
            del self.placed[call_id]
        if not ack["success"]:
            return
        if event == "cancelCall":
            self.end_placed(call_id, "cancelled")
        if event in ("acceptCallNew", "acceptCall", "joinRoom") and call_id in self.rings:
            self.rings[call_id] = "accepted"
        if event in ("rejectCallNew", "rejectCall"):
            self.rings[call_id] = "rejected"
        if event in ("leaveRoom", "endCall"):
            if call_id == self.room:
                self.room, self.people = None, set()
        elif "room" in ack:
            self.sit(ack["room"])

    def sit(self, room: dict[str, Any]) -> None:
        self.room, self.people = room["roomId"], {p["userId"] for p in room["participants"]}
        if self.room in self.rings:
            self.rings[self.room] = "accepted"

    # -- hearing -------------------------------------------------------------------------------------------------------
    def hear(self, message: str) -> None:
        """Take up what the server says."""
        if message[0] != "4":
            return
        kind, rest = message[1], message[2:]
        if kind == "0":
            self.welcomed(orjson.loads(rest))
        elif kind == "3":
            digits = rest[: rest.index("[")]
            self.acks[int(digits)] = orjson.loads(rest[len(digits) :])[0]
        elif kind == "2":
            self.told(*orjson.loads(rest))

    def welcomed(self, welcome: dict[str, Any]) -> None:
        if not welcome["resumed"]:
            self.forget()
        self.token = welcome.get("resume", "")

    def told(self, event: str, payload: dict[str, Any]) -> None:
        """Believe a notice."""
        match event:
            case "incomingCallNew":
                self.rings[payload["callId"]] = ""
            case "incomingCall":
                self.rings[payload["roomId"]] = ""
            case "callCancelled":
                if not self.rings.get(payload["callId"]):
                    self.rings[payload["callId"]] = "cancelled"
            case "callTimeout":
                self.end_placed(payload["callId"], "timeout")
                if payload["callId"] in self.rings:
                    self.rings[payload["callId"]] = "timeout"
            case "callRejectedNew":
                self.end_placed(payload["callId"], "rejected")
            case "callAcceptedNew":
                self.end_placed(payload["callId"], "accepted")
                self.sit(payload["room"])
            case "userJoined":
                self.people.add(payload["userId"])
            case "userLeft":
                self.people.discard(payload["userId"])
            case "callEnded":
                self.room, self.people = None, set()
            case "serverNotice" if payload["code"] == "seatMoved":
                self.room, self.people = None, set()
            case "snapshot":
                self.restore(payload)

    def end_placed(self, call_id: str, how: str) -> None:
        if call_id in self.placed:
            self.placed[call_id].append(how)

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Believe a snapshot: what it does not name is over."""
        ringing = {call["callId"] for call in snapshot["calls"] if call["to"] == self.user_id}
        self.rings = {call_id: how or "over" for call_id, how in self.rings.items()} | dict.fromkeys(ringing, "")
        placed = {call["callId"] for call in snapshot["calls"] if call["from"] == self.user_id}
        for call_id, ends in self.placed.items():
            if call_id not in placed and not ends:
                ends.append("over")
        self.room, self.people = None, set()
        if "room" in snapshot:
            self.sit(snapshot["room"])


@define(eq=False)
class Scene:
    """One world with its parties."""

    nursery: trio.Nursery
    exchange: Exchange
    routers: RecordingRouters
    clock: MockClock
    parties: dict[str, Party] = field(factory=dict)
    room_id: str = ""  # of the room that the steps are about

    async def party(self, name: str, user_id: str = "", *, resumes: bool = True) -> Party:
        """Somebody who connects."""
        party = self.parties[name] = Party(self, user_id or name, resumes)
        await party.come()
        return party

    async def settle(self) -> None:
        """Let everything happen that can happen now."""
        await wait_all_tasks_blocked()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.jump(seconds)
        await self.settle()

    def check(self) -> None:
        """What everybody believes is what is."""
        exchange = self.exchange
        seated = {user_id: room for room in exchange.rooms.open.values() for user_id in room.state.seats}
        assert seated == exchange.rooms.where
        for room in exchange.rooms.open.values():
            assert room.state.is_ended == (not room.state.seats)
            for seat in room.state.seats.values():
                session = exchange.people.sessions[seat.connection]  # or a ghost sits there
                assert session.user_id == seat.user_id
                assert seat.is_away == (session.outbox is None)
        ringing = {(str(call.room_id or call.call_id), call.callee) for call in exchange.calls.book.ringing()}
        for party in self.parties.values():
            if party.connection is not None:
                self.check_party(party, ringing)

    def check_party(self, party: Party, ringing: set[tuple[str, str]]) -> None:
        """What one who has a wire believes is what is."""
        session = party.connection.session
        room = self.exchange.rooms.where.get(party.user_id)
        mine = room is not None and room.state.seats[party.user_id].connection == session.number
        assert party.room == (room.state.room_id if mine else None), (party.user_id, party.room)
        if mine:
            assert party.people == set(room.state.seats)
        for call_id, how in party.rings.items():
            assert (how == "") == ((call_id, party.user_id) in ringing), (party.user_id, call_id, how)
        for call_id, ends in party.placed.items():
            is_ringing = any(one == call_id for one, _ in ringing)
            assert len(ends) == (0 if is_ringing else 1), (party.user_id, call_id, ends)

    async def end(self) -> None:
        """Everybody goes: nothing may be left."""
        for party in self.parties.values():
            if party.connection is not None:
                party.connection.receive("1")
        await self.pass_time(LONGEST)
        assert not self.exchange.rooms.open
        assert not list(self.exchange.calls.book.ringing())
        assert not self.exchange.people.sessions
        assert not self.exchange.rooms.where


Step = Callable[[Scene], Awaitable[object]]


@asynccontextmanager
async def scene(policy: Policy = DEFAULT):
    """A scene that must leave nothing running behind."""
    routers = RecordingRouters()
    clock = trio.lowlevel.current_clock()
    assert isinstance(clock, MockClock)
    async with trio.open_nursery() as nursery:
        exchange = Exchange(nursery, routers, policy)
        yield Scene(nursery, exchange, routers, clock)


def play(cast: Callable[[Scene], Awaitable[None]], steps: Iterable[Step], policy: Policy = DEFAULT) -> None:
    """Play these steps in this order in a world of their own, checking after each."""

    async def main() -> None:
        async with scene(policy) as s:
            await cast(s)
            s.check()
            for step in steps:
                await step(s)
                s.check()
            await s.end()

    trio.run(main, clock=MockClock())
