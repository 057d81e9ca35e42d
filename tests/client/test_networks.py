"""Clients in real networks: connections that break and are taken up again, proxies that let no WebSocket through."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_trio
import trio
import trio.testing

from client.proxies import Upgrades, proxy
from client.test_calls import heard, until
from palaver_client import (
    Call,
    CarrierChanged,
    Change,
    Client,
    Connected,
    ConnectFailed,
    ConnectionState,
    Disconnected,
    Joined,
    NewMessage,
    UserJoined,
    UserLeft,
    connect,
    words,
)
from palaver_client.long_polling import payloads
from running import serving


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving() as (url, _):
        yield url


@contextlib.asynccontextmanager
async def noted(client: Client) -> AsyncIterator[list[Change]]:
    """All that happens to a client meanwhile."""
    seen: list[Change] = []

    async def note() -> None:
        async with client.changes() as changes:
            async for change in changes:
                seen.append(change)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(note)
        await trio.testing.wait_all_tasks_blocked()
        yield seen
        nursery.cancel_scope.cancel()


def of(seen: list[Change], *kinds: type) -> list[type]:
    return [type(change.event) for change in seen if isinstance(change.event, kinds)]


async def until_heard(call: Call) -> None:
    with trio.fail_after(20):
        async for block in call.hear():
            if any(block.samples):
                return
    raise AssertionError("the call is over")


# -- a connection that breaks ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("upgrades", [Upgrades.PASS, Upgrades.FORBIDDEN])
@pytest.mark.trio
async def test_a_cut_connection_costs_neither_seat_nor_sound(url: str, upgrades: Upgrades) -> None:
    async with (
        proxy(url, upgrades) as between,
        connect(url, "Bob") as bob,
        connect(between.url, "Ann") as ann,
        bob.call("lobby", source="null", sink="pcm") as at_bob,
        noted(bob) as at_bobs,
        ann.call("lobby", source="tone:440", sink="null"),
    ):
        await until_heard(at_bob)
        await ann.say("before")
        async with noted(ann) as at_anns:
            between.is_open = False
            between.cut()
            await until(bob, lambda state: (who := state.participant(ann.user_id)) and who.is_away)
            await bob.say("meanwhile")
            with pytest.raises(Disconnected):
                await ann.set_muted(True)
            between.is_open = True
            await until(bob, lambda state: (who := state.participant(ann.user_id)) and not who.is_away)
            await until(bob, lambda state: (who := state.participant(ann.user_id)) and who.is_muted)
            await until(ann, lambda state: state.media.value == "connected")
            assert ann.state.room is not None
            assert [said.content for said in ann.state.room.messages] == ["before", "meanwhile"]
            await ann.set_muted(False)
            await until_heard(at_bob)
        assert [change.event for change in at_anns if isinstance(change.event, Connected)] == [Connected(True)]
        assert of(at_anns, Joined, CarrierChanged) == []
        assert of(at_bobs, UserJoined, UserLeft) == [UserJoined]


@pytest.mark.trio
async def test_a_server_that_comes_back_without_the_room_gets_a_new_one_and_says_so() -> None:
    async with serving() as (url, server), connect(url, "Ann") as ann, noted(ann) as seen:
        room = await ann.create_room("lobby")
        server.process.kill()
        await server.wait()
        async with serving("--port", url.rpartition(":")[2], "--state", "memory:"):
            await until(ann, lambda state: state.room and state.room.room_id != room.room_id)
        last = next(change for change in seen if isinstance(change.event, Joined) and change.event.is_again)
        assert words.of_event(last) == "you are in a new room lobby, alone so far; the one before and its chat are gone"


@pytest.mark.trio
async def test_a_server_that_is_killed_and_comes_back_has_the_room_and_its_chat(tmp_path: Path) -> None:
    state = ("--state", f"sqlite:{tmp_path}/state.db")
    async with serving(*state) as (url, server), connect(url, "Ann") as ann, connect(url, "Bob") as bob:
        room = await ann.create_room("lobby")
        await bob.join_room(room.room_id)
        await ann.say("remember me")
        await bob.say("me too")
        await until(ann, lambda state: state.room and len(state.room.messages) == 2)
        await trio.sleep(0.3)  # what a kill may cost
        server.process.kill()
        await server.wait()
        await until(ann, lambda state: state.connection is ConnectionState.RECONNECTING)
        async with serving("--port", url.rpartition(":")[2], *state), heard(bob, NewMessage):
            await until(ann, lambda state: state.connection is ConnectionState.CONNECTED)
            await until(bob, lambda state: state.connection is ConnectionState.CONNECTED)
            await ann.say("here again")
            assert ann.state.room is not None
            assert ann.state.room.room_id == room.room_id
            assert {said.content for said in ann.state.room.messages} == {"remember me", "me too", "here again"}
            assert ann.state.room.host_id == ann.user_id


# -- networks without WebSockets ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("upgrades", [each for each in Upgrades if each is not Upgrades.PASS])
@pytest.mark.trio
async def test_where_no_websocket_comes_through_requests_do(url: str, upgrades: Upgrades) -> None:
    async with proxy(url, upgrades) as between, connect(url, "Bob") as bob, connect(between.url, "Ann") as ann:
        assert between.refused == 1
        assert ann.state.is_polling
        lobby = await ann.create_room("lobby")
        await bob.join_room(lobby.room_id)
        async with heard(ann, NewMessage):
            await bob.say("x" * 10_000)
        async with heard(bob, NewMessage) as events:
            await ann.say("é" * 10_000)
        assert [getattr(event, "content", None) for event in events] == ["é" * 10_000]
        async with trio.open_nursery() as nursery:
            for number in range(20):
                nursery.start_soon(ann.say, str(number))
        assert ann.state.room is not None
        assert {said.content for said in ann.state.room.messages} >= {str(number) for number in range(20)}


@pytest.mark.trio
async def test_polling_is_told_once_and_left_when_websockets_come_through(url: str) -> None:
    async with proxy(url, Upgrades.FORBIDDEN) as between, connect(between.url, "Ann") as ann, noted(ann) as seen:
        for upgrades in (Upgrades.FORBIDDEN, Upgrades.FORBIDDEN, Upgrades.PASS):
            between.upgrades = upgrades
            async with heard(ann, Connected):
                between.cut()
        await trio.testing.wait_all_tasks_blocked()
        assert not ann.state.is_polling
        assert [change.event for change in seen if isinstance(change.event, CarrierChanged)] == [CarrierChanged(False)]


@pytest.mark.trio
async def test_a_polling_client_that_goes_has_gone(url: str) -> None:
    async with proxy(url, Upgrades.CUT) as between, connect(url, "Bob") as bob:
        await bob.create_room("lobby")
        async with heard(bob, UserLeft):
            async with connect(between.url, "Ann") as ann:
                await ann.create_room("lobby", join_existing=True)
            began = trio.current_time()
        assert trio.current_time() - began < 2  # it said so, and its seat is not held


@pytest.mark.trio
async def test_a_web_server_that_is_no_palaver_is_told_for_what_it_is() -> None:
    async def answer(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, answer, 0)
        port = listeners[0].socket.getsockname()[1]
        with pytest.raises(ConnectFailed, match=r"no Palaver server \(it answers 404\)"):
            async with connect(f"127.0.0.1:{port}", "Ann"):
                pytest.fail("not reached")
        nursery.cancel_scope.cancel()


def test_payloads_hold_what_fits() -> None:
    assert list(payloads(["4aa", "4bb", b"\x00", "4" + "c" * 20, "4dd"], 13)) == [
        b"4aa\x1e4bb\x1ebAA==",
        b"4" + b"c" * 20,
        b"4dd",
    ]
