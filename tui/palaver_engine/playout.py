"""The playout buffer of one voice: packets in as they come, 10 ms blocks out as the loudspeaker wants them.

A pure machine: it reads no clock and knows no thread. `Schedule` says when a packet is to be played, `Stream` decodes
and mends, and here the two are brought together: more delay by playing a piece twice, less by leaving one out.

Whole blocks are pulled, so a packet whose first sample is not a block's first waits in vain for part of a block. That
*waste* is none to begin with; a piece of speech is as long as its pitch wants, so it may arise, and silence mends it.
"""

from __future__ import annotations

import math
from typing import Final

from attrs import define, field

from .blocks import BLOCK, RATE, Samples, level
from .frames import Frame, Voice, has_inband_copy
from .opus import duration
from .schedule import MARGIN, PATIENCE, TICK, Schedule
from .sequence import Sequence
from .stream import HISTORY, REACH, Stream
from .stretch import SEAM
from .tally import Tally

START: Final = 0.020  # s a first packet waits, before anything is known about its path
QUIET: Final = -50.0  # dBFS: below it any piece may be left out or repeated unheard
LATE_HOLD: Final = 0.1  # s of nothing but late packets before the schedule is made anew
LEAP: Final = 0.15  # s earlier than any packet lately: another time line, as when a slot passes to another talker
ALIKE: Final = 0.7  # how much the ends of a piece must be alike in speech
LONGEST: Final = BLOCK * 3 // 2  # samples of a piece where there is much too much: a period of the deepest voice
HASTE: Final = ((0.2, 0.02, 0.3), (0.1, 0.04, 0.4), (PATIENCE, 0.06, 0.5))  # above this excess: s between pieces, alike
UNQUIET: Final = 1.5 * TICK  # s of excess: below it only silence is cut
LEISURE: Final = 0.1  # s between pieces, where there is no haste
TOO_LITTLE: Final = TICK  # s that are lacking: above it any place will do


