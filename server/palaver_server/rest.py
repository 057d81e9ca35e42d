"""REST beside the signalling, for dashboards and scripts: who is online, which rooms are open, how the server fares.

What a page answers is a class below, and the OpenAPI document is made from the same classes (`openapi.py`). Everything
is read from memory at once; nothing can be changed here.
"""

from __future__ import annotations

import logging
import os
import resource
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import trio
from attrs import field, frozen

from palaver_protocol.converter import write_ack, write_refusal
from palaver_protocol.models import RoomId, RoomSummary, RoomType, User
from palaver_protocol.table import Ack, Code, Refusal, refusal

from .exchange import Exchange
from .front_door import preflight
from .http_connection import Request, Response, in_json
from .openapi import Page, describe
from .room_state import RoomState
from .statistics import MediaStats, RoomStats, SeatStats, add_up, seat_stats, transports_of
from .workers import Pool, Worker

log = logging.getLogger(__name__)

STATUS: Final = {
    Code.NOT_ALLOWED: 403,
    Code.NOT_FOUND: 404,
    Code.UNSUPPORTED: 405,
    Code.ENDED: 410,
    Code.INTERNAL: 500,
}
UNCACHED: Final = ("cache-control", "no-store")
ALLOW: Final = ("allow", "GET, HEAD, OPTIONS")


@frozen
class RoomsAnswer(Ack):
    """Every open group room."""

    rooms: tuple[RoomSummary, ...]


@frozen
class RoomAnswer(Ack):
    """One open group room. Rooms of two people are theirs alone: nothing is told about them."""

    room: RoomSummary


@frozen
class UsersAnswer(Ack):
    """Everybody online, the longest first."""

    users: tuple[User, ...]


@frozen
class WorkerStats:
    """One media worker; `transports` is what it told in its last beat, `pid` is absent while it is not up.

    `media` is about all its rooms. `dropped` counts datagrams that were of no use, by reason, since this process began.
    """

    is_up: bool
    transports: int
    rooms: int
    media: MediaStats
    dropped: dict[str, int]
    pid: int | None = None


@frozen
class StatsAnswer(Ack):
    """What the server carries now. `uptime` and `cpuTime` in s, `memory` (resident) in bytes, workers not included.

    `users` counts also those who were cut off and are waited for, `rooms` also those of two, and `callsRinging` also
    invitations. `media` is about all rooms together, `roomStats` about each one that is for everybody's eyes; what the
    workers told of them is up to some seconds old.
    """

    uptime: float
    connections: int
    users: int
    rooms: int
    participants: int
    calls_ringing: int
    memory: int
    cpu_time: float
    workers: tuple[WorkerStats, ...]
    media: MediaStats
    room_stats: tuple[RoomStats, ...]


@frozen
class RoomStatsAnswer(Ack):
    """How the media of one open group room fares: each person's transports, with what they carry."""

    room_id: RoomId
    media: MediaStats
    seats: tuple[SeatStats, ...]


PAGES: Final = (
    Page("/api/rooms", "listRooms", RoomsAnswer, leads_to=("getRoom", "getRoomStats")),
    Page("/api/rooms/{roomId}", "getRoom", RoomAnswer, (Code.NOT_ALLOWED, Code.NOT_FOUND, Code.ENDED)),
    Page("/api/users", "listUsers", UsersAnswer),
    Page("/api/stats", "getStats", StatsAnswer),
    Page("/api/stats/{roomId}", "getRoomStats", RoomStatsAnswer, (Code.NOT_ALLOWED, Code.NOT_FOUND, Code.ENDED)),
)


