"""The telephone exchange: who is online, which rooms are open, what rings; and where a request goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final, assert_never

import orjson
import trio
from attrs import define, field

from palaver_protocol import socketio
from palaver_protocol.converter import write_notice
from palaver_protocol.models import EndReason, Name, RoomType, User, UserId, UserStatus
from palaver_protocol.notices import AnyNotice, OnlineUsersUpdated, RoomListUpdated, Snapshot
from palaver_protocol.requests import (
    AcceptCall,
    AcceptCallNew,
    AnyRequest,
    CallUser,
    CancelCall,
    CreateRoom,
    Done,
    EndCall,
    InvitationRequest,
    JoinRoom,
    RejectCall,
    RejectCallNew,
    RoomAck,
    ToSeat,
)
from palaver_protocol.table import Ack, Code, answer, refusal

from .call import Call
from .calls import Calls
from .keeper import Keeper, Mark
from .people import Newcomer, People
from .policy import DEFAULT, Policy
from .room import Room, Routers
from .rooms import Rooms, encode_notice
from .seat import By
from .session import Outbox, Session

MAX_INVITED: Final = 100  # people by one request


@define(eq=False)
class Exchange:
    """Everything that is shared: people, rooms, calls, and the way of a request to whom it concerns."""

    nursery: trio.Nursery  # of rooms, calls and absences
    routers: Routers
    policy: Policy = DEFAULT
    wall: Callable[[], int] = lambda: int(time.time() * 1000)
    mark: Mark = lambda _key, _snapshot: None  # of the store
    people: People = field(factory=People)
    _lists: tuple[int, bytes, bytes] = (-1, b"", b"")  # users and rooms as JSON, of this version of the lists
    keeper: Keeper = field(init=False)
    rooms: Rooms = field(init=False)
    calls: Calls = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.keeper = Keeper(self.mark, self.wall)
        self.calls = Calls(self)
        self.rooms = Rooms(self.nursery, self.routers, self.policy, self.people, self.keeper, self.calls.room_closed)

    # -- connections ---------------------------------------------------------------------------------------------------
    def arrive(self, who: Newcomer, address: str, outbox: Outbox) -> tuple[Session, bool]:
        """Somebody connected: his session, and whether it is the one that he had before."""
        if (session := self.people.resumed(who)) is not None:
            self.resume(session, address, outbox)
            return session, True
        session = self.people.add(who, address, self.wall(), outbox)
        self.keep_session(session)
        self.rooms.listed()
        return session, False

    def resume(self, session: Session, address: str, outbox: Outbox) -> None:
        """Somebody is back; a link of his that we still believed in is cut, and its loss will mean nothing.

        The others hear of it first: nothing may come to him before the answer to his CONNECT.
        """
        if session.outbox is not None:
            session.outbox.scope.cancel()
        session.outbox, session.address = None, address
        if (room := self.rooms.where.get(session.user_id)) is not None:
            room.happen(partial(room.state.back, self.by(session)))
        session.outbox = outbox
        session.is_back.set()

    def part(self, session: Session, outbox: Outbox, *, is_clean: bool) -> None:
        """A link ended. Who was cut off and may resume is waited for."""
        if session.outbox is not outbox:
            return
        session.outbox = None
        if is_clean or not session.token:
            self.depart(session)
            return
        if (room := self.rooms.where.get(session.user_id)) is not None:
            room.happen(partial(room.state.away, self.by(session)))
        self.hold(session)

    def hold(self, session: Session) -> None:
        """Wait for somebody who is away."""
        session.is_back = trio.Event()
        self.nursery.start_soon(self.wait_for, session, session.is_back)

    async def wait_for(self, session: Session, is_back: trio.Event) -> None:
        """An absence: it ends with his return, or his session ends with it."""
        with trio.move_on_after(self.policy.resume_grace):
            await is_back.wait()
        if not is_back.is_set():
            self.depart(session)

    def depart(self, session: Session) -> None:
        """A session is over."""
        self.people.remove(session)
        self.keep_session(session)
        self.rooms.listed()
        if (room := self.rooms.where.get(session.user_id)) is not None:
            room.happen(partial(room.state.lost, self.by(session)))
        self.calls.left(session)

    def keep_session(self, session: Session) -> None:
        """Tell the store that somebody came or went."""
        self.keeper.session(session, lambda: session.number not in self.people.sessions)

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

    def open_no_more(self, seconds: float) -> None:
        """Let what is there go on, and refuse new rooms and calls; in so many seconds there may be a successor."""
        self.rooms.successor = trio.current_time() + seconds

    def shut_down(self) -> None:
        """End every call and room and close every connection, saying why."""
        self.calls.shut_down()
        for room in list(self.rooms.open.values()):
            room.happen(partial(room.state.end, None, EndReason.SHUTDOWN))
        for session in self.people.sessions.values():
            if session.outbox is not None:
                session.outbox.close()

    # -- requests ------------------------------------------------------------------------------------------------------
    def handle(self, session: Session, asked: AnyRequest) -> Ack:
        """Answer a request at once; nothing here waits.

        Raises:
            Refusal: not allowed, or not possible.
        """
        match asked:
            case CreateRoom():
                return answer(asked, self.create_room(session, asked))
            case CallUser():
                return answer(asked, self.calls.call_user(session, asked))
            case AcceptCallNew() | RejectCallNew() | CancelCall():
                return self.calls.ask(session, asked)
            case AcceptCall() | RejectCall():
                return self.answer_invitation(session, asked)
            case JoinRoom():
                return answer(asked, self.join(session, self.rooms.get(asked.room_id), asked))
            case EndCall() if self.rooms.has_ended(asked.room_id):
                return answer(asked, Done("ended"))
            case ToSeat():
                return self.rooms.of(session).ask(self.by(session), asked)
            case _:
                return self.rooms.get(asked.room_id).ask(self.by(session), asked)

    def create_room(self, session: Session, asked: CreateRoom) -> RoomAck:
        """Open a room with its host in it, or join the one of that name; and ring at those invited."""
        invited = (*((asked.target_user_id,) if asked.target_user_id else ()), *asked.invited_user_ids)
        people = {user_id: self.people.name_of(user_id) for user_id in invited}
        if len(people) > MAX_INVITED:
            raise refusal(Code.INVALID_PAYLOAD, f"at most {MAX_INVITED} can be invited at once")
        if asked.room_type is RoomType.DIRECT:
            return self.create_direct(session, asked, people)
        name = asked.room_name or Name(f"{session.name[:24]}'s room")
        room = self.rooms.named(name) if asked.join_existing else None
        if room is None:
            self.rooms.check_capacity()  # before he gives up the seat that he has
        self.make_free(session, room, leave_current=asked.leave_current)
        room = room or self.rooms.open_group(session, name, self.wall())
        self.sit(session, room)
        self.calls.invite(session, room, people)
        return RoomAck(room.state.view())

    def create_direct(self, session: Session, asked: CreateRoom, people: dict[UserId, Name]) -> RoomAck:
        """A room for two, which waits for the one invited; or, if he rings here at this moment, his."""
        if len(people) != 1:
            raise refusal(Code.INVALID_PAYLOAD, "a direct room is for one other person: name him in targetUserId")
        (other,) = people
        self.calls.rules.check_there(session.user_id, other)
        if (crossed := self.calls.book.crossed(session.user_id, other)) is not None:
            return RoomAck(self.calls.meet(session, crossed, leave_current=asked.leave_current).state.view())
        self.rooms.check_capacity()
        self.calls.rules.check_willing(session.user_id, other)
        self.make_free(session, None, leave_current=asked.leave_current)
        room = self.rooms.open_direct(session, other, asked.room_name, self.wall(), is_pending=True)
        self.sit(session, room)
        self.calls.invite(session, room, people)
        return RoomAck(room.state.view())

    def answer_invitation(self, session: Session, asked: InvitationRequest) -> Ack:
        """Say yes or no to an invitation. To a group room one may also say yes when it rings no longer."""
        room = self.rooms.get(asked.room_id)
        room.check(self.by(session), asked)
        call = self.calls.book.invitations.get((asked.room_id, session.user_id))
        match asked:
            case AcceptCall():
                if call is None:
                    return answer(asked, self.join(session, room, asked))
                self.calls.accept(session, call, leave_current=asked.leave_current)
                return answer(asked, RoomAck(room.state.view()))
            case RejectCall():
                if call is None:
                    raise refusal(Code.NOT_FOUND, "no invitation to this room rings here")
                self.calls.reject(session, call, asked.reason)
                return answer(asked, Done("rejected"))
            case _:
                assert_never(asked)

    # -- seats ---------------------------------------------------------------------------------------------------------
    def join(self, session: Session, room: Room, asked: JoinRoom | AcceptCall) -> RoomAck:
        """Take a seat in a room, if one may."""
        room.check(self.by(session), asked)
        self.make_free(session, room, leave_current=asked.leave_current)
        self.sit(session, room)
        return RoomAck(room.state.view())

    def sit(self, session: Session, room: Room) -> None:
        """Seat somebody, who may be away at the moment. Raises Refusal if the room breaks."""
        is_new = self.rooms.where.get(session.user_id) is not room
        room.ask(self.by(session), JoinRoom(room.state.room_id))
        if session.outbox is None:
            room.happen(partial(room.state.away, self.by(session)))
        if is_new:
            self.calls.seated(session, room)

    def make_free(self, session: Session, wanted: Room | None, *, leave_current: bool) -> None:
        """One room per user: leave the one he sits in, if it is not the wanted one and he said so. Raises Refusal."""
        current = self.rooms.where.get(session.user_id)
        if current is None or current is wanted:
            return
        if not leave_current:
            raise refusal(Code.IN_ROOM, f"you are in the room {current.state.name}: leave it first")
        current.do(partial(current.state.leave, self.by(session)))  # also a seat of another connection of his

    # -- what calls reach (`calls.Switch`) -----------------------------------------------------------------------------
    def tell_session(self, session: Session, notice: AnyNotice) -> None:
        """Give a notice to a connection."""
        session.put(encode_notice(notice))

    def connect(self, call: Call, answerer: Session) -> Room:
        """Seat both in the call's room. Raises Refusal if it breaks."""
        room = self.rooms.find(call.room_id)
        if room is None:
            self.make_free(call.caller, None, leave_current=call.leave_current)
            room = self.rooms.open_direct(call.caller, call.callee, None, self.wall(), is_pending=False)
            self.sit(call.caller, room)
        self.sit(answerer, room)
        return room

    def keep_call(self, call: Call) -> None:
        """Tell the store that a call has begun or ended."""
        self.keeper.call(call)

    # -- what people see -----------------------------------------------------------------------------------------------
    def list_users(self) -> tuple[User, ...]:
        """Everybody online, the longest first; who is in a call with whom is nobody else's business."""
        return tuple(self.user(sessions[0], RoomType.GROUP) for sessions in self.people.users.values())

    def user(self, session: Session, *seen: RoomType) -> User:
        """Somebody, as those see him who see rooms of these types."""
        room = self.rooms.where.get(session.user_id)
        status = UserStatus.IDLE if room is None else UserStatus.IN_CALL
        room_id = room.state.room_id if room is not None and room.state.kind in seen else None
        return User(session.user_id, session.name, status, session.connected_at, room_id)

    def greet_back(self, session: Session) -> None:
        """Tell somebody who was away all that he may have missed."""
        session.put(self.encode_snapshot(session))
        if (room := self.rooms.where.get(session.user_id)) is not None:
            room.happen(partial(room.state.tell_speakers, self.by(session)))

    def encode_snapshot(self, session: Session) -> str:
        """All that somebody may have missed, as a message; the lists are encoded once for all who come back."""
        event, told = write_notice(self.snapshot(session))
        version, users, rooms = self._lists
        if version != self.rooms.lists_version:
            _, all_users = write_notice(OnlineUsersUpdated(self.list_users()))
            _, all_rooms = write_notice(RoomListUpdated(self.rooms.summaries()))
            users, rooms = orjson.dumps(all_users["users"]), orjson.dumps(all_rooms["rooms"])
            self._lists = self.rooms.lists_version, users, rooms
        told |= {"users": orjson.Fragment(users), "rooms": orjson.Fragment(rooms)}
        return "4" + socketio.encode_event(event, told)

    def snapshot(self, session: Session) -> Snapshot:
        """What concerns somebody himself of all that he may have missed; the lists are left out."""
        room, now, me = self.rooms.where.get(session.user_id), trio.current_time(), session.user_id
        is_seated = room is not None and room.state.seat_of(self.by(session)) is not None  # he, not a phone of his
        return Snapshot(
            self.user(session, *RoomType),
            users=(),
            rooms=(),
            calls=tuple(
                call.view(now) for call in self.calls.book.ringing() if me in (call.caller.user_id, call.callee)
            ),
            room=room.state.view() if room is not None and is_seated else None,
        )
