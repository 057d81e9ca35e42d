"""A room in time: one synchronous door (`do`), one task for its life (`run_room`)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from typing import Any, Protocol, TypeVar

import trio
from attrs import define, field

from palaver_media.worker_messages import (
    Beat,
    Draining,
    Ready,
    SpeakersChanged,
    StatisticsTaken,
    TransportConnected,
    TransportFailed,
    WorkerReport,
)
from palaver_protocol.models import EndReason, MessageId, TransportId
from palaver_protocol.requests import RoomRequest, ToRoom, ToSeat
from palaver_protocol.table import ROW_OF, Ack, Code, Refusal, Standing, refusal

from .room_effects import Carry, Kept, Listed, Moved, Order, Spread, Tell
from .room_parts import Place
from .room_state import RoomState
from .seat import By

T = TypeVar("T")
log = logging.getLogger(__name__)


class Router(Protocol):
    """A room's share of the media workers: one part at first."""

    @property
    def place(self) -> Place:
        """Where the first part is."""
        ...

    def tell(self, order: Order) -> None:
        """Send a part's worker a command; never blocks."""

    def carry(self, track: Carry) -> None:
        """Have a track on another part, too; never blocks."""

    def spread(self) -> tuple[int, Place] | None:
        """One more part, on another worker, and where it is; None where there is none to be had."""
        ...

    async def wait_dead(self) -> frozenset[int]:
        """Wait until some of the workers are gone; the parts on them."""
        ...

    def close_part(self, part: int) -> None:
        """Give one part back; never blocks."""


class Routers(Protocol):
    """Where routers come from."""

    def reserve(self, room: Room) -> Router | None:
        """A router for a room that opens, which `router` gives then; None if it has to wait."""
        ...

    def router(self, room: Room) -> AbstractAsyncContextManager[Router]:
        """A router for a room; waits for a worker."""
        ...


class Surroundings(Protocol):
    """What a room reaches outside of itself. Nothing here blocks or calls back."""

    def tell(self, to: tuple[int, ...], told: Tell) -> None:
        """Put a notice into the outboxes of these connections."""

    def moved(self, room: Room, moved: Moved) -> None:
        """Note where a user sits."""

    def listed(self) -> None:
        """Note that lists are out of date."""

    def closed(self, room: Room) -> None:
        """Note that a room has ended."""

    def keep_room(self, room: Room) -> None:
        """Tell the store that a room has changed."""

    def keep_message(self, room: Room, message_id: MessageId) -> None:
        """Tell the store that a message has changed."""


