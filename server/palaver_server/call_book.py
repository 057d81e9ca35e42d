"""The calls and invitations that ring, and the outcomes of the last ones that rang."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from attrs import define, field

from palaver_protocol.models import CallId, RoomId, RoomType, UserId
from palaver_protocol.table import Code, refusal

from .call import Call, Outcome

REMEMBERED: Final = 10_000  # settled calls whose ids are still known


@define(eq=False)
class CallBook:
    """All that ring. An invitation is known by its room and the one invited."""

    calls: dict[CallId, Call] = field(factory=dict[CallId, Call])
    invitations: dict[tuple[RoomId, UserId], Call] = field(factory=dict[tuple[RoomId, UserId], Call])
    settled: dict[CallId, Outcome] = field(factory=dict[CallId, Outcome])

    def add(self, call: Call) -> None:
        """Enter what begins to ring."""
        if call.room_id is None:
            self.calls[call.call_id] = call
        else:
            self.invitations[call.room_id, call.callee] = call

    def settle(self, call: Call, outcome: Outcome) -> None:
        """Take out what rings no longer. Raises Refusal when it has an outcome already."""
        call.settle(outcome)
        if call.room_id is None:
            del self.calls[call.call_id]
            self.note(call.call_id, outcome)
        else:
            del self.invitations[call.room_id, call.callee]

    def note(self, call_id: CallId, outcome: Outcome) -> None:
        """Remember an outcome, so that the id is not used again and a late answer learns why."""
        self.settled[call_id] = outcome
        if len(self.settled) > REMEMBERED:
            del self.settled[next(iter(self.settled))]

    def knows(self, call_id: CallId) -> bool:
        """Whether this id was used."""
        return call_id in self.calls or call_id in self.settled

    def find(self, call_id: CallId) -> Call:
        """A call that rings. Raises Refusal."""
        if (call := self.calls.get(call_id)) is not None:
            return call
        if (outcome := self.settled.get(call_id)) is not None:
            raise refusal(Code.ENDED, f"the call is over: {outcome.value}")
        raise refusal(Code.NOT_FOUND, "there is no such call")

    def ringing(self) -> Iterator[Call]:
        """All that ring now, also the invitations; what settles meanwhile does no harm."""
        return chain(list(self.calls.values()), list(self.invitations.values()))

    def calling(self, user_id: UserId) -> Call | None:
        """The call that somebody has placed."""
        return next((call for call in self.calls.values() if call.caller.user_id == user_id), None)

    def crossed(self, me: UserId, other: UserId) -> Call | None:
        """The call by which the other one rings here, for the two of us."""
        for call in self.ringing():
            if call.caller.user_id == other and call.callee == me and call.room_type is not RoomType.GROUP:
                return call
        return None
