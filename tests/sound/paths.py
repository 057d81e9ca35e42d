"""Simulated paths for the playout: what is sent, what a network does to it, what is heard; deterministic."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from palaver_engine import opus
from palaver_engine.blocks import BLOCK
from palaver_engine.frames import Voice
from palaver_engine.opus import FRAME, Encoder
from palaver_engine.playout import Playout
from palaver_engine.tally import Tally
from sound.voices import speech, tone

FIRST_SEQUENCE: Final = 65_400  # both wrap soon
FIRST_TIMESTAMP: Final = 2**32 - 30_000
PHASE: Final = 0.0043  # s of the first pull after the first packet was sent

Path = Callable[[float], float | None]  # when a packet is sent (s) -> its delay (s), None: lost
Arriving = list[tuple[float, Voice]]


@frozen
class Run:
    tally: Tally
    heard: NDArray[np.int16]
    delays: NDArray[np.float64]  # s, at each pull
    heads: NDArray[np.int64]  # the RTP time that is next, after each pull

    def moves(self, start: int) -> NDArray[np.int64]:
        """The pulls, from one on, at which time did not go on by a block: some was left out, or played twice."""
        return np.flatnonzero(np.diff(self.heads[start:]) != BLOCK) + start + 1

    def lag(self) -> NDArray[np.float64]:
        """How long ago that was sent which is heard, s, at each pull."""
        return PHASE + np.arange(len(self.heads)) * 0.01 - (self.heads - BLOCK - FIRST_TIMESTAMP + 2**32) / 48_000


@cache
def encoded(kind: str, seconds: float) -> tuple[bytes, ...]:
    samples = tone(440, seconds) if kind == "tone" else speech(seconds, has_pauses=kind == "speech")
    encoder = Encoder()
    return tuple(encoder.encode(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME + 1, FRAME))


def encode_as(encoder: Encoder, samples: NDArray[np.int16]) -> bytes:
    """A packet of any duration that Opus knows."""
    out = bytearray(1275)
    buffer = (ctypes.c_char * len(out)).from_buffer(out)
    block = np.ascontiguousarray(samples)
    length = opus.library().opus_encode(encoder._state, block.ctypes.data, len(block), buffer, len(out))
    return bytes(out[:length])


def arrivals(payloads: Sequence[bytes], path: Path, drift: float = 0.0, copies: Sequence[int] = ()) -> Arriving:
    """When each packet arrives, in the order of arrival; each with copies of the frames so many before it."""
    arriving = []
    for count, payload in enumerate(payloads):
        sent = count * 0.02 * (1 + drift)
        delay = path(sent)
        if delay is not None:
            again = tuple((_timestamp(count - back), payloads[count - back]) for back in copies if count >= back)
            voice = Voice(FIRST_SEQUENCE + count & 0xFFFF, _timestamp(count), payload, again)
            arriving.append((sent + delay, voice))
    return sorted(arriving, key=lambda arrival: arrival[0])


def play(arriving: Arriving, seconds: float) -> Run:
    """Put what arrives and pull each 10 ms."""
    playout, waiting = Playout(), iter(arriving)
    heard, delays, heads = [], [], []
    when, voice = next(waiting, (float("inf"), None))
    for count in range(round(seconds * 100)):
        now = PHASE + count * 0.01
        while when <= now:
            assert voice is not None
            playout.put(voice, when)
            when, voice = next(waiting, (float("inf"), None))
        heard.append(playout.pull(now))
        delays.append(playout.tally.delay)
        heads.append(playout.head)
    return Run(playout.tally, np.concatenate(heard), np.array(delays), np.array(heads))


def bursts(dice: random.Random, share: float, mean: float) -> Callable[[], bool]:
    """Whether each packet is lost: in bursts of a mean length, as Gilbert has it."""
    is_lost = False

    def next_one() -> bool:
        nonlocal is_lost
        begins = share / mean / (1 - share)
        is_lost = dice.random() > 1 / mean if is_lost else dice.random() < begins
        return is_lost

    return next_one


def _timestamp(count: int) -> int:
    return FIRST_TIMESTAMP + count * FRAME & 0xFFFFFFFF
