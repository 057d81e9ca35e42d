"""Who may be rung at: not oneself, nobody who is away, busy, or has said no too often."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final, TypeAlias

import trio
from attrs import define, field

from palaver_protocol.models import UserId
from palaver_protocol.table import Code, refusal

from .people import People

COOLDOWN: Final = 60.0  # s in which `REJECTIONS` of one caller by one callee are enough, and for which they count
REJECTIONS: Final = 3

Pair: TypeAlias = tuple[UserId, UserId]  # caller, callee


@define
class CallRules:
    """The rules, and the rejections of the last minute; `is_busy` says whether somebody can take no more calls."""

    people: People
    is_busy: Callable[[UserId], bool]
    _rejections: dict[Pair, deque[float]] = field(factory=dict[Pair, deque[float]])  # the longest unchanged first

    def check_there(self, caller: UserId, callee: UserId) -> None:
        """Refuse to call oneself, or somebody who is not there. Raises Refusal."""
        if callee == caller:
            raise refusal(Code.SELF, "you cannot call yourself")
        if not self.people.of(callee):
            raise refusal(Code.OFFLINE, "nobody of that id is online", can_retry=True)

    def check_willing(self, caller: UserId, callee: UserId) -> None:
        """Refuse to ring at somebody who is busy or has said no too often. Raises Refusal."""
        name = self.people.name_of(callee)
        left = self._cooldown(caller, callee)
        if left > 0:
            raise refusal(Code.COOLDOWN, f"{name} rejected your calls: try again later", retry_after=left)
        if self.is_busy(callee):
            raise refusal(Code.BUSY, f"{name} is busy", can_retry=True)

    def _cooldown(self, caller: UserId, callee: UserId) -> float:
        """How long the caller must wait, in s."""
        times = self._rejections.get((caller, callee))
        if times is None or len(times) < REJECTIONS:
            return 0.0
        return round(times[-1] + COOLDOWN - trio.current_time(), 3)

    def rejected(self, caller: UserId, callee: UserId) -> None:
        """Somebody said no; what is older than a minute is forgotten."""
        now = trio.current_time()
        times = self._rejections.pop((caller, callee), deque[float](maxlen=REJECTIONS))
        times.append(now)
        while times[0] + COOLDOWN < now:
            times.popleft()
        self._rejections[caller, callee] = times
        while (oldest := next(iter(self._rejections))) and self._rejections[oldest][-1] + COOLDOWN < now:
            del self._rejections[oldest]
