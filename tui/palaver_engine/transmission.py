"""Which of the microphone's blocks are sent: all, those that somebody speaks in, or those while a key is held.

A pure machine: block in, blocks out. Speech is known only some blocks after it has begun, so the last ones are kept
and go out before the first one that is known to be speech.
"""

from __future__ import annotations

from collections import deque
from typing import Final, TypeAlias, assert_never

import numpy as np
from attrs import define, field

from palaver_media.sound_settings import Transmit

from .blocks import BLOCK, SILENCE, Samples

PRE_ROLL: Final = 12  # blocks kept: 9 in 10 beginnings of speech are known by then, and the others are soft
TAIL: Final = 10  # blocks sent after the key is up: people let go before the last syllable is over
CLOSING: Final = 4  # blocks of silence after that, lest listeners hear the last sound go on

Said: TypeAlias = tuple[Samples | None, ...]  # the last one is now, others were just before; None is nothing to say
NOTHING: Final[Said] = ()

_FADE: Final = np.linspace(1, 0, BLOCK, dtype=np.float32)


@define
class Transmission:
    """Decides for each block; nothing that was said while muted is kept."""

    _held: deque[Samples] = field(factory=lambda: deque(maxlen=PRE_ROLL))
    _left: int = 0  # blocks still to be sent after the key is up

    def mute(self) -> None:
        """A block that nobody may hear."""
        self._held.clear()
        self._left = 0

    def pass_on(self, block: Samples | None, mode: Transmit, *, is_speech: bool, is_key_down: bool) -> Said:
        """What is to be sent now."""
        match mode:
            case Transmit.OPEN:
                self.mute()
                return (block,)
            case Transmit.VOICE:
                self._left = 0
                return self._by_voice(block, is_speech)
            case Transmit.PUSH:
                self._held.clear()
                return self._by_key(block, is_key_down)
            case _:
                assert_never(mode)

    def _by_voice(self, block: Samples | None, is_speech: bool) -> Said:
        if block is None:
            self._held.clear()
            return NOTHING
        if not is_speech:
            self._held.append(block)
            return NOTHING
        said = (*self._held, block)
        self._held.clear()
        return said

    def _by_key(self, block: Samples | None, is_key_down: bool) -> Said:
        if is_key_down:
            self._left = TAIL + CLOSING
            return (block,)
        if not self._left:
            return NOTHING
        self._left -= 1
        if self._left > CLOSING or block is None:
            return (block,)
        if self._left == CLOSING:
            return ((block * _FADE).astype(np.int16),)
        return (SILENCE,)
