"""One voice's sound in the order of its RTP time: packets, copies, in-band copies, guesses; noise where it pauses."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import define, field

from . import stretch
from .blocks import BLOCK, RATE, SILENCE, Samples
from .frames import Frame, Frames
from .opus import FRAME, Decoder, OpusError

DRY: Final = 10 * BLOCK  # samples guessed in a row before the voice is taken to have paused
NOISE: Final = RATE  # samples of a pause that are filled with the sender's background: DTX sends some each 400 ms
FADE: Final = RATE // 2  # samples in which that noise ends when the voice has really stopped
REACH: Final = 1.0  # s ahead of the head, or back into a pause; what lies farther is another time line
HISTORY: Final = 3 * BLOCK  # samples already played that may be played again

_NOTHING: Final = SILENCE[:0]
_FADE_IN: Final = np.linspace(0, 1, stretch.SEAM, dtype=np.float32)


@define
class Stream:
    """`ready` is decoded and ends at the RTP time `end`, which stays where it is when `ready` is stretched."""

    frames: Frames = field(factory=Frames)
    end: int = 0
    ready: Samples = _NOTHING
    guessed: int = 0  # samples before `end` that only were guessed; what comes for them may still be played
    dry: int = DRY  # samples guessed since anything real
    unsure: int = 0  # blocks guessed, of which the next packet shows whether they were a pause
    frame: int = FRAME  # samples of the frame before
    played: int = 0
    recovered: int = 0
    concealed: int = 0
    delay: float = 0.0  # s a packet waits, lately
    returned: bool = False  # whether time went back since one looked: late packets are played after all
    _decoder: Decoder = field(factory=Decoder)
    _is_mute: bool = True
    _tail: Samples = _NOTHING  # of the time line before, to be faded out
    _history: Samples = field(factory=lambda: np.zeros(HISTORY, np.int16))

    @property
    def head(self) -> int:
        """The RTP time that is played next."""
        return self.end - len(self.ready)

    @property
    def last(self) -> Samples:
        """The block that was heard last."""
        return self._history[-BLOCK:]

    @property
    def is_paused(self) -> bool:
        """Whether nothing has come for so long that the voice is taken to be silent."""
        return self.dry >= DRY

    @property
    def is_due(self) -> bool:
        """Whether something that has come is to be heard in the next block."""
        first = self.frames.first()
        return first is not None and first.time < self.head + BLOCK

    def restart(self, at: int) -> None:
        """Another time line, perhaps another talker: its decoder begins anew, and what was heard last fades out."""
        if not self._is_mute:
            self._tail = np.concatenate((self.ready, self._decoder.conceal(BLOCK)))[:BLOCK]
        self._decoder = Decoder()
        self.ready = _NOTHING
        self.end, self.guessed, self.dry = at, 0, NOISE + FADE
        self._is_mute = True

    def skip(self, samples: int) -> None:
        """Go on, or back, in a pause."""
        self.end += samples
        self.guessed = max(0, self.guessed + samples)

    def fill(self, size: int, now: float) -> None:
        """Have so many samples ready, whatever they are."""
        while len(self.ready) < size:
            self.ready = np.concatenate((self.ready, self._more(now)))

    def fill_with_known(self, size: int, now: float) -> bool:
        """Have so many samples ready if that many have come."""
        while len(self.ready) < size:
            first = self.frames.first()
            if first is None or first.time > self.end:
                return False
            self.ready = np.concatenate((self.ready, self._more(now)))
        return True

    def take(self, now: float) -> Samples:
        """The next block; the head moves on."""
        self.fill(BLOCK, now)
        block, self.ready = self.ready[:BLOCK], self.ready[BLOCK:]
        if len(self._tail):
            block, self._tail = _add_fading(block, self._tail), _NOTHING
        self._history[:-BLOCK] = self._history[BLOCK:]
        self._history[-BLOCK:] = block
        return block

    def shorten(self, most: int, alike: float, now: float) -> bool:
        """Leave a piece out; False if it has to wait for a better place."""
        if not self.fill_with_known(most + stretch.SEAM, now):
            return False
        shorter = stretch.shorten(self.ready, most, alike)
        self.ready = self.ready if shorter is None else shorter
        return shorter is not None

    def leave_out(self, size: int, now: float) -> bool:
        """Leave exactly so much of silence out."""
        if not self.fill_with_known(size + stretch.SEAM, now):
            return False
        self.ready = stretch.leave_out(self.ready, size)
        return True

    def lengthen(self, least: int, most: int, alike: float) -> bool:
        """Play a piece once more; False if it has to wait for a better place."""
        longer = stretch.lengthen(self._history, self.ready, least, most, alike)
        self.ready = self.ready if longer is None else longer
        return longer is not None

    def play_again(self, size: int) -> None:
        """Play exactly so much of silence once more."""
        self.ready = stretch.play_again(self._history, self.ready, size)

    def _more(self, now: float) -> Samples:
        """What comes after `ready`; `end` moves on with it."""
        self.frames.drop_before(self.end - self.guessed)
        first = self.frames.first()
        if first is None:
            return self._guess(BLOCK, is_unsure=True)
        if first.time + first.size <= self.end:
            self._return_to(first)
        gap = first.time - self.end
        try:
            if gap <= 0:
                return self._play(first, now)[-gap:]
            if gap <= first.size and not self.is_paused:
                return self._recover(first, gap)
        except OpusError:
            self.frames.drop(first)
        return self._guess(BLOCK if gap <= 0 else min(BLOCK, gap))

    def _return_to(self, first: Frame) -> None:
        """Frames that were guessed have come after all: they are late, and not lost."""
        back = max(first.time, self.frames.newest - round(REACH * RATE))
        self.end, self.returned = min(self.end, back), True

    def _play(self, first: Frame, now: float) -> Samples:
        self.frames.drop(first)
        samples = self._decoder.decode(first.payload)
        self.end = first.time + first.size
        self.frame = first.size
        if first.is_copy:
            self.recovered += 1
        else:
            self.played += 1
            self.delay += (now - first.arrival - self.delay) / min(self.played, 16)
        return self._real(samples)

    def _recover(self, first: Frame, gap: int) -> Samples:
        """The frame before one that has come, from the copy in it."""
        samples = self._decoder.recover(first.payload, first.size)[-gap:]
        self.recovered += 1
        self.end = first.time
        return self._real(samples)

    def _real(self, samples: Samples) -> Samples:
        self.dry = self.guessed = 0
        if self._is_mute and len(samples) >= stretch.SEAM:
            self._is_mute = False
            samples[: stretch.SEAM] = samples[: stretch.SEAM] * _FADE_IN
        return samples

    def _guess(self, size: int, *, is_unsure: bool = False) -> Samples:
        """Opus' guess at what was said; while the voice pauses, its background noise, which ends by and by."""
        if not self.is_paused:
            if is_unsure:
                self.unsure += 1
            else:
                self.concealed += 1
        self.end += size
        self.guessed = min(self.guessed + size, round(REACH * RATE))
        self.dry += size
        if self.dry >= NOISE + FADE:
            self._is_mute = True
            return SILENCE[:size]
        samples = self._decoder.conceal(-(-size // 120) * 120)[:size]
        if self.dry > NOISE:
            left = (NOISE + FADE - self.dry) / FADE
            samples = (samples * np.linspace(left + size / FADE, left, size, dtype=np.float32)).astype(np.int16)
        return samples


def _add_fading(block: Samples, tail: Samples) -> Samples:
    fading = tail * np.linspace(1, 0, len(tail), dtype=np.float32)
    both: Samples = np.clip(block + fading, -32_768, 32_767).astype(np.int16)
    return both
