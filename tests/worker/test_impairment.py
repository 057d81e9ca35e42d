"""The bad network of the benches: its paths on a virtual clock, and its relay with real sockets."""

from __future__ import annotations

import itertools
import socket
import statistics
import time

import pytest
from attrs import evolve

from impairment import Conditions, Jitter, Path, Plan, Stall, steadily
from impairment_relay import Relay, Route, relaying

STEP = 0.02


def departures(plan: Plan, count: int = 8_000, name: str = "there", size: int = 100) -> list[float | None]:
    """The delay of each datagram of a steady stream, None = lost."""
    path = Path(plan, name)
    leaves = [path.carry(number * STEP, size) for number in range(count)]
    return [None if due is None else due - number * STEP for number, due in enumerate(leaves)]


def delays(plan: Plan, **more: int) -> list[float]:
    return [delay for delay in departures(plan, **more) if delay is not None]


def bursts(leaves: list[float | None]) -> list[int]:
    return [len(list(run)) for is_lost, run in itertools.groupby(leaves, lambda due: due is None) if is_lost]


def test_without_conditions_everything_passes_at_once():
    assert set(departures(Plan())) == {0.0}


def test_the_same_seed_and_direction_does_the_same_and_any_other_does_not():
    plan = steadily(Conditions(loss=0.1, delay_ms=20, jitter_ms=10), seed=3)
    assert departures(plan) == departures(plan)
    assert departures(plan) != departures(plan, name="back")
    assert departures(plan) != departures(evolve(plan, seed=4))


def test_what_is_lost_depends_on_the_loss_alone():
    lost = steadily(Conditions(loss=0.1))
    late = steadily(Conditions(loss=0.1, delay_ms=30, jitter_ms=10, reordered=0.1, rate_kbps=1000))
    assert [due is None for due in departures(lost)] == [due is None for due in departures(late)]


@pytest.mark.parametrize(("loss", "burst"), [(0.1, 0), (0.1, 3), (0.3, 5), (0.05, 4)])
def test_loss_has_its_share_and_its_mean_length(loss, burst):
    leaves = departures(steadily(Conditions(loss=loss, burst=burst)), count=30_000)
    assert sum(due is None for due in leaves) / len(leaves) == pytest.approx(loss, rel=0.12)
    assert statistics.mean(bursts(leaves)) == pytest.approx(burst or 1 / (1 - loss), rel=0.12)


def test_a_burst_need_not_lose_everything():
    leaves = departures(steadily(Conditions(loss=0.1, burst=10, loss_in_burst=0.5)), count=30_000)
    assert sum(due is None for due in leaves) / len(leaves) == pytest.approx(0.1, rel=0.15)
    assert statistics.mean(bursts(leaves)) < 2.5


def test_uniform_jitter_fills_its_range_and_normal_jitter_has_its_deviation():
    uniform = delays(steadily(Conditions(delay_ms=20, jitter_ms=10)))
    assert (min(uniform), max(uniform)) == (pytest.approx(0.010, abs=1e-4), pytest.approx(0.030, abs=1e-4))
    normal = delays(steadily(Conditions(delay_ms=50, jitter_ms=5, jitter=Jitter.NORMAL)))
    assert statistics.mean(normal) == pytest.approx(0.05, rel=0.01)
    assert statistics.stdev(normal) == pytest.approx(0.005, rel=0.03)


def test_jitter_beyond_the_delay_never_sends_before_it_came():
    assert min(delays(steadily(Conditions(delay_ms=5, jitter_ms=50)))) == 0.0


def tally_of(conditions: Conditions, interval: float = 0.01) -> tuple[list[float], Path]:
    path = Path(steadily(conditions), "there")
    leaves = [path.carry(number * interval, 100) for number in range(5000)]
    return [due for due in leaves if due is not None], path


def test_jitter_may_overtake_or_keep_the_order():
    free, path = tally_of(Conditions(delay_ms=30, jitter_ms=20))
    assert free != sorted(free)
    assert path.tally.overtaken > 1000
    kept, path = tally_of(Conditions(delay_ms=30, jitter_ms=20, keeps_order=True))
    assert kept == sorted(kept)
    assert path.tally.overtaken == 0


def test_reordering_holds_back_its_share_and_nothing_else():
    leaves = delays(steadily(Conditions(reordered=0.05, reorder_ms=50, keeps_order=True)))
    assert {round(delay, 6) for delay in leaves} == {0.0, 0.05}
    assert sum(delay > 0 for delay in leaves) / len(leaves) == pytest.approx(0.05, rel=0.1)


