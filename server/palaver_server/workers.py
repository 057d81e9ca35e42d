"""The media workers: one supervised process each, and routers that rooms hold on them."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import trio
from attrs import define, field

from palaver_media.process import MediaProcess, supervise
from palaver_media.worker_messages import (
    WORKER_CODEC,
    Beat,
    CloseRouter,
    Ready,
    SpeakersChanged,
    TransportConnected,
    TransportFailed,
    WorkerCommand,
    WorkerReport,
)
from palaver_protocol.models import RoomId

from .room import Room
from .room_media import Place

log = logging.getLogger(__name__)

Process = MediaProcess[WorkerCommand, WorkerReport]


@define(eq=False)
class Worker:
    """One place in the pool: a process, its successors, and the UDP port that they hand down."""

    host: str
    announce: str
    port: int
    process: Process | None = None
    place: Place | None = None
    core: str = ""  # by which it forwards: `c` or `python`
    rooms: dict[str, Room] = field(factory=dict[str, Room])  # by router
    transports: int = 0  # at its last beat

    def make(self) -> Process:
        """The next process."""
        arguments = ("--host", self.host, "--port", str(self.port))
        return MediaProcess("palaver_worker", arguments, WORKER_CODEC, self.reported)

    def reported(self, report: WorkerReport) -> None:
        """Give a report to the room it is about."""
        match report:
            case Ready():
                self.port, self.core = report.port, report.core
                self.place = Place(self.announce, report.port, report.fingerprint)
            case TransportConnected() | TransportFailed() | SpeakersChanged():
                if (room := self.rooms.get(report.router)) is not None:
                    room.reported(report)
            case Beat():
                self.transports = report.transports


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
    """All workers of this server."""

    workers: list[Worker]
    _changed: trio.Event = field(factory=trio.Event)
    _reserved: dict[RoomId, tuple[Worker, Router]] = field(factory=dict[RoomId, "tuple[Worker, Router]"])

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Keep every worker alive; `started` once all are up."""
        async with trio.open_nursery() as nursery:
            for worker in self.workers:
                nursery.start_soon(supervise, worker.make, partial(self._up, worker))
            while any(worker.process is None for worker in self.workers):
                await self._changed.wait()
            task_status.started()

    def _up(self, worker: Worker, process: Process) -> None:
        log.info("media worker %d is ready on udp port %d, core: %s", process.pid, worker.port, worker.core)
        worker.process = process
        self._changed.set()
        self._changed = trio.Event()

    def reserve(self, room: Room) -> Router | None:
        """A router on the least loaded worker, for whoever enters `router` next; None while no worker is up."""
        alive = [w for w in self.workers if w.process is not None and not w.process.dead.is_set()]
        if not alive:
            return None
        worker = min(alive, key=lambda w: len(w.rooms))
        assert worker.process is not None
        assert worker.place is not None
        router = Router(worker.process, worker.place)
        worker.rooms[room.state.room_id] = room
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
            del worker.rooms[room_id]
            router.tell(CloseRouter(room_id))
