"""The sound in line mode: each command in real processes with the real engine, against the real server."""

from __future__ import annotations

import os
import resource
import signal
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import av
import orjson
import pytest
import pytest_trio
import trio

from client.json_schema import check
from palaver_client import SILENCE, RecordingForm, Settings, SoundSettings, Transmit
from running import Program, running, serving
from sound_server import virtual_sound

TONE = ("--input", "tone:440", "--output", "null")
SILENT = ("--input", "null", "--output", "null")


@pytest_trio.trio_fixture
async def url() -> AsyncIterator[str]:
    async with serving() as (url, _):
        yield url


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # a home of its own, and no sound device, whatever this machine has
    folders = {"XDG_CONFIG_HOME": str(tmp_path / "settings"), "XDG_MUSIC_DIR": str(tmp_path / "music")}
    return {**os.environ, **folders, "HOME": str(tmp_path)}


def call(
    url: str, name: str, env: Mapping[str, str], *options: str, sound: tuple[str, ...] = SILENT
) -> AbstractAsyncContextManager[Program]:
    return running("call", url, "--room", "lobby", "--name", name, *sound, *options, env=env)


@asynccontextmanager
async def two(
    url: str, env: Mapping[str, str], *options: str, sound: tuple[str, ...] = SILENT
) -> AsyncIterator[tuple[Program, Program]]:
    """Ann, with these options, and Bob, who came later."""
    async with call(url, "Ann", env, *options, sound=sound) as ann:
        await ann.wait_line(lambda line: "in lobby" in line or '"joined"' in line)
        async with call(url, "Bob", env, *[each for each in options if each == "--json"], sound=sound) as bob:
            await ann.wait_line(lambda line: "Bob joined" in line or '"userJoined"' in line)
            yield ann, bob


async def asked(program: Program, line: str, answer: str) -> None:
    """Type a line, and wait for the line that it brings about."""
    before = len(program.lines)
    await program.say(line)
    await program.wait_line(lambda seen: seen.startswith(answer), after=before)


async def see(program: Program, line: str, after: int = 0) -> str:
    """Wait for a line that begins so."""
    return await program.wait_line(lambda seen: seen.startswith(line), after=after)


def kept(env: Mapping[str, str], name: str) -> Settings:
    """What the profile has."""
    return Settings.load(name, Path(env["XDG_CONFIG_HOME"]) / "palaver")


def engine_of(program: Program) -> int:
    """The id of a program's engine, its only child."""
    threads = Path(f"/proc/{program.process.pid}/task").iterdir()
    (child,) = [child for thread in threads for child in (thread / "children").read_text().split()]
    return int(child)


def level(line: str) -> float:
    """What a line of /levels says, in dBFS; of other lines silence."""
    return float(line.split()[-2]) if line.startswith("microphone [") else SILENCE


def seconds(path: Path) -> float:
    """How long a track of a recording is, decoded to its end."""
    if path.suffix == ".wav":
        with wave.open(str(path)) as file:
            return len(file.readframes(file.getnframes())) / 2 / file.getframerate()
    with av.open(str(path)) as file:
        return sum(frame.samples for frame in file.decode(audio=0)) / 48_000