def test_a_line_that_is_too_slow_fills_its_queue_and_drops():
    path = Path(steadily(Conditions(rate_kbps=20, queue_ms=100)), "there")  # 40 kb/s come
    leaves = [path.carry(number * STEP, 100) for number in range(1000)]
    assert path.tally.overflowed == pytest.approx(500, abs=5)
    assert path.tally.most_delay_s == pytest.approx(0.14, abs=0.005)  # what was in the queue, and itself
    passed = [due for due in leaves if due is not None]
    assert min(after - before for before, after in itertools.pairwise(passed)) == pytest.approx(0.04)


def test_a_stall_lets_nothing_through_and_then_everything_in_order():
    path = Path(Plan(steps=((0.0, Conditions(delay_ms=20)),), stalls=(Stall(1.0, 0.5),)), "there")
    leaves = [path.carry(number * STEP, 100) for number in range(100)]
    assert [due for due in leaves if due is not None and 1.0 <= due < 1.5] == []
    assert leaves.count(1.5) == 26  # those of the stall, and the one whose time it was
    assert leaves == sorted(leaves)


def test_conditions_change_when_it_is_time():
    plan = Plan(steps=((0.0, Conditions()), (2.0, Conditions(delay_ms=100)), (4.0, Conditions(loss=1.0))))
    leaves = departures(plan, count=300)
    assert set(leaves[:100]) == {0.0}
    assert {round(delay, 6) for delay in leaves[100:200]} == {0.1}
    assert set(leaves[200:]) == {None}


def test_the_tally_tells_what_was_done():
    path = Path(steadily(Conditions(loss=0.2, burst=4, delay_ms=10)), "there")
    leaves = [path.carry(number * STEP, 100) for number in range(1000)]
    tally = path.tally
    assert (tally.taken, tally.lost, tally.bursts) == (1000, leaves.count(None), len(bursts(leaves)))
    assert tally.delay_s == pytest.approx(tally.passed * 0.01)


def test_what_is_spared_is_delayed_alone():
    plan = Plan(steps=((0.0, Conditions(loss=1.0, delay_ms=30)),), stalls=(Stall(1.0, 0.5),))
    path = Path(plan, "there")
    assert (path.spare(0.5), path.spare(1.2)) == (pytest.approx(0.53), pytest.approx(1.5))
    assert path.tally.taken == 0


# The relay itself

SOUND = bytes((0x80, 100)) + bytes(60)
CHECK = bytes(20)  # a STUN message begins with two zero bits


def opened() -> socket.socket:
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("127.0.0.1", 0))
    end.settimeout(10)
    return end


def say(relay: Relay, server: socket.socket, client: socket.socket) -> tuple[str, int]:
    """Send one by the relay; where it came from."""
    client.send(CHECK)
    return server.recvfrom(100)[1]


def test_the_relay_carries_both_ways_and_knows_whose_client_is_who():
    with opened() as free:
        listen = free.getsockname()
    with opened() as server, opened() as ann, opened() as ben, relaying(Route(listen, server.getsockname())) as relay:
        ann.connect(listen)
        ben.connect(listen)
        relay.name("ann")
        to_ann = say(relay, server, ann)
        relay.name("ben")
        to_ben = say(relay, server, ben)
        assert to_ann != to_ben
        relay.begin(ann_there=steadily(Conditions(loss=1.0)), ben_back=steadily(Conditions(delay_ms=50)))
        ann.send(SOUND)
        ben.send(SOUND)
        assert server.recvfrom(100) == (SOUND, to_ben)  # Ann's is lost
        ann.send(CHECK)
        assert server.recvfrom(100) == (CHECK, to_ann)  # a check is not
        began = time.monotonic()
        server.sendto(SOUND, to_ben)
        assert ben.recv(100) == SOUND
        assert time.monotonic() - began >= 0.05
        server.sendto(SOUND, to_ann)
        assert ann.recv(100) == SOUND
        told = relay.statistics()
    assert told["paths"]["ann there"]["lost"] == 1
    assert told["paths"]["ben back"]["delay_s"] == pytest.approx(0.05)
    assert 0 <= told["late_ms_p50"] <= told["late_ms_p99"] <= told["late_ms_most"]
    assert told["late_ms_p50"] < 5  # on the idle machine, 0.1
