"""`palaver call` as people and scripts run it: a real process against the real server, without sound devices."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import unicodedata
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import pytest_trio
import trio

from client.json_schema import check
from client.scripted import OPEN, Server, serve_stream
from palaver_client.standard import AT_ONCE
from running import PYTHONPATH, Program, running, serving

SILENT = ("--input", "null", "--output", "null")


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving() as (url, _):
        yield url


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "settings")}


def call(
    url: str, name: str, env: Mapping[str, str], *options: str, sound: tuple[str, ...] = SILENT
) -> AbstractAsyncContextManager[Program]:
    return running("call", url, "--room", "lobby", "--name", name, *sound, *options, env=env)


async def ended(program: Program, patience: float = 10) -> int:
    """The exit code, once all output is read."""
    code = await program.wait(patience)
    await program.wait_line(lambda line: "ended" in line or "the call took" in line)
    return code


@pytest.mark.trio
async def test_two_talk_as_json_of_the_schema(url: str, env: dict[str, str]) -> None:
    tone = ("--input", "tone:440", "--output", "null")
    async with AsyncExitStack() as stack:
        ann = await stack.enter_async_context(call(url, "Ann", env, "--json", sound=tone))
        await ann.wait_event("joined")
        bob = await stack.enter_async_context(call(url, "Bob", env, "--json"))
        await ann.wait_event("userJoined", name="Bob")
        started = await bob.wait_event("mediaStarted")
        assert started["name"] == "Ann"
        await bob.wait_event("speaking", name="Ann", isSpeaking=True)
        await bob.say("hello")
        assert (await ann.wait_event("message", name="Bob"))["text"] == "hello"
        assert (await bob.wait_event("message", name="Bob"))["text"] == "hello"
        await ann.say("/mute")
        assert (await bob.wait_event("mediaState", name="Ann"))["isMuted"] is True
        await ann.wait_event("muted", isMuted=True)
        after = len(bob.lines)
        await ann.say("/unmute")
        stats = await bob.wait_line(lambda line: '"stats"' in line and json.loads(line)["in_kbps"] > 5, after=after)
        voice = json.loads(stats)["users"][0]
        assert (voice["name"], voice["loss"]) == ("Ann", 0.0)
        await bob.say("/quit")
        assert await ended(bob) == 0
        assert (await ann.wait_event("userLeft"))["name"] == "Bob"
        for program in (ann, bob):
            said = [check(line) for line in program.lines]
            assert [each["event"] for each in said[:2]] == ["connected", "joined"]
            assert program.errors == []
        assert check(bob.lines[-1])["reason"] == "left"


@pytest.mark.trio
async def test_plain_lines_for_people(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env) as ann:
        await ann.wait_line(lambda line: line == "you are in lobby, alone so far")
        async with call(url, "Bob", env) as bob:
            await ann.wait_line(lambda line: line == "Bob joined")
            await bob.say("\x1b]52;c;aGk=\x07evil\u202e\u009b2J")
            line = await ann.wait_line(lambda line: line.startswith("Bob: "))
            await bob.say("/help")
            await bob.wait_line(lambda line: "/quit" in line)
            await bob.say("/reply 1 yes")
            await ann.wait_line(lambda line: line.endswith("(to Bob): yes"))
            await bob.say("/edit 1 no")
            await ann.wait_line(lambda line: line == "a message of Bob now says: no")
            await ann.say("/react 1 👍")
            await bob.wait_line(lambda line: line == 'reactions to a message of Bob, "no": 👍 Ann')
            await bob.say("/delete 1")
            await ann.wait_line(lambda line: line == "a message of Bob was deleted")
            await bob.say("/who")
            await bob.wait_line(lambda line: "here: Ann (host), Bob" in line)
            await bob.say("/nonsense")
            await bob.wait_line(lambda line: line.startswith("there is no command /nonsense"))
            await bob.say("//not a command")
            await ann.wait_line(lambda line: line == "Bob: /not a command")
        await ann.wait_line(lambda line: line == "Bob left")
        assert "evil" in line
        assert not [c for each in ann.lines for c in each if unicodedata.category(c) in ("Cc", "Cf")]


@pytest.mark.trio
async def test_a_long_line_is_said_in_pieces(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json") as ann:
        await ann.wait_event("joined")
        await ann.say("é" * 20_000)
        await ann.say("end")
        await ann.wait_event("message", text="end")
        pieces = [said["text"] for said in ann.events("message")][:-1]
        assert "".join(pieces) == "é" * 20_000
        assert len(pieces) == 2


@pytest.mark.trio
async def test_many_lines_at_once_all_arrive(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json") as ann:
        await ann.say("\n".join(str(number) for number in range(60)))
        await ann.wait_event("message", text="59", patience=50)
        assert [said["text"] for said in ann.events("message")] == [str(number) for number in range(60)]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.trio
async def test_the_end_of_input_ends_the_typing_and_a_signal_the_call(
    url: str, env: dict[str, str], number: signal.Signals
) -> None:
    async with call(url, "Ann", env, "--json") as ann:
        await ann.wait_event("joined")
        assert ann.process.stdin is not None
        await ann.process.stdin.send_all(b"the last words")
        await ann.process.stdin.aclose()
        await ann.wait_event("message", text="the last words")
        await ann.wait_event("stats")
        assert await ann.end(number) == 0
        await ann.wait_event("ended")
        assert ann.errors == []


@pytest.mark.trio
async def test_it_ends_by_itself_after_some_seconds(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json", "--seconds", "1.5") as ann:
        assert await ended(ann) == 0
        assert ann.events("ended")[0]["seconds"] == pytest.approx(1.5, abs=1)


@asynccontextmanager
async def unread(url: str, name: str, env: Mapping[str, str]) -> AsyncIterator[tuple[trio.Process, int]]:
    """A call, and the pipe from which its output could be read."""
    reading, writing = os.pipe()
    line = [sys.executable, "-m", "palaver_command", "call", url, "--room", "lobby", "--name", name, *SILENT, "--json"]
    environment = {**env, "PYTHONPATH": PYTHONPATH}
    process = await trio.lowlevel.open_process(line, stdin=subprocess.PIPE, stdout=writing, env=environment)
    os.close(writing)
    try:
        yield process, reading
    finally:
        process.kill()
        with trio.CancelScope(shield=True):
            await process.wait()


@asynccontextmanager
async def typing(url: str, name: str, env: Mapping[str, str]) -> AsyncIterator[tuple[trio.Process, int]]:
    """A call in a terminal, and the end of it at which one types."""
    keyboard, terminal = os.openpty()
    line = [sys.executable, "-m", "palaver_command", "call", url, "--room", "lobby", "--name", name, *SILENT]
    environment = {**env, "PYTHONPATH": PYTHONPATH}
    process = await trio.lowlevel.open_process(line, stdin=terminal, stdout=subprocess.DEVNULL, env=environment)
    os.close(terminal)
    try:
        yield process, keyboard
    finally:
        process.kill()
        os.close(keyboard)
        with trio.CancelScope(shield=True):
            await process.wait()


@pytest.mark.trio
async def test_of_what_is_pasted_only_the_first_line_may_be_a_command(url: str, env: dict[str, str]) -> None:
    async with call(url, "Bob", env, "--json") as bob:
        await bob.wait_event("joined")
        async with typing(url, "Ann", env) as (ann, keyboard):
            await bob.wait_event("userJoined", name="Ann")
            os.write(keyboard, b"one\n/quit\n//three\n")
            await bob.wait_event("message", text="//three")
            assert [said["text"] for said in bob.events("message")] == ["one", "/quit", "//three"]
            await trio.sleep(AT_ONCE * 3)  # as who types does
            os.write(keyboard, b"/mute\nfour\n")
            await bob.wait_event("message", text="four")
            await bob.wait_event("mediaState", name="Ann", isMuted=True)
            await trio.sleep(AT_ONCE * 3)
            os.write(keyboard, b"/quit\n")
            with trio.fail_after(10):
                assert await ann.wait() == 0


@pytest.mark.trio
async def test_nobody_reads_what_we_print(url: str, env: dict[str, str]) -> None:
    async with call(url, "Bob", env, "--json") as bob:
        await bob.wait_event("joined")
        async with unread(url, "Ann", env) as (ann, pipe):
            await bob.wait_event("userJoined", name="Ann")
            os.close(pipe)
            await bob.say("Ann has something to print")
            await bob.wait_event("userLeft", name="Ann")
            with trio.fail_after(10):
                assert await ann.wait() == 0


@pytest.mark.trio
async def test_a_reader_that_pauses_does_not_hold_up_the_call(url: str, env: dict[str, str]) -> None:
    async with call(url, "Bob", env, "--json") as bob:
        await bob.wait_event("joined")
        async with unread(url, "Ann", env) as (ann, pipe):
            await bob.wait_event("userJoined", name="Ann")
            assert ann.stdin is not None
            for _ in range(3):
                await bob.say("x" * 60_000)  # much more than a pipe holds
            await bob.wait_event("message", text="x" * 12_000)
            await ann.stdin.send_all(b"still here\n")
            await bob.wait_event("message", text="still here")
            ann.send_signal(signal.SIGTERM)
            with trio.fail_after(10):
                assert await ann.wait() == 0
            os.close(pipe)


@pytest.mark.trio
async def test_a_server_that_dies_is_told_and_the_call_goes_on_with_the_next(env: dict[str, str]) -> None:
    async with serving() as (url, server), call(url, "Ann", env, "--json") as ann:
        await ann.wait_event("media", state="connected")
        server.process.kill()
        await ann.wait_event("connectionLost")
        after = len(ann.lines)
        async with serving("--port", url.rpartition(":")[2], "--state", "memory:"):
            await ann.wait_event("joined", after=after, roomName="lobby")
            await ann.wait_event("media", after=after, state="connected")
            assert await ann.end() == 0


@pytest.mark.trio
async def test_an_ended_room_ends_the_call(env: dict[str, str]) -> None:
    async with serving() as (url, server), call(url, "Ann", env) as ann:
        await ann.wait_line(lambda line: line.startswith("you are in"))
        await server.end()
        await ann.wait_line(lambda line: line.startswith(("the room is over", "connection lost")))


@pytest.mark.trio
async def test_a_second_call_of_the_same_person_takes_the_seat_along(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json") as first:
        await first.wait_event("media", state="connected")
        async with call(url, "Ann", env, "--json") as second:
            await second.wait_event("media", state="connected")
            await first.wait_event("notice", code="seatMoved")
            await first.wait_event("ended")
            assert await first.wait() == 1
            assert not second.events("userLeft")


@pytest.mark.trio
async def test_what_is_said_from_a_file_is_recorded_in_another(url: str, env: dict[str, str], tmp_path: Path) -> None:
    said, heard = tmp_path / "said.wav", tmp_path / "heard.wav"
    write_tone(said, 440, 2.0)
    async with call(url, "Bob", env, "--json", sound=("--input", "null", "--output", f"file:{heard}")) as bob:
        await bob.wait_event("media", state="connected")
        async with call(url, "Ann", env, "--json", sound=("--input", f"file:{said}", "--output", "null")):
            await bob.wait_event("speaking", name="Ann", isSpeaking=True)
            await bob.wait_event("speaking", name="Ann", isSpeaking=False)
        assert await bob.end() == 0
    with wave.open(str(heard)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * 48_000 / len(samples) == pytest.approx(440, abs=5)


def write_tone(path: Path, hertz: float, seconds: float) -> None:
    samples = np.sin(np.arange(int(48_000 * seconds)) * 2 * np.pi * hertz / 48_000) * 8_000
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48_000)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.mark.trio
async def test_the_same_profile_is_the_same_person(url: str, env: dict[str, str]) -> None:
    ids = []
    for name, profile in (("Ann", "one"), ("Anna", "one"), ("Ann", "two")):
        async with call(url, name, env, "--json", "--profile", profile) as ann:
            connected = await ann.wait_event("connected")
            assert connected["name"] == name
            ids.append(connected["userId"])
            await ann.end()
    assert ids[0] == ids[1] != ids[2]


# -- what cannot work ----------------------------------------------------------------------------------------------
def fail(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """The exit code and the one line on standard error."""
    line = [sys.executable, "-m", "palaver_command", "call", *arguments]
    shown = subprocess.run(
        line,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**env, "PYTHONPATH": PYTHONPATH},
    )
    assert shown.stdout == ""
    assert shown.stderr.count("\n") == 1, shown.stderr
    return shown.returncode, shown.stderr


def test_no_server_there_as_json(env: dict[str, str]) -> None:
    line = [sys.executable, "-m", "palaver_command", "call", "http://127.0.0.1:1", "--json", *SILENT]
    environment = {**env, "PYTHONPATH": PYTHONPATH}
    shown = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False, env=environment)
    assert shown.returncode == 1
    assert check(shown.stdout)["reason"] == "error"
    assert shown.stderr.startswith("palaver call: cannot reach")


def test_no_server_there(env: dict[str, str]) -> None:
    code, said = fail(env, "http://127.0.0.1:1", *SILENT)
    assert code == 1
    assert said.startswith("palaver call: cannot reach http://127.0.0.1:1 (connection refused)")
    assert "palaver serve" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ftp://x",), "begins with neither"),
        (("http://x:y",), "write it like"),
        (("x", "--input", "micro:7"), "is no source; write device"),
        (("x", "--input", "tone:0"), "tone:HZ"),
        (("x", "--input", "tone:"), "tone:HZ"),
        (("x", "--input", "file:/nowhere.wav"), "there is no file"),
        (("x", "--input", "file:~nobody.here/a.wav"), "there is no home folder ~nobody.here"),
        (("x", "--output", "tone:440"), "is no sink"),
        (("x", "--output", "file:~nobody.here/a.wav"), "there is no home folder ~nobody.here"),
        (("x", "--output", "file:/nowhere/x.wav"), "there is no folder"),
        (("x", "--name", " "), "expected a name"),
        (("x", "--name", "y" * 40), "expected a name"),
        (("x", "--room", ""), "expected a name"),
        (("x", "--seconds", "soon"), "no number of seconds"),
        (("x", "--seconds", "-1"), "no number of seconds"),
        (("x", "--profile", ""), "a profile needs a name"),
        (("x", "--frob"), "unrecognized arguments: --frob"),
        ((), "required: URL"),
    ],
)
def test_wrong_usage(env: dict[str, str], arguments: tuple[str, ...], said: str) -> None:
    code, line = fail(env, *arguments)
    assert code == 2
    assert said in line
    assert "palaver call --help" in line


@pytest.mark.trio
async def test_a_refused_name(env: dict[str, str]) -> None:
    async def refuse(server: Server) -> None:
        await server.send(OPEN)
        await server.receive()
        await server.send('44{"message":"the name Ann is taken"}')
        await server.receive()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, lambda stream: serve_stream(refuse, stream), 0)
        port = listeners[0].socket.getsockname()[1]
        code, said = await trio.to_thread.run_sync(fail, env, f"localhost:{port}", "--name", "Ann", *SILENT)
        nursery.cancel_scope.cancel()
    assert code == 1
    assert "the name Ann is taken; " in said


def test_settings_that_are_broken_are_told_and_no_reason_to_fail(env: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "settings" / "palaver" / "profiles"
    folder.mkdir(parents=True)
    (folder / "Ann.json").write_text("{")
    line = [sys.executable, "-m", "palaver_command", "call", "http://127.0.0.1:1", "--name", "Ann"]
    shown = subprocess.run(line, capture_output=True, text=True, timeout=30, check=False, env=env)
    first, second = shown.stderr.splitlines()
    assert "are broken" in first
    assert "cannot reach" in second
