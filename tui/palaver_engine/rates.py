"""How a voice is sent over the path it has: reports of its listener in; bitrate, declared loss and copies out.

A pure machine. What a path loses is mended by in-band FEC as long as that is enough, and by copies of earlier frames
(RFC 2198) beyond, the farther back the longer the rows are that losses come in. Copies may cost as much again as the
voice: losses are mostly the path's own, and no fewer when less is sent. But where a queue grows with them, or more is
lost than copies mend, what is sent is cut with each report, and copies go before the voice suffers.

A receiver report has no word for rows, but they show: lost by chance, the losses of a second vary as those of so many
throws do, and in rows they vary more.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import pairwise
from typing import Final

from attrs import define, field, frozen

from palaver_media.sound_settings import BITRATES, Encoding

LOW_LATENCY: Final = 10  # ms: frames for whom nearness counts most
LEAST: Final = BITRATES[0]  # bit/s of Opus; what has less is hardly understood
DECLARED: Final = (10, 25)  # per cent, from and to; a lower one is hardly acted on, a higher one eats up the voice
STEP: Final = 5  # per cent between two declared losses
RECENT: Final = 3  # reports in which a rise of the loss is seen
MEMORY: Final = 10  # reports in which its fall is
ROW_MEMORY: Final = 16  # reports in which rows are
ROWS: Final = (2.2, 1.2)  # dispersion above which losses come in rows, and below which they no longer do
DOUBT: Final = 0.15  # that it must be higher for each report that is lacking to be sure
ROWS_FROM: Final = 0.03  # loss below which nobody can tell
FEC: Final = (0.01, 0.002)  # loss with which FEC begins and ends in frames of 10 ms, which sound better without
ENOUGH: Final = 8  # reports, with which one can be sure
AT_LEAST: Final = 3  # without which nobody can tell, either
FEWEST: Final = 10  # packets in a report that is worth a judgement
SURE: Final = 150  # packets on which a judgement is founded
QUEUE: Final = 0.1  # s of round trip above the least: with losses, a sign that we send too much
CONGESTED: Final = 0.05  # loss that goes with it
HOPELESS: Final = 0.4  # loss that no copy mends, and that sending less may
BACK_OFF, RECOVER = 0.8, 1.05  # what may be sent is multiplied by with a report
WITH_COPIES: Final = 2  # times the voice's bitrate is the most of all Opus
KEPT: Final = 0.6  # of its bitrate a voice keeps beside copies, or there are fewer
OVERHEAD: Final = 62  # bytes around a payload: RTP with extensions, SRTP, UDP, IP


@frozen
class Mending:
    """A way to mend losses: `copies` of earlier frames, beside FEC or instead.

    Each is `apart` frames before the next, and at least `spacing` ms. It begins with a loss above `begin` and ends with
    one below `end`.
    """

    copies: int
    apart: int
    spacing: int
    has_fec: bool
    begin: float
    end: float


# What is best: docs/decisions.md. The last that has begun is used.
BY_CHANCE: Final = (
    Mending(0, 1, 0, has_fec=True, begin=-1.0, end=-1.0),
    Mending(1, 1, 0, has_fec=True, begin=0.04, end=0.02),
    Mending(1, 2, 0, has_fec=True, begin=0.17, end=0.1),
    Mending(2, 2, 60, has_fec=True, begin=0.28, end=0.2),
)
IN_ROWS: Final = (
    Mending(2, 1, 40, has_fec=False, begin=-1.0, end=-1.0),
    Mending(2, 1, 60, has_fec=False, begin=0.22, end=0.16),
)


@frozen
class Plan:
    """How to send: `bitrate` (bit/s) of one frame's Opus alone, `expected_loss` in per cent (0: no FEC).

    Each packet has `copies` of earlier frames: `spacing` frames before it, twice as many before it, and so on.
    """

    bitrate: int
    expected_loss: int
    copies: int = 0
    spacing: int = 1

    @property
    def offsets(self) -> tuple[int, ...]:
        """How many frames each copy lies back, the oldest first."""
        return tuple(self.spacing * back for back in range(self.copies, 0, -1))


@frozen
class Heard:
    """What the listener says of the time since its report before: packets expected and lost, the round trip (s)."""

    expected: int
    lost: int
    round_trip: float | None = None


@define
class Rates:
    """One stream's way of being sent. `has_red`: the listener understands copies."""

    encoding: Encoding
    has_red: bool
    _heard: deque[Heard] = field(factory=lambda: deque(maxlen=ROW_MEMORY))
    _least: deque[float] = field(factory=lambda: deque(maxlen=60))  # round trips, s
    _most: float = math.inf  # bit/s of all Opus that the path seems to take
    _bandwidth: int | None = None  # bit/s, headers and all, that the other side has estimated
    _declared: int = DECLARED[0]
    _step: int = 0  # of the mendings
    _are_rows: bool = False
    _is_lossy: bool = False

    def report(self, heard: Heard) -> None:
        """Take a report."""
        if heard.round_trip is not None:
            self._least.append(heard.round_trip)
        if heard.expected < FEWEST:
            return
        self._heard.append(heard)
        loss = self.loss
        self._limit(heard)
        self._are_rows = self.dispersion > ROWS[self._are_rows] + DOUBT * max(0, ENOUGH - len(self._heard))
        self._is_lossy = loss > FEC[self._is_lossy]
        ladder = IN_ROWS if self._are_rows else BY_CHANCE
        self._step = max(
            step for step, each in enumerate(ladder) if loss > (each.end if step <= self._step else each.begin)
        )
        self._declare(loss)

    def limit(self, bandwidth: int) -> None:
        """The other side has estimated what the path takes, in bit/s."""
        self._bandwidth = bandwidth

    @property
    def loss(self) -> float:
        """From 0 to 1, rising within three reports and falling within ten."""
        heard = list(self._heard)
        return max(_loss(heard[-RECENT:], SURE), _loss(heard[-MEMORY:], SURE))

    @property
    def dispersion(self) -> float:
        """How much more the losses of a report vary than by chance, which is nearly 1; 0 while that cannot be told.

        From one report to the next and without the greatest step, so that a path that has become worse is none of rows.
        """
        loss = _loss(self._heard)
        if len(self._heard) < AT_LEAST or not ROWS_FROM <= loss < 1:
            return 0.0
        steps = sorted(
            (one.lost / one.expected - other.lost / other.expected) ** 2 / (1 / one.expected + 1 / other.expected)
            for one, other in pairwise(self._heard)
        )
        return sum(steps[:-1]) / (loss * (1 - loss)) / (len(steps) - 1)

    @property
    def plan(self) -> Plan:
        """How to send now."""
        most, frame = self._budget, self.encoding.frame_ms
        mending = (IN_ROWS if self._are_rows else BY_CHANCE)[self._step] if self.has_red else BY_CHANCE[0]
        copies = min(mending.copies, int(most / max(LEAST, self.encoding.bitrate * KEPT)) - 1)
        if copies < 1:
            has_fec = self._is_lossy or frame > LOW_LATENCY
            return Plan(min(most, self.encoding.bitrate), self._declared if has_fec else 0)
        bitrate = min(most // (1 + copies), self.encoding.bitrate)
        declared = DECLARED[0] if mending.has_fec else 0  # more would leave too little for the voice itself
        return Plan(bitrate, declared, copies, max(mending.apart, math.ceil(mending.spacing / frame)))

    @property
    def _budget(self) -> int:
        """Bit/s of all Opus, copies too."""
        most = min(self.encoding.bitrate * WITH_COPIES, self._most)
        if self._bandwidth is not None:
            most = min(most, self._bandwidth - OVERHEAD * 8 * 1000 / self.encoding.frame_ms)
        return max(LEAST, int(most))

    def _limit(self, heard: Heard) -> None:
        has_queue = heard.round_trip is not None and heard.round_trip > min(self._least) + QUEUE
        if (has_queue and _loss([heard]) > CONGESTED) or self.loss > HOPELESS:
            plan = self.plan
            self._most = max(LEAST, plan.bitrate * (1 + plan.copies) * BACK_OFF)
        elif not has_queue:
            self._most *= RECOVER

    def _declare(self, loss: float) -> None:
        """Round up to a step; down only when it is clearly lower, so that the encoder is not told anew each second."""
        percent = min(DECLARED[1], max(DECLARED[0], STEP * math.ceil(100 * loss / STEP)))
        if percent > self._declared or 100 * loss < self._declared - 1.5 * STEP:
            self._declared = percent


def _loss(reports: list[Heard] | deque[Heard], least: int = 1) -> float:
    """What was lost of all packets, of which there were `least` at least: what we do not know of was not lost."""
    return sum(each.lost for each in reports) / max(least, sum(each.expected for each in reports))
