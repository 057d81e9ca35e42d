"""What is done with a call, and what it tells: turns over a network, a stall, an echo."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import trio
from attrs import asdict, frozen

from impairment import Conditions, Plan, Stall
from sound_server import VirtualSound

from .cpu import cpu_seconds
from .products import Product, Talk, Unavailable
from .room import Acoustics, echoing
from .scores import delays, find, loss_db, recovery
from .turns import Conversation, Turn, conversing, summary, take_turns
from .voices import RATE, Split, save, utterances

if TYPE_CHECKING:
    from numpy.typing import NDArray

SETTLE: Final = 1.5  # s for a call to find its delay
STALL: Final = Stall(at=5.0, seconds=0.5)
NEAR_MS: Final = 20.0  # of the former delay: then it is back
BREATH: Final = np.zeros(round(0.15 * RATE), np.int16)  # between sentences of one who goes on

NETWORKS: Final = {
    "clean": Conditions(),
    "jitter-loss": Conditions(loss=0.1, delay_ms=20, jitter_ms=10),
    "loss": Conditions(loss=0.1),
    "burst": Conditions(loss=0.1, burst=3),  # the mean, in packets
}
ROOMS: Final = {
    "echo-near": Acoustics(delay_ms=0),
    "echo-far": Acoustics(delay_ms=300, drift_ppm=50),
    "echo-middle": Acoustics(delay_ms=120),
    "echo-drift": Acoustics(delay_ms=0, drift_ppm=50),
}
STALLED: Final = "stall"
CROWD: Final = "crowd"
CROWDED: Final = 8  # people
CROWD_S: Final = 8.0  # for which the crowd is watched
USUAL: Final = (*NETWORKS, STALLED, "echo-near", "echo-far", CROWD)
ALL: Final = (*NETWORKS, STALLED, *ROOMS, CROWD)
Figures = dict[str, Any]


@frozen
class Round:
    """What is random about a measurement: whose voices, which seed, and the folder for what is spoken."""

    split: Split
    seed: int
    sound: VirtualSound
    turns: int = 3  # of each person

    def utterances(self, count: int) -> list[NDArray[np.int16]]:
        """So many utterances."""
        return utterances(self.split, count, self.seed, self.sound.folder)


async def measure(product: Product, scenario: str, this: Round) -> Figures:
    """The figures of one call."""
    if scenario in NETWORKS:
        return await _over_network(product, NETWORKS[scenario], this)
    if scenario in ROOMS:
        return await _in_room(product, ROOMS[scenario], this)
    return await (_with_stall if scenario == STALLED else _in_crowd)(product, this)


async def _over_network(product: Product, conditions: Conditions, this: Round) -> Figures:
    said = this.utterances(2 * this.turns)
    turns = take_turns(zip(("alice", "bob") * this.turns, said, strict=True))
    conversation, watched = await _hold(product, this.sound, turns, Plan(this.seed, ((0.0, conditions),)))
    heard = conversation.heard()
    ways = {"to_alice": heard["alice"], "to_bob": heard["bob"]}
    return {
        **summary([one for all_of_it in ways.values() for one in all_of_it]),
        **watched,
        "utterance_figures": {way: [one and asdict(one) for one in all_of_it] for way, all_of_it in ways.items()},
    }


async def _with_stall(product: Product, this: Round) -> Figures:
    (turn,) = take_turns([("alice", go_on(this.utterances(4)))])
    conversation, watched = await _hold(product, this.sound, (turn,), Plan(this.seed, stalls=(STALL,)))
    course = delays(turn.utterance, conversation.said_at(turn), conversation.ears["bob"])
    ends = watched["began"] + STALL.at + STALL.seconds
    return {**asdict(recovery(course, ends, STALL.seconds, NEAR_MS)), **watched}


async def _in_room(product: Product, acoustics: Acoustics, this: Round) -> Figures:
    """Alice talks on, and Bob's room sends it back; then they take turns."""
    *far, near, reply, last = this.utterances(6)
    turns = take_turns([("alice", go_on(far)), ("bob", near), ("alice", reply), ("bob", last)])
    conversation, watched = await _hold(product, this.sound, turns, Plan(this.seed), acoustics)
    return {**echo_left(conversation), **watched}


