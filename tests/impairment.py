"""What a bad network does to datagrams: a pure machine, without clock or socket, the same for each seed and direction.

A `Plan` says what happens when; a `Path` is one direction of it and tells of each datagram when it leaves, if it does.
`impairment_relay` carries real datagrams by it.
"""

from __future__ import annotations

import enum
import random
import statistics
from typing import Final

from attrs import define, field, frozen

MS: Final = 1e-3
NORMAL: Final = statistics.NormalDist()
LEAST: Final = 1e-9  # of what the normal distribution can be asked for


class Jitter(enum.Enum):
    """How the delay is spread around its mean: evenly over +-`jitter_ms`, or with that as standard deviation."""

    UNIFORM = "uniform"
    NORMAL = "normal"


@frozen
class Conditions:
    """The state of one direction. As it is made without arguments, everything passes at once.

    `loss` is the share of datagrams that is lost in the long run. With `burst` they are lost in bursts of that mean
    length (the Gilbert model: in a burst everything is lost, or the share `loss_in_burst`), else each by itself.
    With `keeps_order` jitter holds back whatever follows. The share `reordered` of datagrams comes `reorder_ms` later
    than it should and holds nothing back. Above `rate_kbps` a queue grows; what finds `queue_ms` in it is dropped.
    """

    loss: float = 0.0
    burst: float = 0.0
    loss_in_burst: float = 1.0
    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    jitter: Jitter = Jitter.UNIFORM
    keeps_order: bool = False
    reordered: float = 0.0
    reorder_ms: float = 30.0
    rate_kbps: float = 0.0
    queue_ms: float = 200.0


@frozen
class Stall:
    """Nothing comes through from `at` on (s since the plan began) for `seconds`, then all of it at once."""

    at: float
    seconds: float


@frozen
class Plan:
    """What happens when: conditions from a time on (s since the plan began, in order), and stalls."""

    seed: int = 1
    steps: tuple[tuple[float, Conditions], ...] = ((0.0, Conditions()),)
    stalls: tuple[Stall, ...] = ()

    def at(self, now: float) -> Conditions:
        """What holds now; before the first step, nothing does."""
        return next((conditions for start, conditions in reversed(self.steps) if start <= now), Conditions())


def steadily(conditions: Conditions, seed: int = 1) -> Plan:
    """A plan in which nothing changes."""
    return Plan(seed, ((0.0, conditions),))


@define
class Tally:
    """What a path did: `lost` by chance in `bursts`, `overflowed` by the queue, `overtaken` by a later datagram."""

    taken: int = 0
    lost: int = 0
    bursts: int = 0
    overflowed: int = 0
    overtaken: int = 0
    delay_s: float = 0.0  # of those that passed, in sum
    most_delay_s: float = 0.0

    @property
    def passed(self) -> int:
        """How many came through."""
        return self.taken - self.lost - self.overflowed


@define(eq=False)
class Path:
    """One direction under a plan. Times are s since the plan began, and never go back.

    Loss, jitter and reordering have a random series each, of which every datagram takes one number under any
    conditions: so the same datagrams are lost whatever their delay, and a change leaves what comes after it alone.
    """

    plan: Plan
    name: str
    tally: Tally = field(factory=Tally)
    _losses: random.Random = field(init=False)
    _jitters: random.Random = field(init=False)
    _orders: random.Random = field(init=False)
    _is_in_burst: bool = False
    _was_lost: bool = False
    _queue_ends: float = 0.0
    _latest: float = 0.0  # departure so far
    _latest_in_order: float = 0.0

    def __attrs_post_init__(self) -> None:
        series = (random.Random(f"{self.plan.seed} {self.name} {what}") for what in ("loss", "jitter", "order"))
        self._losses, self._jitters, self._orders = series

    def carry(self, now: float, size: int) -> float | None:
        """When a datagram of `size` bytes leaves that came now; None if it does not."""
        conditions = self.plan.at(now)
        is_lost, jitter = self._loses(conditions), self._draw_jitter(conditions)
        is_late = self._orders.random() < conditions.reordered
        self.tally.taken += 1
        self.tally.lost += is_lost
        self.tally.bursts += is_lost and not self._was_lost
        self._was_lost = is_lost
        if is_lost:
            return None
        queued = self._queue(conditions, now, size)
        if queued is None:
            self.tally.overflowed += 1
            return None
        due = max(queued, queued + (conditions.delay_ms + jitter) * MS)
        return self._leave(conditions, now, due, is_late)

    def spare(self, now: float) -> float:
        """When something leaves that is neither lost nor spread nor counted: delay and stalls are for all."""
        return self._wait_for_stalls(now + self.plan.at(now).delay_ms * MS)

    def _loses(self, conditions: Conditions) -> bool:
        change, loss = self._losses.random(), self._losses.random()
        if not conditions.burst:
            self._is_in_burst = False
            return loss < conditions.loss
        share = min(0.99, conditions.loss / conditions.loss_in_burst)  # of the time in bursts
        begins = share / (1 - share) / conditions.burst
        self._is_in_burst = change >= 1 / conditions.burst if self._is_in_burst else change < begins
        return self._is_in_burst and loss < conditions.loss_in_burst

    def _draw_jitter(self, conditions: Conditions) -> float:
        place = self._jitters.random()
        if conditions.jitter is Jitter.UNIFORM:
            return (2 * place - 1) * conditions.jitter_ms
        return NORMAL.inv_cdf(max(place, LEAST)) * conditions.jitter_ms

    def _queue(self, conditions: Conditions, now: float, size: int) -> float | None:
        """When the line has sent it."""
        if not conditions.rate_kbps:
            return now
        begins = max(now, self._queue_ends)
        if begins - now > conditions.queue_ms * MS:
            return None
        self._queue_ends = begins + size * 8 / (conditions.rate_kbps * 1000)
        return self._queue_ends

    def _leave(self, conditions: Conditions, now: float, due: float, is_late: bool) -> float:
        if is_late:
            due += conditions.reorder_ms * MS
        elif conditions.keeps_order:
            due = self._latest_in_order = max(due, self._latest_in_order)
        due = self._wait_for_stalls(due)
        self.tally.overtaken += due < self._latest
        self.tally.delay_s += due - now
        self.tally.most_delay_s = max(self.tally.most_delay_s, due - now)
        self._latest = max(self._latest, due)
        return due

    def _wait_for_stalls(self, due: float) -> float:
        for stall in self.plan.stalls:
            if stall.at <= due < stall.at + stall.seconds:
                due = stall.at + stall.seconds
        return due
