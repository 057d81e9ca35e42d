"""Hearing oneself as others would: the microphone's blocks through Opus and back, a second later."""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from .blocks import BLOCK, SILENCE, Samples
from .opus import FRAME, Decoder, Encoder

DELAY: Final = 100  # blocks: one has finished a word when it comes back
SLACK: Final = 20  # blocks more than that, before some are left out


class EchoTest:
    """`talk` belongs to the sound thread of the source, `hear` to that of the sink."""

    def __init__(self) -> None:
        """Begin in silence.

        Raises:
            OpusMissing: there is no libopus.
        """
        self._encoder = Encoder()
        self._decoder = Decoder()
        self._said: list[Samples] = []  # less than a frame
        self._waiting: deque[Samples] = deque()
        self._is_playing = False

    def talk(self, block: Samples | None) -> None:
        """Take 10 ms; None is nothing to say."""
        self._said.append(SILENCE if block is None else block)
        if len(self._said) * BLOCK < FRAME:
            return
        frame = np.concatenate(self._said)
        self._said.clear()
        heard = self._decoder.decode(self._encoder.encode(frame))
        self._waiting.extend(heard[at : at + BLOCK] for at in range(0, len(heard), BLOCK))

    def hear(self) -> Samples:
        """The next 10 ms."""
        waiting = self._waiting
        while len(waiting) > DELAY + SLACK:  # two sound cards: one is faster
            waiting.popleft()
        self._is_playing = len(waiting) >= (1 if self._is_playing else DELAY)
        return waiting.popleft() if self._is_playing else SILENCE
