"""Everything that can cross, in every order: a call with all its ends, and a room with all that befalls its host."""

import os
import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice, permutations, product
from math import perm

import pytest
import trio
from trio.testing import MockClock

from palaver_server import rooms
from palaver_server.policy import Policy
from sim.orderings import play, scene

SHARE = 500  # orderings of each kind that are always played
LENGTHS = {"call": 5, "room": 4, "room that may not be hostless": 4, "room with short graces": 4}  # of a long search
PARTS = 64  # in which it is done


# -- a call ------------------------------------------------------------------------------------------------------------
async def call_cast(s):
    for name in ("ann", "bob", "eve"):
        await s.party(name)
    await s.party("phone", "bob", resumes=False)


def asks(who, event, **payload):
    """A step in which somebody asks something."""

    async def step(s):
        await s.parties[who].ask(event, **payload)

    step.__name__ = f"{who}_{event}"
    return step


def does(who, what):
    """A step in which something befalls a connection."""

    async def step(s):
        await getattr(s.parties[who], what)()

    step.__name__ = f"{who}_{what}"
    return step


def comes_back(who):
    """A step in which somebody who is away comes back."""

    async def step(s):
        if s.parties[who].connection is None:
            await s.parties[who].come()

    step.__name__ = f"{who}_comes_back"
    return step


def passes(seconds):
    """A step in which time passes."""

    async def step(s):
        await s.pass_time(seconds)

    step.__name__ = f"{seconds}_s"
    return step


async def no_capacity(s):
    """From now on, no room can be opened."""
    del s
    rooms.MAX_ROOMS = 0


async def eve_sits_and_calls(s):
    """Somebody else calls who sits in a room already."""
    await s.parties["eve"].ask("createRoom", roomType="group", roomName="eve's")
    await s.parties["eve"].ask("callUser", callId="e", targetUserId="bob", leaveCurrent=True)


CALL = (
    asks("ann", "callUser", callId="a", targetUserId="bob"),
    asks("bob", "callUser", callId="b", targetUserId="ann", leaveCurrent=True),
    asks("bob", "acceptCallNew", callId="a", leaveCurrent=True),
    asks("phone", "acceptCallNew", callId="a"),
    asks("bob", "rejectCallNew", callId="a"),
    asks("ann", "cancelCall", callId="a"),
    asks("ann", "acceptCallNew", callId="b", leaveCurrent=True),
    passes(14),
    passes(31),
    does("ann", "cut"),
    does("bob", "cut"),
    comes_back("ann"),
    comes_back("bob"),
    does("phone", "cut"),
    no_capacity,
    eve_sits_and_calls,
    asks("bob", "acceptCallNew", callId="e", leaveCurrent=True),
    asks("bob", "createRoom", roomType="direct", targetUserId="ann", leaveCurrent=True),
    asks("ann", "createRoom", roomType="group", roomName="g", invitedUserIds=["bob", "eve"], leaveCurrent=True),
)


# -- a room ------------------------------------------------------------------------------------------------------------
async def room_cast(s):
    """A host, a member, and one who is invited."""
    ann, bob, eve = [await s.party(name) for name in ("ann", "bob", "eve")]
    made = await ann.ask("createRoom", roomType="group", roomName="den", invitedUserIds=["eve"])
    s.room_id = made["room"]["roomId"]
    await bob.ask("joinRoom", roomId=s.room_id)
    await eve.ask("sendMessage", roomId=s.room_id, content="not yet")


def here(who, event, **payload):
    """A step in which somebody asks something of the room."""

    async def step(s):
        await s.parties[who].ask(event, roomId=s.room_id, **payload)

    step.__name__ = f"{who}_{event}"
    return step


async def the_worker_dies(s):
    """Its media worker is gone, and another one takes the room."""
    for router in s.routers.made[:]:
        router.dead.set()
    await s.settle()


ROOM = (
    does("ann", "cut"),
    comes_back("ann"),
    does("ann", "go"),
    here("ann", "joinRoom", leaveCurrent=True),
    here("ann", "leaveRoom"),
    here("ann", "endCall"),
    here("ann", "transferHost", userId="bob"),
    does("bob", "cut"),
    comes_back("bob"),
    here("bob", "leaveRoom"),
    here("bob", "endCall"),
    here("eve", "acceptCall"),
    here("eve", "rejectCall"),
    here("eve", "leaveRoom"),
    passes(14),
    passes(16),
    passes(31),
    the_worker_dies,
    asks("ann", "createRoom", roomType="group", roomName="other", leaveCurrent=True),
)

KINDS = {
    "call": (call_cast, CALL, Policy()),
    "room": (room_cast, ROOM, Policy()),
    "room that may not be hostless": (room_cast, ROOM, Policy(has_hostless=False)),
    "room with short graces": (room_cast, ROOM, Policy(ring_timeout=5, host_grace=10, resume_grace=20)),
}


def play_all(kind, orders):
    cast, _, policy = KINDS[kind]
    for order in orders:
        try:
            play(cast, order, policy)
        except BaseException as why:
            why.add_note("in this order: " + ", ".join(step.__name__ for step in order))
            raise
        finally:
            rooms.MAX_ROOMS = 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_any_two_things_cross(kind):
    _, steps, _ = KINDS[kind]
    play_all(kind, permutations(steps, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_a_share_of_all_orders(kind):
    _, steps, _ = KINDS[kind]
    chance = random.Random(kind)
    play_all(kind, (chance.sample(steps, 8) for _ in range(SHARE)))


def play_part(kind, length, part):
    _, steps, _ = KINDS[kind]
    play_all(kind, islice(permutations(steps, length), part, None, PARTS))


@pytest.mark.long
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize(("kind", "length"), LENGTHS.items())
def test_all_orders(kind, length):
    assert sum(perm(len(KINDS[each][1]), many) for each, many in LENGTHS.items()) > 1_000_000
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(partial(play_part, kind, length), range(PARTS)):
            pass


# -- glare -------------------------------------------------------------------------------------------------------------
def calls_out(who, other, flow, number):
    """How somebody calls: as one does now, or by a direct room."""
    if flow == "call":
        return asks(who, "callUser", callId=f"{who}{number}", targetUserId=other, leaveCurrent=True)
    return asks(who, "createRoom", roomType="direct", targetUserId=other, leaveCurrent=True)


@pytest.mark.parametrize("flows", list(product(["call", "direct room"], repeat=2)))
def test_a_thousand_of_a_thousand_who_call_each_other_meet(flows):
    async def main():
        async with scene() as s:
            await call_cast(s)
            for number in range(250):
                pair = list(zip(("ann", "bob"), ("bob", "ann"), flows, strict=True))
                for who, other, flow in pair[:: -1 if number % 2 else 1]:
                    await calls_out(who, other, flow, number)(s)
                s.check()
                ann, bob = s.parties["ann"], s.parties["bob"]
                assert ann.room is not None
                assert ann.room == bob.room
                assert ann.people == bob.people == {"ann", "bob"}
                await ann.ask("endCall" if ann.room and number % 3 else "leaveRoom", roomId=ann.room)
                await bob.ask("leaveRoom", roomId=bob.room)
                await s.pass_time(10)  # for their budgets
            await s.end()

    trio.run(main, clock=MockClock())