# -- what is chosen ----------------------------------------------------------------------------------------------------
WRONG = (
    ("/transmit loud", "write /transmit open, /transmit voice or /transmit push"),
    ("/talk", "you need not press to talk; /transmit push makes it so"),
    ("/headset maybe", "write /headset on or /headset off"),
    ("/gain 21", "/gain takes + or -, or dB from -20 to 20"),
    ("/gain nan", "/gain takes + or -, or dB from -20 to 20"),
    ("/processing echo", "write /processing and one of echo, noise, agc, highpass, then on or off"),
    ("/processing fan off", "write /processing and one of echo, noise, agc, highpass, then on or off"),
    ("/volume 13", "/volume takes + or -, or dB from -40 to 12"),
    ("/volume zoe 3", "here: nobody is called zoe; there is only Bob"),
    ("/volume bob loud", "/volume takes + or -, or dB from -40 to 12"),
    ("/priority zoe", "here: nobody is called zoe; there is only Bob"),
    ("/record flac", "write /record, /record ogg, /record wav or /record off"),
    ("/record off", "you record nothing; /record begins it"),
    ("/talkkey q", "write /talkkey and one of space, f8, f9, insert, grave_accent"),
    ("/mic tone:1", "'tone:1' is no tone; write tone:HZ with 20 to 20000"),
    ("/mic file:/nowhere.wav", "there is no file '/nowhere.wav'; give a WAV file"),
    ("/mic file:~nobody.here/a.wav", "there is no home folder ~nobody.here"),
    ("/recordings ~nobody.here/x", "you cannot record into ~nobody.here/x (there is no home folder ~nobody.here)"),
    ("/speaker tone:440", "'tone:440' is no sink; write device"),
    ("/speaker file:/tmp/x.wav", "/record writes what you hear to files"),
    (f"/mic file:/{'x' * 300}.wav", "there is no file"),
    (f"/recordings /tmp/{'x' * 300}", "you cannot record into /tmp/xxx"),
    ("/bitrate 15", "/bitrate takes 16 to 64 kbit/s"),
    ("/bitrate much", "/bitrate takes 16 to 64 kbit/s"),
    ("/frame 30", "/frame takes 10, 20, 40 ms"),
    ("/deafen now", "/deafen takes nothing more; write only /deafen"),
    ("/echotest on", "/echotest takes nothing more; write only /echotest"),
)

RIGHT = (
    ("/transmit push", "your microphone is sent from one /talk to the next"),
    ("/talk", "you talk; /talk again ends it"),
    ("/talk", "you talk no longer"),
    ("/mute", "you are muted"),
    ("/talk", "you are muted, and nobody would hear you; /unmute comes first"),
    ("/unmute", "you are not muted any more"),
    ("/talk", "you talk; /talk again ends it"),
    ("/mute", "you are muted"),
    ("/talk", "you talk no longer"),
    ("/unmute", "you are not muted any more"),
    ("/transmit voice", "your microphone is sent while you speak"),
    ("/gain 6", "your microphone has +6 dB"),
    ("/gain -", "your microphone has +3 dB"),
    ("/processing", "echo on, noise on, agc on, highpass on; frames of 20 ms, at most 48 kbit/s"),
    ("/frame 40", "echo on, noise on, agc on, highpass on; frames of 40 ms, at most 48 kbit/s"),
    ("/processing agc off", "echo on, noise on, agc off, highpass on"),
    ("/headset on", "headset: echo off, noise on, agc off, highpass on; frames of 10 ms"),
    ("/frame 20", "a headset has the shortest frames; /headset off first"),
    ("/processing echo on", "a headset needs no echo cancellation; /headset off first"),
    ("/volume -4", "you hear all at -4 dB"),
    ("/volume +", "you hear all at -1 dB"),
    ("/volume bob 2", "you hear Bob at +2 dB"),
    ("/volume bob +", "you hear Bob at +5 dB"),
    ("/hush bob", "you hear Bob no more"),
    ("/hush bob", "you hear Bob again"),
    ("/hush bo", "you hear Bob no more"),
    ("/priority bob", "others are quieter while Bob talks"),
    ("/deafen", "you hear nobody; /deafen again ends it"),
    ("/deafen", "you hear again"),
    ("/deafen", "you hear nobody"),
    ("/talkkey F9", "on the full screen you talk with f9; here it is /talk"),
    ("/mic null", "/levels shows how loud it hears you"),
)

USUAL = (
    ("/transmit", "your microphone is sent always"),
    ("/gain", "your microphone has +0 dB"),
    ("/headset", "headset off"),
    ("/volume", "you hear all at +0 dB"),
    ("/volume bo", "you hear Bob at +0 dB"),
    ("/hush", "you have hushed nobody here"),
    ("/priority", "nobody here has priority"),
)