@frozen
class Rest:
    """The pages under `/api/`."""

    exchange: Exchange
    pool: Pool
    started: float = field(factory=trio.current_time)

    def respond(self, request: Request, is_allowed: bool) -> Response:
        """The answer to a request; `is_allowed` says whether the web page that asks may read it."""
        try:
            return self._respond(request, is_allowed)
        except Refusal as no:
            return refused(no)
        except Exception:
            log.exception("%s broke", request.path[:80])
            return refused(refusal(Code.INTERNAL, "something went wrong in the server"))

    def _respond(self, request: Request, is_allowed: bool) -> Response:
        if not is_allowed:
            raise refusal(Code.NOT_ALLOWED, "this page's origin is not allowed: add it by --allow-origin")
        page = self._find(request.path)
        if request.method == "OPTIONS":
            return preflight("GET, HEAD").with_headers(ALLOW)
        if request.method not in ("GET", "HEAD"):
            return refused(refusal(Code.UNSUPPORTED, "this page can only be read"), ALLOW)
        return in_json(200, page()).with_headers(UNCACHED)

    def _find(self, path: str) -> Callable[[], dict[str, object]]:
        match [unquote(step) for step in path.split("/")]:
            case ["", "api", "openapi.json"]:
                return partial(describe, PAGES)
            case ["", "api", "rooms"]:
                return lambda: write_ack(RoomsAnswer(self.exchange.rooms.summaries()))
            case ["", "api", "rooms", room_id]:
                return lambda: write_ack(RoomAnswer(self.find_room(RoomId(room_id)).summary()))
            case ["", "api", "users"]:
                return lambda: write_ack(UsersAnswer(self.exchange.list_users()))
            case ["", "api", "stats"]:
                return lambda: write_ack(self.stats())
            case ["", "api", "stats", room_id]:
                return lambda: write_ack(self.room_stats(self.find_room(RoomId(room_id))))
            case _:
                raise refusal(Code.NOT_FOUND, "there is no such page, see /api/openapi.json")

    def find_room(self, room_id: RoomId) -> RoomState:
        """A room that is for everybody's eyes.

        Raises:
            Refusal: there is none, or it has ended.
        """
        state = self.exchange.rooms.get(room_id).state
        if state.kind is not RoomType.GROUP:
            raise refusal(Code.NOT_FOUND, "there is no such room")
        return state

    def stats(self) -> StatsAnswer:
        """The server's figures."""
        people = self.exchange.people
        rooms = [room.state for room in self.exchange.rooms.open.values() if not room.state.is_ended]
        return StatsAnswer(
            uptime=round(trio.current_time() - self.started, 3),
            connections=sum(session.outbox is not None for session in people.sessions.values()),
            users=len(people.users),
            rooms=len(rooms),
            participants=sum(len(state.seats) for state in rooms),
            calls_ringing=sum(1 for _ in self.exchange.calls.book.ringing()),
            memory=resident_memory(),
            cpu_time=round(time.process_time(), 3),
            workers=tuple(worker_stats(worker) for worker in self.pool.workers),
            media=add_up(each for state in rooms for each in transports_of(state)),
            room_stats=tuple(
                RoomStats(each.room_id, add_up(transports_of(each))) for each in rooms if each.kind is RoomType.GROUP
            ),
        )

    def room_stats(self, state: RoomState) -> RoomStatsAnswer:
        """A room's figures."""
        seats = tuple(seat_stats(seat) for seat in state.seats.values())
        return RoomStatsAnswer(state.room_id, add_up(transports_of(state)), seats)


def worker_stats(worker: Worker) -> WorkerStats:
    """A worker's figures."""
    shares = worker.rooms.values()
    rooms, media = len(shares), add_up(x for room, part in shares for x in transports_of(room.state, part))
    if worker.process is None or worker.process.dead.is_set():
        return WorkerStats(is_up=False, transports=0, rooms=rooms, media=media, dropped={})
    return WorkerStats(True, worker.transports, rooms, media, dict(worker.dropped), worker.process.pid)


def resident_memory() -> int:
    """Bytes of memory that this process holds; where the system does not say, the most it ever held."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # no Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in bytes on macOS, getrusage(2)


def refused(no: Refusal, *headers: tuple[str, str]) -> Response:
    """A refusal, with its HTTP status."""
    return in_json(STATUS[Code(no.code)], write_refusal(no)).with_headers(UNCACHED, *headers)
