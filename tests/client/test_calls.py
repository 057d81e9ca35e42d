"""Calls and invitations between clients of the real server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import pytest_trio
import trio

from palaver_client import (
    CallAccepted,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    Client,
    ClientState,
    EndReason,
    Joined,
    NewMessage,
    Refusal,
    connect,
)
from palaver_protocol.models import RoomType, UserId
from running import serving

Is = Callable[[ClientState], object]


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving("--ring-timeout", "2") as (url, _):
        yield url


@asynccontextmanager
async def people(url: str, *names: str) -> AsyncIterator[tuple[Client, ...]]:
    """Clients who see each other."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(connect(url, name, takes_waiting_calls=True)) for name in names]
        for client in clients:
            await until(client, lambda state: len(state.users) == len(names))
        yield tuple(clients)


async def until(client: Client, is_it: Is) -> ClientState:
    """The state in which it is so."""
    with trio.fail_after(10):
        async with client.changes() as changes:
            while not is_it(client.state):
                await anext(changes)
    return client.state


@asynccontextmanager
async def heard(client: Client, kind: type) -> AsyncIterator[list[object]]:
    """The block ends when such an event has come; it is in the list."""
    events: list[object] = []
    async with client.changes() as changes:
        yield events
        with trio.fail_after(10):
            async for change in changes:
                if isinstance(change.event, kind):
                    events.append(change.event)
                    return


async def rung(client: Client) -> ClientState:
    return await until(client, lambda state: state.incoming)


@pytest.mark.trio
async def test_a_call_rings_is_accepted_and_both_sit_in_its_room(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        began = trio.current_time()
        ring = await ann.ring(bob.user_id)
        assert ann.state.outgoing == ring
        assert ring.to_name == "Bob"
        assert ring.ends_at == pytest.approx(began + 2, abs=0.5)
        (incoming,) = (await rung(bob)).incoming
        assert (incoming.call_id, incoming.from_id, incoming.from_name) == (ring.call_id, ann.user_id, "Ann")
        assert incoming.ends_at == pytest.approx(began + 2, abs=0.5)
        async with heard(ann, Joined):
            room = await bob.accept(incoming.call_id)
        assert room.room_type is RoomType.DIRECT
        for client in (ann, bob):
            assert client.state.room is not None
            assert client.state.room.room_id == room.room_id
            assert (client.state.incoming, client.state.outgoing) == ((), None)
        async with heard(bob, NewMessage):
            await ann.say("there you are")


@pytest.mark.parametrize("reason", [None, "in a meeting"])
@pytest.mark.trio
async def test_a_call_is_rejected(url: str, reason: str | None) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob), heard(ann, CallRejectedNew) as events:
        ring = await ann.ring(bob.user_id)
        await rung(bob)
        await bob.reject(ring.call_id, reason)
        assert bob.state.incoming == ()
    assert [getattr(event, "reason", None) for event in events] == [reason or "rejected"]
    assert ann.state.outgoing is None


