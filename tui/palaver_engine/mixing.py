"""All voices as one: each as loud as it is to be heard, and together no louder than fits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from .blocks import BLOCK, SILENCE, Samples
from .gains import Ducking, Volumes
from .limiter import Limiter, Wide, ramp

_FALL: Final[Wide] = ramp(1, 0, BLOCK)  # how much of the volume before is left at each sample


class Mixing:
    """A pure machine: blocks in, a block out. One thread mixes; another may replace `volumes`."""

    def __init__(self) -> None:
        self.volumes = Volumes()
        self._ducking = Ducking()
        self._limiter = Limiter()
        self._gains: dict[str, float] = {}  # of the block before
        self._wide: Wide = np.empty((8, BLOCK), np.float32)  # a row for each voice

    def mix(self, voices: Mapping[str, Samples]) -> Samples:
        """The next 10 ms of all voices together; a change of volume takes these 10 ms."""
        was = self._gains
        self._gains = gains = self._next_gains(voices)
        audible = [
            (voices[name], was.get(name, gain), gain)
            for name, gain in gains.items()
            if voices[name] is not SILENCE and (gain or was.get(name))
        ]
        if not audible:
            self._limiter.rest()
            return SILENCE
        if len(audible) == 1 and self._limiter.is_idle:
            block, before, after = audible[0]
            if before == after == 1.0:
                return block
        total = self._sum(audible)
        self._limiter.limit(total)
        np.rint(total, out=total)
        return total.astype(np.int16)

    def _next_gains(self, voices: Mapping[str, Samples]) -> dict[str, float]:
        volumes = self.volumes
        master, persons, priorities = volumes.master, volumes.persons, volumes.priorities
        ducked = master * self._ducking.step(voices, priorities)
        if not persons and not priorities:
            return dict.fromkeys(voices, ducked)
        return {name: persons.get(name, 1.0) * (master if name in priorities else ducked) for name in voices}

    def _sum(self, audible: list[tuple[Samples, float, float]]) -> Wide:
        count = len(audible)
        if count > len(self._wide):
            self._wide = np.empty((2 * count, BLOCK), np.float32)
        wide = self._wide[:count]
        for row, (block, _, _) in enumerate(audible):
            wide[row] = block
        after = [gain for _, _, gain in audible]
        changes = [before - gain for _, before, gain in audible]
        if not any(changes):
            total: Wide = np.dot(np.array(after, np.float32), wide)
            return total
        fading: Wide = np.dot(np.array(changes, np.float32), wide)
        fading *= _FALL
        fading += np.dot(np.array(after, np.float32), wide)
        return fading
