"""Voices that the server refuses for now: they are asked for again, not too soon, until they are heard or gone."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define

from client.test_media import BOB_TALKS, Clock, MediaServer, Notebook, in_call
from client.worlds import ANN, BOB, person
from palaver_client import Call, ClientState
from palaver_client.connecting import Connecting
from palaver_client.negotiation import AT_ONCE, LATER, LATEST, SOONEST
from palaver_client.session import Session
from palaver_client.url import ServerUrl
from palaver_media.engine_messages import OpenTransport, Receive, StopReceiving, TransportConnected
from palaver_media.worker_messages import ResumeConsumer
from palaver_protocol.models import Name, RoomId
from palaver_protocol.requests import JoinRoom
from palaver_server.session import BUDGET
from world import OPUS, World, open_media, world

pytestmark = pytest.mark.trio

TRACKS = 8  # that one participant may send


def refuse(event: str, times: int, code: str = "rateLimited", **no: Any) -> Any:
    """Has a server refuse requests of this name so often, for now only."""

    def prepare(server: MediaServer) -> None:
        server.refused[event] = times
        server.code, server.no = code, {"canRetry": True, **no}

    return prepare


@pytest.mark.parametrize(
    ("code", "no", "pause"),
    [
        ("rateLimited", {"retryAfter": 3}, 3.0),
        ("rateLimited", {"retryAfter": 0.01}, SOONEST),
        ("overloaded", {"retryAfter": 600}, LATEST),
        ("mediaUnavailable", {}, LATER),
    ],
)
@pytest.mark.parametrize("event", ["consume", "resumeConsumer"])
async def test_a_voice_that_is_refused_for_now_is_asked_for_again(
    autojump_clock: Clock, event: str, code: str, no: dict[str, Any], pause: float
) -> None:
    async with in_call(BOB_TALKS, prepare=refuse(event, 2, code, **no)) as world:
        world.connect_transports()
        await trio.sleep(3 * pause)
        asked = [at for at, name, _ in world.server.asked if name == event]
        assert asked == pytest.approx([asked[0], asked[0] + pause, asked[0] + 2 * pause], abs=0.05)
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p1"]
        assert world.server.events().count("resumeConsumer") == (3 if event == "resumeConsumer" else 1)


async def test_a_voice_that_ends_while_it_waits_is_not_asked_for_again(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS, prepare=refuse("consume", 1, retryAfter=5)) as world:
        world.connect_transports()
        await world.server.tell("producerClosed", producerId="p1", userId=BOB)
        await trio.sleep(20)
        assert world.server.events().count("consume") == 1
        assert world.engine.noted(Receive) == world.engine.noted(StopReceiving) == []


async def test_only_some_voices_are_asked_for_at_once(autojump_clock: Clock) -> None:
    answered = trio.Event()
    crowd = person(BOB, *(f"p{number}" for number in range(3 * AT_ONCE)))
    async with in_call(crowd, prepare=lambda server: server.held.update(consume=answered)) as world:
        world.connect_transports()
        await world.settle()
        assert world.server.events().count("consume") == AT_ONCE
        answered.set()
        await world.settle()
        assert len({each.consumer for each in world.engine.noted(Receive)}) == 3 * AT_ONCE


# -- with the server's own budget --------------------------------------------------------------------------------------
@define
class Doors:
    """The client's way into a server's world."""

    server: World

    async def open(self, url: ServerUrl) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        self.server.nursery.start_soon(self.server._serve, theirs)
        return ours


async def make_crowd(server: World, people: int) -> RoomId:
    """A room in which everybody sends as many tracks as he may, of sound that no speaker stands for."""
    first, *others = [await server.person(f"person-{number}") for number in range(people)]
    room_id = await server.room(first, *others)
    ssrcs = count(1000)
    for each in (first, *others):
        transport = await open_media(each, room_id, "send")
        for _ in range(TRACKS):
            parameters = {**OPUS, "headerExtensions": [], "encodings": [{"ssrc": next(ssrcs)}]}
            await each.does("produce", roomId=room_id, transportId=transport, kind="audio", rtpParameters=parameters)
    return RoomId(room_id)


async def test_more_voices_than_a_connection_may_ask_for_at_once_are_all_heard(autojump_clock: Clock) -> None:
    people = int(BUDGET) // 2 // TRACKS + 5  # a voice costs two tokens
    engine, session = Notebook(), Session(ClientState(ANN, Name("Ann")))
    call = Call(session, engine, "pcm", "pcm")
    async with world() as server, call.running():
        room_id = await make_crowd(server, people)
        connecting = Connecting(ServerUrl("server", 8440, False), session, open=Doors(server).open)
        await server.nursery.start(connecting.keep)
        engine.rise("FP1")
        await session.sit(JoinRoom(room_id))
        await trio.testing.wait_all_tasks_blocked()
        asked, resumed = len(engine.noted(Receive)), len(server.routers.made[0].told(ResumeConsumer))
        assert resumed <= asked < people * TRACKS  # the budget is spent
        assert resumed >= asked - AT_ONCE  # but not on voices that nobody can hear yet
        for each in engine.noted(OpenTransport):
            call.on_report(TransportConnected(each.call, each.transport))
        await trio.sleep(10)
        assert len({each.consumer for each in engine.noted(Receive)}) == people * TRACKS
        heard = {each.consumer for each in server.routers.made[0].told(ResumeConsumer)}
        assert heard == set(server.state(room_id).seats[ANN].consumers)
        assert len(heard) == people * TRACKS
