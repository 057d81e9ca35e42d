"""Recordings read back: all tracks of one length on one time line, safe names, and whole files whatever happens."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import signal
import threading
import wave
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
import pytest
import trio

from engine.peer import PAYLOAD_TYPE, SSRC, peer
from engine.running import running_engine, until
from engine.test_engine import CALL, connect, send
from palaver_engine import file_names
from palaver_engine.blocks import BLOCK, SILENCE
from palaver_engine.echo_test import DELAY, EchoTest
from palaver_engine.ogg import OggFile
from palaver_engine.recording import WAITING, Recording
from palaver_engine.timeline import PAUSE, SLACK, TICK, Heard, Moment, Said, Timeline
from palaver_engine.tracks import Tracks, make_folder
from palaver_media.engine_messages import (
    CloseCall,
    Direction,
    EngineReport,
    NameTrack,
    OpenCall,
    Receive,
    RecordingStarted,
    RecordingStopped,
    SetEchoTest,
    SetMuted,
    StartRecording,
    StopRecording,
)
from palaver_media.sound_settings import RecordingForm
from sound.voices import pitch, rms, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 48_000
FORMS = list(RecordingForm)


def read(path: Path) -> NDArray[np.int16]:
    """All samples of a file, by a reader that is not ours."""
    if path.suffix == ".wav":
        with wave.open(str(path)) as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
            return np.frombuffer(file.readframes(file.getnframes()), "<i2")
    with av.open(path, "r") as container:
        (stream,) = container.streams.audio
        assert (stream.codec_context.name, stream.codec_context.layout.name) == ("opus", "mono")
        blocks = [frame.to_ndarray()[0] for frame in container.decode(stream)]
    samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    return (samples * 32_768).round().clip(-32_768, 32_767).astype(np.int16)


def packets(path: Path) -> tuple[float, list[int]]:
    """How many seconds an Ogg file is long, and where its packets are that hold more than silence."""
    with av.open(path, "r") as container:
        return (container.duration or 0) / 1e6, [each.pts or 0 for each in container.demux() if each.size > 20]


def has_whole_pages(data: bytes) -> bool:
    """Whether an Ogg file ends where a page ends (RFC 3533 section 6)."""
    at = 0
    while data[at : at + 4] == b"OggS" and len(data) > at + 27:
        segments = data[at + 26]
        at += 27 + segments + sum(data[at + 27 : at + 27 + segments])
    return at == len(data)


def files_in(folder: Path) -> dict[str, NDArray[np.int16]]:
    return {path.stem: read(path) for path in folder.iterdir()}


def sounds(samples: NDArray[np.int16], over: int = 1500) -> list[tuple[int, int]]:
    """Where it is loud: first and last sample of each stretch; a hole of 50 ms parts two."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > over)
    if not len(loud):
        return []
    edges = np.flatnonzero(np.diff(loud) > 2400)
    return list(zip(loud[[0, *(edges + 1)]].tolist(), loud[[*edges, -1]].tolist(), strict=True))


def blocks(samples: NDArray[np.int16]) -> list[NDArray[np.int16]]:
    return [samples[at : at + BLOCK] for at in range(0, len(samples), BLOCK)]


def record(tracks: Tracks, moments: list[Moment]) -> None:
    for at in range(0, len(moments), 10):
        tracks.write(moments[at : at + 10])


# Tracks


@pytest.mark.parametrize("form", FORMS)
def test_each_has_a_track_and_all_lie_on_one_time_line(tmp_path, form):
    tracks = Tracks(tmp_path, form, {"b": "Bob", "": "Alice"})
    ours, theirs = blocks(tone(400, 1)), blocks(tone(700, 1))
    quiet = Moment(SILENCE, {"b": SILENCE})
    record(tracks, [quiet] * 200)
    record(tracks, [Moment(block, {}) for block in ours])
    record(tracks, [quiet] * 350)
    record(tracks, [Moment(ours[at], {"b": theirs[at]}) for at in range(100)])
    record(tracks, [quiet] * 90)
    tracks.close()
    suffix = f".{form.value}"
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}{suffix}" for name in ("mix", "Alice", "Bob")}
    mix, alice, bob = (read(tmp_path / f"{name}{suffix}") for name in ("mix", "Alice", "Bob"))
    assert len(mix) == len(alice) == len(bob) == 840 * BLOCK
    first, second = (2.0, 3.0), (6.5, 7.5)
    for track, expected in ((alice, [first, second]), (bob, [second]), (mix, [first, second])):
        found = sounds(track)
        assert np.array(found) / RATE == pytest.approx(np.array(expected), abs=BLOCK / RATE)
    together = slice(int(6.6 * RATE), int(7.4 * RATE))
    assert pitch(bob[together]) == pytest.approx(700, abs=3)
    assert rms(bob[together]) == pytest.approx(-12, abs=0.5)
    assert rms(mix[together]) == pytest.approx(-9, abs=0.5)


