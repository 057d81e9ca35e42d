"""A connection that mends itself, on a virtual clock."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing

from client.scripted import OPEN, MemoryNetwork, Script, Server
from client.worlds import ANN, LOBBY, person, room
from palaver_client import (
    Change,
    ClientState,
    Connected,
    ConnectFailed,
    ConnectionLost,
    ConnectionState,
    Disconnected,
    Joined,
    Left,
    MuteChanged,
    Refusal,
    RetryFailed,
)
from palaver_client.connecting import FIRST_PAUSE, LONGEST_PAUSE, Connecting
from palaver_client.session import Session
from palaver_client.url import ServerUrl
from palaver_protocol.converter import write_ack
from palaver_protocol.models import Name, RoomId
from palaver_protocol.requests import JoinRoom, RoomAck

Clock = trio.testing.MockClock

URL = ServerUrl("server", 8440, False)
SEAT = write_ack(RoomAck(room(person(ANN))))
NEW_SEAT = write_ack(RoomAck(room(person(ANN), room_id=RoomId("new"))))


@asynccontextmanager
async def session(*scripts: Script | None) -> AsyncIterator[tuple[Session, list[Change], MemoryNetwork]]:
    """A session that is connected to the first script, and what happens to it."""
    seen: list[Change] = []
    async with trio.open_nursery() as nursery:
        network = MemoryNetwork(nursery, *scripts)
        ours = Session(ClientState(ANN, Name("Ann")))

        async def watch() -> None:
            async with ours.changes() as changes:
                async for change in changes:
                    seen.append(change)

        nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        await nursery.start(Connecting(URL, ours, open=network.open).keep)
        yield ours, seen, network
        nursery.cancel_scope.cancel()


async def stay(server: Server) -> None:
    """Let the client in and be silent."""
    await server.welcome()
    while True:
        await server.send("2")
        await trio.sleep(5)


async def hang_up(server: Server) -> None:
    await server.welcome()


def kinds(seen: list[Change]) -> list[type]:
    return [type(change.event) for change in seen]


@pytest.mark.trio
async def test_the_first_failure_is_told_with_a_remedy(autojump_clock: Clock) -> None:
    async with trio.open_nursery() as nursery:
        network = MemoryNetwork(nursery)
        ours = Session(ClientState(ANN, Name("Ann")))
        with pytest.raises(ConnectFailed, match=r"cannot reach http://server:8440; .*palaver serve"):
            await nursery.start(Connecting(URL, ours, open=network.open).keep)


@pytest.mark.parametrize("said", ['42["early",{}]', "x", "1"])
@pytest.mark.trio
async def test_what_goes_wrong_after_the_first_packet_is_not_tried_again_without_a_websocket(
    said: str, autojump_clock: Clock
) -> None:
    async def err(server: Server) -> None:
        await server.send(OPEN)
        await server.receive()
        await server.send(said)
        await server.receive()

    async with trio.open_nursery() as nursery:
        network = MemoryNetwork(nursery, err)
        ours = Session(ClientState(ANN, Name("Ann")))
        with pytest.raises(ConnectFailed, match=r"protocol|closed the connection"):
            await nursery.start(Connecting(URL, ours, open=network.open).keep)
        assert len(network.opened) == 1


@pytest.mark.trio
async def test_pauses_grow_to_their_limit_and_begin_anew_after_a_success(autojump_clock: Clock) -> None:
    async with session(hang_up, *[None] * 8, hang_up, stay) as (_, seen, network):
        await trio.sleep(120)
    pauses = [later - earlier for earlier, later in itertools.pairwise(network.opened)]
    for number, pause in enumerate(pauses[:9]):
        longest = min(FIRST_PAUSE * 2**number, LONGEST_PAUSE)
        assert longest / 2 <= pause <= longest + 0.1
    assert pauses[9] <= FIRST_PAUSE + 0.1
    assert len(network.opened) == 11
    assert kinds(seen) == [Connected, ConnectionLost, *[RetryFailed] * 8, Connected, ConnectionLost, Connected]


@pytest.mark.trio
async def test_the_state_says_when_the_next_attempt_comes(autojump_clock: Clock) -> None:
    async with session(hang_up, stay) as (ours, _, network):
        await trio.testing.wait_all_tasks_blocked()
        assert ours.state.connection is ConnectionState.RECONNECTING
        with pytest.raises(Disconnected):
            await ours.ask(JoinRoom(LOBBY))
        retry_at = ours.state.retry_at
        await trio.sleep(1)
        assert network.opened[1] == pytest.approx(retry_at)
        assert ours.state.connection is ConnectionState.CONNECTED


@pytest.mark.trio
async def test_a_server_that_refuses_later_is_not_asked_again(autojump_clock: Clock) -> None:
    async def refuse(server: Server) -> None:
        await server.send('0{"sid":"e","upgrades":[],"pingInterval":1,"pingTimeout":1,"maxPayload":1}')
        await server.receive()
        await server.send('44{"message":"banned"}')
        await server.receive()

    async with session(hang_up, refuse, stay) as (ours, seen, network):
        await ours.closed.wait()
        await trio.sleep(60)
        assert (ours.close_reason, ours.state.connection) == ("banned", ConnectionState.CLOSED)
        assert len(network.opened) == 2
        assert seen[-1].event == ConnectionLost("banned", None, None)


def seat_then() -> Script:
    """Give the client its first seat, and hang up."""

    async def script(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await server.answer(ack_id, **SEAT)
        await trio.sleep(1)

    return script


@pytest.mark.trio
async def test_the_seat_is_taken_again(autojump_clock: Clock) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    async def again(server: Server) -> None:
        await server.welcome()
        for _ in range(2):
            ack_id, event, payload = await server.asked()
            asked.append((event, payload))
            await server.answer(ack_id, **SEAT)
        await server.receive()

    async with session(seat_then(), again) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        ours.happen(MuteChanged(True))
        await trio.sleep(5)
    assert asked == [
        ("joinRoom", {"roomId": LOBBY, "leaveCurrent": True}),
        ("mediaStateChanged", {"roomId": LOBBY, "isMuted": True, "isVideoEnabled": False}),
    ]
    assert kinds(seen) == [Connected, Joined, MuteChanged, ConnectionLost, Connected, Joined]


@pytest.mark.trio
async def test_a_room_that_has_gone_is_made_again(autojump_clock: Clock) -> None:
    asked: list[tuple[str, dict[str, Any]]] = []

    async def again(server: Server) -> None:
        await server.welcome()
        ack_id, event, payload = await server.asked()
        asked.append((event, payload))
        await server.refuse(ack_id, "notFound")
        ack_id, event, payload = await server.asked()
        asked.append((event, payload))
        await server.answer(ack_id, **NEW_SEAT)
        await server.receive()

    async with session(seat_then(), again) as (ours, _, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(5)
        assert ours.state.room is not None
        assert ours.state.room.room_id == "new"
    assert [event for event, _ in asked] == ["joinRoom", "createRoom"]
    assert asked[1][1]["joinExisting"] is True
    assert asked[1][1]["roomName"] == "Lobby"


@pytest.mark.trio
async def test_a_seat_that_is_not_to_be_had_again_is_lost(autojump_clock: Clock) -> None:
    async def again(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await server.refuse(ack_id, "full")
        await server.receive()

    async with session(seat_then(), again) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(5)
        assert ours.state.room is None
    assert seen[-1].event == Left("no; try again when somebody has left")


@pytest.mark.trio
async def test_a_connection_lost_while_coming_back_is_tried_again(autojump_clock: Clock) -> None:
    async def lose(server: Server) -> None:
        await server.welcome()
        await server.asked()

    async def again(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await server.answer(ack_id, **SEAT)
        await server.receive()

    async with session(seat_then(), lose, again) as (ours, seen, _):
        await ours.sit(JoinRoom(LOBBY))
        await trio.sleep(10)
    assert kinds(seen)[-2:] == [Connected, Joined]


@pytest.mark.trio
async def test_a_refused_seat_changes_nothing(autojump_clock: Clock) -> None:
    async def script(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await server.refuse(ack_id, "inRoom")
        await server.receive()

    async with session(script) as (ours, _, _):
        with pytest.raises(Refusal, match="inRoom"):
            await ours.sit(JoinRoom(LOBBY))
        assert ours.state.room is None
