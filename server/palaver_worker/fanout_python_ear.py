"""How loud a producer is, as its packets tell it; see `speakers.Voice`."""

from __future__ import annotations

from .speakers import LOUD, ONSET, SMOOTHING


class Ear:
    """What one producer's packets said: the last `level` (dBov), and `loudness`, smoothed over the loud ones.

    `heard` is when the last loud one came (s).
    """

    __slots__ = ("_run", "heard", "is_paused", "is_speaking", "level", "loudness")

    def __init__(self) -> None:
        self.level: int | None = None
        self.loudness = self.heard = 0.0
        self.is_paused = self.is_speaking = False
        self._run = 0  # loud packets in a row

    def hear(self, level: int, now: float) -> bool:
        """A packet is so loud; whether somebody begins to speak with it."""
        if self.is_paused:
            return False
        self.level = level
        if level < LOUD:
            self._run = 0
            return False
        if self._run == 0 and not self.is_speaking:
            self.loudness = level
        self._run += 1
        self.loudness += (level - self.loudness) * SMOOTHING
        self.heard = now
        begins = not self.is_speaking and self._run >= ONSET
        self.is_speaking |= begins
        return begins

    def fall_silent(self) -> None:
        """Notice it when somebody begins to speak again."""
        self.is_speaking, self._run = False, 0
