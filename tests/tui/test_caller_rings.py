"""Calls, invitations and chat deeds through the Trio side of the screen, with a real server and real sound."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver_client import ClientState, MediaState
from palaver_protocol.models import RoomType
from palaver_tui.messages import Happened, Missed, OlderShown, Trouble
from palaver_tui.wishes import (
    Accept,
    CancelRing,
    Delete,
    Edit,
    Invite,
    Leave,
    Open,
    React,
    ReadOlder,
    Reject,
    Ring,
    Say,
    TransferHost,
)
from running import serving
from tui.callers import Person, online, sits, with_people

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def in_call(state: ClientState) -> bool:
    return state.room is not None and state.room.room_type is RoomType.DIRECT


async def hear_each_other(one: Person, other: Person) -> None:
    await one.until(lambda state: other.user_id in state.sound.speaking)
    await other.until(lambda state: one.user_id in state.sound.speaking)


async def test_a_call_is_accepted_spoken_in_and_hung_up() -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Ring(bob.user_id))
        await ann.until(lambda state: state.outgoing is not None and state.outgoing.ends_at is not None)
        bob.wants(Accept(await bob.ring()))
        for person in (ann, bob):
            await person.until(in_call)
            assert not person.state.incoming
            assert person.state.outgoing is None
        await hear_each_other(ann, bob)
        ann.wants(Leave())
        await bob.hears(Happened, "ann hung up")
        for person in (ann, bob):
            await person.until(lambda state: state.room is None and state.media is MediaState.NONE)
            assert person.caller.seating.wanted is None
            assert not any(isinstance(message, Trouble) for message in person.told)


@pytest.mark.parametrize(("reason", "told"), [("", "bob"), ("in a tunnel", "in a tunnel")])
async def test_a_rejection_is_told_to_the_caller_and_to_him_alone(reason: str, told: str) -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Ring(bob.user_id))
        bob.wants(Reject(await bob.ring(), reason))
        await ann.hears(Happened, told)
        await ann.until(lambda state: state.outgoing is None)
        await bob.until(lambda state: not state.incoming)
        ann.wants(Ring(bob.user_id))
        await bob.ring()
        assert not any(isinstance(message, Happened) for message in bob.told)


async def test_a_cancelled_and_a_missed_call_are_told() -> None:
    async with serving("--ring-timeout", "1") as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Ring(bob.user_id))
        await bob.ring()
        ann.wants(CancelRing())
        await bob.hears(Happened, "the call from ann is over")
        await ann.until(lambda state: state.outgoing is None)  # who may be told later than bob
        ann.wants(Ring(bob.user_id))
        await ann.hears(Happened, "bob does not answer")
        await bob.hears(Happened, "you missed a call from ann")
        assert [one.user_id for one in bob.told if isinstance(one, Missed)] == [ann.user_id] * 2


async def test_whoever_accepts_in_a_room_leaves_it_and_speaks_on() -> None:
    async with serving() as (url, _), online(url, "ann", "bob", "eve") as (ann, bob, eve):
        ann.wants(Open("lobby"))
        eve.wants(Open("lobby"))
        await ann.until(with_people(2))
        await hear_each_other(ann, eve)
        bob.wants(Ring(ann.user_id))
        ann.wants(Accept(await ann.ring()))
        await ann.until(in_call)
        await hear_each_other(ann, bob)
        await eve.until(with_people(1))
        bob.wants(Leave())
        await ann.until(lambda state: state.room is None)
        assert sits("lobby")(eve.state)
        assert not ann.state.incoming


async def test_a_caller_in_a_room_leaves_it_when_the_call_is_accepted() -> None:
    async with serving() as (url, _), online(url, "ann", "bob", "eve") as (ann, bob, eve):
        ann.wants(Open("lobby"))
        await ann.until(sits("lobby"))
        eve.wants(Open("lobby"))
        await eve.until(with_people(2))
        ann.wants(Ring(bob.user_id))
        call = await bob.ring()
        assert sits("lobby")(ann.state)
        bob.wants(Accept(call))
        await hear_each_other(ann, bob)
        await eve.until(with_people(1))


async def test_an_invitation_leads_into_the_room() -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Open("lobby"))
        await ann.until(sits("lobby"))
        ann.wants(Invite(bob.user_id))
        await ann.hears(Happened, "it rings at bob")
        bob.wants(Reject(await bob.ring(), "later"))
        await ann.hears(Happened, "bob says no: later")
        await bob.until(lambda state: not state.incoming)
        ann.wants(Invite(bob.user_id))
        bob.wants(Accept(await bob.ring()))
        await bob.until(sits("lobby"))
        await ann.hears(Happened, "bob accepts the invitation")
        await hear_each_other(ann, bob)
        assert not any(isinstance(message, Trouble) for message in (*ann.told, *bob.told))


async def test_what_cannot_be_is_said_with_its_reason() -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Ring(ann.user_id))
        await ann.until(lambda _: any(isinstance(message, Trouble) for message in ann.told))
        ann.told[:] = [message for message in ann.told if not isinstance(message, Trouble)]
        ann.wants(Invite(bob.user_id))
        await ann.hears(Trouble, "you are in no room")
        for _ in range(3):  # three times no is no for a while
            await ann.until(lambda state: state.outgoing is None)
            ann.wants(Ring(bob.user_id))
            bob.wants(Reject(await bob.ring()))
            await bob.until(lambda state: not state.incoming)
        await ann.until(lambda state: state.outgoing is None)
        ann.wants(Ring(bob.user_id))
        await ann.hears(Trouble, "try again in 1 min")
        assert not bob.state.incoming


async def test_messages_are_answered_reacted_to_edited_and_deleted() -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        for person in (ann, bob):
            person.wants(Open("lobby"))
            await person.until(sits("lobby"))
        ann.wants(Say("hello"))
        await bob.until(lambda state: state.room is not None and state.room.messages)
        hello = bob.newest()
        bob.wants(Say("hi", hello))
        bob.wants(React(hello, "👍"))
        await ann.until(lambda state: state.room is not None and len(state.room.messages) == 2)
        await ann.until(lambda state: state.room is not None and state.room.messages[0].reactions)
        assert ann.state.room is not None
        assert ann.state.room.messages[1].reply_to is not None
        ann.wants(Edit(hello, "good morning"))
        await bob.until(lambda state: state.room is not None and state.room.messages[0].content == "good morning")
        bob.wants(Edit(hello, "not mine"))
        await bob.until(lambda _: any(isinstance(m, Trouble) and m.unsaid == "not mine" for m in bob.told))
        ann.wants(Delete(hello))
        await bob.until(lambda state: state.room is not None and len(state.room.messages) == 1)


async def test_older_messages_and_the_host_s_role() -> None:
    async with serving() as (url, _), online(url, "ann", "bob") as (ann, bob):
        ann.wants(Open("lobby"))
        await ann.until(sits("lobby"))
        assert ann.caller._client is not None
        for number in range(60):
            await ann.caller._client.say(f"line {number}")
        bob.wants(Open("lobby"))
        await bob.until(sits("lobby"))
        assert bob.state.room is not None
        assert len(bob.state.room.messages) == 50
        bob.wants(ReadOlder())
        await bob.until(lambda state: state.room is not None and len(state.room.messages) == 60)
        await bob.until(lambda _: any(isinstance(m, OlderShown) and not m.has_older for m in bob.told))
        bob.wants(TransferHost(bob.user_id))
        await bob.hears(Trouble, "host")
        ann.wants(TransferHost(bob.user_id))
        await bob.until(lambda state: state.room is not None and state.room.host_id == bob.user_id)
        await bob.hears(Happened, "you are the host now")