CHOSEN = (
    ("/transmit push", "your microphone is sent from"),
    ("/transmit", "your microphone is sent from one /talk to the next"),
    ("/gain 6", "your microphone has +6 dB"),
    ("/gain", "your microphone has +6 dB"),
    ("/bitrate 32", "echo on, noise on, agc on, highpass on; frames of 20 ms, at most 32 kbit/s"),
    ("/bitrate", "echo on, noise on, agc on, highpass on; frames of 20 ms, at most 32 kbit/s"),
    ("/processing noise off", "echo on, noise off"),
    ("/headset on", "headset: echo off"),
    ("/headset", "headset on"),
    ("/volume -4", "you hear all at -4 dB"),
    ("/volume", "you hear all at -4 dB"),
    ("/volume bob 5", "you hear Bob at +5 dB"),
    ("/priority bob", "others are quieter"),
    ("/volume bob", "you hear Bob at +5 dB, with priority"),
    ("/hush bob", "you hear Bob no more"),
    ("/volume bob", "you have hushed Bob; /hush ends it, and then you hear Bob at +5 dB, with priority"),
    ("/hush", "hushed here: Bob"),
    ("/priority", "with priority here: Bob"),
    ("/who", "here: Ann (host), Bob (hushed, +5 dB, priority)"),
    ("/deafen", "you hear nobody"),
    ("/volume", "you hear nobody; /deafen ends it, and then you hear all at -4 dB"),
)


@pytest.mark.trio
async def test_what_is_wrong_is_told_with_a_remedy(url: str, env: dict[str, str]) -> None:
    async with two(url, env) as (ann, _):
        for line, answer in WRONG:
            await asked(ann, line, answer)
        await ann.say("/quit")
        assert await ann.wait() == 0
        assert ann.errors == []
    assert kept(env, "Ann").sound == SoundSettings()


@pytest.mark.trio
async def test_what_is_chosen_is_remembered_and_options_of_one_run_are_not(url: str, env: dict[str, str]) -> None:
    options = ("--bitrate", "16", "--no-noise-suppression")
    async with two(url, env, *options, sound=TONE) as (ann, _):
        await asked(ann, "/processing", "echo on, noise off, agc on, highpass on; frames of 20 ms, at most 16 kbit/s")
        await asked(ann, "/processing noise on", "echo on, noise on")
        for line, answer in RIGHT:
            told = answer.replace("48 kbit/s", "16 kbit/s")
            await asked(ann, line, told)
        await asked(ann, f"/recordings {env['HOME']}/kept", f"recordings go to {env['HOME']}/kept, as ogg")
        await ann.say("/quit")
        assert await ann.wait() == 0
        assert ann.errors == []

    settings = kept(env, "Ann")
    bob = kept(env, "Bob").user_id
    assert (settings.source, settings.sink) == ("null", "device")
    sound = settings.sound
    assert sound.capture.transmit is Transmit.VOICE
    assert (sound.capture.microphone_db, sound.capture.gain, sound.capture.noise) == (3.0, False, True)
    assert (sound.encoding.bitrate, sound.encoding.frame_ms) == (48_000, 40)
    assert (sound.is_headset, sound.volume.volume_db) == (True, -1.0)
    assert not sound.volume.is_deaf  # for the next time
    assert (sound.people[bob].volume_db, sound.people[bob].is_muted, sound.people[bob].is_priority) == (5.0, True, True)
    assert (sound.talk_key, sound.recordings) == ("f9", f"{env['HOME']}/kept")

    async with call(url, "Ann", env, "--json", sound=("--output", "null")) as ann:  # it is loaded again
        await ann.wait_event("soundStarted", side="source", name="null")
        before = len(ann.lines)
        await ann.say("/gain +")
        told = await ann.wait_event("soundSettings", after=before)
        assert (told["transmit"], told["gain_db"], told["agc"], told["echo"]) == ("voice", 6.0, False, False)
        assert (told["frame_ms"], told["bitrate"], told["volume_db"], told["isDeaf"]) == (10, 48_000, -1.0, False)
        check(orjson.dumps(told).decode())


