"""Two people who talk in turn: what is played into their microphones, and how it arrived."""

from __future__ import annotations

import statistics
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import numpy as np
import trio
from attrs import field, frozen
from numpy.typing import NDArray

from sound_server import VirtualSound

from .recorder import Recorder, Recording
from .scores import Heard, find, hear
from .voices import RATE

PAUSE: Final = 0.5  # s between two turns: longer than any delay that is measured
LEAD: Final = 0.3  # s before the first
TAIL: Final = 1.2  # s after the last: what was said must arrive
SEARCH: Final = 0.6  # s that playing may begin later than it was asked for


@frozen
class Turn:
    """Who says what, and when (samples since the conversation began)."""

    who: str
    at: int
    utterance: NDArray[np.int16]

    @property
    def end(self) -> int:
        """When he has said it."""
        return self.at + len(self.utterance)


def take_turns(said: Iterable[tuple[str, NDArray[np.int16]]], pause: float = PAUSE) -> tuple[Turn, ...]:
    """Utterances one after the other."""
    turns: list[Turn] = []
    for who, utterance in said:
        at = turns[-1].end + round(pause * RATE) if turns else round(LEAD * RATE)
        turns.append(Turn(who, at, utterance))
    return tuple(turns)


def track(turns: Iterable[Turn], who: str, length: int) -> NDArray[np.int16]:
    """What one of them says, with silence while another one speaks."""
    samples = np.zeros(length, np.int16)
    for turn in turns:
        if turn.who == who:
            samples[turn.at : turn.end] = turn.utterance
    return samples


@frozen
class Conversation:
    """A conversation that was recorded: at both microphones' cables, and at both loudspeakers."""

    turns: tuple[Turn, ...]
    mouths: dict[str, Recording]
    ears: dict[str, Recording]
    began: float  # s, monotonic: when it was asked for

    def said_at(self, turn: Turn) -> float:
        """When (s, monotonic) a turn was really said."""
        asked = self.began + turn.at / RATE
        length = len(turn.utterance) / RATE
        around = self.mouths[turn.who].between(asked - 0.1, asked + SEARCH + length)
        at, likeness = find(turn.utterance.astype(np.float64), around)
        if likeness < 0.5:
            raise RuntimeError("what was played into the microphone did not come out of its cable")
        return at

    def heard(self) -> dict[str, list[Heard | None]]:
        """How each turn arrived, by the one who listened."""
        found: dict[str, list[Heard | None]] = {who: [] for who in self.ears}
        for turn in self.turns:
            (listener,) = self.ears.keys() - {turn.who}
            found[listener].append(hear(turn.utterance, self.said_at(turn), self.ears[listener]))
        return found


@frozen
class Talking:
    """A conversation that goes on. `seconds` is how long it takes in all, `began` when it was asked for."""

    seconds: float
    began: float
    done: list[Conversation] = field(factory=list)


@asynccontextmanager
async def conversing(sound: VirtualSound, turns: tuple[Turn, ...]) -> AsyncIterator[Talking]:
    """Have turns said, from now on; at the end of the block they were, and `done` holds the conversation."""
    length = max(turn.end for turn in turns) + round(TAIL * RATE)
    mouths = {who: Recorder(sound, f"{who}_cable.monitor") for who in sound.people}
    ears = {who: Recorder(sound, f"{who}_speaker.monitor") for who in sound.people}
    began = time.monotonic()
    players = [sound.play(who, track(turns, who, length)) for who in sound.people]
    talking = Talking(length / RATE, began)
    try:
        yield talking
        for player in players:
            await trio.to_thread.run_sync(player.wait)
    finally:
        said, heard = ({who: recorder.stop() for who, recorder in each.items()} for each in (mouths, ears))
    talking.done.append(Conversation(turns, said, heard, began))


def summary(heard: Iterable[Heard | None]) -> dict[str, float]:
    """Medians over utterances; what was not heard at all counts as the worst that can be."""
    all_of_it = list(heard)
    found = [one for one in all_of_it if one is not None]
    missed = len(all_of_it) - len(found)
    late = sorted(one.delay_ms for one in found) or [float("nan")]
    return {
        "delay_ms": statistics.median(late),
        "delay_p95_ms": late[min(len(late) - 1, round(0.95 * (len(late) - 1)))],
        "pesq": statistics.median([one.pesq for one in found] + [1.0] * missed),
        "stoi": statistics.median([one.stoi for one in found] + [0.0] * missed),
        "utterances": len(all_of_it),
        "missed": missed,
    }
