"""Paths beyond the usual ones, each with its own distribution of delays: little is lost, and delay comes back."""

from __future__ import annotations

import gc
import random
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest

from palaver_engine.blocks import BLOCK
from palaver_engine.playout import Playout
from sound.paths import PHASE, Path, arrivals, bursts, encoded, play

PathOf = Callable[[random.Random], Path]


def normal(dice: random.Random) -> Path:
    return lambda sent: max(0.0, dice.gauss(0.04, 0.008))


def exponential(dice: random.Random) -> Path:
    return lambda sent: 0.02 + dice.expovariate(100)


def spikes(dice: random.Random) -> Path:
    """Each three seconds nothing passes for 120 ms."""
    return lambda sent: 0.02 + (0.12 - sent % 3 if sent % 3 < 0.12 else dice.uniform(0, 0.004))


def steps(dice: random.Random) -> Path:
    """Another route each ten seconds, 60 ms longer or shorter."""
    return lambda sent: (0.02 if sent % 20 < 10 else 0.08) + dice.uniform(0, 0.004)


def reordered(dice: random.Random) -> Path:
    return lambda sent: 0.02 + (0.03 if dice.random() < 0.1 else 0)


def usual(dice: random.Random) -> Path:
    """20 +- 10 ms and 10 % lost."""
    return lambda sent: None if dice.random() < 0.1 else 0.02 + dice.uniform(-0.01, 0.01)


def bursty(dice: random.Random) -> Path:
    is_lost = bursts(dice, 0.1, 3)
    return lambda sent: None if is_lost() else 0.02 + dice.uniform(-0.01, 0.01)


def stalling(dice: random.Random, loss: float) -> Path:
    """20 to 40 ms, some lost, and half a second of nothing each minute."""

    def path(sent: float) -> float | None:
        if dice.random() < loss:
            return None
        return 0.02 + dice.uniform(0, 0.02) + (0.5 - sent % 60 if sent % 60 < 0.5 else 0)

    return path


@pytest.mark.parametrize("seed", [11, 12])
@pytest.mark.parametrize(
    ("path", "lag", "concealed"),
    [
        (normal, 0.075, 0.01),
        (exponential, 0.085, 0.01),
        (spikes, 0.07, 0.05),
        (steps, 0.115, 0.01),
        (reordered, 0.075, 0.01),
        (usual, 0.085, 0.03),
        (bursty, 0.085, 0.09),
    ],
)
def test_on_any_path_nearly_all_is_played_and_the_delay_is_what_the_path_needs(
    path: PathOf, lag: float, concealed: float, seed: int
):
    run = play(arrivals(encoded("speech", 60), path(random.Random(seed))), 60.2)
    assert run.tally.played / run.tally.received >= 0.98
    assert np.median(run.lag()[500:]) < lag
    assert run.tally.concealed / run.tally.blocks < concealed
    steady = run.lag()[500:]
    assert np.quantile(steady, 0.9) < lag + 0.08


def test_a_longer_route_is_followed_in_half_a_second_and_a_shorter_one_in_ten():
    path: Path = lambda sent: 0.02 if sent < 10 or sent > 30 else 0.08  # noqa: E731
    run = play(arrivals(encoded("speech", 60), path), 60)
    lag = run.lag()
    assert run.tally.played / run.tally.received > 0.995
    assert lag[1100:2900].max() < lag[900] + 0.08
    assert lag[4100:].max() < lag[900] + 0.02


@pytest.mark.timeout(300)
@pytest.mark.parametrize("minutes", [4, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
@pytest.mark.parametrize("kind", ["speech without pauses", "tone"])
@pytest.mark.parametrize("drift", [1e-4, -1e-4])
def test_drift_is_made_up_for_while_somebody_talks_without_a_pause(drift: float, kind: str, minutes: int):
    dice = random.Random(1)
    payloads = encoded(kind, 20) * 3 * minutes
    run = play(arrivals(payloads, lambda sent: 0.02 + dice.uniform(0, 0.003), drift), minutes * 60 - 1)
    settled = run.lag()[1000:] - np.arange(len(run.heads))[1000:] * 0.01 * drift / (1 + drift)
    assert settled.max() < 0.07
    assert (run.tally.late, run.tally.lost, run.tally.concealed) == (0, 0, 0)
    stretched = len(run.moves(1000))
    assert stretched <= 2 * abs(drift) * minutes * 60 / 0.01 + 4  # a piece of about 10 ms each 100 s
    bend = np.abs(np.diff(run.heard.astype(np.int32), 2))
    at = run.moves(1000)
    near = [bend[n * BLOCK : (n + 4) * BLOCK].max() for n in at if (n + 4) * BLOCK < len(bend)]
    assert max(near, default=0) <= bend[5 * BLOCK * 100 : 30 * BLOCK * 100].max() * 1.3


@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_hour_of_everything_leaves_no_trace():
    """Loss, jitter, drift, a stall each minute: the last minutes are as the first."""
    path = stalling(random.Random(3), loss=0.05)
    run = play(arrivals(encoded("speech", 20) * 180, path, 5e-5), 3599)
    lag = run.lag() - np.arange(len(run.heads)) * 0.01 * 5e-5
    assert np.median(lag[-60_000:]) < np.median(lag[1000:61_000]) + 0.005
    assert run.tally.played / run.tally.received > 0.98


@pytest.mark.long
@pytest.mark.timeout(900)
def test_an_hour_of_a_voice_leaves_no_memory_behind():
    """Loss, jitter, drift, pauses and a stall each minute; what is held after an hour is what was after ten minutes."""
    path = stalling(random.Random(4), loss=0.1)
    arriving = iter(arrivals(encoded("speech", 20) * 180, path, 5e-5, copies=(2, 1)))
    playout, held = Playout(), []
    when, voice = next(arriving)
    tracemalloc.start()
    for count in range(359_000):
        now = PHASE + count * 0.01
        while voice is not None and when <= now:
            playout.put(voice, now)
            when, voice = next(arriving, (float("inf"), None))
        playout.pull(now)
        if count in (63_000, 357_000):  # half a minute after a stall
            gc.collect()  # numpy leaves cycles behind
            held.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert playout.tally.received > 150_000
    assert held[1] < held[0] + 32 * 1024
