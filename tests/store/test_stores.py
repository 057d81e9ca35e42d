"""What every store does: the latest value of each key, in groups, and all of it after a restart."""

from __future__ import annotations

import random

import pytest
import trio
from attrs import define

from palaver_server.store import Unavailable
from palaver_server.store_memory import MemoryStore
from palaver_server.stores import open_store
from store.places import all_is_kept, kept_by

pytestmark = pytest.mark.trio


class Counter:
    """A snapshot that counts how often it was taken."""

    def __init__(self, value):
        self.value = value
        self.taken = 0

    def __call__(self):
        self.taken += 1
        return self.value


async def keep(store, values):
    async with kept_by(store):
        for key, value in values.items():
            store.mark(key, lambda value=value: value)


async def test_a_new_place_is_empty(open_again):
    async with kept_by(open_again()) as kept:
        assert kept == {}


async def test_everything_is_there_after_a_restart(open_again):
    values = {"room:1": b"", "chat:1:000001": bytes(range(256)), "chat:1:000002": b"x" * 1_000_000, "call:a b": b"{}"}
    await keep(open_again(), values)
    async with kept_by(open_again()) as kept:
        assert kept == values


async def test_the_latest_value_wins_and_none_deletes(open_again):
    await keep(open_again(), {"room:1": b"old", "room:2": b"old", "room:3": b"stays"})
    await keep(open_again(), {"room:1": b"new", "room:2": None, "room:4": None})
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"new", "room:3": b"stays"}


async def test_a_deleted_key_may_come_back(open_again):
    for value in (b"1", None, b"2", None, None, b"3"):
        await keep(open_again(), {"room:1": value})
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"3"}


async def test_a_hundred_marks_cost_one_snapshot(open_again):
    store = open_again()
    async with kept_by(store):
        counters = [Counter(b"%d" % number) for number in range(100)]
        for counter in counters:
            store.mark("room:1", counter)
            await trio.lowlevel.checkpoint()
        assert not any(counter.taken for counter in counters)
        await all_is_kept(store)
    assert [counter.taken for counter in counters] == [0] * 99 + [1]
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"99"}


async def test_a_value_is_that_of_the_commit_not_of_the_mark(open_again):
    store = open_again()
    room = {"name": b"before"}
    async with kept_by(store):
        store.mark("room:1", lambda: room["name"])
        room["name"] = b"after"
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"after"}


async def test_what_is_marked_in_a_snapshot_comes_with_the_next_group(open_again):
    store = open_again()

    def snapshot():
        store.mark("room:2", lambda: b"2")
        return b"1"

    async with kept_by(store):
        store.mark("room:1", snapshot)
        await all_is_kept(store)
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"1", "room:2": b"2"}


async def test_marks_from_before_the_start_are_kept(open_again):
    store = open_again()
    store.mark("room:1", lambda: b"1")
    async with kept_by(store):
        await all_is_kept(store)
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"1"}


async def test_a_snapshot_that_fails_keeps_no_other_from_the_store(open_again, caplog):
    store = open_again()
    async with kept_by(store):
        store.mark("room:1", lambda: b"1")
        store.mark("room:2", lambda: [][0])
        store.mark("room:3", lambda: b"3")
        await all_is_kept(store)
        store.mark("room:4", lambda: b"4")
    (record,) = caplog.records
    assert "room:2" in record.message
    assert record.exc_info
    async with kept_by(open_again()) as kept:
        assert kept == {"room:1": b"1", "room:3": b"3", "room:4": b"4"}


@pytest.mark.parametrize("seed", range(3))
async def test_any_marks_in_any_groups_leave_what_a_dict_has(open_again, seed):
    dice = random.Random(seed)
    model = {}
    for _ in range(3):
        store = open_again()
        async with kept_by(store) as kept:
            assert kept == model
            for number in range(300):
                key = f"room:{dice.randrange(30)}"
                value = dice.choice([None, b"%d" % number])
                if value is None:
                    model.pop(key, None)
                else:
                    model[key] = value
                store.mark(key, lambda value=value: value)
                if number % 50 == 0:
                    await trio.sleep(dice.uniform(0, 0.05))  # so that groups end anywhere
    async with kept_by(open_again()) as kept:
        assert kept == model


async def test_an_idle_store_runs_no_task(open_again):
    store = open_again()
    async with kept_by(store):
        store.mark("room:1", lambda: b"1")
        await all_is_kept(store)
        ran = []

        class Watch(trio.abc.Instrument):
            def before_task_step(self, task):
                ran.append(task.name)

        watch = Watch()
        trio.lowlevel.add_instrument(watch)
        with trio.move_on_after(2 * store.heartbeat + 0.1 if store.heartbeat < 1 else 0.3):
            await trio.sleep_forever()
        trio.lowlevel.remove_instrument(watch)
        assert len(ran) <= (60 if store.heartbeat < 1 else 2)  # a lease must be renewed; else only this test itself


async def test_a_group_is_taken_30_ms_after_its_first_mark(autojump_clock):
    store = open_store("memory:")
    taken = []
    async with kept_by(store):
        for _ in range(5):
            await trio.sleep(1)
            started = trio.current_time()
            for number in range(10):
                store.mark(f"room:{number}", lambda: taken.append(trio.current_time() - started) or b"1")  # noqa: B023
                await trio.sleep(0.002)
        await trio.sleep(1)
    assert taken == pytest.approx([0.03] * 50)


@define(eq=False)
class PatientStore(MemoryStore):
    """A store that is away until it is `back`."""

    back: bool = False
    tries: int = 0

    async def write(self, group):
        self.tries += 1
        if not self.back:
            raise Unavailable("away")
        await super().write(group)


async def test_a_store_that_was_away_for_hours_is_told_of_twice(autojump_clock, caplog):
    store = PatientStore()
    async with kept_by(store):
        for hour in range(2):
            store.mark("room:1", lambda hour=hour: b"%d" % hour)
            store.mark(f"room:{hour}:passing", lambda: b"x")
            await trio.sleep(1800)
            store.mark(f"room:{hour}:passing", lambda: None)
            await trio.sleep(1800)
        assert store.tries == pytest.approx(2 * 3600, abs=5)  # one a second
        assert store.waiting == 2  # and the first group, with the first passing room
        store.back = True
        await trio.sleep(2)
        assert store.waiting == 0
    assert [record.message for record in caplog.records] == [
        "the state is not being kept (away): nothing is lost while this server runs",
        "the state is kept again, after 7200.5 s",
    ]
    async with kept_by(store) as kept:
        assert kept == {"room:1": b"1"}


async def test_how_much_waits_is_told(open_again):
    store = open_again()
    async with kept_by(store):
        for number in range(5):
            store.mark(f"room:{number % 3}", lambda: b"1")
        assert store.waiting == 3
        await all_is_kept(store)
