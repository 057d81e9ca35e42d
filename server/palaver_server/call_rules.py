"""Who may be rung at: not oneself, nobody who is away, busy, has said no too often, or is rung at without end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import trio
from attrs import define, field

from palaver_protocol.models import UserId
from palaver_protocol.table import Code, refusal

from .people import People

WHILE: Final = 60.0  # s for which a ring or a rejection counts, and which one must wait after too many
REJECTIONS: Final = 3  # of one caller by one callee
RINGS: Final = 10  # of one caller at one callee, however they end

Pair: TypeAlias = tuple[UserId, UserId]  # caller, callee


@define
class Recent:
    """What happened between two people in the last minute, up to a limit."""

    limit: int
    _times: dict[Pair, deque[float]] = field(factory=dict[Pair, deque[float]])  # the longest unchanged first

    def add(self, pair: Pair) -> None:
        """It happened once more; what is older than a minute is forgotten."""
        now = trio.current_time()
        times = self._times.pop(pair, deque[float](maxlen=self.limit))
        times.append(now)
        while times[0] + WHILE < now:
            times.popleft()
        self._times[pair] = times
        while (oldest := next(iter(self._times))) and self._times[oldest][-1] + WHILE < now:
            del self._times[oldest]

    def wait(self, pair: Pair) -> float:
        """How long to wait until it may happen again, in s."""
        times = self._times.get(pair)
        if times is None or len(times) < self.limit:
            return 0.0
        return round(times[-1] + WHILE - trio.current_time(), 3)


@define
class CallRules:
    """The rules, and what they remember; `is_busy` says whether somebody can take no more calls."""

    people: People
    is_busy: Callable[[UserId], bool]
    rejections: Recent = field(factory=lambda: Recent(REJECTIONS))
    rings: Recent = field(factory=lambda: Recent(RINGS))

    def check_there(self, caller: UserId, callee: UserId) -> None:
        """Refuse to call oneself, or somebody who is not there. Raises Refusal."""
        if callee == caller:
            raise refusal(Code.SELF, "you cannot call yourself")
        if not self.people.of(callee):
            raise refusal(Code.OFFLINE, "nobody of that id is online", can_retry=True)

    def check_willing(self, caller: UserId, callee: UserId) -> None:
        """Refuse to ring at somebody who is busy or has been asked too often. Raises Refusal."""
        name, pair = self.people.name_of(callee), (caller, callee)
        if (left := self.rejections.wait(pair)) > 0:
            raise refusal(Code.COOLDOWN, f"{name} rejected your calls: try again later", retry_after=left)
        if (left := self.rings.wait(pair)) > 0:
            raise refusal(Code.COOLDOWN, f"you rang at {name} too often: try again later", retry_after=left)
        if self.is_busy(callee):
            raise refusal(Code.BUSY, f"{name} is busy", can_retry=True)
