"""A call from the first ring to its one outcome. An invitation to a room is a call, too."""

from __future__ import annotations

import enum
from collections.abc import Callable

import trio
from attrs import define, field

from palaver_protocol.models import CallId, Name, Ringing, RoomId, RoomType, UserId
from palaver_protocol.table import Code, Standing, refusal

from .session import Session


class Outcome(enum.Enum):
    """How a call ends."""

    ACCEPTED = "it was accepted"
    REJECTED = "it was rejected"
    CANCELLED = "it was cancelled"
    TIMED_OUT = "nobody answered in time"


@define(eq=False)
class Call:
    """A call that rings. It belongs to the connection that placed it; an invitation's id is its room's."""

    call_id: CallId
    caller: Session
    callee: UserId
    callee_name: Name
    rings_until: float  # s, monotonic
    leave_current: bool = False  # the caller gives up his seat elsewhere when it is accepted
    room_id: RoomId | None = None  # of an invitation
    room_type: RoomType | None = None
    outcome: Outcome | None = None
    settled: trio.Event = field(factory=trio.Event)

    def standing(self, user: UserId) -> Standing:
        """What somebody is to this call."""
        if user == self.caller.user_id:
            return Standing.CALLER
        return Standing.CALLEE if user == self.callee else Standing.STRANGER

    def settle(self, outcome: Outcome) -> None:
        """The first outcome is the only one.

        Raises:
            Refusal: `ended`, for any later one.
        """
        if self.outcome is not None:
            raise refusal(Code.ENDED, f"the call is over: {self.outcome.value}")
        self.outcome = outcome
        self.settled.set()

    def rings_for(self, now: float) -> int:
        """What is left of the ringing, in ms."""
        return max(0, round((self.rings_until - now) * 1000))

    def view(self, now: float) -> Ringing:
        """The call, as its two people see it."""
        return Ringing(
            self.call_id,
            self.caller.user_id,
            self.caller.name,
            self.callee,
            self.callee_name,
            self.rings_for(now),
            self.room_id,
            self.room_type,
        )


async def run_call(call: Call, on_timeout: Callable[[Call], None]) -> None:
    """Ring until somebody settles it or the time is up."""
    with trio.move_on_at(call.rings_until):
        await call.settled.wait()
    if call.outcome is None:
        on_timeout(call)
