"""A store that is dead, frozen, locked, full or forgetful for a while loses nothing, and holds nobody up."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import asynccontextmanager, contextmanager

import pytest
import trio
from attrs import frozen

from palaver_server.stores import open_store
from store.places import all_is_kept, kept_by, read, redis_server, until

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]

DURATIONS = [1.5, pytest.param(10.0, marks=pytest.mark.long)]  # s
ENDING = 4.0  # s for a store to end without its place: 2 for the last commit, 0.5 to hang up, and some for the machine


@frozen
class Trouble:
    """A place, and a context in which it does not work."""

    spec: str
    context: object
    is_told_at_once: bool  # and not only when patience has run out


@contextmanager
def locked(path):
    """Another program holds the file."""
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
    other.close()


@contextmanager
def full(server):
    """Redis has no memory for another write."""
    server.ask("CONFIG", "SET", "maxmemory", "1")
    yield
    server.ask("CONFIG", "SET", "maxmemory", "0")


@pytest.fixture(params=["sqlite locked", "redis killed", "redis forgetful", "redis frozen", "redis full"])
def trouble(request, tmp_path):
    if request.param == "sqlite locked":
        path = tmp_path / "state.db"
        yield Trouble(f"sqlite:{path}", lambda: locked(path), False)
        return
    with redis_server(tmp_path / "redis", is_durable=request.param != "redis forgetful") as server:
        contexts = {"redis frozen": server.frozen, "redis full": lambda: full(server)}
        yield Trouble(server.spec(), contexts.get(request.param, server.killed), request.param != "redis frozen")


@asynccontextmanager
async def nobody_is_held_up(limit=0.5):
    """Fails if the loop was blocked for longer than `limit` s at once: much, for a machine busy with other tests."""
    gaps = [0.0]

    async def watch():
        last = trio.current_time()
        while True:
            await trio.sleep(0.01)
            gaps.append(trio.current_time() - last)
            last = trio.current_time()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        yield
        nursery.cancel_scope.cancel()
    assert max(gaps) < limit


def told(caplog):
    """What was logged about the store, each line once."""
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize("seconds", DURATIONS)
async def test_a_store_in_trouble_loses_nothing(trouble, caplog, seconds):
    store = open_store(trouble.spec)
    model = {}

    def mark(key, value):
        model[key] = value
        store.mark(key, lambda: value)

    async with kept_by(store), nobody_is_held_up():
        for number in range(50):
            mark(f"room:{number}", b"before")
        await all_is_kept(store)
        with trouble.context():
            end = trio.current_time() + seconds
            number = 0
            while trio.current_time() < end:
                number += 1
                mark(f"room:{number % 70}", b"%d" % number)
                mark(f"room:{(number + 35) % 70}", None if number % 3 else b"%d" % number)
                await trio.sleep(0.005)
        mark("room:last", b"after")
        await all_is_kept(store)
    assert await read(trouble.spec) == {key: value for key, value in model.items() if value is not None}
    if seconds > 5 or trouble.is_told_at_once or told(caplog):
        broken, *forgotten, mended = told(caplog)
        assert "the state is not being kept (" in broken
        assert all("has forgotten" in line for line in forgotten)
        assert "the state is kept again, after " in mended


async def test_an_idle_store_of_redis_notices_too(caplog, tmp_path):
    with redis_server(tmp_path / "redis", is_durable=False) as server:
        store = open_store(server.spec())
        async with kept_by(store):
            store.mark("room:1", lambda: b"1")
            await all_is_kept(store)
            with server.killed():
                await until(lambda: len(told(caplog)) == 1)
            await until(lambda: len(told(caplog)) == 3)
            assert server.ask("HGET", "palaver:state", "room:1") == "1"


async def test_a_redis_that_forgot_the_latest_groups_is_given_everything(tmp_path):
    with redis_server(tmp_path / "redis", is_durable=False) as server:
        store = open_store(server.spec())
        async with kept_by(store):
            store.mark("room:1", lambda: b"old")
            store.mark("room:2", lambda: b"old")
            await all_is_kept(store)
            server.ask("SAVE")
            store.mark("room:1", lambda: None)
            store.mark("room:2", lambda: b"new")
            await all_is_kept(store)
            with server.killed():
                pass
            await until(lambda: server.ask("HGET", "palaver:state", "room:2") == "new")
        assert await read(server.spec()) == {"room:2": b"new"}


async def test_what_was_loaded_is_given_to_a_forgetful_redis_as_well(tmp_path):
    with redis_server(tmp_path / "redis", is_durable=False) as server:
        first = open_store(server.spec())
        async with kept_by(first):
            first.mark("room:1", lambda: b"of an earlier server")
        async with kept_by(open_store(server.spec())):
            server.ask("FLUSHALL")
            await until(lambda: server.ask("EXISTS", "palaver:state") == "1")
        assert await read(server.spec()) == {"room:1": b"of an earlier server"}


async def test_memory_is_bounded_by_what_is_alive(trouble):
    store = open_store(trouble.spec)
    async with kept_by(store):
        store.mark("room:0", lambda: b"0")
        await all_is_kept(store)
        with trouble.context():
            for visit in range(5):  # rooms come and go while nothing can be kept
                rooms = [f"room:{visit}:{number}" for number in range(1000)]
                for room in rooms:
                    store.mark(room, lambda: b"x")
                await trio.sleep(0.2)
                for room in rooms:
                    store.mark(room, lambda: None)
            await until(lambda: store.waiting <= 1000)  # the first group is tried again as it was, and the rest is gone
        await all_is_kept(store)
    assert await read(trouble.spec) == {"room:0": b"0"}


async def test_a_store_in_trouble_does_not_hold_up_the_end(trouble, caplog):
    store = open_store(trouble.spec)
    took = 0.0
    with trio.CancelScope() as life:
        async with kept_by(store):
            store.mark("room:1", lambda: b"1")
            await all_is_kept(store)
            with trouble.context():
                store.mark("room:1", lambda: b"2")
                started = trio.current_time()
                life.cancel()
                with trio.CancelScope(shield=True):
                    await until(lambda: any("1 keys are lost" in line for line in told(caplog)))
                    took = trio.current_time() - started
    assert 0 < took < ENDING