@pytest.mark.parametrize("form", FORMS)
def test_one_who_comes_after_an_hour_costs_neither_time_nor_much_room(tmp_path, form):
    tracks = Tracks(tmp_path, form, {"b": "Bob"})
    for _ in range(360):
        tracks.write([Moment(SILENCE, {})] * 1000)
    record(tracks, [Moment(SILENCE, {"b": block}) for block in blocks(tone(700, 0.5))])
    tracks.close()
    if form is RecordingForm.WAV:
        with wave.open(str(tmp_path / "Bob.wav")) as file:
            assert file.getnframes() == 3600 * RATE + RATE // 2
            file.setpos(3599 * RATE)
            found = sounds(np.frombuffer(file.readframes(2 * RATE), "<i2"))
    else:
        seconds, loud = packets(tmp_path / "Bob.ogg")
        assert seconds == pytest.approx(3600.5, abs=0.01)
        found = [(loud[0] - 3599 * RATE, loud[-1] - 3599 * RATE)]
        assert (tmp_path / "Bob.ogg").stat().st_size < 1_000_000
    (edges,) = found
    assert np.array(edges) / RATE == pytest.approx([1, 1.5], abs=0.08)


def test_a_pause_begins_and_ends_where_it_should_in_opus(tmp_path):
    file = OggFile(tmp_path / "a.ogg")
    for _ in range(5):
        file.write(tone(500, 0.5))
        file.skip(3 * RATE // 2)
    file.close()
    found = np.array(sounds(read(tmp_path / "a.ogg"))) / RATE
    assert found == pytest.approx(np.array([(2 * n, 2 * n + 0.5) for n in range(5)]), abs=0.005)


def test_one_who_comes_again_goes_on_with_his_track_and_a_namesake_has_another(tmp_path):
    tracks = Tracks(tmp_path, RecordingForm.WAV, {"b1": "Bob", "b2": "Bob", "c": "Bob"})
    loud = tone(500, 0.1)
    voice = blocks(loud)
    record(tracks, [Moment(SILENCE, {"b1": block}) for block in voice])
    record(tracks, [Moment(SILENCE, {"b2": block, "c": block}) for block in voice])
    tracks.close()
    assert {path.name for path in tmp_path.iterdir()} == {"mix.wav", "me.wav", "Bob.wav", "Bob 2.wav"}
    assert (read(tmp_path / "Bob.wav") == np.concatenate((loud, loud))).all()
    assert (read(tmp_path / "Bob 2.wav") == np.concatenate((0 * loud, loud))).all()


def test_a_name_that_comes_later_is_taken_on(tmp_path):
    tracks = Tracks(tmp_path, RecordingForm.OGG, {})
    loud = [Moment(SILENCE, {"b": block}) for block in blocks(tone(500, 0.1))]
    record(tracks, loud)
    assert (tmp_path / "voice.ogg").exists()
    tracks.rename("b", "Bob")
    tracks.rename("", "mix")
    record(tracks, loud)
    tracks.close()
    assert {path.name for path in tmp_path.iterdir()} == {"mix.ogg", "mix 2.ogg", "Bob.ogg"}
    assert len(read(tmp_path / "Bob.ogg")) == 20 * BLOCK


# Names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Bob", "Bob"),
        ("Zoë Ångström", "Zoë Ångström"),
        ("नमस्ते", "नमस्ते"),
        ("../../etc/passwd", "______etc_passwd"),
        ("a/b\\c:d*e?f", "a_b_c_d_e_f"),
        ("..", "voice"),
        ("", "voice"),
        (" \n\t", "voice"),
        (".hidden", "_hidden"),
        ("-rf", "rf"),
        ("nul", "nul_"),
        ("\x1b[2J\u202egnp", "__2J_gnp"),
        ("😀", "voice"),
        ("é" * 200, "é" * 50),
    ],
)
def test_names_of_files_are_harmless(name, expected):
    assert file_names.safe(name, "voice") == expected


