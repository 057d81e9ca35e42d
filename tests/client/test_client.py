"""The client against the real server: what a bot's author can ask, and what comes of it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest
import pytest_trio
import trio

from palaver_client import (
    CallEnded,
    Changes,
    Client,
    ClientState,
    ConnectFailed,
    Disconnected,
    EndReason,
    Joined,
    Left,
    NewMessage,
    ParticipantMediaStateUpdated,
    Refusal,
    Side,
    SideState,
    Sound,
    UserJoined,
    UserLeft,
    connect,
)
from running import serving


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving() as (url, _):
        yield url


async def until(changes: Changes, kind: type) -> object:
    """The next event of a kind."""
    with trio.fail_after(10):
        async for change in changes:
            if isinstance(change.event, kind):
                return change.event
    raise AssertionError(kind)


async def until_state(client: Client, is_it: object) -> None:
    with trio.fail_after(10):
        async with client.changes() as changes:
            while not is_it(client.state):  # type: ignore[operator] # a predicate
                await anext(changes)


def is_heard(state: ClientState) -> bool:
    """Whether our microphone is, as loud as a tone."""
    return bool(state.sound.source.name) and -13 < state.sound.input_dbfs < -11


@pytest.mark.trio
async def test_two_people_meet_write_and_part(url: str) -> None:
    async with connect(url, "Ann") as ann, ann.changes() as changes:
        room = await ann.create_room("lounge")
        assert ann.state.room == room
        async with connect(url, "Bob") as bob:
            await until_state(bob, lambda state: len(state.users) == 2 and len(state.rooms) == 1)
            assert {user.name for user in bob.state.users} == {"Ann", "Bob"}
            assert await bob.join_room(bob.state.rooms[0].room_id) == bob.state.room
            joined = await until(changes, UserJoined)
            assert isinstance(joined, UserJoined)
            assert (joined.user_id, joined.user_name) == (bob.user_id, "Bob")
            said = await bob.say("hello")
            heard = await until(changes, NewMessage)
            assert isinstance(heard, NewMessage)
            assert (heard.message_id, heard.content) == (said.message_id, "hello")
            answer = await ann.say("hi", reply_to=said.message_id)
            assert answer.reply_to is not None
            assert answer.reply_to.content == "hello"
            await bob.set_muted(True)
            muted = await until(changes, ParticipantMediaStateUpdated)
            assert isinstance(muted, ParticipantMediaStateUpdated)
            assert muted.is_muted
            await bob.leave_room()
            assert bob.state.room is None
            left = await until(changes, UserLeft)
            assert isinstance(left, UserLeft)
            assert left.user_id == bob.user_id
            await bob.leave_room()  # in no room any more: nothing to do


@pytest.mark.trio
async def test_joining_the_room_of_a_name_makes_it_once(url: str) -> None:
    async with connect(url, "Ann") as ann, connect(url, "Bob") as bob:
        rooms = []

        async def join(client: Client) -> None:
            rooms.append(await client.create_room("lobby", join_existing=True))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(join, ann)
            nursery.start_soon(join, bob)
        assert rooms[0].room_id == rooms[1].room_id


@pytest.mark.trio
async def test_the_host_ends_the_room_for_all(url: str) -> None:
    async with connect(url, "Ann") as ann, connect(url, "Bob") as bob, bob.changes() as changes:
        await ann.create_room("lobby")
        await bob.create_room("lobby", join_existing=True)
        with pytest.raises(Refusal, match="notHost"):
            await bob.end_room()
        await ann.end_room()
        ended = await until(changes, CallEnded)
        assert isinstance(ended, CallEnded)
        assert ended.reason is EndReason.ENDED
        assert bob.state.room is None


@pytest.mark.trio
async def test_refusals_are_exceptions_and_the_connection_stays(url: str) -> None:
    async with connect(url, "Ann") as ann:
        for wrong in (
            lambda: ann.say("to nobody"),
            lambda: ann.end_room(),
            lambda: ann.join_room(uuid.uuid4().hex),  # type: ignore[arg-type] # a string will do
            lambda: ann.create_room(""),
            lambda: ann.create_room("x" * 33),
        ):
            with pytest.raises(Refusal):
                await wrong()
        await ann.create_room("lobby")
        with pytest.raises(Refusal, match="inRoom"):
            await ann.create_room("other")
        with pytest.raises(Refusal):
            await ann.say("  ")
        other = await ann.create_room("other", leave_current=True)
        assert ann.state.room == other


@pytest.mark.trio
async def test_the_user_id_is_kept(url: str) -> None:
    mine = str(uuid.uuid4())
    async with connect(url, "Ann", mine) as ann:
        assert ann.user_id == mine
        await until_state(ann, lambda state: [user.user_id for user in state.users] == [mine])


@pytest.mark.parametrize(("url", "reason"), [("http://127.0.0.1:1", "refused"), ("nonsense://x", "begins with")])
@pytest.mark.trio
async def test_no_server_there(url: str, reason: str) -> None:
    with pytest.raises(ConnectFailed, match=reason):
        async with connect(url, "Ann"):
            pytest.fail("not reached")


@pytest.mark.trio
async def test_what_the_block_raises_comes_out_as_it_is(url: str) -> None:
    with pytest.raises(ZeroDivisionError):
        async with connect(url, "Ann") as ann, ann.call("lobby", source="null", sink="null"):
            raise ZeroDivisionError


@pytest.mark.trio
async def test_a_microphone_is_seen_before_a_call_which_takes_it_over(url: str) -> None:
    async with connect(url, "Ann", source="tone:440", sink="null") as ann:
        async with ann.auditioning():
            await until_state(ann, is_heard)
            assert ann.state.room is None
            with pytest.raises(RuntimeError):
                async with ann.auditioning():
                    pytest.fail("not reached")
            async with ann.call("lobby", source=None, sink=None):
                await until_state(ann, is_heard)
            await until_state(ann, lambda state: not is_heard(state))
            await until_state(ann, is_heard)  # again, after the call
            ann.use(Side.SOURCE, "tone:330")
            await until_state(ann, lambda state: state.sound.source.name == "tone:330")
        async with ann.auditioning():
            await until_state(ann, is_heard)
        assert ann.state.sound == Sound(SideState("tone:330"), SideState("null"))


@pytest.mark.trio
async def test_in_a_call_there_is_nothing_to_audition(url: str) -> None:
    async with connect(url, "Ann", source="tone:440", sink="null") as ann, ann.call("lobby", source=None, sink=None):
        async with ann.auditioning():
            await until_state(ann, is_heard)
        assert is_heard(ann.state)


@pytest.mark.trio
async def test_a_call_joins_is_heard_and_leaves(url: str) -> None:
    async with connect(url, "Ann") as ann, connect(url, "Bob") as bob, bob.changes() as changes:
        async with bob.call("lobby", source="null", sink="pcm") as at_bob:
            async with ann.call("lobby", source="tone:440", sink="null") as at_ann:
                assert at_ann.room.room_name == "lobby"
                with trio.fail_after(20):
                    async for block in at_bob.hear():
                        if any(block.samples):
                            break
                assert block.user_id == ann.user_id
                assert len(block.samples) == 1920
                with pytest.raises(RuntimeError):
                    async with ann.call("other"):
                        pytest.fail("not reached")
            assert await at_ann.wait_ended() is EndReason.ENDED
            await until(changes, UserLeft)
            assert ann.state.room is None
        await ann.create_room("lobby", join_existing=True)


@pytest.mark.trio
async def test_devices_are_listed_even_where_there_are_none(url: str) -> None:
    async with connect(url, "Ann") as ann:
        with trio.fail_after(20):
            devices = await ann.list_devices()
        assert devices.inputs or devices.problem
        assert ann.state.devices == devices


@pytest.mark.trio
async def test_a_server_that_stops_is_told_and_asked_again() -> None:
    async with serving() as (url, server), connect(url, "Ann") as ann, ann.changes() as changes:
        await ann.create_room("lobby")
        await until(changes, Joined)
        await server.end()
        await until(changes, CallEnded | Left)  # type: ignore[arg-type] # isinstance takes a union
        with trio.fail_after(10):
            while True:
                try:
                    await ann.create_room("lobby")
                except Disconnected:
                    break
