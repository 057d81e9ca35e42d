"""How loud each voice is to be heard: the volumes that were set, and ducking while one with priority talks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import evolve, field, frozen

from palaver_media.sound_settings import PersonVolume, Volume

from .blocks import SILENCE, Samples, level

DUCKED: Final = 10 ** (-12 / 20)  # the others, while one with priority talks
ATTACK: Final = 2  # blocks until the others are as quiet as that
RELEASE: Final = 40  # blocks until they are as loud as before
HANGOVER: Final = 30  # blocks: a pause between two words is still talking
TALKING: Final = -45.0  # dBFS
_DOWN: Final = DUCKED ** (1 / ATTACK)
_UP: Final = DUCKED ** (-1 / RELEASE)


def ratio(decibels: float) -> float:
    """What to multiply samples with."""
    return float(10 ** (decibels / 20))


@frozen
class Volumes:
    """All that was set, as factors; never changed, so that the sound thread may read it at any time."""

    master: float = 1.0
    persons: Mapping[str, float] = field(factory=dict[str, float])  # where it is not 1
    priorities: frozenset[str] = frozenset()  # those among them that can be heard

    def with_master(self, volume: Volume) -> Volumes:
        """Everybody this loud."""
        return evolve(self, master=0.0 if volume.is_deaf else ratio(volume.volume_db))

    def with_person(self, name: str, volume: PersonVolume) -> Volumes:
        """One this loud."""
        factor = 0.0 if volume.is_muted else ratio(volume.volume_db)
        others = self.without(name)
        has_priority = volume.is_priority and not volume.is_muted
        return evolve(
            others,
            persons=others.persons if factor == 1.0 else {**others.persons, name: factor},
            priorities=others.priorities | {name} if has_priority else others.priorities,
        )

    def without(self, *names: str) -> Volumes:
        """These as loud as usual."""
        persons = {other: factor for other, factor in self.persons.items() if other not in names}
        return evolve(self, persons=persons, priorities=self.priorities.difference(names))


class Ducking:
    """How much quieter those without priority are, block by block: down within 20 ms, up again within 400."""

    def __init__(self) -> None:
        self._factor = 1.0
        self._left = 0  # blocks that one with priority is still taken to talk

    def step(self, voices: Mapping[str, Samples], priorities: frozenset[str]) -> float:
        """The factor at the end of this block."""
        if not priorities and self._factor == 1.0:
            return 1.0
        self._left = HANGOVER if _is_any_talking(voices, priorities) else max(0, self._left - 1)
        is_ducking = self._left > 0 and not priorities.isdisjoint(voices)
        self._factor = max(DUCKED, self._factor * _DOWN) if is_ducking else min(1.0, self._factor * _UP)
        return self._factor


def _is_any_talking(voices: Mapping[str, Samples], priorities: frozenset[str]) -> bool:
    blocks = (voices.get(name, SILENCE) for name in priorities)
    return any(block is not SILENCE and level(block) > TALKING for block in blocks)
