"""Workers that die, hang or are asked to end under people who talk: who notices what, and for how long."""

import os
import signal
from functools import partial

import pytest
import trio

from media.crowd import crowd
from media.stats_pages import read, workers_once
from running import serving
from world import visiting

pytestmark = pytest.mark.trio

PATIENCE = 20.0  # s for what has no limit of its own
BACK = 3.0  # s until all hear each other after a death
BACK_FROM_HANGING = 4.0


async def busy_one(url, count):
    """The process that carries rooms, once so many workers are up, the spare included."""
    found = await workers_once(url, lambda up: len(up) == count)
    return max(found, key=lambda worker: worker["rooms"])["pid"]


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def all_are_back(everybody, moment):
    """Whether all have negotiated since then, and have heard each other."""
    has_moved = all(each.resets and each.resets[-1] > moment for each in everybody.people)
    return has_moved and not everybody.missing()


async def sound_goes_on(everybody, seconds=1.0):
    """All hear each other without a new negotiation, now and in a while."""
    before = {(one.name, other.name): one.heard[other.name] for one, other in everybody.pairs()}
    began = trio.current_time()
    await everybody.until(lambda: not everybody.missing(began + seconds), seconds + 1)
    for one, other in everybody.pairs():
        assert one.heard[other.name] - before[one.name, other.name] >= 45 * seconds
        assert not one.resets


@pytest.mark.parametrize("times", [2, pytest.param(20, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
async def test_when_a_worker_is_killed_fifty_people_hear_each_other_again_within_three_seconds(times):
    async with serving() as (url, server), crowd(url, rooms=10, people=5) as everybody:
        for _ in range(times):
            victim = await busy_one(url, 2)
            moment = trio.current_time()
            os.kill(victim, signal.SIGKILL)
            await everybody.until(partial(all_are_back, everybody, moment), BACK)
            assert everybody.recovered() - moment < BACK
        assert all(len(each.resets) == times for each in everybody.people)
        assert not everybody.noise()
        assert len((await read(url, "/api/rooms"))["rooms"]) == 10
        assert not any(each.broken for each in everybody.people)
        assert server.errors == []


async def test_a_worker_that_hangs_is_ended_and_replaced_within_four_seconds():
    async with serving() as (url, server), crowd(url, rooms=2, people=3) as everybody:
        victim = await busy_one(url, 2)
        moment = trio.current_time()
        os.kill(victim, signal.SIGSTOP)
        await everybody.until(partial(all_are_back, everybody, moment), BACK_FROM_HANGING)
        assert not everybody.noise()
        await everybody.until(lambda: not is_alive(victim))
        assert any("said nothing for 3 s" in line for line in server.errors)


async def test_a_death_concerns_only_the_rooms_of_that_worker():
    async with serving("--workers", "2") as (url, _), crowd(url, rooms=4, people=2) as everybody:
        found = await workers_once(url, lambda up: len(up) == 3)
        assert sorted(worker["rooms"] for worker in found) == [0, 2, 2]
        port = everybody.people[0].legs["send"].address[1]
        concerned = [each for each in everybody.people if each.legs["send"].address[1] == port]
        others = [each for each in everybody.people if each not in concerned]
        assert len(concerned) == len(others) == 4
        moment = trio.current_time()
        os.kill(max(found, key=lambda worker: worker["rooms"])["pid"], signal.SIGKILL)
        await everybody.until(lambda: any(each.resets for each in everybody.people))
        if any(each.resets for each in others):
            concerned, others = others, concerned
        await everybody.until(lambda: all(each.resets for each in concerned) and not everybody.missing(moment + 0.5))
        assert not any(each.resets for each in others)
        assert not everybody.noise()


async def test_a_worker_that_is_asked_to_end_carries_on_and_gets_nothing_new():
    async with serving() as (url, server), crowd(url, rooms=2, people=2) as everybody:
        old = await busy_one(url, 2)
        port = everybody.people[0].legs["send"].address[1]
        os.kill(old, signal.SIGTERM)
        await everybody.until(lambda: any("takes no more rooms" in line for line in server.errors))
        await sound_goes_on(everybody)
        late = await everybody.enter("late", "elsewhere")
        assert late.legs["send"].address[1] != port
        for each in everybody.people:
            if each is not late:
                each.scope.cancel()
        found = await workers_once(url, lambda up: len(up) == 2 and old not in {worker["pid"] for worker in up})
        assert sorted(worker["rooms"] for worker in found) == [0, 1]
        assert not is_alive(old)
        assert not late.resets


async def test_a_server_that_is_asked_to_end_lets_calls_go_on_for_a_while():
    async with serving("--drain", "2") as (url, server), crowd(url, rooms=1, people=2) as everybody:
        began = trio.current_time()
        server.process.send_signal(signal.SIGTERM)
        for each in everybody.people:
            warning = await each.person.expect("serverNotice")
            assert (warning["level"], warning["code"]) == ("warning", "draining")
        assert (await read(url, "/healthz"))["status"] == "draining"
        async with visiting(url, "newcomer") as newcomer:
            assert (await newcomer.expect("serverNotice"))["code"] == "draining"
            assert await newcomer.may_not("createRoom", roomType="group") == "overloaded"
        await sound_goes_on(everybody)
        assert await server.wait() == 0
        assert 2 <= trio.current_time() - began < 4
        for each in everybody.people:
            assert [payload["reason"] for payload in each.person.heard("callEnded")] == ["shutdown"]
        assert server.errors == []


async def test_a_drain_ends_with_the_last_room():
    async with serving("--drain", "60") as (url, server), crowd(url, rooms=1, people=2) as everybody:
        server.process.send_signal(signal.SIGTERM)
        await everybody.people[0].person.expect("serverNotice")
        for each in everybody.people:
            await each.person.does("leaveRoom", roomId=each.room_id)
        assert await server.wait(5) == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_ends_a_drain(second):
    async with serving("--drain", "60") as (url, server), visiting(url, "ann") as ann:
        await ann.does("createRoom", roomType="group")
        server.process.send_signal(signal.SIGTERM)
        await ann.expect("serverNotice")
        assert await server.end(second, patience=5) == 0
        assert ann.heard("callEnded")[0]["reason"] == "shutdown"
