"""Two servers never write one state."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import trio

from palaver_server.store import StoreError
from palaver_server.stores import open_store
from store.places import all_is_kept, keeping, kept_by, read, redis_server

pytestmark = pytest.mark.trio


def refused(match):
    return pytest.RaisesGroup(pytest.RaisesExc(StoreError, match=match), flatten_subgroups=True)


async def test_a_second_server_is_refused_and_told_by_whom(spec):
    async with keeping(spec) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        holder = rf"in use by process {keeper.process.pid} on {socket.gethostname()} since 20\d\d-.* UTC.*; --state "
        with refused(holder):
            await read(spec)
        await keeper.say("mark room:1 a\nwait")  # it goes on undisturbed
        await keeper.wait_line(lambda line: line == "all is kept")


async def test_a_server_in_the_same_process_is_refused_too(spec):
    async with kept_by(open_store(spec)):
        with refused(f"process {os.getpid()}"):
            await read(spec)


async def test_the_end_of_one_server_lets_the_next_start_at_once(spec):
    for _ in range(3):
        started = time.monotonic()
        await read(spec)
        assert time.monotonic() - started < 1


async def test_a_refused_server_leaves_the_lease_alone(spec):
    async with kept_by(open_store(spec)):
        for _ in range(2):
            with refused("in use"):
                await read(spec)


async def test_in_memory_there_is_no_lease():
    store = open_store("memory:")
    async with kept_by(store), kept_by(open_store("memory:")):
        pass


async def test_a_process_that_a_server_has_started_does_not_hold_its_lock(tmp_path):
    spec = f"sqlite:{tmp_path}/state.db"
    command = [sys.executable, "-c", "input()"]
    async with kept_by(open_store(spec)):
        child = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, close_fds=False)
    await read(spec)
    assert child.stdin is not None
    await child.stdin.send_all(b"\n")
    assert await child.wait() == 0
    await child.stdin.aclose()


async def test_two_names_of_one_file_are_one_state(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    async with kept_by(open_store(f"sqlite:{tmp_path}/state.db")):
        with refused("in use"):
            await read(f"sqlite:{tmp_path}/link/state.db")


@pytest.fixture
def own_redis(tmp_path):
    with redis_server(tmp_path / "redis") as server:
        yield server


async def test_a_refused_server_frees_no_lease_but_its_own(own_redis):
    async with kept_by(open_store(own_redis.spec())):
        holder = own_redis.ask("GET", "palaver:lease")
        with refused("in use"):
            await read(own_redis.spec())
        assert own_redis.ask("GET", "palaver:lease") == holder


async def test_a_server_whose_lease_was_taken_ends(own_redis):
    store = open_store(own_redis.spec())
    with refused("taken over by somebody else: "):
        async with kept_by(store):
            own_redis.ask("SET", "palaver:lease", "somebody\nelse")
            await trio.sleep_forever()
    assert own_redis.ask("GET", "palaver:lease") == "somebody\nelse"


async def test_a_server_that_slept_through_a_successors_life_ends(own_redis):
    async with keeping(own_redis.spec()) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        keeper.process.send_signal(signal.SIGSTOP)
        successor = open_store(own_redis.spec())
        async with kept_by(successor):
            successor.mark("room:1", lambda: b"of the successor")
        await keeper.say("mark room:1 late")
        keeper.process.send_signal(signal.SIGCONT)
        await keeper.wait_line(lambda line: line.startswith("refused ") and "taken over by another server" in line)
    assert await read(own_redis.spec()) == {"room:1": b"of the successor"}


async def test_a_server_that_slept_alone_goes_on(own_redis):
    async with keeping(own_redis.spec()) as keeper:
        await keeper.wait_line(lambda line: line == "kept 0")
        keeper.process.send_signal(signal.SIGSTOP)
        with trio.fail_after(5):
            while own_redis.ask("EXISTS", "palaver:lease") != "0":  # noqa: ASYNC110
                await trio.sleep(0.05)
        keeper.process.send_signal(signal.SIGCONT)
        await keeper.say("mark room:1 a\nwait")
        await keeper.wait_line(lambda line: line == "all is kept")
        with refused("in use"):
            await read(own_redis.spec())


async def test_a_lease_outlives_an_idle_time(own_redis):
    async with kept_by(open_store(own_redis.spec())):
        await trio.sleep(2.5)  # more than its life
        assert own_redis.ask("EXISTS", "palaver:lease") == "1"


async def test_states_of_different_prefixes_are_apart(own_redis):
    first, second = open_store(own_redis.spec("a")), open_store(own_redis.spec("b"))
    async with kept_by(first), kept_by(second):
        first.mark("room:1", lambda: b"1")
        second.mark("room:1", lambda: b"2")
        await all_is_kept(first)
    assert await read(own_redis.spec("a")) == {"room:1": b"1"}
    assert await read(own_redis.spec("b")) == {"room:1": b"2"}
