"""How a voice is sent over the path it has: reports of its listener in; bitrate, declared loss and copies out.

A pure machine. What a path loses is mended by in-band FEC as long as that is enough, and by copies of earlier frames
(RFC 2198) beyond; next to each other when losses come alone, apart when they come in rows. All of it stays within the
bitrate that was asked for, so a loss never makes us send more.

A receiver report has no word for rows, but they show: lost by chance, the losses of a second vary as those of so many
throws do, and in rows they vary more.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

from attrs import define, evolve, field, frozen

from palaver_media.sound_settings import BITRATES, Encoding

LEAST: Final = BITRATES[0]  # bit/s of Opus; what has less is hardly understood
DECLARED: Final = (10, 25)  # per cent, from and to; a lower one is hardly acted on, a higher one eats up the voice
STEP: Final = 5  # per cent between two declared losses
RECENT: Final = 2  # reports in which a rise of the loss is seen
MEMORY: Final = 10  # reports in which its fall is
COPY_ABOVE, COPY_BELOW = 0.12, 0.07  # loss with which copies begin and end
LOW_LATENCY_ABOVE, LOW_LATENCY_BELOW = 0.02, 0.005  # the same for frames of 10 ms, which have no FEC
ROWS_ABOVE, ROWS_BELOW = 2.5, 1.5  # dispersion with which losses count as coming in rows, and no more
ROWS_FROM: Final = 0.03  # loss below which nobody can tell
FEWEST: Final = 10  # packets in a report that is worth a judgement
QUEUE: Final = 0.1  # s of round trip above the least: with losses, a sign that we send too much
CONGESTED: Final = 0.05  # loss that goes with it
HOPELESS: Final = 0.35  # loss that no copy mends, and that sending less may
BACK_OFF, RECOVER = 0.8, 1.05  # what the bitrate is multiplied by with a report
OVERHEAD: Final = 62  # bytes around a payload: RTP with extensions, SRTP, UDP, IP


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
    _heard: deque[Heard] = field(factory=lambda: deque(maxlen=MEMORY))
    _least: deque[float] = field(factory=lambda: deque(maxlen=60))  # round trips, s
    _share: float = 1.0  # of the bitrate asked for that the path seems to take
    _bandwidth: int | None = None  # bit/s, headers and all, that the other side has estimated
    _declared: int = DECLARED[0]
    _is_copied: bool = False
    _are_rows: bool = False

    def report(self, heard: Heard) -> None:
        """Take a report."""
        if heard.expected < FEWEST:
            return
        self._heard.append(heard)
        loss = self.loss
        self._limit(heard)
        above, below = (COPY_ABOVE, COPY_BELOW) if self._has_fec else (LOW_LATENCY_ABOVE, LOW_LATENCY_BELOW)
        self._is_copied = loss > (below if self._is_copied else above)
        self._are_rows = self.dispersion > (ROWS_BELOW if self._are_rows else ROWS_ABOVE)
        self._declare(loss)

    def limit(self, bandwidth: int) -> None:
        """The other side has estimated what the path takes, in bit/s."""
        self._bandwidth = bandwidth

    @property
    def loss(self) -> float:
        """From 0 to 1, rising within two reports and falling within ten."""
        heard = list(self._heard)
        return max(_loss(heard[-RECENT:]), _loss(heard))

    @property
    def dispersion(self) -> float:
        """How much more the losses of a report vary than by chance, which is 1; 0 while that cannot be told."""
        loss = _loss(self._heard)
        if len(self._heard) < MEMORY / 2 or not ROWS_FROM <= loss < 1:
            return 0.0
        odd = sum((each.lost - each.expected * loss) ** 2 / each.expected for each in self._heard)
        return odd / (loss * (1 - loss)) / (len(self._heard) - 1)

    @property
    def plan(self) -> Plan:
        """How to send now."""
        budget = self._budget
        plain = Plan(budget, self._declared if self._has_fec else 0)
        if not self.has_red or not (self._is_copied or self._are_rows):
            return plain
        copies = min(self._copies_wanted, budget // LEAST - 1)
        if copies < 1:
            return plain
        return evolve(plain, bitrate=budget // (1 + copies), expected_loss=0, copies=copies, spacing=self._spacing)

    @property
    def _has_fec(self) -> bool:
        """Frames of 10 ms are for who wants to be near; FEC would have them made in the slower of Opus's two ways."""
        return self.encoding.frame_ms > 10 or not self.has_red

    @property
    def _copies_wanted(self) -> int:
        return 2 if self.encoding.frame_ms == 20 else 1

    @property
    def _spacing(self) -> int:
        """Frames between copies: in rows, beyond a usual one's end."""
        return max(1, 60 // self.encoding.frame_ms) if self._are_rows else 1

    @property
    def _budget(self) -> int:
        asked = self.encoding.bitrate
        most = asked * self._share
        if self._bandwidth is not None:
            most = min(most, self._bandwidth - OVERHEAD * 8 * 1000 / self.encoding.frame_ms)
        return max(LEAST, min(asked, int(most)))

    def _limit(self, heard: Heard) -> None:
        if heard.round_trip is not None:
            self._least.append(heard.round_trip)
        has_queue = heard.round_trip is not None and heard.round_trip > min(self._least) + QUEUE
        loss = _loss([heard])
        if (has_queue and loss > CONGESTED) or loss > HOPELESS:
            self._share = max(LEAST / self.encoding.bitrate, self._share * BACK_OFF)
        else:
            self._share = min(1.0, self._share * RECOVER)

    def _declare(self, loss: float) -> None:
        """Round up to a step; down only when it is clearly lower, so that the encoder is not told anew each second."""
        percent = min(DECLARED[1], max(DECLARED[0], STEP * math.ceil(100 * loss / STEP)))
        if percent > self._declared or 100 * loss < self._declared - 1.5 * STEP:
            self._declared = percent


def _loss(reports: list[Heard] | deque[Heard]) -> float:
    expected = sum(each.expected for each in reports)
    return sum(each.lost for each in reports) / expected if expected else 0.0