@define(eq=False)
class Room:
    """One room. All that changes it goes through `do`."""

    state: RoomState
    outside: Surroundings
    router: Router | None = None
    alarm: trio.CancelScope | None = None
    ended: trio.Event = field(factory=trio.Event)

    def ask(self, by: By, asked: RoomRequest) -> Ack:
        """Answer a request.

        Raises:
            Refusal: not allowed, not possible, or (a bug) the room broke and has ended.
        """
        self.check(by, asked)
        return self.do(lambda: self.state.apply(by, asked))

    def check(self, by: By, asked: ToRoom[Any] | ToSeat[Any]) -> None:
        """Refuse what the table does not allow the asker. Raises Refusal."""
        standing, needed = self.state.standing(by), ROW_OF[type(asked)].who
        if not needed & standing:
            raise not_allowed(standing, needed)

    def do(self, change: Callable[[], T]) -> T:
        """Change the state and carry out what follows: synchronous, hence atomic, so a room needs no lock or queue."""
        self.state.now = trio.current_time()
        try:
            return change()
        except Refusal:
            raise
        except Exception:
            self.break_off()
            raise refusal(Code.INTERNAL, "the room broke and was ended") from None
        finally:
            self.carry_out()

    def happen(self, change: Callable[[], object]) -> None:
        """As `do`, for what nobody asked: a deadline, a lost connection, a report of the worker."""
        with suppress(Refusal):
            self.do(change)

    def break_off(self) -> None:
        """End a room in which a bug showed; one too broken to say goodbye ends without a word."""
        log.exception("room %s broke", self.state.room_id)
        try:
            self.state.end(None, EndReason.ERROR)
        except Exception:
            log.exception("room %s could not end in order", self.state.room_id)
            self.state.is_ended = True
            self.state.effects = [Moved(user_id, is_seated=False) for user_id in self.state.seats]

    def take_router(self, router: Router) -> None:
        """The room's media has a place."""
        self.router = router
        self.happen(partial(self.state.place_media, router.place))

    def reported(self, report: WorkerReport, part: int = 0) -> None:
        """What the worker of one part says of this room. Each of them hears all voices, so one need tell who speaks."""
        match report:
            case TransportFailed():
                self.happen(partial(self.state.transport_failed, TransportId(report.transport), report.reason))
            case SpeakersChanged() if part == self.state.media.parts.first:
                self.happen(partial(self.state.speakers_changed, report.speakers))
            case SpeakersChanged() | TransportConnected() | Ready() | Beat() | Draining() | StatisticsTaken():
                pass

    def carry_out(self) -> None:
        """Do what the state asks for."""
        effects, self.state.effects = self.state.effects, []
        for effect in effects:
            match effect:
                case Tell():
                    self.outside.tell(effect.to, effect)
                case Moved():
                    self.outside.moved(self, effect)
                case Listed():
                    self.outside.listed()
                case Kept():
                    self.outside.keep_message(self, effect.message_id)
                case Order():
                    if self.router is not None:
                        self.router.tell(effect)
                case Carry():
                    if self.router is not None:
                        self.router.carry(effect)
                case Spread():
                    pass  # once all this is told
        if self.alarm is not None and self.alarm.deadline != (deadline := self.state.deadline()):
            self.alarm.deadline = deadline
        self.outside.keep_room(self)
        if self.state.is_ended and not self.ended.is_set():
            self.ended.set()
            self.outside.closed(self)
        elif Spread() in effects:
            self.spread()

    def spread(self) -> None:
        """Have one more part, if it is to be had."""
        if self.router is not None and (another := self.router.spread()) is not None:
            self.happen(partial(self.state.spread_media, *another))

    def does_without(self, router: Router, dead: frozenset[int]) -> bool:
        """Give dead parts back, if nobody is on them; whether that is so.

        A worker that was asked to end does so as soon as its last client has gone, whoever is on the other parts.
        """
        if not self.state.media.parts.are_empty(dead):
            return False
        self.happen(partial(self.state.media.parts.leave, dead))
        for part in dead:
            router.close_part(part)
        return True


def not_allowed(standing: Standing, needed: Standing) -> Refusal:
    """The refusal of somebody who may not ask this."""
    if Standing.INVITED in needed:
        return refusal(Code.NOT_ALLOWED, "this room is for two people only")
    if Standing.MEMBER in standing and needed == Standing.HOST:
        return refusal(Code.NOT_HOST, "only the host may do that")
    return refusal(Code.NOT_MEMBER, "you are not in this room")


async def run_room(room: Room, routers: Routers) -> None:
    """A room from its opening to its end. What belongs to it lives in this nursery and cannot outlive it."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_time, room)
        nursery.start_soon(keep_media, room, routers)
        await room.ended.wait()
        nursery.cancel_scope.cancel()


async def keep_time(room: Room) -> None:
    """Sleep until the state's next deadline; `do` moves the alarm whenever the state does."""
    while not room.state.is_ended:
        with trio.CancelScope(deadline=room.state.deadline()) as room.alarm:
            await room.ended.wait()
        room.happen(lambda: room.state.expire(trio.current_time()))


async def keep_media(room: Room, routers: Routers) -> None:
    """Hold a place on a worker, or on several; when one in use dies, begin anew and have everybody negotiate again."""
    while True:
        async with routers.router(room) as router:
            if room.router is not router:
                room.take_router(router)
            while room.does_without(router, await router.wait_dead()):
                pass
            room.router = None
            room.happen(room.state.lose_media)
