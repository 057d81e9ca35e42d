"""The echo canceller's reference stays in step with the microphone, however unevenly its two threads run."""

from __future__ import annotations

import numpy as np
import pytest

from palaver_engine.blocks import BLOCK, SILENCE, Samples
from palaver_engine.far_end import MOST, FarEnd

MINUTES = 10


def numbered(number: int) -> Samples:
    return np.full(BLOCK, number, np.int16)


def moments(count: int, ppm: float, jitter: float, burst: int, seed: int) -> np.ndarray:
    """When (s) a thread is called for each of its blocks: some at once, and none before the one before it."""
    random = np.random.default_rng(seed)
    due = np.ceil((np.arange(count) + 1) / burst) * burst * 0.01 * (1 + ppm * 1e-6)
    return np.maximum.accumulate(due + random.uniform(0, jitter, count))


def run(played: np.ndarray, heard: np.ndarray) -> tuple[FarEnd, list[int]]:
    """By how many blocks the reference came too late, for each of the microphone's that got one."""
    far_end, late = FarEnd(), []
    events = sorted([(when, 0, n) for n, when in enumerate(played)] + [(when, 1, n) for n, when in enumerate(heard)])
    for _, is_heard, number in events:
        if not is_heard:
            far_end.put(numbered(number % 30_000 + 1))
        elif (block := far_end.take()) is not SILENCE:
            late.append((number - int(block[0]) + 1 + 15_000) % 30_000 - 15_000)
    return far_end, late


def test_one_device_that_gives_and_takes_in_turn_has_no_delay():
    far_end = FarEnd()
    for number in range(1000):
        far_end.put(numbered(number))
        assert far_end.take()[0] == number
    assert not far_end.shifts


def test_nothing_played_is_silence():
    far_end = FarEnd()
    assert all(far_end.take() is SILENCE for _ in range(10))
    far_end.put(numbered(7))
    assert far_end.take()[0] == 7
    assert far_end.take() is SILENCE


@pytest.mark.parametrize(("burst", "other_burst"), [(1, 1), (3, 2), (2, 4)])
@pytest.mark.parametrize("ppm", [0, 50, -50])
def test_two_devices_are_brought_in_step_once_and_then_as_seldom_as_they_drift(ppm: int, burst: int, other_burst: int):
    count = MINUTES * 6000
    far_end, late = run(moments(count, ppm, 0.012, burst, 1), moments(count, 0, 0.012, other_burst, 2))
    drift = MINUTES * 60 * abs(ppm) * 1e-6 / 0.01  # blocks
    assert far_end.shifts <= 3 + drift
    assert max(late) <= 2 * max(burst, other_burst) + drift
    assert len(late) > 0.999 * count


def test_what_a_stall_has_held_back_is_not_late_for_ever():
    played = moments(3000, 0, 0.002, 1, 1)
    stalled = np.where((played > 10) & (played < 10.3), 10.3, played)
    far_end, late = run(stalled, moments(3000, 0, 0.002, 1, 2))
    assert max(late) >= 29
    assert max(late[1600:]) <= 3
    assert far_end.shifts <= 4


def test_a_microphone_that_stands_still_lets_nothing_pile_up():
    far_end = FarEnd()
    for number in range(10_000):
        far_end.put(numbered(number))
    assert far_end.take()[0] == 10_000 - MOST