def test_names_that_a_file_system_takes_for_one_are_told_apart(tmp_path):
    names = {"a": "BOB", "b": "bob", "c": "Bo\u0301b", "d": "B\u00f3b", "e": "../bob", "f": "MIX", "g": "Me"}
    folder = make_folder(tmp_path, "a room")
    tracks = Tracks(folder, RecordingForm.WAV, names)
    voice = tone(500, 0.01)
    tracks.write([Moment(SILENCE, dict.fromkeys(names, voice))] * 2)
    tracks.close()
    assert {path.parent for path in tmp_path.rglob("*.wav")} == {folder}
    found = [file_names.folded(path.stem) for path in folder.iterdir()]
    assert len(found) == len(set(found)) == len(names) + 2


def test_a_second_recording_in_the_same_second_has_a_folder_of_its_own(tmp_path):
    folders = [make_folder(tmp_path / "new", "2026 ../Room") for _ in range(3)]
    assert [folder.name for folder in folders] == ["2026 ___Room", "2026 ___Room 2", "2026 ___Room 3"]
    assert {folder.parent for folder in folders} == {tmp_path / "new"}


# Trouble


@pytest.mark.parametrize("form", FORMS)
def test_what_was_written_before_the_disk_is_full_can_be_read(tmp_path, form):
    tracks = Tracks(tmp_path, form, {})
    was = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_001, was[1]))
    try:
        moments = [Moment(block, {"b": block}) for block in blocks(tone(500, 20))]
        with pytest.raises(OSError, match="too large") as caught:
            record(tracks, moments)
        assert caught.value.errno == errno.EFBIG
        with contextlib.suppress(OSError):
            tracks.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, was)
        signal.signal(signal.SIGXFSZ, handler)
    for name in ("mix", "me", "voice"):
        samples = read(tmp_path / f"{name}.{form.value}")
        least = 0.4 if form is RecordingForm.WAV else 6
        assert form is RecordingForm.WAV or has_whole_pages((tmp_path / f"{name}.ogg").read_bytes())
        assert len(samples) > least * RATE
        assert rms(samples[960:]) == pytest.approx(-12 if name != "mix" else -6, abs=0.5)


def test_a_folder_that_vanishes_is_told(tmp_path):
    folder = make_folder(tmp_path, "gone")
    tracks = Tracks(folder, RecordingForm.OGG, {})
    tracks.write([Moment(SILENCE, {})] * 10)
    shutil.rmtree(folder)
    with pytest.raises(FileNotFoundError, match="gone"):
        tracks.write([Moment(SILENCE, {})] * 10)
    tracks.close()


def test_what_a_slow_disk_makes_us_drop_is_silent_and_told(tmp_path):
    """The recorder stands still for as long as its first report does."""
    slow, done = threading.Event(), threading.Event()
    reports: list[EngineReport] = []

    def report(what: EngineReport) -> None:
        reports.append(what)
        if isinstance(what, RecordingStarted):
            slow.wait()
        else:
            done.set()

    recording = Recording(StartRecording(CALL, str(tmp_path), RecordingForm.WAV, {"b": "Bob"}), report)
    for count in range(WAITING + 501):
        recording.heard({"b": block(count % 1000 + 1)})
    slow.set()
    recording.stop()
    assert done.wait(20)
    (_, stopped) = reports
    assert isinstance(stopped, RecordingStopped)
    assert "5.0 s" in stopped.problem
    assert stopped.remedy
    assert len(read(Path(stopped.folder) / "Bob.wav")) == (WAITING + 10) * BLOCK


# The time line


def moments(*events: Heard | Said, is_over: bool = True) -> list[tuple[int, int]]:
    """What is said and heard in each moment, by the first sample of its block."""
    timeline = Timeline()
    found = []
    for event in sorted(events, key=lambda event: round(event.now, 6)):
        timeline.put(event)
        found += timeline.moments()
    found += timeline.moments(is_over=is_over)
    return [(int(each.said[0]), int(each.voices.get("b", SILENCE)[0])) for each in found]


def block(value: int) -> NDArray[np.int16]:
    return np.full(BLOCK, value, np.int16)


def hear(at: int, number: int | None = None, late: float = 0.0) -> Heard:
    return Heard(at * TICK + late, at if number is None else number, {"b": block(at)})


def say(at: int, late: float = 0.0) -> Said:
    return Said(at * TICK + late, block(at))


