"""Who speaks: from levels, with a hangover so that the light does not flicker between words."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from attrs import define, field

from palaver_protocol.models import Speaker, UserId

from .events import SpeakingChanged

THRESHOLD: Final = -45.0  # dBFS
HANGOVER: Final = 0.5  # s


@define
class Speakers:
    """Those who speak, and until when they count as speaking: for ever while they are loud."""

    _until: dict[UserId, float] = field(factory=dict[UserId, float])

    @property
    def deadline(self) -> float:
        """When `expire` is to be called."""
        return min(self._until.values(), default=math.inf)

    def hear(self, levels: Mapping[UserId, float], now: float) -> Iterator[SpeakingChanged]:
        """Take in everybody's level in dBFS. Whoever is left out has gone."""
        for gone in self._until.keys() - levels.keys():
            del self._until[gone]
        for user, level in levels.items():
            if level >= THRESHOLD:
                if user not in self._until:
                    yield SpeakingChanged(user, True)
                self._until[user] = math.inf
            elif self._until.get(user) == math.inf:
                self._until[user] = now + HANGOVER

    def expire(self, now: float) -> Iterator[SpeakingChanged]:
        """Those who have been silent for long enough."""
        for user in [user for user, until in self._until.items() if until <= now]:
            del self._until[user]
            yield SpeakingChanged(user, False)


def on_speakers(levels: Mapping[UserId, float], speakers: Iterable[Speaker]) -> dict[UserId, float]:
    """Levels in dBFS, with those of people who are heard on a speaker, of which the server alone knows whom it carries.

    Whoever the server hears speak is loud enough to be seen, too.
    """
    told = {each.user_id: max(-float(each.level), THRESHOLD) for each in speakers if each.user_id in levels}
    return {**levels, **{user: max(levels[user], level) for user, level in told.items()}}
