"""Where rooms are placed, by what the workers have told; their processes are made, but never run."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_media.worker_messages import Beat, CloseRouter, Draining, Ready
from palaver_protocol.models import Name, RoomId, UserId
from palaver_server.policy import DEFAULT
from palaver_server.room import Room
from palaver_server.room_state import RoomState
from palaver_server.workers import Pool, Worker
from world import world

pytestmark = pytest.mark.trio


@pytest.fixture
async def rooms(autojump_clock):
    """Makes rooms that nobody has entered."""
    async with world() as w:

        def make(count):
            names = [RoomId(f"room {index}") for index in range(count)]
            return [
                Room(RoomState(each, Name("den"), UserId("ann"), Name("ann"), 0, DEFAULT), w.exchange.rooms)
                for each in names
            ]

        yield make


def up(worker):
    """Have a worker's next process report that it is ready."""
    worker.process = worker.make()
    worker.reported(Ready(worker.port, "AA:BB"))


def pool_of(count):
    """A pool of which so many workers are up, the spare included."""
    pool = Pool([Worker("127.0.0.1", (), 40000 + index) for index in range(count)])
    for worker in pool.workers:
        up(worker)
    return pool


def places(pool):
    """How many rooms are on each worker."""
    return [len(worker.rooms) for worker in pool.workers]


async def test_rooms_are_spread_over_all_workers_but_one(rooms):
    pool = pool_of(3)
    for room in rooms(6):
        pool.reserve(room)
    assert places(pool) == [3, 3, 0]


async def test_it_is_the_load_that_counts_and_not_the_number_of_rooms(rooms):
    pool = pool_of(3)
    *many, last = rooms(5)
    for room in many:
        pool.reserve(room)
    first, second, _ = pool.workers
    first.reported(Beat(transports=4, consumers=400))  # both its rooms are large
    second.reported(Beat(transports=4, consumers=2))
    pool.reserve(last)
    assert places(pool) == [2, 3, 0]


async def test_what_was_placed_since_the_last_beat_counts_too(rooms):
    pool = pool_of(3)
    one, other, *many = rooms(12)
    pool.reserve(one)
    pool.reserve(other)
    pool.workers[0].reported(Beat(consumers=10))
    pool.workers[1].reported(Beat(consumers=0))
    for room in many:
        pool.reserve(room)
    assert places(pool) == [1 + 3, 1 + 7, 0]


async def test_the_spare_takes_the_place_of_a_dead_worker_until_its_successor_is_the_spare(rooms):
    pool = pool_of(3)
    *four, fifth, sixth = rooms(6)
    for room in four:
        pool.reserve(room)
    dead = pool.workers[0]
    dead.process.dead.set()
    pool.reserve(fifth)
    assert places(pool) == [2, 2, 1]
    for room_id in list(dead.rooms):  # they have moved
        dead.close_share(room_id)
    up(dead)
    pool.reserve(sixth)
    assert places(pool) == [0, 2, 2]


@pytest.mark.parametrize("port", [40000, 0])
async def test_a_successor_gets_the_port_that_was_chosen_or_any(port):
    worker = Worker("127.0.0.1", (), port)
    for bound in (40000, 50000):
        up(worker)
        worker.reported(Ready(bound, "AA:BB"))
        assert worker.make().arguments[:4] == ("--host", "127.0.0.1", "--port", str(port))
        assert worker.place.port == bound


async def test_a_draining_worker_gets_no_more_rooms_and_its_successor_does(rooms):
    pool = pool_of(2)
    first, second, third = rooms(3)
    pool.reserve(first)
    pool.workers[0].reported(Draining())
    pool.reserve(second)
    assert places(pool) == [1, 1]
    pool.workers[1].reported(Draining())
    assert pool.reserve(third) is None
    up(pool.workers[0])
    assert pool.reserve(third) is not None


async def test_an_emptied_worker_has_no_load(rooms):
    pool = pool_of(2)
    for room in rooms(3):
        pool.reserve(room)
        async with pool.router(room):
            assert places(pool) == [1, 0]
    assert pool.workers[0].load == 0


async def test_a_room_waits_for_a_worker_and_gives_its_router_back(rooms):
    (room,) = rooms(1)
    pool = Pool([Worker("127.0.0.1", (), 40000)])
    worker = pool.workers[0]
    held = trio.Event()

    async def hold():
        async with pool.router(room) as router:
            assert router.place.port == 40000
            held.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold)
        await wait_all_tasks_blocked()
        assert not held.is_set()
        up(worker)
        pool._up(worker, worker.process)
    assert not worker.rooms
    assert worker.process.codec.write_command(CloseRouter(room.state.room_id)) in worker.process._waiting
