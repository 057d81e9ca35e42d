"""Real (virtual) sound devices: a PulseAudio server of our own, and machines that lack something."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trio

from engine.peer import PAYLOAD_TYPE, SSRC, peer
from engine.running import running_engine, until
from engine.voices import pitch, rms, tone
from palaver_media import rtp
from palaver_media.engine_messages import (
    AudioStarted,
    Devices,
    Direction,
    ListDevices,
    OpenCall,
    Receive,
    Send,
    SetSink,
    SetSource,
    Side,
    SoundProblem,
    SoundStarted,
    TransportConnected,
)
from sound_server import VirtualSound, virtual_sound

CALL = "the call"


@pytest.fixture
def sound(tmp_path, monkeypatch):
    """A sound server that the engines started here see."""
    with virtual_sound(tmp_path) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


def started(side: Side, name: str):
    return lambda report: (report.side, report.name) == (side, name)


@pytest.mark.sound
@pytest.mark.trio
async def test_the_devices_are_listed(sound: VirtualSound):
    async with running_engine() as engine:
        engine.tell(ListDevices())
        found = await engine.wait(Devices)
        assert found.problem == ""
        assert {"alice_mic", "bob_mic", "alice"} <= {device.name for device in found.inputs}
        assert {"alice_speaker", "bob_speaker", "alice"} <= {device.name for device in found.outputs}
        assert [device.name for device in found.inputs if device.is_default] == ["default"]


@pytest.mark.sound
@pytest.mark.trio
@pytest.mark.parametrize("is_headset", [True, False])
async def test_a_person_talks_and_hears_through_devices(sound: VirtualSound, is_headset: bool):
    source, sink = ("device:alice", "device:alice") if is_headset else ("device:alice_mic", "device:alice_speaker")
    async with running_engine() as engine, peer(engine.fingerprint) as up, peer(engine.fingerprint) as down:
        engine.tell(OpenCall(CALL, source, sink, False))
        await engine.wait(SoundStarted, started(Side.SOURCE, source.partition(":")[2]))
        await engine.wait(SoundStarted, started(Side.SINK, sink.partition(":")[2]))
        engine.tell(up.command(CALL, "up", Direction.SEND), down.command(CALL, "down", Direction.RECEIVE))
        await engine.wait(TransportConnected, lambda report: report.transport == "up")
        await engine.wait(TransportConnected, lambda report: report.transport == "down")
        await down.connected.wait()
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", rtp.MID, rtp.AUDIO_LEVEL))
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        playing = sound.play("alice", tone(440, 4))
        with sound.recording("alice") as heard:
            await down.say(tone(880, 3))
            await engine.wait(AudioStarted)
        await trio.to_thread.run_sync(playing.wait)
        assert loud_part(up.heard()) == pytest.approx(440, abs=2)
        assert loud_part(heard[0]) == pytest.approx(880, abs=2)
        assert not engine.all(SoundProblem)


@pytest.mark.sound
@pytest.mark.trio
async def test_the_device_can_be_changed_while_talking(sound: VirtualSound):
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        engine.tell(OpenCall(CALL, "device:alice", "device:alice", False))
        engine.tell(up.command(CALL, "up", Direction.SEND), SetSource(CALL, "device:BOB_mic"))
        await engine.wait(SoundStarted, started(Side.SOURCE, "bob_mic"))
        await engine.wait(SoundStarted, started(Side.SINK, "alice"))
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0), SetSink(CALL, "null"))
        await trio.to_thread.run_sync(sound.play("bob", tone(550, 2)).wait)
        assert loud_part(up.heard()) == pytest.approx(550, abs=2)
        engine.tell(SetSource(CALL, "device:nobody"))
        problem = await engine.wait(SoundProblem)
        assert "nobody" in problem.reason
        assert "alice_mic" in problem.remedy


@pytest.mark.sound
@pytest.mark.trio
async def test_a_sound_server_may_die_and_come_back(sound: VirtualSound):
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        engine.tell(OpenCall(CALL, "device:alice", "device:alice", False), up.command(CALL, "up", Direction.SEND))
        await engine.wait(SoundStarted)
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
        await until(lambda: len(up.packets) > 20)
        engine.forget()
        sound.kill()
        await engine.wait(SoundProblem, lambda report: report.side is Side.SOURCE, seconds=10)
        await engine.wait(SoundProblem, lambda report: report.side is Side.SINK, seconds=10)
        await trio.to_thread.run_sync(sound.start)
        await engine.wait(SoundStarted, started(Side.SOURCE, "alice"), seconds=15)
        await engine.wait(SoundStarted, started(Side.SINK, "alice"), seconds=15)
        up.packets.clear()
        await trio.to_thread.run_sync(sound.play("alice", tone(700, 2)).wait)
        assert loud_part(up.heard()) == pytest.approx(700, abs=2)


@pytest.mark.trio
async def test_without_any_device_the_call_goes_on(tmp_path, monkeypatch):
    empty = tmp_path / "asound.conf"
    empty.write_text("pcm.default { type hw card 99 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(empty))
    await expect_no_sound("no input device", "sound server")


@pytest.mark.trio
async def test_without_portaudio_the_call_goes_on(tmp_path, monkeypatch):
    """The library is hidden from the loader's search, so that sounddevice fails as it does where it is missing."""
    (tmp_path / "sitecustomize.py").write_text("import ctypes.util\nctypes.util.find_library = lambda name: None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    failed = await trio.run_process([sys.executable, "-c", "import sounddevice"], capture_stderr=True, check=False)
    assert b"OSError" in failed.stderr
    await expect_no_sound("PortAudio is missing", "install it")


async def expect_no_sound(reason: str, remedy: str) -> None:
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        engine.tell(OpenCall(CALL, "device", "device", False), ListDevices())
        problems = {
            side: await engine.wait(SoundProblem, lambda report, side=side: report.side is side) for side in Side
        }
        assert reason in problems[Side.SOURCE].reason
        assert remedy in problems[Side.SOURCE].remedy
        found = await engine.wait(Devices)
        assert (found.inputs, found.outputs) == ((), ())
        assert remedy in found.problem
        engine.tell(up.command(CALL, "up", Direction.SEND), SetSource(CALL, "tone:440"))
        await engine.wait(TransportConnected)
        engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
        await until(lambda: len(up.packets) > 20)


def loud_part(samples: np.ndarray) -> float:
    """The pitch of the second in the middle of what is loud."""
    loud = np.flatnonzero(np.abs(samples) > 1000)
    assert len(loud) > 24_000, f"hardly anything was heard: {rms(samples):.0f} dBFS in {len(samples)} samples"
    middle = int(np.median(loud))
    return pitch(samples[max(0, middle - 24_000) : middle + 24_000])
