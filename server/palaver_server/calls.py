"""Calls and invitations, from the first ring to the one room in which both sit (reference sections 1.1 and 2.1).

`call_user` rings, `accept` seats both, every other end is `over`. The older flow (`createRoom` with people invited,
`acceptCall`, `rejectCall`) rings and ends in the same code: its calls have their room already.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Final, Protocol, assert_never

import trio
from attrs import define, field

from palaver_protocol.models import CallId, EndReason, Name, Reason, UserId
from palaver_protocol.notices import (
    AnyNotice,
    CallAcceptedNew,
    CallCancelled,
    CallRejectedNew,
    CallTimeout,
    IncomingCall,
    IncomingCallNew,
)
from palaver_protocol.requests import (
    AcceptCallNew,
    AcceptedAck,
    CallRequest,
    CallUser,
    CancelCall,
    Done,
    RejectCallNew,
    RingingAck,
)
from palaver_protocol.table import ROW_OF, Ack, Code, Refusal, answer, refusal

from .call import Call, Outcome, run_call
from .call_book import CallBook
from .call_rules import CallRules
from .people import People
from .policy import Policy
from .room import Room
from .rooms import Rooms
from .session import Session

log = logging.getLogger(__name__)

MAX_RINGING: Final = 3  # calls at one callee


class Switch(Protocol):
    """What calls reach of the exchange. Nothing here blocks."""

    nursery: trio.Nursery
    people: People
    policy: Policy
    rooms: Rooms

    def tell_session(self, session: Session, notice: AnyNotice) -> None:
        """Give a notice to a connection."""

    def make_free(self, session: Session, wanted: Room | None, *, leave_current: bool) -> None:
        """See to it that somebody sits nowhere else. Raises Refusal."""

    def connect(self, call: Call, answerer: Session) -> Room:
        """Seat both in the call's room."""
        ...

    def keep_call(self, call: Call) -> None:
        """Tell the store that a call has begun or ended."""


