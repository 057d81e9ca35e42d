"""The media workers: one supervised process each, and routers that rooms hold on them.

There is one worker more than rooms are placed on. When a worker dies, its rooms move to that spare at once; its
successor takes its port, and is the spare from then on. A large room has parts on several workers.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio
from attrs import define, field, frozen

from palaver_media.process import MediaProcess, supervise
from palaver_media.worker_messages import (
    VIDEO_BITRATE,
    WORKER_CODEC,
    Beat,
    CloseRouter,
    Draining,
    Ready,
    SpeakersChanged,
    StatisticsTaken,
    TransportConnected,
    TransportFailed,
    WorkerReport,
)
from palaver_protocol.models import RoomId

from .pipes import End, Pipes, Process
from .room import Room
from .room_effects import Carry, Order
from .room_parts import Place
from .statistics import keep

log = logging.getLogger(__name__)

SPARES: Final = 1
FEWEST: Final = 2  # people that a room will have, once it is used
LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # by which one is reached here that is bound to any address


@define(eq=False)
class Worker:
    """One place in the pool: a process, its successors, and the UDP port that they hand down; 0 = each takes any.

    `load` is in consumers: those of its last beat, and those to be expected in rooms that came since.
    """

    host: str
    announce: tuple[str, ...]
    port: int
    video_bitrate: int = VIDEO_BITRATE  # bit/s
    process: Process | None = None
    place: Place | None = None
    core: str = ""  # by which it forwards: `c` or `python`
    rooms: dict[str, tuple[Room, int]] = field(factory=dict[str, "tuple[Room, int]"])  # by router, and which part
    transports: int = 0  # at its last beat
    load: int = 0
    dropped: Mapping[str, int] = field(factory=dict[str, int])  # datagrams of no use to its process, by reason
    is_draining: bool = False

    @property
    def takes_rooms(self) -> bool:
        """Whether a room may be placed here."""
        return self.process is not None and not self.process.dead.is_set() and not self.is_draining

    def make(self) -> Process:
        """The next process."""
        arguments = ("--host", self.host, "--port", str(self.port), "--video-bitrate", str(self.video_bitrate))
        return MediaProcess("palaver_worker", arguments, WORKER_CODEC, self.reported)

    def reported(self, report: WorkerReport) -> None:
        """Give a report to the room it is about."""
        match report:
            case Ready():
                self.core, self.load, self.dropped, self.is_draining = report.core, 0, {}, False
                self.place = Place(self.announce, report.port, report.fingerprint)
            case Draining():
                log.warning("a media worker was asked to end, and takes no more rooms")
                self.is_draining = True
            case TransportConnected() | TransportFailed() | SpeakersChanged():
                if report.router in self.rooms:
                    room, part = self.rooms[report.router]
                    room.reported(report, part)
            case StatisticsTaken():
                for router in report.rooms.keys() & self.rooms.keys():
                    keep(report.rooms[router], self.rooms[router][0].state)
            case Beat():
                self.transports, self.load, self.dropped = report.transports, report.consumers, report.dropped

    def open_share(self, room: Room, part: int) -> Share:
        """A part of a room. All people of a room are expected on its first one, and newcomers on another."""
        assert self.process is not None
        assert self.place is not None
        self.rooms[room.state.room_id] = room, part
        people = FEWEST if part else max(FEWEST, len(room.state.seats))
        self.load += people * (people - 1)
        return Share(self, self.place, End(self.process, LOOPBACK.get(self.host, self.host), self.place.port))

    def close_share(self, room_id: RoomId) -> None:
        """A room is gone; its load stays until the next beat, unless it was the last one."""
        del self.rooms[room_id]
        if not self.rooms:
            self.load = 0


@frozen(eq=False)
class Share:
    """What one part of a room has of a worker: its present process."""

    worker: Worker
    place: Place
    end: End

    @property
    def is_dead(self) -> trio.Event:
        """Set once that process is gone."""
        return self.end.process.dead


@define(eq=False)
class Router:
    """A room's share of the workers: a part on each of some of them."""

    room: Room
    pool: Pool
    shares: dict[int, Share]  # by part; no number stands for two of them
    _numbers: Iterator[int] = field(factory=partial(itertools.count, 1))  # of parts that come later
    _changed: trio.Event = field(factory=trio.Event)

    @property
    def place(self) -> Place:
        """Where the first part is, at the beginning."""
        return self.shares[0].place

    def tell(self, order: Order) -> None:
        """Send a part's worker a command; never blocks."""
        self.shares[order.part].end.process.tell(order.command)

    def carry(self, track: Carry) -> None:
        """Have a track on another part, too; never blocks."""
        here, there = self.shares[track.part].end, self.shares[track.to].end
        self.pool.pipes.carry(self.room.state.room_id, here, there, track)

    def spread(self) -> tuple[int, Place] | None:
        """One more part, on another worker, and where it is; None where there is none to be had."""
        taken = [share.worker for share in self.shares.values()]
        if self.pool.in_use == 1 or (worker := self.pool.choose(taken)) is None:
            return None
        part = next(self._numbers)
        share = self.shares[part] = worker.open_share(self.room, part)
        self._changed.set()
        self._changed = trio.Event()
        return part, share.place

    async def wait_dead(self) -> frozenset[int]:
        """Wait until some of the workers are gone, which may be such that came later; the parts on them."""
        while not (dead := frozenset(part for part, share in self.shares.items() if share.is_dead.is_set())):
            await wait_any(self._changed, *(share.is_dead for share in self.shares.values()))
        return dead

    def close_part(self, part: int) -> None:
        """Give one part back."""
        room_id, share = self.room.state.room_id, self.shares.pop(part)
        share.worker.close_share(room_id)
        share.end.process.tell(CloseRouter(room_id))

    def close(self) -> None:
        """Give all parts back."""
        for part in list(self.shares):
            self.close_part(part)