def test_what_is_heard_and_said_at_one_time_belongs_together():
    assert moments(*map(hear, range(50)), *map(say, range(50))) == [(at, at) for at in range(50)]


def test_callbacks_in_bursts_lose_nothing():
    bursts = [say(at, late=(3 - at % 4) * TICK) for at in range(100)]
    said = [at for at, _ in moments(*map(hear, range(100)), *bursts)]
    first = said.index(2)
    assert said[first:] == list(range(2, 102 - first))
    assert abs(first - 2) <= 3


def test_a_microphone_that_comes_later_or_pauses_is_put_where_its_time_is():
    said = [say(at, 0.002) for at in (*range(30, 60), *range(120, 150))]
    found = moments(*map(hear, range(200)), *said)
    assert [heard for _, heard in found] == list(range(200))
    assert all(abs(at - heard) <= 1 for at, heard in found if at)
    assert sum(at > 0 for at, _ in found) >= 58


def test_a_microphone_that_is_faster_stays_within_the_slack_for_an_hour():
    found = []
    timeline = Timeline()
    said = 0
    for at in range(360_000):
        timeline.put(Heard(at * TICK, at, {}))
        while said * TICK * (1 - 50e-6) <= at * TICK:
            timeline.put(Said(said * TICK * (1 - 50e-6), np.array([said])))
            said += 1
        found += [int(each.said[0]) for each in timeline.moments()]
    assert len(found) >= 360_000 - 6
    lag = np.array(found) - np.arange(len(found)) / (1 - 50e-6)
    assert np.abs(lag[np.array(found) > 0]).max() <= SLACK / TICK + 2
    assert said - len(set(found)) < 25


def test_dropped_blocks_and_times_without_a_loudspeaker_leave_silence_of_their_length():
    heard = [hear(at) for at in (*range(10), *range(15, 20))]
    assert [b for _, b in moments(*heard)] == [*range(10), 0, 0, 0, 0, 0, *range(15, 20)]
    pause = 100
    assert pause * TICK > PAUSE
    stopped = [hear(at) for at in range(10)] + [hear(at + pause, number=at) for at in range(10, 20)]
    assert [b for _, b in moments(*stopped)] == [*range(10), *[0] * pause, *range(110, 120)]


# The echo test


def test_the_echo_is_what_was_said_a_second_later():
    echo = EchoTest()
    said = np.concatenate((tone(400, 0.5), np.zeros(RATE, np.int16)))
    heard = []
    for each in blocks(said):
        echo.talk(each)
        heard.append(echo.hear())
    ((start, end),) = sounds(np.concatenate(heard))
    assert start == pytest.approx(DELAY * BLOCK, abs=2 * BLOCK)
    assert end - start == pytest.approx(RATE / 2, abs=BLOCK)


def test_two_sound_cards_do_not_make_the_echo_later_and_later():
    echo = EchoTest()
    for at in range(3000):
        echo.talk(block(100))
        if at % 10:
            echo.hear()
    waited = 0
    while echo.hear() is not SILENCE:
        waited += 1
    assert waited <= DELAY + 20


# The real engine


@pytest.mark.trio
@pytest.mark.parametrize("form", FORMS)
async def test_a_call_is_recorded_and_the_recording_is_whole(tmp_path, form):
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.RECEIVE, "down")
        names = {"": "Alice", "bob": "Bob"}
        engine.tell(StartRecording(CALL, str(tmp_path / "calls"), form, names, "The Room"))
        folder = Path((await engine.wait(RecordingStarted)).folder)
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE), NameTrack(CALL, "bob", "../Bob"))
        await other.say(tone(700, 1))
        engine.tell(SetMuted(CALL, True))
        await other.say(tone(700, 0.5), SSRC + 1)  # half a second in which nobody is heard
        engine.tell(StopRecording(CALL))
        stopped = await engine.wait(RecordingStopped)
    assert (stopped.folder, stopped.problem, stopped.remedy) == (str(folder), "", "")
    assert folder.parent == tmp_path / "calls"
    assert folder.name.endswith(" The Room")
    tracks = files_in(folder)
    assert set(tracks) == {"mix", "Alice", "___Bob"}
    assert len({len(track) for track in tracks.values()}) == 1
    assert 1.45 < len(tracks["mix"]) / RATE < 3
    ((start, end),) = sounds(tracks["___Bob"])
    assert (end - start) / RATE == pytest.approx(1, abs=0.1)
    assert pitch(tracks["___Bob"][start:end]) == pytest.approx(700, abs=4)
    ((ours_start, ours_end),) = sounds(tracks["Alice"])
    assert ours_start / RATE < 0.06
    assert ours_end / RATE == pytest.approx(end / RATE, abs=0.2)
    assert pitch(tracks["Alice"][ours_start:ours_end]) == pytest.approx(440, abs=4)
    assert rms(tracks["mix"][start + 4800 : end - 9600]) == pytest.approx(-9, abs=1)


