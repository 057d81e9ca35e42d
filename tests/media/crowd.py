"""For tests: a crowd in one process, whose people speak the whole protocol: Socket.IO, ICE, DTLS and SRTP.

Each of them sits in a room, sends an Opus-sized packet every 20 ms, hears everybody else in the room, and counts what
it hears from whom. When the server resets a room's media they negotiate again, as any client would.

    async with crowd(url, rooms=10, people=5) as everybody:
        await everybody.until(lambda: not everybody.missing())
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from itertools import permutations
from typing import Any, Final

import trio
from attrs import define, field

from palaver_media import rtp, stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.rtp import RtpPacket
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import DtlsRole, Fingerprint
from world import CAPABILITIES, OPUS, Person, visiting

CERTIFICATE: Final = Certificate()
PATIENCE: Final = 20.0  # s for anything that is waited for
FRAME: Final = 0.02  # s of sound in a packet
SAMPLES: Final = 960  # the same at 48 kHz
SOUND: Final = bytes(80)  # as long as 20 ms of Opus at 32 kbit/s
LOUD: Final = b"\x85"  # -5 dBov, voice (RFC 6464); the extension's id is that of `world.OPUS`
AGAIN: Final = 0.2  # s until an unanswered check is sent again
CONSENT: Final = 5.0  # s between checks of a transport that works (RFC 7675)


class Leg:
    """One transport of a client on a connected socket; driven by what arrives and by a tick every 20 ms."""

    def __init__(self, params: dict[str, Any], take_rtp: Callable[[bytes], None], family: int) -> None:
        ice = params["iceParameters"]
        self.id: str = params["id"]
        self.dtls = DtlsSrtp(CERTIFICATE)
        self.is_answered = False
        self.take_rtcp: Callable[[bytes], object] = ignore
        self._username, self._password = f"{ice['usernameFragment']}:crowd", ice["password"]
        self._fingerprints = [Fingerprint(f["algorithm"], f["value"]) for f in params["dtlsParameters"]["fingerprints"]]
        self._take_rtp = take_rtp
        self._checked = 0.0
        found = [each for each in params["iceCandidates"] if family in (0, family_of(each["address"]))]
        self.address: tuple[str, int] = found[0]["address"], found[0]["port"]
        self.socket = socket.socket(family_of(self.address[0]), socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.connect(self.address)

    def tick(self, now: float) -> None:
        """Send what is due: a check, or a lost flight of the handshake again."""
        if now - self._checked >= (CONSENT if self.is_answered else AGAIN):
            self._checked = now
            self.send(stun.make_request(self._username, self._password, 1)[0])
        due = self.dtls.deadline()
        if due is not None and due <= time.monotonic():
            self.dtls.handle_timeout()
            self._flush()

    def drain(self) -> None:
        """Take what has arrived."""
        while True:
            try:
                self.take(self.socket.recv(2048))
            except BlockingIOError:
                return
            except ConnectionRefusedError:  # the worker is dead
                continue

    def take(self, data: bytes) -> None:
        """One datagram of the worker."""
        if data[0] <= 3:
            self._take_answer(data)
        elif data[0] <= 63:
            self.dtls.receive(data)
            self._flush()
        elif rtp.is_rtcp(data):
            self.take_rtcp(data)
        else:
            self._take_rtp(data)

    def send(self, datagram: bytes) -> None:
        """Send a datagram; where nobody listens, or there is no room, it is lost."""
        with suppress(ConnectionRefusedError, BlockingIOError):
            self.socket.send(datagram)

    def _take_answer(self, data: bytes) -> None:
        answer = stun.parse(data)
        if not self.is_answered and answer.is_answer(answer.transaction, self._password):
            self.is_answered = True
            self.dtls.start(DtlsRole.CLIENT, self._fingerprints)
            self._flush()

    def _flush(self) -> None:
        for datagram in self.dtls.take():
            self.send(datagram)


@define(eq=False)
class Participant:
    """One of the crowd.

    `heard` counts packets by talker; `first` and `last` are when each talker was heard since the last negotiation (s).
    `refused` holds the codes of all that the server refused, `broken` counts packets that did not decrypt.
    """

    name: str
    room: str
    crowd: Crowd
    ssrc: int
    room_id: str = ""
    heard: Counter[str] = field(factory=Counter[str])
    first: dict[str, float] = field(factory=dict[str, float])
    last: dict[str, float] = field(factory=dict[str, float])
    resets: list[float] = field(factory=list[float])  # when the server reset our media
    refused: list[str] = field(factory=list[str])
    broken: int = 0
    is_silent: bool = False
    legs: dict[str, Leg] = field(factory=dict[str, Leg])  # by direction
    scope: trio.CancelScope = field(factory=trio.CancelScope)  # cancelled, it hangs up
    left: trio.Event = field(factory=trio.Event)
    settled: int = 0  # notices up to here were about the coming of the crowd
    person: Person = field(init=False)
    _voices: dict[int, str] = field(factory=dict[int, str])  # whose the packets of an SSRC are
    _sent: int = 0

    async def live(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Join, talk and listen until the scope is cancelled or the server hangs up; `started` once it talks."""
        try:
            with self.scope:
                async with visiting(self.crowd.url, self.name) as self.person:
                    await self._join()
                    task_status.started()
                    await self._follow()
        finally:
            self._hang_up()
            self.left.set()

    def say(self, now: float) -> None:
        """Send the next packet, if the way is open; and whatever else is due."""
        for leg in self.legs.values():
            leg.tick(now)
        leg = self.legs.get("send")
        if leg is not None and leg.dtls.state is State.CONNECTED and not self.is_silent:
            self._sent += 1
            packet = RtpPacket(111, self._sent & 0xFFFF, SAMPLES * self._sent, self.ssrc, SOUND, False, {1: LOUD})
            leg.send(leg.dtls.protect_rtp(packet.write()))

    async def _join(self) -> None:
        asked = {"roomType": "group", "roomName": self.room, "joinExisting": True}
        room = (await self.person.does("createRoom", **asked))["room"]
        self.room_id = room["roomId"]
        await self._negotiate()
        for other in room["participants"]:
            for producer in other["producerIds"]:
                await self._consume(producer["producerId"], other["userId"])

    async def _follow(self) -> None:
        """Act on what the server tells, in order, until the link ends."""
        number = 0
        while (told := await self.person.notice(number)) is not None:
            number += 1
            match told:
                case "newProducer", payload:
                    await self._consume(payload["producerId"], payload["userId"])
                case "mediaReset", _:
                    self.resets.append(trio.current_time())
                    await self._negotiate()
                case _:
                    pass

    async def _negotiate(self) -> None:
        """Open both transports and name our track; whom to hear is told."""
        self._hang_up()
        for direction in ("send", "receive"):
            opened = await self._ask("createTransport", roomId=self.room_id, direction=direction)
            if opened is None:
                return
            leg = self.legs[direction] = Leg(opened["params"], self._take, self.crowd.family)
            self.crowd.selector.register(leg.socket, selectors.EVENT_READ, leg)
            fingerprint = {"algorithm": "sha-256", "value": CERTIFICATE.fingerprint}
            dtls = {"role": "client", "fingerprints": [fingerprint]}
            await self._ask("connectTransport", transportId=leg.id, dtlsParameters=dtls)
        parameters = {**OPUS, "encodings": [{"ssrc": self.ssrc}]}
        track = {"roomId": self.room_id, "transportId": self.legs["send"].id, "kind": "audio"}
        await self._ask("produce", **track, rtpParameters=parameters)

    async def _consume(self, producer: str, talker: str) -> None:
        asked = {"roomId": self.room_id, "producerId": producer, "rtpCapabilities": CAPABILITIES}
        if (answer := await self._ask("consume", **asked)) is not None:
            params = answer["params"]
            self._voices[params["rtpParameters"]["encodings"][0]["ssrc"]] = talker
            await self._ask("resumeConsumer", roomId=self.room_id, consumerId=params["id"])

    async def _ask(self, event: str, **payload: Any) -> dict[str, Any] | None:
        """A request and its answer; None if it was refused, as it may be while the media moves."""
        answer = await self.person.ask(event, **payload)
        if answer["success"]:
            return answer
        self.refused.append(answer["code"])
        return None

    def _take(self, datagram: bytes) -> None:
        try:
            packet = self.legs["receive"].dtls.unprotect_rtp(datagram)
        except SrtpError:
            self.broken += 1
            return
        if (talker := self._voices.get(rtp.peek_ssrc(packet))) is not None:
            self.heard[talker] += 1
            self.last[talker] = now = trio.current_time()
            self.first.setdefault(talker, now)

    def _hang_up(self) -> None:
        for leg in self.legs.values():
            self.crowd.selector.unregister(leg.socket)
            leg.socket.close()
        for kept in (self.legs, self.first, self.last, self._voices):
            kept.clear()


