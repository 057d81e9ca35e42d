"""What ends, ends whole: calls, programs and workers, and nothing is left of them."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from pathlib import Path

import pytest
import trio

from palaver_client import Client, MediaState, connect
from running import Program, running, serving

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]
TALKING = ("--room", "lobby", "--input", "tone:440", "--output", "null", "--json")


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def health(url: str) -> dict[str, int]:
    with urllib.request.urlopen(f"{url}/healthz") as answer:
        found: dict[str, int] = json.load(answer)
    return found


async def wait_health(url: str, **wanted: int) -> None:
    """The worker tells its transports once a second."""
    found: dict[str, int] = {}
    with trio.move_on_after(5):
        while True:
            found = await trio.to_thread.run_sync(health, url)
            if wanted.items() <= found.items():
                return
            await trio.sleep(0.1)
    raise AssertionError(found)


def more(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    return {what: number for what, number in after.items() if number > before[what]}


async def join_and_leave(client: Client) -> None:
    """One call until its sound is connected."""
    await trio.sleep(0.4)  # what a call costs of the budget of requests comes back
    async with client.changes() as changes, client.call("lobby", source="tone:330", sink="null"):
        async for change in changes:
            if change.new.media is MediaState.CONNECTED:
                return


@pytest.mark.parametrize("rounds", [12, pytest.param(100, marks=pytest.mark.long)])
async def test_joins_leave_nothing_behind(rounds: int) -> None:
    def count(server: Program) -> dict[str, int]:
        pids = {"server": server.process.pid, "us": os.getpid()}
        pids["worker"], pids["spare"] = sorted(children(server.process.pid))
        (pids["engine"],) = (pid for pid in children(os.getpid()) if pid != server.process.pid)
        tasks = trio.lowlevel.current_statistics().tasks_living
        return {
            "processes": len(children(os.getpid())) + len(children(server.process.pid)),
            "tasks": tasks,
            **{f"{name} descriptors": descriptors(pid) for name, pid in pids.items()},
            "worker threads": threads(pids["worker"]),
            "spare threads": threads(pids["spare"]),
            "engine threads": threads(pids["engine"]),
        }

    async with serving() as (url, server), connect(url, "ann") as client:
        for _ in range(5):  # what is opened once and kept
            await join_and_leave(client)
        await wait_health(url, connections=1, rooms=0, transports=0)
        before = count(server)
        for _ in range(rounds):
            await join_and_leave(client)
        await wait_health(url, connections=1, rooms=0, transports=0)
        for _ in range(100):  # the server may still be closing the connection by which its health was asked for
            if not more(before, count(server)):
                break
            await trio.sleep(0.05)
        assert more(before, count(server)) == {}


async def test_a_killed_client_is_away_for_the_others_at_once_and_gone_after_the_grace() -> None:
    async with (
        serving("--resume-grace", "2") as (url, _),
        running("call", url, "--name", "ann", *TALKING) as ann,
        running("call", url, "--name", "ben", *TALKING) as ben,
    ):
        await ann.wait_event("mediaStarted")
        ben.process.send_signal(signal.SIGKILL)
        await ann.wait_event("mediaState", name="ben", isAway=True, patience=2)
        await ann.wait_event("userLeft", name="ben", patience=4)
        await wait_health(url, connections=1, rooms=1, transports=2)
        told = [event["isAway"] for event in ann.events("mediaState") if event["name"] == "ben"]
        assert told == [True]
        assert len(ann.events("userLeft")) == 1
        assert ann.process.poll() is None


async def test_when_the_worker_is_killed_both_are_heard_again() -> None:
    async with (
        serving() as (url, server),
        running("call", url, "--name", "ann", *TALKING) as ann,
        running("call", url, "--name", "ben", *TALKING) as ben,
    ):
        for caller in (ann, ben):
            await caller.wait_event("mediaStarted")
        seen = {caller: len(caller.lines) for caller in (ann, ben)}
        worker = min(children(server.process.pid))  # the spare came after it
        os.kill(worker, signal.SIGKILL)
        for caller in (ann, ben):
            await caller.wait_event("media", after=seen[caller], state="lost")
            await caller.wait_event("mediaStarted", after=seen[caller])
            assert not caller.events("userLeft")
        assert worker not in children(server.process.pid)
