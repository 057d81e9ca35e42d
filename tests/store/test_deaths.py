"""A server that is killed loses the last 50 ms at most, and its successor starts at once."""

from __future__ import annotations

import random
import signal
import time

import pytest
import trio

from store.places import keeping, read

pytestmark = pytest.mark.trio

LOSS = 0.050  # s
SLACK = 0.100  # s more, for a machine that is busy with other tests; 9 to 34 ms were lost in 18 runs


def marks_of(keeper):
    """When each mark was made, s, monotonic."""
    return {int(number): float(at) for number, at in (line.split() for line in keeper.lines[1:])}


async def killed_while_counting(spec, after):
    """The marks of a keeper that was killed `after` s, and when it was killed."""
    async with keeping(spec) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        await keeper.say("count")
        await keeper.wait_line(lambda line: line.startswith("5 "))
        await trio.sleep(after)
        killed = time.monotonic()
        await keeper.end(signal.SIGKILL)
        await trio.testing.wait_all_tasks_blocked(0.01)  # its last lines are read
        return marks_of(keeper), killed


@pytest.mark.parametrize("seed", range(3))
async def test_a_killed_server_loses_the_last_50_ms_at_most(spec, seed):
    made, killed = await killed_while_counting(spec, random.Random(seed).uniform(0.1, 0.6))
    kept = await read(spec)
    last = int(kept.pop("last"))
    assert sorted(kept) == [f"n:{number:06d}" for number in range(1, last + 1)]  # whole groups, in order
    lost = [number for number in made if number > last]
    assert not lost or killed - made[lost[0]] < LOSS + SLACK


async def test_the_successor_of_a_killed_server_starts_at_once(spec):
    async with keeping(spec) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        await keeper.say("mark room:1 a\nwait")
        await keeper.wait_line(lambda line: line == "all is kept")
        await keeper.end(signal.SIGKILL)
    started = time.monotonic()
    assert await read(spec) == {"room:1": b"a"}
    assert time.monotonic() - started < (2.5 if spec.startswith("redis") else 0.5)  # a lease of 2 s, or none


async def test_a_server_that_ends_in_order_loses_nothing(spec):
    async with keeping(spec) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        await keeper.say("mark room:1 a")
        assert keeper.process.stdin is not None
        await keeper.process.stdin.aclose()  # the end comes before the commit
        await keeper.wait()
        assert keeper.process.returncode == 0
    assert await read(spec) == {"room:1": b"a"}
