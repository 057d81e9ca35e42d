"""The open rooms: who sits in which, how one opens, lives and is told of; and what a room reaches outside of itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final
from uuid import uuid4

import trio
from attrs import define, field

from palaver_protocol import socketio
from palaver_protocol.converter import write_notice
from palaver_protocol.models import MessageId, Name, RoomId, RoomSummary, RoomType, UserId
from palaver_protocol.notices import AnyNotice
from palaver_protocol.table import NAME_OF, NOTICES, Code, refusal

from .keeper import Keeper
from .people import People
from .policy import Policy
from .room import Room, Routers, run_room
from .room_effects import Moved, Tell
from .room_state import PLACING, RoomState
from .session import Session

MAX_ROOMS: Final = 10_000
REMEMBERED: Final = 10_000  # ended rooms whose ids still answer `ended`


@define(eq=False)
class Rooms:
    """All rooms of a server. `on_closed` is called when one has ended."""

    nursery: trio.Nursery
    routers: Routers
    policy: Policy
    people: People
    keeper: Keeper
    on_closed: Callable[[Room], None]
    open: dict[RoomId, Room] = field(factory=dict[RoomId, Room])
    where: dict[UserId, Room] = field(factory=dict[UserId, Room])  # one room per user
    ended: dict[RoomId, None] = field(factory=dict[RoomId, None])
    lists_changed: trio.Event = field(factory=trio.Event)
    lists_version: int = 0
    successor: float | None = None  # when to try again, once this server is about to end

    # -- finding -------------------------------------------------------------------------------------------------------
    def get(self, room_id: RoomId) -> Room:
        """An open room.

        Raises:
            Refusal: `ended`, or `notFound`.
        """
        if (room := self.find(room_id)) is not None:
            return room
        if self.has_ended(room_id):
            raise refusal(Code.ENDED, "this room has ended")
        raise refusal(Code.NOT_FOUND, "there is no such room")

    def find(self, room_id: RoomId | None) -> Room | None:
        """An open room, if it is one."""
        room = None if room_id is None else self.open.get(room_id)
        return None if room is None or room.state.is_ended else room

    def has_ended(self, room_id: RoomId) -> bool:
        """Whether there was such a room; one may still be winding down."""
        room = self.open.get(room_id)
        return room_id in self.ended if room is None else room.state.is_ended

    def named(self, name: Name) -> Room | None:
        """The open group room of that name."""
        wanted = name.casefold()
        for room in self.open.values():
            state = room.state
            if not state.is_ended and state.kind is RoomType.GROUP and state.name.casefold() == wanted:
                return room
        return None

    def of(self, session: Session) -> Room:
        """The room in which a connection's user sits. Raises Refusal."""
        if (room := self.where.get(session.user_id)) is None:
            raise refusal(Code.NOT_MEMBER, "you are in no room")
        return room

    def summaries(self) -> tuple[RoomSummary, ...]:
        """Every open group room; a direct room is nobody else's business."""
        return tuple(
            room.state.summary()
            for room in self.open.values()
            if not room.state.is_ended and room.state.kind is RoomType.GROUP
        )

    # -- opening and ending --------------------------------------------------------------------------------------------
    def check_capacity(self) -> None:
        """See whether one more room can be opened, before anybody gives up anything for it. Raises Refusal."""
        if self.successor is not None:
            wait = round(max(0.0, self.successor - trio.current_time()), 3)
            raise refusal(Code.OVERLOADED, "this server is about to end, and opens no more rooms", retry_after=wait)
        if len(self.open) >= MAX_ROOMS:
            raise refusal(Code.FULL, f"this server has {MAX_ROOMS} rooms, and no more", can_retry=True)

    def open_group(self, host: Session, name: Name, wall: int) -> Room:
        """A new group room."""
        room_id = RoomId(str(uuid4()))
        return self.start(RoomState(room_id, name, host.user_id, host.name, wall, self.policy))

    def open_direct(self, host: Session, other: UserId, name: Name | None, wall: int, *, is_pending: bool) -> Room:
        """A new room for two."""
        state = RoomState(
            RoomId(str(uuid4())),
            name or Name(f"{host.name[:14]} & {self.people.name_of(other)[:14]}"),
            host.user_id,
            host.name,
            wall,
            self.policy,
            kind=RoomType.DIRECT,
            admits=(host.user_id, other),
            is_pending=is_pending,
            placing_ends=trio.current_time() + PLACING,
        )
        return self.start(state)

    def start(self, state: RoomState) -> Room:
        """A room, running."""
        room = self.open[state.room_id] = Room(state, self)
        if (router := self.routers.reserve(room)) is not None:  # at once, for whoever asks for media in one breath
            room.take_router(router)
        self.nursery.start_soon(self.live, room)
        return room

    async def live(self, room: Room) -> None:
        """A room's life, and its end in the books. A bug in one of its tasks ends this room and no other."""
        try:
            await run_room(room, self.routers)
        except* Exception:
            room.break_off()
            room.carry_out()
        finally:
            del self.open[room.state.room_id]
            self.ended[room.state.room_id] = None
            if len(self.ended) > REMEMBERED:
                del self.ended[next(iter(self.ended))]

    # -- what rooms reach (`room.Surroundings`) ------------------------------------------------------------------------
    def tell(self, to: tuple[int, ...], told: Tell) -> None:
        """Put a notice into the outboxes of these connections. It is encoded once."""
        message = encode_notice(told.notice)
        row = NOTICES[NAME_OF[type(told.notice)]]
        for number in to:
            if (session := self.people.sessions.get(number)) is None:
                continue
            if row.latest_only:
                session.put_latest(row.event, message)
            else:
                session.put(message)

    def moved(self, room: Room, moved: Moved) -> None:
        """Note where a user sits."""
        if moved.is_seated:
            self.where[moved.user_id] = room
        else:
            self.where.pop(moved.user_id, None)

    def listed(self) -> None:
        """The lists of users and rooms are out of date."""
        self.lists_changed.set()
        self.lists_version += 1

    def closed(self, room: Room) -> None:
        """A room has ended."""
        self.on_closed(room)

    def keep_room(self, room: Room) -> None:
        """Tell the store that a room has changed."""
        self.keeper.room(room.state)

    def keep_message(self, room: Room, message_id: MessageId) -> None:
        """Tell the store that a message has changed."""
        self.keeper.message(room.state, message_id)


def encode_notice(notice: AnyNotice) -> str:
    """The WebSocket message of a notice."""
    return "4" + socketio.encode_event(*write_notice(notice))