@pytest.mark.trio
async def test_what_was_chosen_is_told_when_asked_for_and_at_the_next_start(url: str, env: dict[str, str]) -> None:
    async with two(url, env) as (ann, _):
        assert not any(line.startswith("your sound") for line in ann.lines)  # all is as usual
        for line, answer in USUAL + CHOSEN:
            await asked(ann, line, answer)
        await ann.say("/quit")
        assert await ann.wait() == 0
    async with call(url, "Ann", env) as ann:
        await see(
            ann,
            "your sound: your microphone is sent from one /talk to the next; your microphone has +6 dB; headset on; "
            "noise off; at most 32 kbit/s; you hear all at -4 dB",
        )


@pytest.mark.trio
async def test_the_level_is_told_until_the_next_line(url: str, env: dict[str, str]) -> None:
    async with running("call", url, "--name", "Ann", *SILENT, env=env) as ann:
        await see(ann, "waiting for calls")
        await asked(ann, "/mic tone:330", "in your next call")
        for _ in range(2):
            await asked(ann, "/levels", "microphone [")
        before = len(ann.lines)
        await asked(ann, "/headset", "headset off")
        await ann.say("/quit")
        assert await ann.wait() == 0
        assert not any(line.startswith("microphone [") for line in ann.lines[before:])
        assert ann.errors == []


@pytest.mark.trio
async def test_without_a_call_the_next_one_is_chosen_for(url: str, env: dict[str, str]) -> None:
    async with running("call", url, "--name", "Ann", *SILENT, env=env) as ann:
        await see(ann, "waiting for calls")
        await asked(ann, "/devices", "")
        await asked(ann, "/mic tone:330", "in your next call you speak into tone:330; /levels shows")
        for line in ("/echotest", "/record"):
            await asked(ann, line, "there is no call; join a room first")
        before = len(ann.lines)
        await ann.say("/levels")
        await ann.wait_line(lambda line: -13 < level(line) < -11, after=before)
        assert "microphone: tone:330" in ann.lines[before:]
        await asked(ann, "/transmit push", "your microphone is sent from one /talk to the next")
        await asked(ann, "/talk", "there is no call")
        await asked(ann, "/stats", "there are no figures yet")
        await asked(ann, "/join lobby", "microphone: tone:330")
        await asked(ann, "/levels", "microphone [")
        await ann.say("/quit")
        assert await ann.wait() == 0
    assert (kept(env, "Ann").source, kept(env, "Ann").sink) == ("tone:330", "device")


@pytest.mark.trio
async def test_what_is_sent_follows_mode_key_mute_and_echo_test(url: str, env: dict[str, str]) -> None:
    async with two(url, env, "--json", sound=TONE) as (ann, bob):
        await bob.wait_event("mediaStarted", name="Ann")

        async def changes(line: str, *, is_sending: bool) -> None:
            before = len(ann.lines)
            await ann.say(line)
            await ann.wait_event("sending", after=before, isSending=is_sending)

        await changes("/mute", is_sending=False)
        await changes("/unmute", is_sending=True)
        await changes("/transmit push", is_sending=False)
        await changes("/talk", is_sending=True)
        await changes("/talk", is_sending=False)
        await changes("/transmit open", is_sending=True)
        await changes("/echotest", is_sending=False)
        before = len(bob.lines)
        for _ in range(3):  # what was under way has arrived after the first
            await bob.wait_event("stats", after=before)
            before = len(bob.lines)
        assert (await bob.wait_event("stats", after=before))["in_kbps"] == 0  # nothing of it reaches him
        await changes("/echotest", is_sending=True)
        await bob.wait_event("stats", after=len(bob.lines))
        assert (await bob.wait_event("stats", after=len(bob.lines)))["in_kbps"] > 0


