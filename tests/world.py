"""People who speak Socket.IO, and an exchange for them to meet in: what the tests of the server are told with.

`Person` works over any stream, real or in memory. `World` is the real exchange with its rooms, connections and links;
only the media workers are replaced, by routers that write down what they are told.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import trio
from attrs import define, field
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream

from palaver_media.worker_messages import CloseRouter, WorkerCommand
from palaver_protocol import engineio, socketio
from palaver_protocol.models import RoomId
from palaver_server.connection import serve_link
from palaver_server.exchange import Exchange
from palaver_server.handshake import accept
from palaver_server.http_connection import HttpConnection
from palaver_server.policy import DEFAULT, Policy
from palaver_server.publisher import publish_lists
from palaver_server.restoring import Restoring
from palaver_server.room import Room, Routers
from palaver_server.room_effects import Carry, Order
from palaver_server.room_parts import Place
from palaver_server.websocket import WebSocket
from palaver_server.websocket_link import WebSocketLink

URL = "/socket.io/?EIO=4&transport=websocket"
PATIENCE = 20.0  # s for an answer
CLOSED = "closed"  # what `Person.closed` says of a stream that ended without a WebSocket close

OPUS = {
    "codecs": [{"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2}],
    "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:ssrc-audio-level", "id": 1}],
    "encodings": [{"ssrc": 1111}],
}
CAPABILITIES = {
    "codecs": [{"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2}],
    "headerExtensions": [{"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "preferredId": 1}],
}
DTLS = {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}]}


@define(eq=False)
class Person:
    """A client: asks, is answered, hears notices. It answers pings unless told not to."""

    websocket: WebSocketConnection
    handshake: dict[str, Any] = field(factory=dict)
    welcome: socketio.Packet | None = None  # the answer to CONNECT
    is_in: bool = False  # it was let in
    notices: list[tuple[str, Any]] = field(factory=list)
    pings: list[float] = field(factory=list)  # when they came
    answers_pings: bool = True
    ignored: tuple[str, ...] = ()  # notices that are not even decoded: in a crowd, lists are most of what comes
    left: trio.Event = field(factory=trio.Event)
    _acks: dict[int, dict[str, Any]] = field(factory=dict)
    _numbers: Any = field(factory=itertools.count)
    _news: trio.Event = field(factory=trio.Event)
    _read: int = 0  # notices that `expect` has passed
    _decoder: socketio.Decoder = field(factory=socketio.Decoder)

    async def listen(self) -> None:
        """Read until the link ends."""
        try:
            while True:
                message = await self.websocket.get_message()
                await self._receive(message)
                self._news.set()
                self._news = trio.Event()
        except ConnectionClosed:
            self.left.set()
            self._news.set()

    async def _receive(self, message: str | bytes) -> None:
        packet = engineio.decode(message)
        match packet.type:
            case engineio.PacketType.OPEN:
                self.handshake = orjson.loads(packet.data)
            case engineio.PacketType.PING:
                self.pings.append(trio.current_time())
                if self.answers_pings:
                    await self.send("3")
            case engineio.PacketType.MESSAGE if not self._is_ignored(packet.data):
                if (said := self._decoder.feed(packet.data)) is not None:
                    self._take(said)

    def _is_ignored(self, data: str | bytes) -> bool:
        return isinstance(data, str) and any(data.startswith(f'2["{name}"') for name in self.ignored)

    def _take(self, packet: socketio.Packet) -> None:
        match packet.type:
            case socketio.PacketType.CONNECT | socketio.PacketType.CONNECT_ERROR:
                self.welcome = packet
                self.is_in = self.is_in or packet.type is socketio.PacketType.CONNECT
            case socketio.PacketType.ACK:
                (self._acks[packet.ack_id],) = packet.data
            case socketio.PacketType.EVENT:
                assert self.is_in, "a notice before the answer to CONNECT"
                name, payload = packet.data
                self.notices.append((name, payload))

    @property
    def closed(self) -> int | str | None:
        """The code with which the WebSocket was closed; None while it is open."""
        reason = self.websocket.closed
        if reason is None:
            return CLOSED if self.left.is_set() else None
        return reason.code

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until this holds, looking again whenever something came."""
        with trio.fail_after(PATIENCE):
            while not condition():
                if self.left.is_set():
                    raise AssertionError(f"cut off while waiting, after {self.notices[-3:]}")
                await self._news.wait()

    # -- speaking ------------------------------------------------------------------------------------------------------
    async def send(self, message: str | bytes) -> None:
        """Send a raw WebSocket message, if the link still stands."""
        try:
            await self.websocket.send_message(message)
        except ConnectionClosed:
            self.left.set()

    async def connect(self, auth: Any) -> None:
        """Socket.IO's CONNECT, and the answer."""
        await self.send("40" + orjson.dumps(auth).decode())
        await self.until(lambda: self.welcome is not None)

    async def pose(self, event: str, *arguments: Any) -> int:
        """Send a request and do not wait; the answer will carry this number."""
        number = next(self._numbers)
        await self.send(f"42{number}" + orjson.dumps([event, *arguments]).decode())
        return number

    async def answer(self, number: int) -> dict[str, Any]:
        """The answer to what was posed."""
        await self.until(lambda: number in self._acks)
        return self._acks.pop(number)

    async def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        """A request and its answer."""
        return await self.answer(await self.pose(event, payload))

    async def does(self, event: str, **payload: Any) -> dict[str, Any]:
        """A request that succeeds."""
        answer = await self.ask(event, **payload)
        assert answer["success"] is True, (event, answer)
        return answer

    async def may_not(self, event: str, **payload: Any) -> str:
        """The code with which a request is refused."""
        answer = await self.ask(event, **payload)
        assert answer["success"] is False, (event, answer)
        assert answer["error"]
        return str(answer["code"])

    # -- hearing -------------------------------------------------------------------------------------------------------
    async def expect(self, event: str) -> Any:
        """The payload of the next notice of this name, now or soon; earlier ones of other names are passed over."""
        found: list[Any] = []

        def look() -> bool:
            while self._read < len(self.notices) and not found:
                name, payload = self.notices[self._read]
                self._read += 1
                if name == event:
                    found.append(payload)
            return bool(found)

        await self.until(look)
        return found[0]

    async def notice(self, number: int) -> tuple[str, Any] | None:
        """The notice of this number, however long it takes to come; None if the link ends first."""
        while len(self.notices) <= number:
            if self.left.is_set():
                return None
            await self._news.wait()
        return self.notices[number]

    def heard(self, event: str) -> list[Any]:
        """All payloads of that name so far."""
        return [payload for name, payload in self.notices if name == event]

    def deaf(self) -> None:
        """Forget what was heard."""
        self.notices.clear()
        self._read = 0