@pytest.mark.trio
@pytest.mark.parametrize("form", FORMS)
async def test_an_engine_that_is_killed_leaves_files_that_can_be_read(tmp_path, form):
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        engine.tell(StartRecording(CALL, str(tmp_path), form, {}))
        folder = Path((await engine.wait(RecordingStarted)).folder)
        await trio.sleep(3.5)
        os.kill(engine.process.pid, signal.SIGKILL)
        files = files_in(folder)
    assert len(files) == 2
    for samples in files.values():
        assert 1.2 < len(samples) / RATE < 4.5
        assert rms(samples[9600:]) == pytest.approx(-12, abs=0.5)


@pytest.mark.trio
async def test_a_disk_that_fills_up_ends_the_recording_and_not_the_call(tmp_path):
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        resource.prlimit(engine.process.pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
        engine.tell(StartRecording(CALL, str(tmp_path), RecordingForm.WAV, {}))
        stopped = await engine.wait(RecordingStopped)
        assert "too large" in stopped.problem
        assert stopped.remedy
        engine.tell(StopRecording(CALL), NameTrack(CALL, "bob", "Bob"))
        count = len(other.packets)
        await until(lambda: len(other.packets) > count + 25)
    assert {len(samples) > 0.8 * RATE for samples in files_in(Path(stopped.folder)).values()} == {True}


@pytest.mark.trio
@pytest.mark.parametrize("folder", ["/dev/null/in", "/proc/nowhere"])
async def test_a_folder_that_cannot_be_made_is_told(folder):
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "null", "null", False))
        engine.tell(StartRecording(CALL, folder, RecordingForm.OGG, {}))
        stopped = await engine.wait(RecordingStopped)
    assert folder in stopped.problem
    assert stopped.remedy == "give a folder where you may write"
    assert not engine.all(RecordingStarted)


@pytest.mark.trio
async def test_a_recording_into_the_home_of_nobody_is_told():
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "null", "null", False))
        engine.tell(StartRecording(CALL, "~nobody.here/x", RecordingForm.OGG, {}))
        stopped = await engine.wait(RecordingStopped)
        assert stopped.problem == "~nobody.here/x: there is no home folder ~nobody.here"
        assert stopped.remedy == "give a folder where you may write"


@pytest.mark.trio
async def test_a_call_that_ends_ends_its_recording(tmp_path):
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "tone:440", "null", False))
        engine.tell(StartRecording(CALL, str(tmp_path), RecordingForm.OGG, {}))
        await engine.wait(RecordingStarted)
        engine.tell(CloseCall(CALL))
        stopped = await engine.wait(RecordingStopped)
        assert stopped.problem == ""


@pytest.mark.trio
async def test_the_echo_test_plays_us_to_ourselves_alone_though_we_are_muted(tmp_path):
    path = tmp_path / "heard.wav"
    async with running_engine() as engine, peer(engine.fingerprint) as other:
        engine.tell(OpenCall(CALL, "tone:440", f"file:{path}", False))
        await connect(engine, other, Direction.SEND, "up")
        engine.tell(send())
        await until(lambda: len(other.packets) >= 10)
        engine.tell(SetEchoTest(CALL, True))
        size = path.stat().st_size  # of what was heard while we connected, too
        await until(lambda: path.stat().st_size > size + 2 * RATE * 2.5)
        engine.forget()
        count = len(other.packets)
        engine.tell(SetMuted(CALL, True))
        await trio.sleep(0.5)
        assert len(other.packets) == count
        engine.tell(SetEchoTest(CALL, False))
        await trio.sleep(0.3)
        assert len(other.packets) == count
        engine.tell(SetMuted(CALL, False))
        await until(lambda: len(other.packets) > count + 10)
        assert other.packets[count].is_marked
    ((start, end),) = sounds(read(path))
    assert start / RATE > 1
    assert end - start > 0.8 * RATE
    assert pitch(read(path)[start:end]) == pytest.approx(440, abs=3)
