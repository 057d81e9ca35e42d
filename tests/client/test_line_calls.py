"""Calls, invitations and hand-over in line mode: real processes against the real server, without sound devices."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
import pytest_trio
import trio
import trio.testing

from client.json_schema import check
from client.proxies import Upgrades, proxy
from palaver_client.talking import REMINDER
from running import Program, running, serving

ONLINE = re.compile(r'online: |"online":')
SILENT = ("--input", "null", "--output", "null")


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving("--ring-timeout", "20") as (url, _):
        yield url


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "settings")}


def call(url: str, name: str, env: Mapping[str, str], *options: str) -> AbstractAsyncContextManager[Program]:
    return running("call", url, "--name", name, *SILENT, *options, env=env)


async def see(program: Program, line: str, after: int = 0) -> None:
    """Wait for a line that begins so."""
    await program.wait_line(lambda seen: seen.startswith(line), after=after)


async def meet(program: Program, *names: str) -> None:
    """Wait until somebody sees these people online."""
    with trio.fail_after(10):
        while not any(all(name in line for name in names) for line in program.lines if ONLINE.search(line)):
            await program.say("/who")
            await program.wait_line(lambda line: bool(ONLINE.search(line)), after=len(program.lines))


@pytest.mark.trio
async def test_people_call_accept_and_hang_up_in_plain_words(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env) as ann, call(url, "Bob", env) as bob:
        for program in (ann, bob):
            await see(program, "waiting for calls")
        await meet(ann, "Bob")
        await ann.say("hello?")
        await see(ann, "nobody is here to read it; call somebody with /call NAME")
        await ann.say("/accept")
        await see(ann, "nobody calls you")
        await ann.say("/call zoe")
        await see(ann, "online: nobody is called zoe; there is only Bob")
        for line, answer in (
            ("/call", "/call needs a name"),
            ("/call ann", "that is you"),
            ("/who xyz", "/who takes nothing more; write only /who"),
            ("/MUTE now", "/mute takes nothing more; write only /mute"),
            ("/delete 2 really?", "/delete takes only a number; write /delete N"),
        ):
            await ann.say(line)
            await see(ann, answer)
        await ann.say("/Call bo")
        await see(ann, "it rings at Bob")
        await see(bob, "Ann calls you; it rings for 20 s: /accept or /reject")
        await bob.say("/accept")
        await see(ann, "Bob accepts the call")
        await see(ann, "you are in a call, with Bob")
        await see(bob, "you are in a call, with Ann")
        await ann.say("there you are")
        await see(bob, "Ann: there you are")
        await bob.say("/leave")
        await see(bob, "you left the room")
        await see(bob, "the call took")
        await see(ann, "Bob hung up")
        await see(ann, "the call took")  # by itself
        assert ann.lines[-3:-1] == ["Bob hung up", "you left the room"]
        await ann.say("/quit")
        assert await ann.wait() == 0
        assert await bob.end() == 0
        for program in (ann, bob):
            await see(program, "you wait for calls no longer")
            assert program.errors == []


@pytest.mark.trio
async def test_people_say_no_and_think_better_of_it(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env) as ann, call(url, "Bob", env) as bob:
        for program in (ann, bob):
            await see(program, "waiting for calls")
        await meet(ann, "Bob")
        await ann.say("/call BOB")
        await see(bob, "Ann calls you")
        await bob.say("/reject in a meeting")
        await see(ann, "Bob says no: in a meeting")
        await see(bob, "you said no to Ann")
        await ann.say("/cancel")
        await see(ann, "you are calling nobody")
        told = len(bob.lines)
        await ann.say("/call Bob")
        await bob.wait_line(lambda line: line.startswith("Ann calls you"), after=told)
        await ann.say("/call Bob")
        await see(ann, "you are calling Bob already")
        await ann.say("/cancel")
        await see(ann, "you call Bob no longer")
        await see(bob, "the call from Ann is over")


@pytest.mark.trio
async def test_a_room_is_filled_by_invitations_and_handed_over(url: str, env: dict[str, str]) -> None:
    room = ("--room", "lobby")
    async with call(url, "Ann", env, *room) as ann, call(url, "Bob", env) as bob, call(url, "Cem Can", env) as cem:
        for program in (bob, cem):
            await see(program, "waiting for calls")
        await see(ann, "you are in lobby")
        await meet(ann, "Bob", "Cem")
        await ann.say("/invite bob, cem can")
        await see(ann, "it rings at Bob and Cem Can")
        await see(bob, "Ann invites you to lobby; it rings for 20 s")
        await bob.say("/accept ann")
        await see(ann, "Bob accepts the invitation")
        await see(cem, "Ann invites you")
        await cem.say("/reject ann later")
        await see(ann, "Cem Can says no: later")
        await ann.say("/host bo")
        await see(ann, "Bob is the host now")
        await see(bob, "you are the host now")
        await bob.say("/who")
        await bob.wait_line(lambda line: line == "here: Ann, Bob (host)")
        await see(bob, "online: Cem Can")
        for number in range(3):
            await ann.say(str(number))
        await see(bob, "Ann: 2")
        await bob.say("/older")
        await see(bob, "there are no older messages")
        await cem.say("/join lobby")
        await see(cem, "you are in lobby, with Ann and Bob")


@pytest.mark.trio
async def test_calls_as_json_of_the_schema(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json") as ann, call(url, "Bob", env, "--json", "--room", "lobby") as bob:
        await ann.wait_event("waiting")
        await bob.wait_event("joined", roomType="group")
        await meet(ann, "Bob")
        await ann.say("/call bob")
        calling = await ann.wait_event("calling", name="Bob")
        rung = await bob.wait_event("incomingCall", name="Ann")
        assert rung["callId"] == calling["callId"]
        assert 15_000 < rung["ringsFor"] <= 20_000
        await bob.say("/accept")  # from one room into another
        await bob.wait_event("joined", roomType="direct")
        await ann.wait_event("callAccepted", callId=calling["callId"], name="Bob")
        await ann.wait_event("joined", roomType="direct")
        for program in (ann, bob):  # there is sound in the new room
            here = next(number for number, line in enumerate(program.lines) if '"roomType":"direct"' in line)
            await program.wait_event("media", state="connected", after=here)
        await ann.say("/rooms")
        assert [room["roomName"] for room in (await ann.wait_event("rooms"))["rooms"]] == []
        await ann.say("/call zoe")
        assert (await ann.wait_event("error"))["code"] == "notFound"
        await ann.say("/leave")
        assert (await ann.wait_event("hungUp"))["reason"] == "ended"
        assert (await bob.wait_event("ended"))["reason"] == "empty"
        assert await bob.wait() == 0
        assert await ann.end() == 0
        for program in (ann, bob):
            for line in program.lines:
                check(line)


@pytest.mark.trio
async def test_what_is_typed_while_the_connection_is_lost_is_said_once_it_is_back(
    url: str, env: dict[str, str]
) -> None:
    room = ("--room", "lobby", "--json")
    async with (
        proxy(url) as between,
        call(url, "Bob", env, *room) as bob,
        call(between.url, "Ann", env, *room) as ann,
    ):
        for program in (ann, bob):
            await program.wait_event("media", state="connected")
        between.is_open = False
        between.cut()
        await ann.wait_event("connectionLost")
        await bob.wait_event("mediaState", name="Ann", isAway=True)
        await bob.say("zero")
        await bob.wait_event("message", text="zero")
        await ann.say("one")
        await ann.say("two")
        between.is_open = True
        await bob.wait_event("message", text="two")
        assert [said["text"] for said in bob.events("message")] == ["zero", "one", "two"]
        await ann.wait_event("message", text="two")
        assert [said["text"] for said in ann.events("message")] == ["zero", "one", "two"]  # also what was missed
        assert (await ann.wait_event("connected", isResumed=True))["name"] == "Ann"
        assert bob.events("userLeft") == []
        assert ann.events("error") == []


@pytest.mark.trio
async def test_who_records_says_so_wherever_he_sits(url: str, env: dict[str, str], tmp_path: Path) -> None:
    file = ("--output", f"file:{tmp_path}/heard.wav")
    async with (
        proxy(url) as between,
        call(url, "Ann", env, "--room", "lobby") as ann,
        call(url, "Cem", env, "--room", "hall") as cem,
    ):
        await see(ann, "you are in lobby")
        await see(cem, "you are in hall")
        async with call(between.url, "Bob", env, "--room", "lobby", *file) as bob:
            await see(ann, "Bob is recording this call")
            await see(bob, "you are recording this call")
            between.cut()
            await see(bob, "connected again")
            await bob.say("/join hall")
            await see(cem, "Bob is recording this call")
            await bob.say("/quit")
            await see(cem, "Bob no longer records this call")
            assert await bob.wait() == 0


@pytest.mark.trio
async def test_what_rings_is_said_again_after_a_reconnection(url: str, env: dict[str, str]) -> None:
    async with proxy(url) as between, call(url, "Ann", env) as ann, call(between.url, "Bob", env) as bob:
        await see(ann, "waiting for calls")
        await see(bob, "waiting for calls")
        await meet(ann, "Bob")
        await ann.say("/call bob")
        await see(bob, "Ann calls you")
        between.cut()
        await see(bob, "connected again")
        again = next(number for number, line in enumerate(bob.lines) if line == "connected again")
        with trio.fail_after(REMINDER / 2):  # at once, not as the reminder that comes now and then
            await see(bob, "Ann still calls you, for ", after=again)


@pytest.mark.trio
async def test_who_has_no_connection_can_still_quit(env: dict[str, str]) -> None:
    async with serving() as (url, server), call(url, "Ann", env, "--room", "lobby", "--json") as ann:
        await ann.wait_event("joined")
        server.process.kill()
        await ann.wait_event("connectionLost")
        await ann.say("never said")
        await ann.say("/quit")
        assert await ann.wait(10) == 0
        await ann.wait_event("ended", reason="left")


@pytest.mark.trio
async def test_polling_is_said_once(url: str, env: dict[str, str]) -> None:
    async with proxy(url, Upgrades.FORBIDDEN) as between, call(between.url, "Ann", env, "--room", "lobby") as ann:
        await see(ann, "you are in lobby")
        await see(ann, "no WebSocket comes through (")
        between.cut()
        await see(ann, "connected again")
        await ann.say("/rooms")
        await see(ann, "rooms: lobby (1)")
        assert sum("no WebSocket" in line for line in ann.lines) == 1


@pytest.mark.parametrize("how", ["quit", "seconds", "SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.trio
async def test_however_it_ends_the_last_words_are_the_same(url: str, env: dict[str, str], how: str) -> None:
    options = ("--seconds", "1.5") if how == "seconds" else ()
    async with call(url, "Ann", env, "--room", "lobby", *options) as ann:
        await see(ann, "you are in lobby")
        if how == "quit":
            await ann.say("/quit")
        elif how != "seconds":
            ann.process.send_signal(signal.Signals[how])
        assert await ann.wait(15) == 0
        await see(ann, "you were in lobby for")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert ann.lines[-2] == "you left lobby"
        assert ann.lines[-1].startswith("you were in lobby for")
        assert ann.errors == []
