"""The playout buffer of one voice: packets in as they come, 10 ms blocks out as the loudspeaker wants them.

A pure machine: it reads no clock and knows no thread. RTP time goes on at 48 kHz (RFC 7587 section 4.1).

A packet's *transit* is its arrival minus its RTP time, on two clocks that have nothing to do with each other, so only
differences count. The *head* is the RTP time that is played next; pull time minus head is the same kind of number, the
*schedule*: a packet whose transit is above it comes too late. The schedule follows the slow end of the recent transits,
a whole block at a time: down by leaving a block out, in silence if it can wait for one; up by concealing one more.

A little too much delay is left alone until it has lasted. A sound card whose blocks are not ours beats against our 10
ms over seconds, and a schedule that followed at once would go up and down with it.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np
from attrs import define, field, frozen

from .mixer import BLOCK, RATE, SILENCE, Samples, level
from .opus import FRAME, Decoder, OpusError, duration
from .sequence import Sequence

TICK: Final = BLOCK / RATE  # s
MARGIN: Final = 0.002  # s kept between the slow end of the transits and the schedule
START: Final = 0.020  # s a first packet waits, before anything is known about its path
WINDOW: Final = 4.0  # s of arrivals that count
LATE_SHARE: Final = 0.02  # of the arrivals may come too late for the schedule
SETTLED: Final = 25  # arrivals before the delay is cut: half a second
PHASES: Final = 100  # pulls among which the earliest counts: a sound card's clock is not even
QUIET: Final = -50.0  # dBFS: below it a block may be left out unheard
CALM: Final = 12.0  # s that a small excess of delay must have lasted before it is cut
PATIENCE: Final = 0.030  # s of excess: above it all is cut without waiting, out of speech, too
CUT_PAUSE: Final = 0.1  # s between two blocks left out of speech
DRY: Final = 10  # blocks concealed in a row before the voice is taken to have paused
LATE_HOLD: Final = 0.1  # s of nothing but late packets before the schedule is made anew
REACH: Final = 1.0  # s ahead of the head; what lies farther is another time line
MOST_HELD: Final = 400  # packets: a second of the shortest


@frozen
class Voice:
    """One RTP packet of a voice; `sequence` (16 bits) and `timestamp` (32 bits, 48 kHz) as they are on the wire.

    `copies` are earlier frames, each with its timestamp, that came in it.
    """

    sequence: int
    timestamp: int
    payload: bytes
    copies: tuple[tuple[int, bytes], ...] = ()


@frozen
class Tally:
    """What happened to one voice since it began; `lost` counts what never came, `late` what came in vain."""

    received: int = 0
    lost: int = 0
    late: int = 0
    played: int = 0
    blocks: int = 0
    concealed: int = 0
    delay: float = 0.0  # s a packet waits here, lately


@frozen
class _Held:
    time: int  # extended RTP time of its first sample
    size: int  # samples
    arrival: float
    payload: bytes


@define
class Playout:
    """One voice. `put` and `pull` take the same clock's time in seconds."""

    _decoder: Decoder = field(factory=Decoder)
    _sequence: Sequence = field(factory=Sequence)
    _held: dict[int, _Held] = field(factory=dict)
    _ready: Samples = SILENCE[:0]  # decoded and not yet played
    _is_running: bool = False
    _head: int = 0  # extended RTP time of the first sample in `_ready`
    _newest: int = 0  # extended RTP time of the newest packet
    _frame: int = FRAME
    _transits: deque[tuple[float, float]] = field(factory=deque)  # (pull time, the worst since the pull before)
    _worst: float | None = None
    _needed: float = 0.0  # the schedule that the recent transits ask for
    _phases: deque[float] = field(factory=lambda: deque(maxlen=PHASES))
    _pulls: int = 0
    _late_since: float | None = None
    _dry: int = 0  # blocks concealed since anything was there to play
    _unsure: int = 0  # of them, those that the next packet shows to be a pause or a loss
    _last_cut: float = 0.0
    _tight: float = 0.0  # when the excess was last less than a block; long ago if it has been far more since
    _is_quiet: bool = True  # the block before
    _late: int = 0
    _played: int = 0
    _blocks: int = 0
    _concealed: int = 0
    _delay: float = 0.0

    def put(self, packet: Voice, now: float) -> None:
        """Take a packet that has just arrived. What is broken, doubled or too late changes nothing that is heard."""
        size = duration(packet.payload)
        was = self._sequence.highest
        if not size or not self._sequence.note(packet.sequence):
            return
        time = self._newest + (packet.timestamp - self._newest + 0x80000000 & 0xFFFFFFFF) - 0x80000000
        is_pause = self._sequence.highest == was + 1 and time - self._newest > self._frame
        self._concealed += 0 if is_pause else self._unsure
        self._unsure = 0
        if not self._is_running or self._is_elsewhere(time, size, now):
            self._restart(time, now)
        self._newest = max(self._newest, time)
        transit = now - time / RATE
        self._worst = transit if self._worst is None else max(self._worst, transit)
        if time + size <= self._head:
            self._late += 1
            return
        self._late_since = None
        self._hold(time, size, packet.payload, now)
        for timestamp, payload in packet.copies:
            earlier = time - (packet.timestamp - timestamp & 0xFFFF_FFFF)
            if earlier >= self._head + len(self._ready) and (length := duration(payload)):
                self._hold(earlier, length, payload, now)

    def _hold(self, time: int, size: int, payload: bytes, now: float) -> None:
        if len(self._held) < MOST_HELD:
            self._held.setdefault(time, _Held(time, size, now, payload))

    def pull(self, now: float) -> Samples:
        """The next block, `BLOCK` samples; called each 10 ms."""
        self._pulls += 1
        self._phases.append(now - self._pulls * TICK)
        if not self._is_running:
            return SILENCE
        self._learn(now)
        schedule = min(self._phases) + self._pulls * TICK - self._head / RATE
        excess = schedule - self._needed - MARGIN
        is_long = self._is_long(excess, now)
        if self._is_paused and not self._is_due:
            return self._rest(excess, is_long)
        self._blocks += 1
        if excess < (0 if self._is_quiet else -MARGIN / 2) and len(self._ready) < BLOCK:
            return self._insert()
        block = self._next(now)
        was_quiet, self._is_quiet = self._is_quiet, level(block) < QUIET
        if is_long and (self._is_due or len(self._ready) >= BLOCK):
            return self._next(now) if was_quiet and self._is_quiet else self._cut(block, excess, now)
        return block

    @property
    def has_played(self) -> bool:
        """Whether anything that was sent has been played."""
        return self._played > 0

    @property
    def tally(self) -> Tally:
        """The counts so far."""
        seen = self._sequence
        return Tally(
            received=seen.received,
            lost=seen.lost,
            late=self._late,
            played=self._played,
            blocks=self._blocks,
            concealed=self._concealed,
            delay=self._delay,
        )

    @property
    def _is_paused(self) -> bool:
        return self._dry >= DRY

    @property
    def _is_due(self) -> bool:
        return any(time < self._head + BLOCK for time in self._held)

    def _is_elsewhere(self, time: int, size: int, now: float) -> bool:
        """Whether a packet lies on another time line than the one being played.

        One that comes too late does not; a row of nothing else does, and so does the first after a pause.
        """
        if time > self._head + REACH * RATE:
            return True
        if time + size > self._head:
            return False
        if self._late_since is None:
            self._late_since = now
        return self._is_paused or now - self._late_since > LATE_HOLD

    def _restart(self, time: int, now: float) -> None:
        self._held.clear()
        self._transits.clear()
        self._ready = SILENCE[:0]
        self._worst = self._late_since = None
        self._newest = time
        self._needed = now - time / RATE
        self._head = time - round(START * RATE)
        self._tight = -CALM  # what the first packet waits is a guess, and nothing to keep
        self._dry = DRY  # rests until the packet is due
        self._is_running = True

    def _learn(self, now: float) -> None:
        """Keep the worst transit since the last pull: what a stall held back comes at once and counts once."""
        if self._worst is None:
            return
        self._transits.append((now, self._worst))
        self._worst = None
        while self._transits[0][0] < now - WINDOW:
            self._transits.popleft()
        slowest = sorted(transit for _, transit in self._transits)
        self._needed = slowest[-1 - round(LATE_SHARE * len(slowest))]

    def _is_long(self, excess: float, now: float) -> bool:
        """Whether the delay is so much too long, or for so long, that it is to be cut."""
        if excess <= TICK:
            self._tight = now
        elif excess > PATIENCE:
            self._tight = -CALM
        return now - self._tight >= CALM and len(self._transits) >= SETTLED

    def _rest(self, excess: float, is_long: bool) -> Samples:
        """A pause: time goes on unheard, and while nothing waits the schedule may move as it likes."""
        blocks = int(excess // TICK)
        if blocks < 0 or (is_long and not self._held):
            self._head += blocks * BLOCK
        self._head += BLOCK
        return SILENCE

    def _insert(self) -> Samples:
        """One block more than was sent: the head stays."""
        longer = np.concatenate((self._ready, self._decoder.conceal(BLOCK)))
        block, self._ready = longer[:BLOCK], longer[BLOCK:]
        return block

    def _cut(self, block: Samples, excess: float, now: float) -> Samples:
        """When the delay is far too long, melt a block of speech with the one after it."""
        if excess < PATIENCE or now - self._last_cut < CUT_PAUSE:
            return block
        self._last_cut = now
        return _melt(block, self._next(now))

    def _next(self, now: float) -> Samples:
        """The block at the head, which moves on."""
        while len(self._ready) < BLOCK:
            self._ready = np.concatenate((self._ready, self._more(now)))
        block, self._ready = self._ready[:BLOCK], self._ready[BLOCK:]
        self._head += BLOCK
        return block

    def _more(self, now: float) -> Samples:
        """What comes after the ready samples: a packet's, or a lost one's by the copy in the next, or a guess."""
        start = self._head + len(self._ready)
        for time in [time for time, held in self._held.items() if time + held.size <= start]:
            del self._held[time]
        first = min(self._held.values(), key=lambda held: held.time, default=None)
        if first is None:
            self._dry += 1
            self._unsure += 1
            return self._decoder.conceal(BLOCK)
        gap = first.time - start
        try:
            if gap <= 0:
                return self._play(first, now)[-gap:]
            if self._is_paused:
                return SILENCE[:gap]
            self._concealed += 1
            if gap <= self._frame:
                return self._decoder.recover(first.payload, self._frame)[-gap:]
        except OpusError:
            self._held.pop(first.time, None)
        return self._decoder.conceal(BLOCK)

    def _play(self, held: _Held, now: float) -> Samples:
        del self._held[held.time]
        samples = self._decoder.decode(held.payload)
        self._frame = held.size
        self._played += 1
        self._dry = 0
        self._delay += (now - held.arrival - self._delay) / min(self._played, 16)
        return samples


def _melt(before: Samples, after: Samples) -> Samples:
    fade = np.linspace(0, 1, len(before), dtype=np.float32)
    return (before * (1 - fade) + after * fade).astype(np.int16)
