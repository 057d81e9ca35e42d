"""The telephone exchange: who is online, which rooms are open; and where a request goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Final, assert_never
from uuid import uuid4

import trio
from attrs import define, field

from palaver_protocol import socketio
from palaver_protocol.converter import write_notice
from palaver_protocol.models import (
    EndReason,
    Name,
    RoomId,
    RoomSummary,
    RoomType,
    User,
    UserId,
    UserStatus,
)
from palaver_protocol.notices import AnyNotice
from palaver_protocol.requests import (
    AnyRequest,
    CreateRoom,
    Done,
    EndCall,
    ExchangeRequest,
    JoinRoom,
    RoomAck,
    ToRoom,
    ToSeat,
)
from palaver_protocol.table import Ack, Code, answer, refusal

from .room import Room, Routers, run_room
from .room_state import Moved, RoomState, Tell
from .seat import By
from .session import Outbox, Session

REMEMBERED: Final = 10_000  # ended rooms whose ids still answer `ended`


@define(eq=False)
class Exchange:
    """Everything that is shared: users, rooms, and the way of a request to whom it concerns."""

    nursery: trio.Nursery  # of rooms
    routers: Routers
    wall: Callable[[], int] = lambda: int(time.time() * 1000)
    sessions: dict[int, Session] = field(factory=dict[int, Session])
    users: dict[UserId, list[Session]] = field(factory=dict[UserId, list[Session]])
    rooms: dict[RoomId, Room] = field(factory=dict[RoomId, Room])
    where: dict[UserId, Room] = field(factory=dict[UserId, Room])  # one room per user
    ended: dict[RoomId, None] = field(factory=dict[RoomId, None])
    lists_changed: trio.Event = field(factory=trio.Event)
    _numbers: count[int] = field(factory=count)

    # -- connections ---------------------------------------------------------------------------------------------------
    def arrive(self, user_id: UserId, name: Name, socket_id: str, address: str, outbox: Outbox) -> Session:
        """Somebody connected."""
        session = Session(next(self._numbers), user_id, name, socket_id, address, self.wall(), outbox)
        self.sessions[session.number] = session
        self.users.setdefault(user_id, []).append(session)
        self.listed()
        return session

    def depart(self, session: Session) -> None:
        """A connection is gone."""
        del self.sessions[session.number]
        self.users[session.user_id].remove(session)
        if not self.users[session.user_id]:
            del self.users[session.user_id]
        self.listed()
        if (room := self.where.get(session.user_id)) is not None:
            room.happen(partial(room.state.lost, self.by(session)))

    def by(self, session: Session) -> By:
        """A session, as rooms know it."""
        return By(
            session.user_id,
            session.name,
            session.number,
            session.socket_id,
            session.address,
            trio.current_time(),
            self.wall(),
        )

    # -- requests ------------------------------------------------------------------------------------------------------
    def handle(self, session: Session, asked: AnyRequest) -> Ack:
        """Answer a request at once; nothing here waits.

        Raises:
            Refusal: not allowed, or not possible.
        """
        if isinstance(asked, EndCall) and self.has_ended(asked.room_id):
            return answer(asked, Done("ended"))
        if isinstance(asked, JoinRoom):
            return answer(asked, self.join(session, self.room(asked.room_id), asked.leave_current))
        if isinstance(asked, ToRoom):
            return self.room(asked.room_id).ask(self.by(session), asked)
        if isinstance(asked, ToSeat):
            return self.seat_of(session).ask(self.by(session), asked)
        return self.ask_exchange(session, asked)

    def ask_exchange(self, session: Session, asked: ExchangeRequest) -> Ack:
        """Answer what concerns the server as a whole."""
        match asked:
            case CreateRoom():
                return answer(asked, self.create_room(session, asked))
            case _:
                assert_never(asked)

    def create_room(self, session: Session, asked: CreateRoom) -> RoomAck:
        """Open a room with its host in it, or join the one of that name."""
        if asked.room_type is not RoomType.GROUP or asked.invited_user_ids or asked.target_user_id:
            raise refusal(Code.UNSUPPORTED, "this server has group rooms without invitations only")
        name = asked.room_name or Name(f"{session.name[:24]}'s room")
        if asked.join_existing and (room := self.find_room(name)) is not None:
            return self.join(session, room, asked.leave_current)
        self.make_free(session, None, leave_current=asked.leave_current)
        return self.join(session, self.open_room(session, name), leave_current=False)

    def join(self, session: Session, room: Room, leave_current: bool) -> RoomAck:
        """Take a seat in a room."""
        self.make_free(session, room, leave_current=leave_current)
        ack = room.ask(self.by(session), JoinRoom(room.state.room_id))
        assert isinstance(ack, RoomAck)
        return ack

    def make_free(self, session: Session, wanted: Room | None, *, leave_current: bool) -> None:
        """One room per user: leave the one he sits in, if it is not the wanted one and he said so."""
        current = self.where.get(session.user_id)
        if current is None or current is wanted:
            return
        if not leave_current:
            raise refusal(Code.IN_ROOM, f"you are in the room {current.state.name}: leave it first")
        current.do(partial(current.state.leave, self.by(session)))  # also a seat of another connection of his

    # -- rooms ---------------------------------------------------------------------------------------------------------
    def room(self, room_id: RoomId) -> Room:
        """An open room."""
        room = self.rooms.get(room_id)
        if room is not None and not room.state.is_ended:
            return room
        if self.has_ended(room_id):
            raise refusal(Code.ENDED, "this room has ended")
        raise refusal(Code.NOT_FOUND, "there is no such room")

    def has_ended(self, room_id: RoomId) -> bool:
        """Whether there was such a room; one may still be winding down."""
        room = self.rooms.get(room_id)
        return room_id in self.ended if room is None else room.state.is_ended

    def seat_of(self, session: Session) -> Room:
        """The room in which a connection has its seat."""
        if (room := self.where.get(session.user_id)) is None:
            raise refusal(Code.NOT_MEMBER, "you are in no room")
        return room

    def find_room(self, name: Name) -> Room | None:
        """The open group room of that name."""
        wanted = name.casefold()
        for room in self.rooms.values():
            if not room.state.is_ended and room.state.name.casefold() == wanted:
                return room
        return None

    def open_room(self, host: Session, name: Name) -> Room:
        """A new room, running."""
        state = RoomState(RoomId(str(uuid4())), name, host.user_id, host.name, self.wall())
        room = self.rooms[state.room_id] = Room(state, self)
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
            del self.rooms[room.state.room_id]
            self.ended[room.state.room_id] = None
            if len(self.ended) > REMEMBERED:
                del self.ended[next(iter(self.ended))]

    def shut_down(self) -> None:
        """End every room and close every connection, saying why."""
        for room in list(self.rooms.values()):
            room.happen(partial(room.state.end, None, EndReason.SHUTDOWN))
        for session in self.sessions.values():
            session.outbox.close()

    # -- what rooms reach (`room.Surroundings`) ------------------------------------------------------------------------
    def tell(self, to: tuple[int, ...], told: Tell) -> None:
        """Put a notice into the outboxes of these connections. It is encoded once."""
        message = encode_notice(told.notice)
        for number in to:
            if (session := self.sessions.get(number)) is not None:
                session.outbox.put(message)

    def moved(self, room: Room, moved: Moved) -> None:
        """Note where a user sits."""
        if moved.is_seated:
            self.where[moved.user_id] = room
        else:
            self.where.pop(moved.user_id, None)

    def listed(self) -> None:
        """The lists of users and rooms are out of date."""
        self.lists_changed.set()

    # -- lists ---------------------------------------------------------------------------------------------------------
    def list_users(self) -> tuple[User, ...]:
        """Everybody online, the longest first."""
        return tuple(self.user(user_id, sessions[0]) for user_id, sessions in self.users.items())

    def user(self, user_id: UserId, session: Session) -> User:
        """Somebody, as lists show him."""
        room = self.where.get(user_id)
        status = UserStatus.IDLE if room is None else UserStatus.IN_CALL
        return User(user_id, session.name, status, session.connected_at, room.state.room_id if room else None)

    def list_rooms(self) -> tuple[RoomSummary, ...]:
        """Every open group room."""
        return tuple(room.state.summary() for room in self.rooms.values() if not room.state.is_ended)


def encode_notice(notice: AnyNotice) -> str:
    """The WebSocket message of a notice."""
    return "4" + socketio.encode_event(*write_notice(notice))
