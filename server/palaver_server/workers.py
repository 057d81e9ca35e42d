"""The media workers: one supervised process each, and routers that rooms hold on them.

There is one worker more than rooms are placed on. When a worker dies, its rooms move to that spare at once; its
successor takes its port, and is the spare from then on.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio
from attrs import define, field

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
    WorkerCommand,
    WorkerReport,
)
from palaver_protocol.models import RoomId

from .room import Room
from .room_media import Place
from .statistics import keep

log = logging.getLogger(__name__)

Process = MediaProcess[WorkerCommand, WorkerReport]

SPARES: Final = 1
FEWEST: Final = 2  # people that a room will have, once it is used


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
    rooms: dict[str, Room] = field(factory=dict[str, Room])  # by router
    transports: int = 0  # at its last beat
    load: int = 0
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
                self.core, self.load, self.is_draining = report.core, 0, False
                self.place = Place(self.announce, report.port, report.fingerprint)
            case Draining():
                log.warning("a media worker was asked to end, and takes no more rooms")
                self.is_draining = True
            case TransportConnected() | TransportFailed() | SpeakersChanged():
                if (room := self.rooms.get(report.router)) is not None:
                    room.reported(report)
            case StatisticsTaken():
                keep(report, self.rooms)
            case Beat():
                self.transports, self.load = report.transports, report.consumers

    def open_router(self, room: Room) -> Router:
        """A router for a room."""
        assert self.process is not None
        assert self.place is not None
        self.rooms[room.state.room_id] = room
        people = max(FEWEST, len(room.state.seats))
        self.load += people * (people - 1)
        return Router(self.process, self.place)

    def close_router(self, room_id: RoomId) -> None:
        """A room is gone; its load stays until the next beat, unless it was the last one."""
        del self.rooms[room_id]
        if not self.rooms:
            self.load = 0


@define
class Router:
    """A room's share of a worker."""

    process: Process
    place: Place

    def tell(self, command: WorkerCommand) -> None:
        """Send a command; never blocks."""
        self.process.tell(command)

    async def wait_dead(self) -> None:
        """Wait until the worker is gone."""
        await self.process.dead.wait()


@define(eq=False)
class Pool:
    """All workers of this server, the spare included."""

    workers: list[Worker]
    _changed: trio.Event = field(factory=trio.Event)
    _reserved: dict[RoomId, tuple[Worker, Router]] = field(factory=dict[RoomId, "tuple[Worker, Router]"])

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
        self._changed.set()
        self._changed = trio.Event()

    def reserve(self, room: Room) -> Router | None:
        """A router on the least loaded worker, for whoever enters `router` next; None while no worker is up."""
        able = [worker for worker in self.workers if worker.takes_rooms]
        busy = [worker for worker in able if worker.rooms]
        if not able:
            return None
        worker = min(busy if len(busy) >= self.in_use else able, key=lambda each: (each.load, len(each.rooms)))
        router = worker.open_router(room)
        self._reserved[room.state.room_id] = worker, router
        return router

    @asynccontextmanager
    async def router(self, room: Room) -> AsyncIterator[Router]:
        """The router that is reserved, or else the next one to be had."""
        room_id = room.state.room_id
        while room_id not in self._reserved and self.reserve(room) is None:
            await self._changed.wait()
        worker, router = self._reserved.pop(room_id)
        try:
            yield router
        finally:
            worker.close_router(room_id)
            router.tell(CloseRouter(room_id))
