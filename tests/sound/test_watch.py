"""When a stream's health is in doubt, on a clock of our own; the latencies are as PulseAudio gives them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from palaver_engine.watch import CHECKS, GONE, OPENING, PERIOD, SELDOM, SOON, Health, Reopening, Watch


class Clock:
    """A stream whose callbacks come every 10 ms, checked every 0.25 s."""

    def __init__(self) -> None:
        self.now = self.busy = 0.0
        self.watch = Watch(self.now)

    def live(self, latency: float, calls: float = 100, busy: float = 0.05) -> Health:
        """A period with `calls` a second, and its verdict; latency in ms."""
        count = round(calls * PERIOD)
        for at in range(count):
            self.busy += busy * PERIOD / count
            self.watch.note(self.now + at * PERIOD / count, latency / 1000, self.busy)
        self.now += PERIOD
        return self.watch.check(self.now)

    def verdicts(self, latencies: Iterable[float]) -> list[Health]:
        return [self.live(latency) for latency in latencies]


@pytest.fixture
def clock() -> Clock:
    """A stream that has been open for a while, at 66 ms."""
    clock = Clock()
    clock.verdicts([18, *[66] * OPENING])
    return clock


@pytest.mark.parametrize("step", [36, 60, 300])
def test_a_step_is_found_within_a_second(clock: Clock, step: float):
    assert clock.verdicts([66] * 40) == [Health.FINE] * 40
    assert clock.verdicts([66 + step] * CHECKS) == [*[Health.FINE] * (CHECKS - 1), Health.DELAYED]


def test_what_lasts_less_than_a_second_is_no_step(clock: Clock):
    for _ in range(5):
        assert set(clock.verdicts([66 + 120] * (CHECKS - 1) + [66])) == {Health.FINE}


def test_an_estimate_that_creeps_is_no_step(clock: Clock):
    up = [66 - 10 + 7 * PERIOD * at for at in range(18)]  # 7 ms a second, 31 ms in all
    assert set(clock.verdicts([*up, *reversed(up), *up])) == {Health.FINE}


def test_an_estimate_that_falls_for_moments_is_no_step(clock: Clock):
    assert set(clock.verdicts([35, 66, 38, 50, 36, 70, 69, 70, 68, 72] * 5)) == {Health.FINE}


def test_a_step_is_found_after_the_estimate_fell(clock: Clock):
    assert set(clock.verdicts([56] * 20)) == {Health.FINE}
    assert clock.verdicts([56 + 36] * CHECKS)[-1] is Health.DELAYED


def test_latency_that_grows_without_end_is_found(clock: Clock):
    grown = clock.verdicts(66 + 5 * PERIOD * at for at in range(60))
    assert grown.index(Health.DELAYED) == pytest.approx(60 / (5 * PERIOD), abs=CHECKS + 1)


def test_buffers_fill_up_while_it_opens():
    assert set(Clock().verdicts([10, 20, 30, 60, 75, 66, 66, 66, 75, 75, 75, 75, 75])) == {Health.FINE}


def test_a_stream_that_calls_no_more_is_dead(clock: Clock):
    clock.now += GONE - 0.01
    assert clock.watch.check(clock.now) is Health.FINE
    clock.now += 0.02 + PERIOD
    assert clock.watch.check(clock.now) is Health.DEAD


@pytest.mark.parametrize(("calls", "busy"), [(300, 0.05), (100, 0.5)])
def test_a_stream_that_calls_too_often_or_works_too_much_spins(clock: Clock, calls: float, busy: float):
    assert [clock.live(66, calls, busy) for _ in range(CHECKS)][-1] is Health.SPINNING
    assert clock.live(66) is Health.FINE


def test_a_stream_that_opening_again_does_not_help_is_opened_ever_more_seldom():
    reopening = Reopening()
    opened = [now for now in range(600) if reopening.is_due(now)]
    pauses = np.diff(opened)
    assert opened[0] == 0
    assert list(pauses[:5]) == [3, 6, 12, 24, 48]
    assert set(pauses[5:]) == {SELDOM}
    well = opened[-1] + 2 * SELDOM + 1  # after which it is as good as new
    assert [now for now in range(int(well), int(well) + 4) if reopening.is_due(now)] == [well, well + SOON]
