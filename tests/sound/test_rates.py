"""What reports make of the way a voice is sent, and what the encoder's cost makes of its complexity."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from palaver_engine.effort import CALM, CHEAP, DEAR, LEVELS, WINDOW, Effort
from palaver_engine.rates import LEAST, Heard, Plan, Rates
from palaver_media.sound_settings import FRAMES, Encoding

PACKETS = 50  # in a second of 20 ms frames


def rates(has_red: bool = True, **encoding: int) -> Rates:
    return Rates(Encoding(**encoding), has_red)


def by_chance(loss: float, seconds: int, seed: int = 1) -> list[Heard]:
    random = np.random.default_rng(seed)
    return [Heard(PACKETS, int(random.binomial(PACKETS, loss)), 0.02) for _ in range(seconds)]


def in_rows(loss: float, seconds: int, length: float = 3, seed: int = 1) -> list[Heard]:
    random = np.random.default_rng(seed)
    is_bad, reports = False, []
    for _ in range(seconds):
        lost = 0
        for chance in random.random(PACKETS):
            is_bad = chance >= 1 / length if is_bad else chance < loss / length / (1 - loss)
            lost += is_bad
        reports.append(Heard(PACKETS, int(lost), 0.02))
    return reports


def plans(machine: Rates, reports: list[Heard]) -> list[Plan]:
    made = []
    for each in reports:
        machine.report(each)
        made.append(machine.plan)
    return made


def test_before_anything_is_known_fec_is_on():
    assert rates().plan == Plan(48_000, 10)
    assert rates(bitrate=16_000, frame_ms=40).plan == Plan(16_000, 10)


def test_the_declared_loss_follows_the_reports_and_is_never_under_ten():
    machine = rates(has_red=False)
    declared = [plan.expected_loss for plan in plans(machine, by_chance(0.16, 6))]
    assert declared[1] >= 15
    assert set(declared) <= {10, 15, 20, 25}
    assert plans(machine, by_chance(0.6, 4))[-1].expected_loss == 25
    assert plans(machine, by_chance(0.0, 4))[-1].expected_loss > 10  # a good second is no good path
    assert plans(machine, by_chance(0.0, 30))[-1] == Plan(48_000, 10)


def test_losses_by_chance_are_mended_by_copies_that_cost_as_much_again():
    machine = rates()
    assert plans(machine, by_chance(0.005, 20))[-1] == Plan(48_000, 10)
    assert plans(machine, by_chance(0.08, 8))[-1] == Plan(48_000, 10, copies=1, spacing=1)
    assert plans(machine, by_chance(0.2, 8))[-1] == Plan(48_000, 10, copies=1, spacing=2)
    assert machine.plan.offsets == (2,)
    assert plans(machine, by_chance(0.33, 8))[-1] == Plan(32_000, 10, copies=2, spacing=3)
    assert machine.plan.offsets == (6, 3)
    assert plans(machine, by_chance(0.0, 20))[-1] == Plan(48_000, 10)


def test_losses_in_rows_are_mended_by_copies_from_farther_back():
    found = [plans(rates(), in_rows(0.1, 20, seed=seed))[-1] for seed in range(40)]
    assert sum(plan.offsets in {(4, 2), (6, 3)} for plan in found) >= 31
    assert Plan(32_000, 0, copies=2, spacing=2) in found
    found = [plans(rates(), by_chance(0.1, 20, seed=seed))[-1] for seed in range(40)]
    assert sum(plan.copies > 1 for plan in found) <= 4


def test_rows_are_often_seen_after_a_few_reports_and_seldom_where_there_are_none():
    rows = [plans(rates(), in_rows(0.1, 5, seed=seed))[-1].copies == 2 for seed in range(200)]
    chance = [plans(rates(), by_chance(0.1, 5, seed=seed))[-1].copies == 2 for seed in range(200)]
    assert sum(rows) > 60
    assert sum(chance) < 14


@pytest.mark.parametrize("reports", [3, 5, 8, 12])
def test_a_path_that_has_become_worse_is_none_of_rows(reports):
    made = [plans(rates(), [*by_chance(0, 5), *by_chance(0.2, reports, seed=seed)])[-1] for seed in range(200)]
    assert sum(plan.expected_loss == 0 for plan in made) < 30  # in rows there is no FEC


@pytest.mark.parametrize("loss", [0.035, 0.145])
def test_a_path_near_a_threshold_does_not_go_to_and_fro(loss):
    for seed in range(10):
        made = plans(rates(), by_chance(loss, 120, seed=seed))
        kinds = [plan.offsets for plan in made]
        assert sum(one != other for one, other in itertools.pairwise(kinds)) <= 12


def test_without_red_there_are_no_copies():
    assert {plan.copies for plan in plans(rates(has_red=False), in_rows(0.2, 20) + by_chance(0.3, 20))} == {0}


@pytest.mark.parametrize(("bitrate", "copies"), [(16_000, 1), (23_999, 1), (24_000, 2), (64_000, 2)])
def test_a_voice_keeps_the_least_bitrate_and_has_fewer_copies(bitrate, copies):
    made = plans(rates(bitrate=bitrate), by_chance(0.3, 5))[-1]
    assert (made.copies, made.bitrate) == (copies, min(bitrate, 2 * bitrate // (1 + copies)))


def test_short_frames_have_fec_only_when_something_is_lost():
    machine = rates(frame_ms=10)
    assert machine.plan == Plan(48_000, 0)
    assert plans(machine, by_chance(0.02, 5))[-1] == Plan(48_000, 10)
    assert plans(machine, by_chance(0.08, 8))[-1] == Plan(48_000, 10, copies=1, spacing=1)
    assert plans(machine, by_chance(0.2, 8))[-1] == Plan(48_000, 10, copies=1, spacing=2)
    assert plans(machine, by_chance(0.0, 20))[-1] == Plan(48_000, 0)


def test_the_other_side_s_estimate_is_kept_to_with_all_headers():
    machine = rates()
    machine.limit(50_000)
    assert machine.plan.bitrate == 50_000 - 62 * 8 * 50
    machine.limit(10_000)
    assert machine.plan.bitrate == LEAST
    machine.limit(1_000_000)
    assert machine.plan.bitrate == 48_000


def test_losses_with_a_growing_delay_make_us_send_less_and_without_they_do_not():
    machine = rates()
    plans(machine, by_chance(0.0, 5))
    queued = [evolve(each, round_trip=0.3) for each in by_chance(0.1, 6)]
    assert plans(machine, queued)[-1].bitrate * (1 + machine.plan.copies) < 24_000
    assert plans(machine, by_chance(0.0, 40))[-1] == Plan(48_000, 10)
    made = plans(machine, by_chance(0.2, 10))[-1]
    assert made.bitrate * (1 + made.copies) == 96_000


def test_where_a_queue_grows_copies_go_before_the_voice_does():
    machine = rates()
    plans(machine, by_chance(0.1, 5))
    made = plans(machine, [Heard(PACKETS, 8, 0.3)] * 5)
    assert made[-1].copies == 0
    assert max(plan.bitrate for plan in made if not plan.copies) == 48_000  # what the copies took is the voice's again
    assert all(plan.bitrate >= 0.6 * 48_000 for plan in made if plan.copies)
    assert plans(machine, [Heard(PACKETS, 5, 0.3)])[-1].bitrate < made[-1].bitrate
    least = machine.plan.bitrate
    assert {plan.bitrate for plan in plans(machine, [Heard(PACKETS, 0, 0.3)] * 9)} == {least}  # not beside a queue


def test_what_is_said_of_next_to_nothing_tells_how_fast_a_path_can_be():
    machine = rates()
    plans(machine, [Heard(3, 0, 0.02)])
    assert plans(machine, [Heard(PACKETS, 8, 0.3)])[-1].bitrate < 48_000


def test_a_report_about_next_to_nothing_says_nothing():
    machine = rates()
    assert plans(machine, [Heard(5, 5)] * 9)[-1] == Plan(48_000, 10)


@given(
    st.lists(
        st.builds(
            lambda expected, share, trip: Heard(expected, round(expected * share), trip),
            st.integers(0, 40_000),
            st.floats(0, 1),
            st.none() | st.floats(0, 70_000),
        ),
        max_size=40,
    ),
    st.booleans(),
    st.sampled_from(FRAMES),
    st.integers(16_000, 64_000),
    st.none() | st.integers(0, 1 << 40),
)
def test_whatever_is_reported_the_plan_is_within_its_limits(reports, has_red, frame_ms, bitrate, bandwidth):
    machine = rates(has_red, frame_ms=frame_ms, bitrate=bitrate)
    if bandwidth is not None:
        machine.limit(bandwidth)
    for plan in [machine.plan, *plans(machine, reports)]:
        assert LEAST <= plan.bitrate <= bitrate
        assert plan.bitrate * (1 + plan.copies) <= 2 * bitrate
        assert plan.expected_loss == 0 or 10 <= plan.expected_loss <= 25
        assert all(0 < each * frame_ms <= 160 for each in plan.offsets)


def spend(effort: Effort, share: float, windows: int) -> int:
    for _ in range(windows * WINDOW):
        effort.note(share * 0.02, 0.02)
    return effort.complexity


def test_complexity_falls_on_a_weak_machine_and_rises_again_late():
    effort = Effort()
    assert effort.complexity == LEVELS[-1]
    assert spend(effort, DEAR * 1.1, 1) == LEVELS[-2]
    assert spend(effort, (DEAR + CHEAP) / 2, 50) == LEVELS[-2]
    assert spend(effort, CHEAP / 2, CALM - 1) == LEVELS[-2]
    assert spend(effort, CHEAP / 2, 1) == LEVELS[-1]
    assert spend(effort, DEAR * 1.1, 9) == LEVELS[0]
    assert spend(effort, CHEAP / 2, 60 * CALM) == LEVELS[-1]


def test_a_machine_that_bears_one_level_and_not_the_next_tries_that_ever_more_seldom():
    effort, costs = Effort(), dict(zip(LEVELS, (0.01, 0.012, 0.08, 0.09), strict=True))
    levels = []
    for _ in range(2000):
        levels.append(effort.complexity)
        spend(effort, costs[effort.complexity], 1)
    assert levels[-1] == LEVELS[1]
    assert 3 <= levels.count(LEVELS[2]) <= 12


def test_a_few_interruptions_are_not_the_encoders():
    effort = Effort()
    for count in range(20 * WINDOW):
        effort.note(0.1 if count % 3 == 0 else 0.0003, 0.02)
    assert effort.complexity == LEVELS[-1]
