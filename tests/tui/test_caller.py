"""The Trio side with a real server and a real sound engine: wishes in, news out."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import trio

from palaver_client import ConnectionState, MediaState, Settings, Side
from palaver_tui.messages import Happened, Offline, StateChanged, Trouble
from palaver_tui.wishes import Choose, End, Join, Leave, ListDevices, Open, Retry, Say, SetMuted
from running import serving
from tui.callers import calling, sits, with_people

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


async def test_two_people_meet_talk_and_part() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        ann.caller.take(Open("lobby"))
        await bob.until(lambda state: state.rooms)
        bob.caller.take(Join(bob.state.rooms[0].room_id, "lobby"))
        await ann.until(with_people(2))
        await bob.until(lambda state: state.media is MediaState.CONNECTED)
        await bob.until(lambda state: ann.user_id in state.sound.speaking)
        for number in range(10):
            ann.caller.take(Say(f"line {number}"))
        await bob.until(lambda state: state.room is not None and len(state.room.messages) == 10)
        assert bob.state.room is not None
        assert [said.content for said in bob.state.room.messages] == [f"line {number}" for number in range(10)]
        ann.caller.take(SetMuted(True))
        await bob.until(lambda state: state.room is not None and any(p.is_muted for p in state.room.participants))
        bob.caller.take(End())
        await bob.until(lambda _: bob.has_heard(Trouble, "host"))
        bob.caller.take(Leave())
        await bob.until(lambda state: state.room is None)
        await ann.until(with_people(1))
        assert ann.has_heard(Happened, "bob joined")
        assert ann.has_heard(Happened, "bob left")
        assert not any(isinstance(message, Happened) for message in bob.told)  # who leaves knows it


async def test_another_room_is_entered_by_leaving_the_first() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        for name in ("one", "two", "three"):
            ann.caller.take(Open(name))
        await ann.until(sits("three"))
        await ann.until(lambda state: [room.room_name for room in state.rooms] == ["three"])
        assert not any(isinstance(message, Trouble) for message in ann.told)


async def test_of_two_rooms_with_one_name_the_chosen_one_is_joined() -> None:
    async with (
        serving() as (url, _),
        calling(url, "ann") as ann,
        calling(url, "bob") as bob,
        calling(url, "eve") as eve,
    ):
        for person in (ann, bob):
            await person.until(lambda state: state.connection is ConnectionState.CONNECTED)
            assert person.caller._client is not None
            await person.caller._client.create_room("lobby")
        await eve.until(lambda state: len(state.rooms) == 2)
        theirs = next(room for room in eve.state.rooms if room.host_name == "bob")
        eve.caller.take(Join(theirs.room_id, "lobby"))
        await bob.until(with_people(2))


async def test_a_room_that_the_host_ends_is_told_to_all() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        ann.caller.take(Open("lobby"))
        await ann.until(sits("lobby"))
        bob.caller.take(Open("lobby"))
        await ann.until(with_people(2))
        ann.caller.take(End())
        for person in (ann, bob):
            await person.until(lambda state: state.room is None)
            await person.until(lambda _, person=person: person.caller.seating.wanted is None)
            assert person.has_heard(Happened, "the room is over")


async def test_what_cannot_be_sent_comes_back() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        await ann.until(lambda state: state.connection is ConnectionState.CONNECTED)
        ann.caller.take(Say("hello?"))
        await ann.until(lambda _: any(isinstance(message, Trouble) and message.unsaid for message in ann.told))


async def test_devices_are_listed_and_a_choice_is_kept() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        await ann.until(lambda state: state.connection is ConnectionState.CONNECTED)
        ann.caller.take(ListDevices())
        ann.caller.take(Choose(Side.SOURCE, "null"))
        await ann.until(lambda state: state.devices is not None and state.sound.source.spec == "null")
        ann.caller.take(Open("lobby"))
        await ann.until(lambda state: state.room is not None and state.sound.source.spec == "null")
        ann.caller.take(Choose(Side.SOURCE, "tone:300"))
        await ann.until(lambda state: state.sound.source.name and state.sound.source.spec == "tone:300")
        await ann.until(lambda _: (Settings.load("ann").source, Settings.load("ann").room) == ("tone:300", "lobby"))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def test_a_server_that_comes_late_is_found_at_once_by_retry() -> None:
    port = free_port()
    async with calling(f"http://127.0.0.1:{port}", "ann") as ann:
        ann.caller.take(Open("lobby"))
        await ann.until(lambda _: sum(isinstance(message, Offline) for message in ann.told) >= 2)
        assert ann.state.connection is ConnectionState.RECONNECTING
        ann.caller.take(SetMuted(True))
        assert ann.has_heard(Trouble, "not connected")
        async with serving("--port", str(port), "--state", "memory:"):
            for _ in range(5):
                ann.caller.take(Retry())
                await trio.lowlevel.checkpoint()
            await ann.until(sits("lobby"))
            ann.caller.take(Retry())  # too late to matter
            seen = len(ann.told)
            ann.caller.take(Say("here"))
            await ann.until(lambda state: state.room is not None and state.room.messages)
            states = [message.state for message in ann.told[seen:] if isinstance(message, StateChanged)]
            assert {state.connection for state in states} == {ConnectionState.CONNECTED}


async def test_where_there_is_no_tls_it_is_not_tried_for_ever() -> None:
    async with serving() as (url, _), calling(url.replace("http:", "https:"), "ann") as ann:
        await ann.until(lambda state: state.connection is ConnectionState.CLOSED)
        lost = [message.lost for message in ann.told if isinstance(message, Offline)]
        assert [one.retry_in for one in lost] == [None]
        assert "there is no TLS at" in lost[0].reason
        ann.wants(Retry())
        await ann.until(lambda _: sum(isinstance(message, Offline) for message in ann.told) == 2)


async def test_after_a_server_s_death_one_is_back_in_a_room_of_that_name() -> None:
    port = free_port()
    async with calling(f"http://127.0.0.1:{port}", "ann") as ann:
        forgetful = ("--port", str(port), "--state", "memory:")
        async with serving(*forgetful) as (url, server), calling(url, "bob") as bob:
            bob.caller.take(Open("lobby"))
            ann.caller.take(Retry())
            await ann.until(lambda state: state.rooms)
            ann.caller.take(Join(ann.state.rooms[0].room_id, "lobby"))
            await ann.until(sits("lobby"))
            await server.end(signal.SIGKILL)
            await ann.until(lambda state: state.connection is ConnectionState.RECONNECTING)
        seen = len(ann.told)
        async with serving(*forgetful):
            ann.caller.take(Retry())
            await ann.until(lambda state: state.connection is ConnectionState.CONNECTED and sits("lobby")(state))
            assert not any(isinstance(message, Trouble) for message in ann.told[seen:])