@define(eq=False)
class Calls:
    """All that ring."""

    switch: Switch
    book: CallBook = field(factory=CallBook)
    rules: CallRules = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rules = CallRules(self.switch.people, self.is_busy)

    # -- requests ------------------------------------------------------------------------------------------------------
    def call_user(self, session: Session, asked: CallUser) -> RingingAck:
        """Ring at somebody; or, if he rings here at this moment, say yes to him."""
        me, other = session.user_id, asked.target_user_id
        if self.book.knows(asked.call_id):
            raise refusal(Code.DUPLICATE, "this call id was used before")
        self.rules.check_there(me, other)
        if not asked.leave_current:
            self.switch.make_free(session, None, leave_current=False)
        if self.book.calling(me) is not None:
            raise refusal(Code.IN_CALL, "you are calling somebody already: cancel that first")
        if (crossed := self.book.crossed(me, other)) is not None:  # glare: each calls the other, so both have said yes
            room = self.meet(session, crossed, leave_current=asked.leave_current)
            self.book.note(asked.call_id, Outcome.ACCEPTED)
            self.tell_accepted(session, asked.call_id, room)
            return RingingAck("accepted", 0)
        self.switch.rooms.check_capacity()
        self.rules.check_willing(me, other)
        call = Call(asked.call_id, session, other, self.switch.people.name_of(other), self.until(), asked.leave_current)
        self.start(call)
        return RingingAck("ringing", call.rings_for(trio.current_time()))

    def invite(self, session: Session, room: Room, people: dict[UserId, Name]) -> None:
        """Ring at those who are to come to a room; the room hears of each who cannot be rung at."""
        state = room.state
        new = {user: name for user, name in people.items() if user not in state.seats and user not in state.invited}
        room.happen(partial(state.invite, new))
        for user_id, name in new.items():
            try:
                self.rules.check_there(session.user_id, user_id)
                self.rules.check_willing(session.user_id, user_id)
            except Refusal as no:
                room.happen(partial(state.decline, user_id, Reason(no.code), EndReason.REJECTED))
            else:
                call_id = CallId(state.room_id)
                self.start(Call(call_id, session, user_id, name, self.until(), False, state.room_id, state.kind))

    def ask(self, session: Session, asked: CallRequest) -> Ack:
        """Answer what is asked of a call. Raises Refusal."""
        call = self.book.find(asked.call_id)
        if not ROW_OF[type(asked)].who & call.standing(session.user_id):
            raise refusal(Code.NOT_ALLOWED, "that is not yours to do in this call")
        match asked:
            case AcceptCallNew():
                room = self.accept(session, call, leave_current=asked.leave_current)
                return answer(asked, AcceptedAck(room.state.room_id, room.state.view()))
            case RejectCallNew():
                self.reject(session, call, asked.reason)
                return answer(asked, Done("rejected"))
            case CancelCall():
                self.over(call, Outcome.CANCELLED, Reason("cancelled"), by=session)
                return answer(asked, Done("cancelled"))
            case _:
                assert_never(asked)

    # -- ringing -------------------------------------------------------------------------------------------------------
    def start(self, call: Call) -> None:
        """Let it ring on all connections of the callee."""
        self.book.add(call)
        self.rules.rings.add((call.caller.user_id, call.callee))
        self.switch.keep_call(call)
        self.switch.nursery.start_soon(self.live, call)
        for session in self.switch.people.of(call.callee):
            self.ring(session, call)

    async def live(self, call: Call) -> None:
        """A call's life, and the barrier for a bug in its end."""
        try:
            await run_call(call, lambda late: self.over(late, Outcome.TIMED_OUT, Reason("timeout")))
        except Exception:
            log.exception("call %s broke", call.call_id)

    def ring(self, session: Session, call: Call) -> None:
        """Let it ring on one connection."""
        me, name, left = call.caller.user_id, call.caller.name, call.rings_for(trio.current_time())
        if call.room_id is None or call.room_type is None:
            self.switch.tell_session(session, IncomingCallNew(call.call_id, me, name, left))
        else:
            self.switch.tell_session(session, IncomingCall(call.room_id, call.room_type, me, name, left))

    def until(self) -> float:
        """When a call that begins now has rung long enough."""
        return trio.current_time() + self.switch.policy.ring_timeout

    def is_busy(self, user_id: UserId) -> bool:
        """Whether somebody can take no more calls."""
        in_call = user_id in self.switch.rooms.where and not self.switch.people.takes_waiting(user_id)
        return in_call or sum(call.callee == user_id for call in self.book.ringing()) >= MAX_RINGING

    # -- the end of ringing --------------------------------------------------------------------------------------------
    def accept(self, session: Session, call: Call, *, leave_current: bool) -> Room:
        """Seat both. Nothing can come between what is checked and what is done.

        Raises:
            Refusal: the answerer sits elsewhere (it rings on), or there is no place for a room (both are told).
        """
        room = self.switch.rooms.find(call.room_id)
        if not leave_current:
            self.switch.make_free(session, room, leave_current=False)
        if room is None:
            try:
                self.switch.rooms.check_capacity()
            except Refusal as no:
                self.over(call, Outcome.REJECTED, Reason(no.code))
                raise
        self.switch.make_free(session, room, leave_current=leave_current)
        self.finish(call, Outcome.ACCEPTED)
        room = self.switch.connect(call, session)
        if call.room_id is None:
            self.tell_accepted(call.caller, call.call_id, room)
        self.stop_ringing(call, but=session)
        return room

    def meet(self, session: Session, crossed: Call, *, leave_current: bool) -> Room:
        """Accept by calling back: it rings no longer, also where that was asked. Raises Refusal."""
        room = self.accept(session, crossed, leave_current=leave_current)
        self.switch.tell_session(session, CallCancelled(crossed.call_id))
        return room

    def tell_accepted(self, caller: Session, call_id: CallId, room: Room) -> None:
        """Tell a caller in which room both sit."""
        self.switch.tell_session(caller, CallAcceptedNew(call_id, room.state.room_id, room.state.view()))

    def reject(self, session: Session, call: Call, reason: Reason | None) -> None:
        """The callee says no. Raises Refusal."""
        self.over(call, Outcome.REJECTED, reason or Reason("rejected"), by=session)
        self.rules.rejections.add((call.caller.user_id, call.callee))

    def over(self, call: Call, outcome: Outcome, why: Reason, by: Session | None = None) -> None:
        """It ends and nobody sits down for it: tell both, but not the one who ended it.

        Raises:
            Refusal: it has ended before.
        """
        self.finish(call, outcome)
        if call.room_id is not None:
            self.decline(call, outcome, why)
        elif outcome is Outcome.TIMED_OUT:
            for session in (call.caller, *self.switch.people.of(call.callee)):
                self.switch.tell_session(session, CallTimeout(call.call_id))
            return
        elif by is not call.caller:
            self.switch.tell_session(call.caller, CallRejectedNew(call.call_id, why))
        self.stop_ringing(call, but=by)

    def decline(self, call: Call, outcome: Outcome, why: Reason) -> None:
        """Tell the room of an invitation that came to nothing."""
        if (room := self.switch.rooms.find(call.room_id)) is not None:
            end = EndReason.TIMEOUT if outcome is Outcome.TIMED_OUT else EndReason.REJECTED
            room.happen(partial(room.state.decline, call.callee, why, end))

    def finish(self, call: Call, outcome: Outcome) -> None:
        """Settle it and take it out of the books. Raises Refusal."""
        self.book.settle(call, outcome)
        self.switch.keep_call(call)

    def stop_ringing(self, call: Call, but: Session | None = None) -> None:
        """Tell the callee's connections that it rings no longer."""
        for session in self.switch.people.of(call.callee):
            if session is not but:
                self.switch.tell_session(session, CallCancelled(call.call_id))

    # -- what happens to callers and callees ---------------------------------------------------------------------------
    def arrived(self, session: Session) -> None:
        """Somebody has one more connection: what rings, rings there too."""
        for call in self.book.ringing():
            if call.callee == session.user_id:
                self.ring(session, call)

    def left(self, session: Session) -> None:
        """A connection is gone, and with it the calls that it placed, and those to a user who has no other."""
        is_gone = not self.switch.people.of(session.user_id)
        for call in self.book.ringing():
            if call.caller is session:
                self.over(call, Outcome.CANCELLED, Reason("cancelled"))
            elif call.callee == session.user_id and is_gone:
                self.over(call, Outcome.REJECTED, Reason(Code.OFFLINE.value))

    def seated(self, session: Session, room: Room) -> None:
        """Somebody sat down: the invitation there is answered; he calls nobody else, and is busy for others."""
        for call in self.book.ringing():
            if call.callee == session.user_id:
                if call.room_id == room.state.room_id:
                    self.finish(call, Outcome.ACCEPTED)
                    self.stop_ringing(call, but=session)
                elif not self.switch.people.takes_waiting(session.user_id):
                    self.over(call, Outcome.REJECTED, Reason(Code.BUSY.value))
            elif call.caller.user_id == session.user_id and call.room_id is None:
                self.over(call, Outcome.CANCELLED, Reason("cancelled"))

    def room_closed(self, room: Room) -> None:
        """A room is no more, and neither are the invitations to it."""
        for call in self.book.ringing():
            if call.room_id == room.state.room_id:
                self.finish(call, Outcome.CANCELLED)
                self.stop_ringing(call)

    def shut_down(self) -> None:
        """The server ends, and nothing rings any more."""
        for call in self.book.ringing():
            self.over(call, Outcome.REJECTED, Reason(EndReason.SHUTDOWN.value))
