"""Whether somebody speaks into the microphone.

By the probability that the gain control's recurrent network gives, where there is one: it takes neither hum nor the
clicks of a keyboard for speech, of which a detector by spectrum (WebRTC's older one) opens at nearly all.
Else by loudness over what is usual.
"""

from __future__ import annotations

from typing import Final

from attrs import define, field

from .blocks import Samples, level

LIKELY: Final = 0.8  # the probability from which a block counts
ATTACK: Final = 2  # blocks in a row that begin speech: one alone may be a click
HOLD: Final = 30  # blocks that speech lasts on: pauses within a sentence, and the soft ends of words

OVER: Final = 12.0  # dB over the usual, from which a block is loud
LEAST: Final = -50.0  # dBFS, below which none is
_RISE: Final = 0.02  # dB a block that the usual rises: 2 dB/s
_FALL: Final = 0.2  # of the difference by which it falls


@define
class Activity:
    """Counts blocks; one of the microphone's after the other."""

    _loudness: Loudness = field(factory=lambda: Loudness())
    _likely: int = 0  # in a row
    _left: int = 0  # blocks until it is over

    def hear(self, block: Samples, probability: float | None) -> bool:
        """Whether speech goes on in this block; `probability` is None where nobody knows it."""
        is_likely = self._loudness.is_loud(level(block)) if probability is None else probability >= LIKELY
        self._likely = self._likely + 1 if is_likely else 0
        if self._likely >= ATTACK:
            self._left = HOLD
        else:
            self._left = max(0, self._left - 1)
        return self._left > 0


@define
class Loudness:
    """What is usual falls quickly and rises slowly, so that it is the noise between the words."""

    _usual: float = LEAST - OVER

    def is_loud(self, dbfs: float) -> bool:
        """Whether a block stands out."""
        if dbfs < self._usual:
            self._usual += (dbfs - self._usual) * _FALL
        else:
            self._usual += _RISE
        return dbfs > max(LEAST, self._usual + OVER)