@define
class Playout:
    """One voice. `put` and `pull` take the same clock's time in seconds."""

    _sequence: Sequence = field(factory=Sequence)
    _schedule: Schedule = field(factory=Schedule)
    _stream: Stream = field(factory=Stream)
    _suspect: Voice | None = None  # perhaps the first of a stream that starts anew
    _is_running: bool = False
    _late_since: float | None = None
    _last_move: float = 0.0
    _late: int = 0
    _blocks: int = 0
    _stretched: int = 0

    def put(self, packet: Voice, now: float) -> None:
        """Take a packet that has just arrived. What is broken, doubled or too late changes nothing that is heard."""
        size = duration(packet.payload)
        if packet.payload and not size:
            return
        was = self._sequence.highest
        new = self._sequence.note(packet.sequence)
        suspect, self._suspect = self._suspect, packet if size and not new else None
        if new == 2 and suspect is not None:
            self._take(suspect, None, now)
        if new and size:
            self._take(packet, self._sequence.highest - was if new == 1 else 1, now)

    def pull(self, now: float) -> Samples:
        """The next block, `BLOCK` samples; called each 10 ms."""
        when = self._schedule.pulled(now)
        stream = self._stream
        if not self._is_running:
            return stream.take(now)
        waste = self._waste
        schedule = when - (stream.head + waste) / RATE - MARGIN
        lack, excess = self._schedule.needed - schedule, schedule - self._schedule.enough
        is_long = self._schedule.is_long(excess, now)
        if stream.is_paused and not stream.is_due:
            self._move_in_pause(lack, excess, waste, is_long)
        else:
            self._blocks += 1
            stream.fill(BLOCK, now)
            if not stream.guessed:
                self._move_in_speech(lack, excess, waste, is_long, now)
        block = stream.take(now)
        if stream.returned:
            stream.returned = False
            self._schedule.hurry()
        return block

    def expect_another(self) -> None:
        """The next packet is of another stream: another SSRC, and perhaps another talker."""
        self._sequence.expect_another()
        self._is_running = False

    @property
    def has_played(self) -> bool:
        """Whether anything that was sent has been played."""
        return self._stream.played > 0

    @property
    def held(self) -> int:
        """How many frames wait to be played."""
        return len(self._stream.frames)

    @property
    def frame(self) -> int:
        """Samples of a frame, lately."""
        return self._stream.frame

    @property
    def head(self) -> int:
        """The RTP time that is played next, extended beyond 32 bits."""
        return self._stream.head

    @property
    def tally(self) -> Tally:
        """The counts so far."""
        seen, stream = self._sequence, self._stream
        return Tally(
            received=seen.received,
            lost=seen.lost,
            late=self._late,
            played=stream.played,
            blocks=self._blocks,
            concealed=stream.concealed,
            delay=stream.delay,
            recovered=stream.recovered,
            stretched=self._stretched,
        )

    def _take(self, packet: Voice, step: int | None, now: float) -> None:
        """A packet that is new, `step` numbers after the highest before it; None if it begins another stream."""
        frames, size = self._stream.frames, duration(packet.payload)
        time = frames.extend(packet.timestamp)
        self._settle_guesses(time, step)
        if not self._is_running or self._is_elsewhere(time, size, step, now):
            self._restart(time, now)
        if step is None or step > 0:
            frames.newest, frames.newest_arrival = max(frames.newest, time), now
        if frames.is_first(time):
            self._schedule.arrived(now - time / RATE)
        if time + size <= self._stream.end - self._stream.guessed:
            self._late += 1
        else:
            self._late_since = None
            frames.hold(Frame(time, size, now, packet.payload))
        for timestamp, payload in packet.copies:
            self._take_copy(frames.extend(timestamp), payload, time, now)
        if step is not None and step > 1 and has_inband_copy(packet.payload) and frames.is_first(time - size):
            self._schedule.arrived(now - (time - size) / RATE)

    def _take_copy(self, time: int, payload: bytes, before: int, now: float) -> None:
        """What a packet brings of one before it, if that has not come."""
        frames, size = self._stream.frames, duration(payload)
        if size and max(frames.began, before - REACH * RATE) < time < before and frames.is_first(time):
            self._schedule.arrived(now - time / RATE)
            if time + size > self._stream.end - self._stream.guessed:
                frames.hold(Frame(time, size, now, payload, is_copy=True))

    def _settle_guesses(self, time: int, step: int | None) -> None:
        """Of what was guessed while nothing came, a pause is none; numbers without a gap and a gap in time show one."""
        stream = self._stream
        ahead, lost = time - stream.frames.newest, (step or 1) - 1
        is_pause = step is None or (step > 0 and ahead > step * stream.frame)
        stream.concealed += min(stream.unsure, lost * stream.frame // BLOCK) if is_pause else stream.unsure
        stream.unsure = 0

    def _is_elsewhere(self, time: int, size: int, step: int | None, now: float) -> bool:
        """Whether a packet lies on another time line than the one being played.

        A row of packets that come too late does, and so does a number that goes on with a time that does not, or one
        that comes far too early.
        """
        stream, frames = self._stream, self._stream.frames
        if step is None or time > stream.end + REACH * RATE or (step > 0 and time <= frames.newest):
            return True
        early = (time - frames.newest) / RATE - (now - frames.newest_arrival)
        if step > 0 and early > LEAP and now - time / RATE < self._schedule.least - LEAP:
            return True
        if time + size > stream.end - stream.guessed:
            return False
        if self._late_since is None:
            self._late_since = now
        return now - self._late_since > LATE_HOLD

    def _restart(self, time: int, now: float) -> None:
        self._stream.frames.clear(time)
        self._stream.restart(time - round(START * RATE))
        self._schedule.begin(now - time / RATE)
        self._late_since = None
        self._is_running = True

    @property
    def _waste(self) -> int:
        """Samples that a packet waits for a block of which it is only a later part."""
        grid = min(self._stream.frame, BLOCK)
        return (self._stream.frames.newest - self._stream.head) % grid + BLOCK - grid

    def _move_in_pause(self, lack: float, excess: float, waste: int, is_long: bool) -> None:
        """While nothing waits the schedule may move as it likes."""
        if lack > 0:
            self._stream.skip(-math.ceil(lack / TICK) * BLOCK)
        elif is_long and not self.held:
            self._stream.skip(int(excess // TICK) * BLOCK)
        elif waste and self._stream.frame >= BLOCK:
            self._stream.skip(waste)

    def _move_in_speech(self, lack: float, excess: float, waste: int, is_long: bool, now: float) -> None:
        if lack <= 0 and not is_long and not waste:
            return
        is_quiet = level(self._stream.ready[:BLOCK]) < QUIET and level(self._stream.last) < QUIET
        if lack > (0 if is_quiet else MARGIN / 2):
            self._delay_more(lack, waste, is_quiet, now)
        elif is_quiet:
            size = waste or (BLOCK if is_long else 0)
            if size and self._stream.frame >= BLOCK and self._stream.leave_out(size, now):
                self._note_move(now)
        elif is_long and excess > UNQUIET:
            self._delay_less(excess, now)

    def _delay_more(self, lack: float, waste: int, is_quiet: bool, now: float) -> None:
        """One block of delay, and in speech what its pitch adds to that."""
        least = max(SEAM, BLOCK - waste)
        if is_quiet:
            self._stream.play_again(least)
            self._note_move(now)
        elif self._stream.lengthen(least, HISTORY - BLOCK, -1 if lack > TOO_LITTLE else ALIKE):
            self._note_move(now)

    def _delay_less(self, excess: float, now: float) -> None:
        """A piece less; the longer the delay, the sooner and the rougher."""
        pause, alike = next(((pause, alike) for above, pause, alike in HASTE if excess > above), (LEISURE, ALIKE))
        most = BLOCK if excess < 2 * TICK else LONGEST
        if now - self._last_move >= pause and self._stream.shorten(most, alike, now):
            self._note_move(now)

    def _note_move(self, now: float) -> None:
        self._last_move = now
        self._stretched += 1