@pytest.mark.trio
async def test_the_figures_are_the_engines(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--json", sound=TONE) as ann, call(url, "Bob", env, sound=TONE) as bob:

        def is_measured(line: str) -> bool:
            said: dict[str, Any] = orjson.loads(line)
            return said["event"] == "stats" and said["mouth_to_ear_ms"] is not None

        said = check(await ann.wait_line(is_measured))
        (user,) = said["users"]
        assert user["mouth_to_ear_ms"] == said["mouth_to_ear_ms"] > user["playout_ms"] > 0
        assert said["encoding"]["bitrate"] > 0
        await see(bob, "you hear Ann")
        with trio.fail_after(10):
            while not any(line.startswith("Ann: about ") for line in bob.lines):
                before = len(bob.lines)
                await bob.say("/stats")
                await bob.wait_line(lambda line: line.startswith(("Ann: ", "there are no figures")), after=before)
        figures = next(line for line in bob.lines if line.startswith("Ann: about "))
        assert " ms from mouth to ear, playout " in figures


# -- recording ---------------------------------------------------------------------------------------------------------
async def folder_of(program: Program, after: int = 0) -> Path:
    """Where it is recorded, as it says."""
    begun = "you record the call into "
    return Path((await see(program, begun, after)).removeprefix(begun))


@pytest.mark.parametrize("form", RecordingForm)
@pytest.mark.trio
async def test_a_recording_is_told_to_all_and_is_whole(url: str, env: dict[str, str], form: RecordingForm) -> None:
    async with two(url, env, sound=TONE) as (ann, bob):
        await see(ann, "you hear Bob")
        await asked(ann, f"/recordings {env['HOME']}/kept", f"recordings go to {env['HOME']}/kept")
        await asked(ann, f"/record {form.value}", "you record the call into ")
        folder = await folder_of(ann)
        await see(bob, "Ann is recording this call")
        await asked(ann, "/record", "you record already; /record off ends it")
        await trio.sleep(1)
        await asked(ann, "/record off", f"the recording is in {folder}")
        await see(bob, "Ann no longer records this call")
        tracks = {path.name: seconds(path) for path in folder.iterdir()}
        assert tracks.keys() == {f"{name}.{form.value}" for name in ("mix", "Ann", "Bob")}
        assert all(length > 0.8 for length in tracks.values()), tracks
        assert folder.name.endswith(" lobby")  # the room's name

        told = len(ann.lines)
        await asked(ann, "/record", "you record the call into ")  # in the form that was used last
        again = await folder_of(ann, told)
        await trio.sleep(1)
        await ann.say("/quit")  # hangs up
        assert await ann.wait() == 0
        await see(ann, f"the recording is in {again}")
        tracks = {path.name: seconds(path) for path in again.iterdir()}
        assert tracks.keys() == {f"{name}.{form.value}" for name in ("mix", "Ann", "Bob")}
        assert all(length > 0.8 for length in tracks.values()), tracks
    assert kept(env, "Ann").sound.form is form


@pytest.mark.trio
async def test_when_the_engine_dies_the_recording_goes_on_in_another_folder(url: str, env: dict[str, str]) -> None:
    async with two(url, env, sound=TONE) as (ann, bob):
        await see(ann, "you hear Bob")
        await asked(ann, "/hush bob", "you hear Bob no more")
        await asked(ann, "/record wav", "you record the call into ")
        folder = await folder_of(ann)
        await trio.sleep(1)
        told, told_bob = len(ann.lines), len(bob.lines)
        os.kill(engine_of(ann), signal.SIGKILL)
        await see(ann, f"the sound engine stopped; what was recorded is in {folder}, and it goes on", told)
        another = await folder_of(ann, told)
        assert another != folder
        await see(ann, "the sound is connected", told)  # the call goes on
        await trio.sleep(1)
        await asked(ann, "/record off", f"the recording is in {another}")
        assert "you hear Bob" not in ann.lines[told:]  # he is hushed there, too
        await see(bob, "Ann no longer records this call")
        assert not any("record" in line for line in bob.lines[told_bob:-1])  # he is told of no break
        for each in (folder, another):
            tracks = {path.name: seconds(path) for path in each.iterdir()}
            assert tracks.keys() == {"mix.wav", "Ann.wav", "Bob.wav"}
            assert all(length > 0.5 for length in tracks.values()), tracks


@pytest.mark.trio
async def test_when_the_disk_is_full_all_hear_that_the_recording_ended(url: str, env: dict[str, str]) -> None:
    async with two(url, env, sound=TONE) as (ann, bob):
        await see(ann, "you hear Bob")
        resource.prlimit(engine_of(ann), resource.RLIMIT_FSIZE, (200_000, 200_000))  # 2 s
        await asked(ann, "/record wav", "you record the call into ")
        folder = await folder_of(ann)
        await see(bob, "Ann is recording this call")
        said = await see(ann, "you record no more: ")
        assert "file too large; record to a disk that takes larger files" in said
        assert said.endswith(f"; what was recorded is in {folder}")
        await see(ann, "you no longer record this call")
        await see(bob, "Ann no longer records this call")
        assert all(seconds(path) > 1 for path in folder.iterdir())  # as far as it came
        await asked(ann, "/record off", "you record nothing; /record begins it")
        await asked(ann, "/stats", "to the server and back")  # the call goes on


@pytest.mark.trio
async def test_a_folder_that_cannot_be_made_is_told_to_all(url: str, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    async with two(url, env) as (ann, bob):
        await asked(ann, f"/recordings {tmp_path}/file", f"{tmp_path}/file is no folder; name one")
        for folder, reason in (
            (f"{tmp_path}/file/in", "not a directory"),
            ("/proc/nowhere", "no such file or directory"),
        ):
            await asked(ann, f"/recordings {folder}", f"you cannot record into {folder} ({reason}); name another one")
        await asked(ann, "/recordings", f"recordings go to {env['XDG_MUSIC_DIR']}/palaver")
        await asked(ann, f"/recordings {tmp_path}/gone", f"recordings go to {tmp_path}/gone")
        (tmp_path / "gone").rmdir()
        (tmp_path / "gone").touch()
        await asked(ann, "/record", "you record no more: ")
        await see(bob, "Ann is recording this call")
        await see(bob, "Ann no longer records this call")


@pytest.mark.trio
async def test_each_call_is_recorded_where_the_command_line_says_so(url: str, env: dict[str, str]) -> None:
    async with call(url, "Ann", env, "--record", "wav", sound=TONE) as ann:
        folder = await folder_of(ann)
        assert ann.process.send_signal(signal.SIGTERM) is None
        assert await ann.wait() == 0
        await see(ann, f"the recording is in {folder}")
        assert {path.name for path in folder.iterdir()} == {"mix.wav", "Ann.wav"}
    assert kept(env, "Ann").sound.form is RecordingForm.OGG  # the option holds for this run


# -- devices -----------------------------------------------------------------------------------------------------------
@pytest.mark.sound
@pytest.mark.trio
async def test_devices_are_named_by_a_part_of_their_names(url: str, tmp_path: Path) -> None:
    with virtual_sound(tmp_path) as sound:
        env = {**sound.env, "XDG_CONFIG_HOME": str(tmp_path / "settings")}
        async with call(url, "Ann", env, sound=("--input", "LICE_m", "--output", "null")) as ann:
            await see(ann, "microphone: alice_mic")
            await asked(ann, "/mic zoe", "no device has zoe in its name; there are: ")
            await asked(ann, "/mic _mic", "_mic may be alice_mic, bob_mic; type more of it")
            await asked(ann, "/mic bob_m", "microphone: bob_mic")
            await asked(ann, "/speaker ob_sp", "speaker: bob_speaker")
            await asked(ann, "/devices", "you speak into bob_mic, and hear with bob_speaker")
            await see(ann, "  alice_mic")
            await ann.say("/quit")
            assert await ann.wait() == 0
        assert (kept(env, "Ann").source, kept(env, "Ann").sink) == ("device:bob_mic", "device:bob_speaker")
        async with call(url, "Ann", env, sound=()) as ann:
            await see(ann, "microphone: bob_mic")
            await asked(ann, "/mic", "microphone: ")
            await ann.say("/quit")
            assert await ann.wait() == 0
        assert kept(env, "Ann").source == "device"