async def _in_crowd(product: Product, this: Round) -> Figures:
    """Eight people who all talk at once: what the engines of the two with devices cost."""
    said, file = go_on(this.utterances(6)), this.sound.folder / "talker.wav"
    said = np.tile(said, 4)  # it lasts until everybody has come
    save(said, file)
    async with AsyncExitStack() as stack:
        talk = await stack.enter_async_context(product(this.sound))
        if talk.talker is None:
            raise Unavailable("it calls one other")
        for number in range(CROWDED - len(talk.pids)):
            await stack.enter_async_context(talk.talker(f"talker{number}", file))
        for person in talk.pids:
            this.sound.play(person, said)
        await trio.sleep(SETTLE)
        with _watching(talk) as watched:
            await trio.sleep(CROWD_S)
        lines = [line for each in talk.statistics().values() for line in each[-3:]]
    return {"heard": statistics.median(len(line["users"]) for line in lines), **watched}


def go_on(said: list[NDArray[np.int16]]) -> NDArray[np.int16]:
    """Utterances of one who does not wait for an answer."""
    return np.concatenate([part for one in said for part in (one, BREATH)])


def echo_left(conversation: Conversation) -> Figures:
    """What of Alice's first turn came back to her (dB less than went into Bob's microphone), and how Bob was heard."""
    first: Turn = conversation.turns[0]
    near = summary(conversation.heard()["alice"])
    began = conversation.said_at(first)
    start, end = began, began + len(first.utterance) / RATE
    echo, left = conversation.mouths["bob"], conversation.ears["alice"]
    part = first.utterance[: 2 * RATE].astype(np.float64)
    played, _ = find(part, conversation.ears["bob"].between(start, start + 3.5))
    into_microphone, _ = find(part, echo.between(played, played + 3.0))
    late = near["delay_ms"] / 1000
    spans = {"3_to_5_s": (start + 3, start + 5), "after_5_s": (start + 5, end)}
    losses = {f"loss_db_{name}": loss_db(echo, left, late, *span) for name, span in spans.items()}
    return {**losses, "echo_delay_ms": (into_microphone - played) * 1000, "near_stoi": near["stoi"], **near}


async def _hold(
    product: Product, sound: VirtualSound, turns: tuple[Turn, ...], plan: Plan, room: Acoustics | None = None
) -> tuple[Conversation, Figures]:
    """Hold a conversation, and watch what it costs."""
    async with product(sound) as talk:
        with nullcontext() if room is None else echoing(sound, "bob", room):
            await trio.sleep(SETTLE)
            async with conversing(sound, turns) as going:
                talk.relay.begin(alice_there=plan, alice_back=plan)
                with _watching(talk) as watched:
                    watched["began"] = time.monotonic()
                    await trio.sleep(going.seconds)
    return going.done[0], watched


@contextmanager
def _watching(talk: Talk) -> Iterator[Figures]:
    """CPU of the sound processes (% of a core, the mean of both sides), what arrived was played, and what was lost."""
    found: Figures = {}
    before = {person: cpu_seconds(pid) for person, pid in talk.pids.items()}
    said = {person: len(lines) for person, lines in talk.statistics().items()}
    began = time.monotonic()
    yield found
    passed = time.monotonic() - began
    found["cpu"] = statistics.mean(100 * (cpu_seconds(pid) - before[who]) / passed for who, pid in talk.pids.items())
    lines = {person: lines[said[person] :] for person, lines in talk.statistics().items()}
    found["played"] = played_share([line for each in lines.values() for line in each])
    found["relay"] = talk.relay.statistics()


def played_share(lines: list[dict[str, Any]]) -> float | None:
    """Which part of what arrived did not come too late, as the program tells; each second counts by what it brought."""
    voices = [voice for line in lines for voice in line["users"]]
    arrived = sum(voice["in_kbps"] for voice in voices)
    return 1 - sum(voice["late"] * voice["in_kbps"] for voice in voices) / arrived if arrived else None