@define(eq=False)
class Crowd:
    """All of them, and the one task that reads their sockets and the one that talks for them.

    They reach media at the first candidate of this address `family`, 0 for any.
    """

    url: str
    nursery: trio.Nursery
    selector: selectors.DefaultSelector
    family: int = 0
    people: list[Participant] = field(factory=list[Participant])
    _ticked: trio.Event = field(factory=trio.Event)

    async def enter(self, name: str, room: str) -> Participant:
        """One more in a room."""
        participant = Participant(name, room, self, ssrc=1000 + len(self.people))
        self.people.append(participant)
        await self.nursery.start(participant.live)
        return participant

    def pairs(self) -> Iterator[tuple[Participant, Participant]]:
        """Who should hear whom: (listener, talker)."""
        here = [each for each in self.people if not each.left.is_set()]
        return ((one, other) for one, other in permutations(here, 2) if one.room == other.room)

    def missing(self, since: float = 0.0) -> list[tuple[str, str]]:
        """Who has not heard whom since then: (listener, talker)."""
        return [(one.name, other.name) for one, other in self.pairs() if one.last.get(other.name, -1.0) < since]

    def recovered(self) -> float:
        """When the last of them heard the last other one again, since media was negotiated."""
        return max(one.first[other.name] for one, other in self.pairs())

    def noise(self) -> list[tuple[str, Any]]:
        """What tells that somebody came or went."""
        noisy = ("userJoined", "userLeft", "callEnded", "transportFailed")
        return [told for each in self.people for told in each.person.notices[each.settled :] if told[0] in noisy]

    async def until(self, is_so: Callable[[], object], patience: float = PATIENCE) -> None:
        """Wait for a condition, looking at each tick."""
        with trio.fail_after(patience):
            while not is_so():
                await self._ticked.wait()

    async def listen(self) -> None:
        """Read all sockets."""
        while True:
            await trio.lowlevel.wait_readable(self.selector.fileno())  # type: ignore[attr-defined] # epoll and kqueue
            for key, _ in self.selector.select(0):
                key.data.drain()

    async def talk(self) -> None:
        """Say everybody's packet every 20 ms."""
        due = trio.current_time()
        while True:
            now = trio.current_time()
            for participant in self.people:
                participant.say(now)
            self._ticked.set()
            self._ticked = trio.Event()
            due += FRAME
            await trio.sleep_until(due)


@asynccontextmanager
async def crowd(url: str, rooms: int, people: int, family: int = 0, name: str = "p") -> AsyncIterator[Crowd]:
    """So many rooms of so many people each, for the length of the block; at first everybody hears everybody else."""
    with selectors.DefaultSelector() as selector:
        async with trio.open_nursery() as nursery:
            everybody = Crowd(url, nursery, selector, family)
            nursery.start_soon(everybody.listen)
            nursery.start_soon(everybody.talk)
            async with trio.open_nursery() as coming:
                for index in range(rooms * people):
                    coming.start_soon(everybody.enter, f"{name}{index}", f"room {index % rooms}")
            await everybody.until(lambda: not everybody.missing())
            for participant in everybody.people:
                participant.settled = len(participant.person.notices)
            yield everybody
            nursery.cancel_scope.cancel()


def ignore(_: bytes) -> None:
    """What a crowd does about RTCP, unless a test cares."""


def family_of(address: str) -> int:
    """The socket family of an IP address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET
