"""Rooms that grow big and small at random: who does as he is told hears exactly whom he should."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import pytest
import trio
from attrs import evolve
from hypothesis import HealthCheck, given, note, settings
from trio.testing import MockClock

from palaver_protocol.rtp_models import Kind
from palaver_server.policy import DEFAULT
from palaver_server.room_media import Direction
from palaver_server.room_speakers import LINGER, OVERLAP
from palaver_server.seat import is_voice
from sim.listeners import PLAIN, VIDEO, Listener, Worker
from sim.orderings import Scene, scene
from world import OPUS

NAMES = ("ann", "bob", "cem", "dan", "eve", "fay")
BIG = evolve(DEFAULT, speakers=2, speakers_above=3)


async def step(s: Scene, who: str, what: str) -> None:
    """Somebody does something, or something is done to him."""
    if what in WAITS:
        await s.pass_time(WAITS[what])
        return
    party = s.parties[who]
    assert isinstance(party, Listener)
    if what == "come":
        if party.connection is None:
            await party.come()
    elif what == "the worker dies":
        for router in s.routers.made[:]:
            router.dead.set()
        await s.settle()
    elif party.connection is not None and party.room is None:
        await party.enter()
    elif what in ("cut", "go"):
        await getattr(party, what)()
    elif party.connection is not None:
        await act(s, party, what)


async def act(s: Scene, party: Listener, what: str) -> None:
    """What one does who sits in the room."""
    room = s.exchange.rooms.where[party.user_id].state
    seat = room.seats[party.user_id]
    match what:
        case "leave":
            await party.ask("leaveRoom", roomId=party.room)
        case "speak":
            await party.produce("audio", OPUS)
        case "play":
            await party.produce("audio", PLAIN)
        case "film":
            await party.produce("video", VIDEO)
        case "mute" | "unmute":
            await party.ask("mediaStateChanged", roomId=party.room, isMuted=what == "mute", isVideoEnabled=False)
        case "close" if seat.producers:
            await party.ask("closeProducer", roomId=party.room, producerId=next(iter(seat.producers)))
        case "send anew":
            ack = await party.ask("createTransport", roomId=party.room, direction="send")
            party.sending = ack["params"]["id"]
        case "listen to" if room.talk.big.slots:
            for other in room.seats.values():
                for voice in other.voices if other is not seat else ():
                    party.named.add(voice)
                    await party.consume(voice, other.user_id)


async def follow(s: Scene) -> None:
    """Let everybody do as he is told until nobody is told anything more."""
    while any([await party.follow() for party in s.parties.values() if party.connection is not None]):
        pass


def check(s: Scene) -> None:
    """All hear whom they should, and the worker holds what the server believes."""
    for room in s.exchange.rooms.open.values():
        big, seats = room.state.talk.big, room.state.seats
        microphones = sum(not seat.is_muted and any(map(is_voice, seat.producers.values())) for seat in seats.values())
        assert big.microphones == microphones
        assert big.slots or microphones <= 3
        assert (big.lingers_until < math.inf) == (bool(big.slots) and microphones <= 2)
        assert (big.overlaps_until < math.inf) >= bool(big.old_slots or big.old_voices)
        assert big.deadline() > trio.current_time()
        held = Worker()
        for command in room.router.commands:
            held.take(command)
        assert held.consumers == {key: of for seat in seats.values() for key, of in seat.consumers.items()}
        assert held.slots == {*big.slots, *big.old_slots}
        assert held.held == held_of(seats.values())
        for party in s.parties.values():
            if party.room == room.state.room_id and party.connection is not None:
                check_ears(room.state, party)


def held_of(seats) -> set[str]:
    """The sound of those who are muted."""
    return {key for seat in seats if seat.is_muted for key, plan in seat.producers.items() if plan.kind is Kind.AUDIO}


def check_ears(room, party: Listener) -> None:
    seat, slots = room.seats[party.user_id], room.talk.big.slots
    others = [other for other in room.seats.values() if other is not seat]
    announced = {
        key for other in others for key, plan in other.producers.items() if not (slots and is_voice(plan))
    } | set(slots)
    heard = list(seat.consumers.values())
    assert set(heard) == set(party.voices)
    assert len(heard) == len(set(heard))
    assert (
        announced <= set(heard) <= announced | party.named | room.talk.big.old_voices | room.talk.big.old_slots.keys()
    )
    assert seat.transport(Direction.RECEIVE) is not None


def play(steps) -> None:
    async def main() -> None:
        async with scene(BIG) as s:
            for name in NAMES:
                party = s.parties[name] = Listener(s, name)
                await party.come()
                await party.enter()
                await follow(s)
            for who, what in steps:
                await step(s, who, what)
                await follow(s)
                s.check()
                check(s)
            await s.end()

    trio.run(main, clock=MockClock())


COMMON, RARE = (
    ("speak", "mute", "unmute", "close", "leave"),
    (
        "play",
        "film",
        "send anew",
        "listen to",
        "cut",
        "come",
        "go",
        "the worker dies",
    ),
)
WAITS = {"a moment passes": OVERLAP / 2, "time passes": OVERLAP, "much time passes": LINGER}  # s
steps = st.tuples(
    st.sampled_from(NAMES),
    st.one_of(st.just("speak"), st.sampled_from(COMMON), st.sampled_from(RARE), st.sampled_from(list(WAITS))),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=40))
def test_everybody_hears_whom_he_should(order):
    note(f"in this order: {order}")
    play(order)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=4_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=20, max_size=80))
def test_everybody_hears_whom_he_should_for_long(order):
    note(f"in this order: {order}")
    play(order)