@define(eq=False)
class RecordingRouter:
    """A router that writes down its commands; it never has more than one part."""

    place: Place
    commands: list[WorkerCommand] = field(factory=list)
    dead: trio.Event = field(factory=trio.Event)

    def tell(self, order: Order) -> None:
        assert order.part == 0
        self.commands.append(order.command)

    def carry(self, track: Carry) -> None:
        raise AssertionError(f"there is one part only: {track}")

    def spread(self) -> tuple[int, Place] | None:
        return None

    def close_part(self, part: int) -> None:
        raise AssertionError(f"there is one part only, which is not given back: {part}")

    async def wait_dead(self) -> frozenset[int]:
        await self.dead.wait()
        return frozenset({0})

    def told(self, kind: type[Any]) -> list[Any]:
        """The commands of one kind."""
        return [command for command in self.commands if isinstance(command, kind)]


@define(eq=False)
class RecordingRouters:
    """Where recording routers come from. While `are_up` is not set, a room waits."""

    made: list[RecordingRouter] = field(factory=list)
    are_up: trio.Event = field(factory=trio.Event)
    _reserved: dict[RoomId, RecordingRouter] = field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.are_up.set()

    def reserve(self, room: Room) -> RecordingRouter | None:
        if not self.are_up.is_set():
            return None
        router = RecordingRouter(Place(("192.0.2.7",), 40000 + len(self.made), "AA:BB"))
        self.made.append(router)
        self._reserved[room.state.room_id] = router
        return router

    @asynccontextmanager
    async def router(self, room: Room) -> AsyncIterator[RecordingRouter]:
        if room.state.room_id not in self._reserved:
            await self.are_up.wait()
            self.reserve(room)
        router = self._reserved.pop(room.state.room_id)
        try:
            yield router
        finally:
            router.commands.append(CloseRouter(room.state.room_id))


async def accept_websocket(stream: trio.abc.Stream, max_payload: int = 1_000_000) -> WebSocket:
    """The server's side of a WebSocket over a stream on which a client shakes hands."""
    connection = HttpConnection(stream, "198.51.100.1", max_payload)
    request = await connection.receive()
    assert request is not None
    websocket = await accept(connection, request, max_payload)
    assert websocket is not None
    return websocket


@define(eq=False)
class Shelf:
    """What a world leaves to the next one: each value is taken at once, as if the server were killed then."""

    kept: dict[str, bytes] = field(factory=dict)
    skipped: float = 0.0  # s between two worlds, on the wall's clock

    def mark(self, key: str, snapshot: Callable[[], bytes | None]) -> None:
        if (value := snapshot()) is None:
            self.kept.pop(key, None)
        else:
            self.kept[key] = value

    def wall(self) -> int:
        """Wall time, which follows the test's clock."""
        return 1_800_000_000_000 + round((trio.current_time() + self.skipped) * 1000)