@pytest.mark.trio
async def test_a_call_is_cancelled_and_another_runs_out_of_time(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        ring = await ann.ring(bob.user_id)
        await rung(bob)
        with pytest.raises(Refusal, match="calling Bob already"):
            await ann.ring(bob.user_id)
        await ann.cancel_ring()
        assert ann.state.outgoing is None
        await until(bob, lambda state: not state.incoming)
        with pytest.raises(Refusal, match="rings no longer"):
            await bob.accept(ring.call_id)
        await ann.cancel_ring()  # nothing rings: nothing to do
        async with heard(ann, CallTimeout), heard(bob, CallTimeout):
            await ann.ring(bob.user_id)
        assert (ann.state.outgoing, bob.state.incoming) == (None, ())


@pytest.mark.trio
async def test_a_call_that_cannot_ring_leaves_nothing_behind(url: str) -> None:
    async with people(url, "Ann") as (ann,):
        for nobody in (ann.user_id, UserId("nobody")):
            with pytest.raises(Refusal):
                await ann.ring(nobody)
            assert ann.state.outgoing is None


@pytest.mark.trio
async def test_two_who_call_each_other_meet_in_one_room(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ann.ring, bob.user_id)
            nursery.start_soon(bob.ring, ann.user_id)
        rooms = set()
        for client in (ann, bob):
            state = await until(client, lambda state: state.room)
            assert state.room is not None
            rooms.add(state.room.room_id)
            assert (state.incoming, state.outgoing) == ((), None)
        assert len(rooms) == 1


@pytest.mark.trio
async def test_people_are_invited_to_a_room(url: str) -> None:
    async with people(url, "Ann", "Bob", "Cem") as (ann, bob, cem):
        with pytest.raises(Refusal, match="you are in no room"):
            await ann.invite([bob.user_id])
        lobby = await ann.create_room("lobby")
        async with heard(ann, CallAccepted), heard(ann, CallRejected) as no:
            await ann.invite([bob.user_id, cem.user_id])
            assert ann.state.room is not None
            assert set(ann.state.room.invited_user_ids) == {bob.user_id, cem.user_id}
            (invitation,) = (await rung(bob)).incoming
            assert (invitation.room_id, invitation.room_type) == (lobby.room_id, RoomType.GROUP)
            assert (await bob.accept(invitation.call_id)).room_id == lobby.room_id
            assert bob.state.incoming == ()
            await rung(cem)
            await cem.reject(cem.state.incoming[0].call_id, "later")
        assert [getattr(event, "reason", None) for event in no] == ["later"]
        state = await until(ann, lambda state: state.room and not state.room.invited_user_ids)
        assert state.room is not None
        assert [person.name for person in state.room.participants] == ["Ann", "Bob"]


@pytest.mark.trio
async def test_a_call_takes_nobody_more(url: str) -> None:
    async with people(url, "Ann", "Bob", "Cem") as (ann, bob, cem):
        ring = await ann.ring(bob.user_id)
        await rung(bob)
        await bob.accept(ring.call_id)
        with pytest.raises(Refusal, match="takes nobody more"):
            await bob.invite([cem.user_id])


@pytest.mark.trio
async def test_talking_goes_on_in_the_room_of_an_accepted_call(url: str) -> None:
    """One block of talking, two rooms: the sound of the first ends, that of the second begins."""
    async with people(url, "Ann", "Bob") as (ann, bob):
        async with ann.call("lobby", source="tone:440", sink="null") as at_ann:
            await until(ann, lambda state: state.media.value == "connected")
            ring = await bob.ring(ann.user_id)
            await rung(ann)
            with pytest.raises(Refusal, match="inRoom"):
                await ann.accept(ring.call_id)
            assert ann.state.incoming
            await ann.accept(ring.call_id, leave_current=True)
            assert at_ann.room.room_type is RoomType.DIRECT
            await until(bob, lambda state: state.room)
            async with bob.talk(source="null", sink="pcm") as at_bob:
                with trio.fail_after(20):
                    async for block in at_bob.hear():
                        if any(block.samples):
                            break
                await until(ann, lambda state: state.media.value == "connected")
            with trio.fail_after(10):
                assert await at_ann.wait_ended() is EndReason.EMPTY  # whoever is left alone hangs up
        assert ann.state.room is None


@pytest.mark.trio
async def test_there_is_no_talking_where_nobody_sits(url: str) -> None:
    async with people(url, "Ann") as (ann,):
        with pytest.raises(Refusal, match="you are in no room"):
            async with ann.talk(source="null", sink="null"):
                pytest.fail("not reached")


# -- rooms -------------------------------------------------------------------------------------------------------------
@pytest.mark.trio
async def test_the_host_hands_the_role_over(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        lobby = await ann.create_room("lobby")
        await bob.join_room(lobby.room_id)
        with pytest.raises(Refusal, match="notHost"):
            await bob.transfer_host(bob.user_id)
        assert (await ann.transfer_host(bob.user_id)).host_id == bob.user_id
        for client in (ann, bob):
            state = await until(client, lambda state: state.room and state.room.host_id == bob.user_id)
            assert state.room is not None
            assert [person.is_host for person in state.room.participants] == [False, True]


@pytest.mark.trio
async def test_history_is_read_page_by_page(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        lobby = await ann.create_room("lobby")
        for number in range(60):
            await say(ann, str(number))
        await bob.join_room(lobby.room_id)
        assert contents(bob)[0] == "10"
        newest = await bob.messages(limit=2)
        assert ([said.content for said in newest.messages], newest.more) == (["58", "59"], True)
        assert (await bob.older(limit=7)).more
        assert contents(bob)[0] == "3"
        assert not (await bob.older(limit=7)).more
        assert contents(bob) == [str(number) for number in range(60)]


async def say(client: Client, content: str) -> None:
    """Say something, as fast as the server allows."""
    while True:
        try:
            await client.say(content)
        except Refusal as no:
            await trio.sleep(no.retry_after or 0)
        else:
            return


def contents(client: Client) -> list[str]:
    assert client.state.room is not None
    return [said.content for said in client.state.room.messages]


@pytest.mark.trio
async def test_recording_is_shown_to_all(url: str) -> None:
    async with people(url, "Ann", "Bob") as (ann, bob):
        lobby = await ann.create_room("lobby")
        await bob.join_room(lobby.room_id)
        await bob.set_recording(True)
        for client in (ann, bob):
            await until(client, lambda state: (who := state.participant(bob.user_id)) and who.is_recording)