async def wait_any(*events: trio.Event) -> None:
    """Wait until one of these has happened."""
    async with trio.open_nursery() as nursery:

        async def wait(event: trio.Event) -> None:
            await event.wait()
            nursery.cancel_scope.cancel()

        for event in events:
            nursery.start_soon(wait, event)


@define(eq=False)
class Pool:
    """All workers of this server, the spare included."""

    workers: list[Worker]
    pipes: Pipes = field(factory=Pipes)
    _changed: trio.Event = field(factory=trio.Event)
    _reserved: dict[RoomId, Router] = field(factory=dict[RoomId, Router])

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep every worker alive; `started` once all but the spare are up."""
        async with trio.open_nursery() as nursery:
            for worker in self.workers[: self.in_use]:
                nursery.start_soon(supervise, worker.make, partial(self._up, worker))
            while any(worker.process is None for worker in self.workers[: self.in_use]):
                await self._changed.wait()
            task_status.started()
            for worker in self.workers[self.in_use :]:
                nursery.start_soon(supervise, worker.make, partial(self._up, worker))

    @property
    def in_use(self) -> int:
        """On how many workers there are rooms, when there are enough of them."""
        return max(1, len(self.workers) - SPARES)

    def _up(self, worker: Worker, process: Process) -> None:
        log.info("media worker %d is ready: %s, core: %s", process.pid, worker.place, worker.core)
        worker.process = process
        self.pipes.close_dead()
        self._changed.set()
        self._changed = trio.Event()

    def reserve(self, room: Room) -> Router | None:
        """A router on the least loaded worker, for whoever enters `router` next; None while no worker is up."""
        if (worker := self.choose()) is None:
            return None
        router = self._reserved[room.state.room_id] = Router(room, self, {0: worker.open_share(room, 0)})
        return router

    def choose(self, taken: Sequence[Worker] = ()) -> Worker | None:
        """The least loaded worker but these; an idle one only while there are fewer busy ones than are to be used."""
        able = [worker for worker in self.workers if worker.takes_rooms]
        busy = [worker for worker in able if worker.rooms]
        free = [worker for worker in (busy if len(busy) >= self.in_use else able) if worker not in taken]
        return min(free, key=lambda each: (each.load, len(each.rooms)), default=None)

    @asynccontextmanager
    async def router(self, room: Room) -> AsyncIterator[Router]:
        """The router that is reserved, or else the next one to be had."""
        room_id = room.state.room_id
        while room_id not in self._reserved and self.reserve(room) is None:
            await self._changed.wait()
        router = self._reserved.pop(room_id)
        try:
            yield router
        finally:
            router.close()