@define(eq=False)
class World:
    """An exchange, and the streams that lead to it."""

    nursery: trio.Nursery
    exchange: Exchange
    routers: RecordingRouters
    settings: engineio.Settings = field(factory=engineio.Settings)
    _ids: Any = field(factory=itertools.count)

    async def link(self, *, is_lockstep: bool = False) -> Person:
        """A client with a WebSocket that has not said who it is; one in lockstep blocks whoever sends to it."""
        ours, theirs = lockstep_stream_pair() if is_lockstep else memory_stream_pair()
        self.nursery.start_soon(self._serve, theirs)
        websocket = await wrap_client_stream(self.nursery, ours, "palaver", URL)
        return Person(websocket)

    async def _serve(self, stream: trio.abc.Stream) -> None:
        websocket = await accept_websocket(stream, self.settings.max_payload)
        link = WebSocketLink(self.settings, f"sid{next(self._ids)}", websocket)
        await serve_link(link, self.exchange, "198.51.100.1", ())
        await trio.aclose_forcefully(stream)

    async def person(self, name: str, user_id: str | None = None) -> Person:
        """Somebody online."""
        person = await self.link()
        self.nursery.start_soon(person.listen)
        await person.connect({"userId": user_id or name, "name": name})
        assert person.welcome is not None
        assert person.welcome.type is socketio.PacketType.CONNECT
        return person

    async def people(self, *names: str) -> list[Person]:
        """Several people."""
        return [await self.person(name) for name in names]

    async def room(self, host: Person, *others: Person, name: str = "den") -> str:
        """A room with these people in it, of whose joining nobody still has to hear."""
        room_id = (await host.does("createRoom", roomType="group", roomName=name))["room"]["roomId"]
        for person in others:
            await person.does("joinRoom", roomId=room_id)
        await wait_all_tasks_blocked()
        for person in (host, *others):
            person.deaf()
        return str(room_id)

    def state(self, room_id: str) -> Any:
        """A room's state, to look into or to poison."""
        return self.exchange.rooms.open[RoomId(room_id)].state


@asynccontextmanager
async def world(
    settings: engineio.Settings | None = None,
    policy: Policy = DEFAULT,
    shelf: Shelf | None = None,
    pool: Routers | None = None,
) -> AsyncIterator[World]:
    """A world that ends with its block; what is on the shelf comes back. With a pool, its routers are not recorded."""
    shelf = shelf or Shelf()
    async with trio.open_nursery() as nursery:
        routers = RecordingRouters()
        exchange = Exchange(nursery, pool or routers, policy, shelf.wall, shelf.mark)
        Restoring(exchange, dict(shelf.kept)).restore()
        nursery.start_soon(publish_lists, exchange)
        yield World(nursery, exchange, routers, settings or engineio.Settings())
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def visiting(
    url: str, name: str, user_id: str | None = None, resume: str | None = None, ignored: tuple[str, ...] = ()
) -> AsyncIterator[Person]:
    """Somebody online at a server with this http URL, for the length of the block; with `resume`, one who resumes."""
    host, _, port = url.removeprefix("http://").rpartition(":")
    stream = await trio.open_tcp_stream(host.strip("[]"), int(port))
    async with trio.open_nursery() as nursery:
        try:
            person = Person(await wrap_client_stream(nursery, stream, host, URL), ignored=ignored)
            nursery.start_soon(person.listen)
            auth = {"userId": user_id or name, "name": name}
            await person.connect(auth if resume is None else {**auth, "resume": resume})
            yield person
        finally:
            await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


def children_of(pid):
    """The processes that have this parent."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after_name = stat.read_text().rpartition(") ")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(after_name[1]) == pid and after_name[0] != "Z":
            found.append(int(stat.parent.name))
    return found


async def cut(person: Person) -> None:
    """Break somebody's connection as a torn cable does: no closing handshake."""
    await trio.aclose_forcefully(person.websocket._stream)
    await person.left.wait()
    await wait_all_tasks_blocked()


async def open_media(person: Person, room_id: str, direction: str) -> str:
    """A transport of somebody; its id."""
    answer = await person.does("createTransport", roomId=room_id, direction=direction)
    return str(answer["params"]["id"])


async def talk(person: Person, room_id: str, ssrc: int = 1111) -> str:
    """A producer of somebody, over a new transport; its id."""
    transport = await open_media(person, room_id, "send")
    parameters = {**OPUS, "encodings": [{"ssrc": ssrc}]}
    answer = await person.does("produce", roomId=room_id, transportId=transport, kind="audio", rtpParameters=parameters)
    return str(answer["producerId"])
