"""Real (virtual) sound devices: a PulseAudio server of our own, and machines that lack something."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import trio

from engine.peer import PAYLOAD_TYPE, SSRC, Peer, peer
from engine.running import Running, put_first, running_engine, until
from palaver_media import rtp
from palaver_media.engine_messages import (
    AudioStarted,
    Devices,
    Direction,
    ListDevices,
    OpenCall,
    Receive,
    Send,
    SetCapture,
    SetEncoding,
    SetSink,
    SetSource,
    Side,
    SoundProblem,
    SoundStarted,
    Stats,
    TransportConnected,
)
from palaver_media.sound_settings import Capture, Encoding
from sound.voices import RATE, pitch, rms, speech, tone
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
    await talk_and_hear(sound, source, sink)


async def begin(engine: Running, up: Peer) -> None:
    """Have Alice talk by her devices; what the engine has said of it is forgotten."""
    engine.tell(OpenCall(CALL, "device:alice", "device:alice", False), up.command(CALL, "up", Direction.SEND))
    await engine.wait(SoundStarted)
    await engine.wait(TransportConnected)
    engine.tell(Send(CALL, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))
    await until(lambda: len(up.packets) > 20)
    engine.forget()


async def talk_and_hear(sound: VirtualSound, source: str, sink: str, rate: int = 48_000, within: float = 2) -> None:
    """Alice says one tone and hears another, both `within` so many Hz."""
    async with running_engine() as engine, peer(engine.fingerprint) as up, peer(engine.fingerprint) as down:
        engine.tell(OpenCall(CALL, source, sink, False))
        for side, spec in ((Side.SOURCE, source), (Side.SINK, sink)):
            await engine.wait(
                SoundStarted, lambda report, side=side, spec=spec: report.side is side and spec[7:] in report.name
            )
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
        for list_of in ("sink-inputs", "source-outputs"):
            assert f"1ch {rate}Hz" in sound.control("list", "short", list_of)
        await trio.to_thread.run_sync(playing.wait)
        assert loud_part(up.heard()) == pytest.approx(440, abs=within)
        assert loud_part(heard[0]) == pytest.approx(880, abs=within)
        stats = engine.all(Stats)[-1]
        assert 0 < stats.input_ms < 100
        assert 0 < stats.output_ms < 150
        assert not engine.all(SoundProblem)


@pytest.mark.sound
@pytest.mark.trio
async def test_what_a_peer_says_does_not_come_back_to_it(sound: VirtualSound):
    """Alice's loudspeaker is fed to her microphone as loud as it is; nothing but the echo canceller may mend that."""
    sound.control(
        "load-module", "module-loopback", "source=alice_speaker.monitor", "sink=alice_cable", "latency_msec=60"
    )
    said = speech(8, has_pauses=False)
    async with running_engine() as engine, peer(engine.fingerprint) as up, peer(engine.fingerprint) as down:
        engine.tell(OpenCall(CALL, "device:alice", "device:alice", False))
        engine.tell(SetCapture(CALL, Capture(echo=False, noise=False, gain=False)))
        engine.tell(down.command(CALL, "down", Direction.RECEIVE))
        await talking(engine, up, CALL)
        await engine.wait(TransportConnected, lambda report: report.transport == "down")
        await down.connected.wait()
        engine.tell(Receive(CALL, "down", "bob", SSRC, PAYLOAD_TYPE))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(down.say, said)
            await engine.wait(AudioStarted)
            up.packets.clear()
            await until(lambda: len(up.packets) > 75)
            echo = rms(up.heard()[-RATE:])
            assert echo == pytest.approx(rms(said), abs=6)
            engine.tell(SetCapture(CALL, Capture(noise=False, gain=False)))
            up.packets.clear()
        switched = up.packets[0].timestamp
        up.packets = [packet for packet in up.packets if packet.timestamp - switched > 4 * RATE]  # it has learned
        assert up.packets
        assert rms(up.heard()) < echo - 20


@pytest.mark.sound
@pytest.mark.trio
@pytest.mark.parametrize("limit", ["TOO_BUSY", "STEP"])
async def test_a_stream_that_spins_or_falls_back_is_opened_again(
    sound: VirtualSound, tmp_path, monkeypatch, limit: str
):
    """With a limit below all that can be, any stream is told to spin, or to be delayed."""
    (tmp_path / "sitecustomize.py").write_text(f"from palaver_engine import watch\nwatch.{limit} = -1\n")
    put_first(tmp_path, monkeypatch)
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "device:alice", "device:alice", False))
        await engine.wait(SoundStarted, lambda report: report.side is Side.SOURCE)
        await engine.wait(SoundStarted, lambda report: report.side is Side.SINK)
        first = streams(sound)
        assert len(first) == 2
        await until(lambda: len(now := streams(sound)) == 2 and not now & first)
        assert not engine.all(SoundProblem)  # nobody need do anything


@pytest.mark.sound
@pytest.mark.trio
async def test_who_sends_short_frames_hears_sooner(sound: VirtualSound):
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "null", "device:alice", False))
        usual = (await engine.wait(Stats, lambda stats: stats.output_ms > 0)).output_ms
        engine.tell(SetEncoding(CALL, Encoding(frame_ms=10)))
        await engine.wait(Stats, lambda stats: 0 < stats.output_ms < usual - 5)
        engine.forget()
        engine.tell(SetEncoding(CALL, Encoding()))
        await engine.wait(Stats, lambda stats: stats.output_ms > usual - 3)
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
async def test_a_microphone_may_be_unplugged_and_plugged_in_again(sound: VirtualSound):
    """One of two people loses his microphone, and nothing else: he hears on, and the other talks on."""
    async with running_engine() as engine, peer(engine.fingerprint) as up, peer(engine.fingerprint) as down:
        engine.tell(OpenCall(CALL, "device:bob", "device:bob", False), OpenCall("other", "device:alice", "null", False))
        await engine.wait(SoundStarted, lambda report: (report.call, report.side) == (CALL, Side.SINK))
        await engine.wait(SoundStarted, lambda report: (report.call, report.side) == ("other", Side.SOURCE))
        await talking(engine, up, CALL)
        engine.tell(down.command(CALL, "down", Direction.RECEIVE))
        await engine.wait(TransportConnected, lambda report: report.transport == "down")
        engine.tell(Receive(CALL, "down", "carol", SSRC, PAYLOAD_TYPE))
        await looked(engine)
        engine.forget()
        sound.unplug("bob")
        problem = await engine.wait(SoundProblem, lambda report: report.side is Side.SOURCE)
        assert "bob" in problem.reason
        with sound.recording("bob") as heard:
            await down.say(tone(880, 3))
        assert loud_part(heard[0]) == pytest.approx(880, abs=2)
        sound.plug("bob")
        await engine.wait(SoundStarted, started(Side.SOURCE, "bob"), seconds=5)
        up.packets.clear()
        await trio.to_thread.run_sync(sound.play("bob", tone(700, 2)).wait)
        assert loud_part(up.heard()) == pytest.approx(700, abs=2)
        assert {report.call for report in engine.all(SoundProblem)} == {CALL}


@pytest.mark.sound
@pytest.mark.trio
async def test_without_a_microphone_one_hears(sound: VirtualSound):
    sound.unplug("bob")
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "device:bob", "device:bob", False))
        await engine.wait(SoundStarted, started(Side.SINK, "bob"))
        problem = await engine.wait(SoundProblem)
        assert problem.side is Side.SOURCE
        stats = await engine.wait(Stats, lambda report: report.output_ms > 0)
        assert stats.input_ms == 0
        sound.plug("bob")
        await engine.wait(SoundStarted, started(Side.SOURCE, "bob"))


@pytest.mark.sound
@pytest.mark.trio
async def test_a_call_follows_the_default(sound: VirtualSound):
    """Here `default` is a fixed device of ALSA's configuration, so nothing moves the streams but the engine itself."""
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        engine.tell(OpenCall(CALL, "device", "device", False))
        await engine.wait(SoundStarted, started(Side.SINK, "default"))
        await talking(engine, up, CALL)
        await looked(engine)
        engine.forget()
        sound.make_default("bob")
        await engine.wait(SoundStarted, started(Side.SOURCE, "default"), seconds=3)
        up.packets.clear()
        await trio.to_thread.run_sync(sound.play("bob", tone(550, 2)).wait)
        assert loud_part(up.heard()) == pytest.approx(550, abs=2)


@pytest.mark.sound
@pytest.mark.trio
async def test_a_device_at_another_rate(sound: VirtualSound, tmp_path, monkeypatch):
    """PulseAudio takes any rate; so the engine is told to ask for 44.1 kHz at once."""
    (tmp_path / "sitecustomize.py").write_text("from palaver_engine import portaudio\nportaudio.RATES = (44_100,)\n")
    put_first(tmp_path, monkeypatch)
    await talk_and_hear(sound, "device:alice", "device:alice", rate=44_100)


@pytest.mark.sound
@pytest.mark.trio
@pytest.mark.parametrize("how", ["chosen", "PortAudio is missing"])
async def test_miniaudio_takes_the_place_of_portaudio(sound: VirtualSound, tmp_path, monkeypatch, how: str):
    if how == "chosen":
        monkeypatch.setenv("PALAVER_SOUND", "miniaudio")
    else:
        hide_portaudio(tmp_path, monkeypatch)
    # Its playback breaks up on a busy machine, which smears the pitch; a wrong rate would be 70 Hz off.
    await talk_and_hear(sound, "device", "device:(alice_speaker)", within=10)


@pytest.mark.sound
@pytest.mark.trio
async def test_a_name_of_several_devices_is_refused(sound: VirtualSound):
    async with running_engine() as engine:
        engine.tell(OpenCall(CALL, "null", "device:_speaker", False))
        problem = await engine.wait(SoundProblem)
        assert "several output devices" in problem.reason
        assert problem.remedy == "choose one of: alice_speaker, bob_speaker"


@pytest.mark.sound
@pytest.mark.trio
async def test_a_sound_server_may_die_and_come_back(sound: VirtualSound):
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        await begin(engine, up)
        sound.kill()
        await engine.wait(SoundProblem, lambda report: report.side is Side.SOURCE, seconds=10)
        await engine.wait(SoundProblem, lambda report: report.side is Side.SINK, seconds=10)
        await trio.to_thread.run_sync(sound.start)
        await engine.wait(SoundStarted, started(Side.SOURCE, "alice"), seconds=15)
        await engine.wait(SoundStarted, started(Side.SINK, "alice"), seconds=15)
        up.packets.clear()
        await trio.to_thread.run_sync(sound.play("alice", tone(700, 2)).wait)
        assert loud_part(up.heard()) == pytest.approx(700, abs=2)


@pytest.mark.sound
@pytest.mark.trio
@pytest.mark.timeout(120)
async def test_after_a_sound_server_that_hung_a_call_has_one_microphone(sound: VirtualSound):
    async with running_engine() as engine, peer(engine.fingerprint) as up:
        await begin(engine, up)
        with sound.hanging():  # until closing was given up, and an opening after it, too
            await engine.wait(SoundProblem, lambda report: "does not answer" in report.reason, seconds=30)
            await trio.sleep(4)
        await engine.wait(SoundStarted, started(Side.SOURCE, "alice"), seconds=30)
        playing = sound.play("alice", tone(700, 4))
        await trio.sleep(1.5)
        up.packets.clear()
        await trio.sleep(2)
        count = len(up.packets)
        await trio.to_thread.run_sync(playing.wait)
    assert 70 < count < 130  # 50 a second; a second stream would make it 100


@pytest.mark.trio
async def test_without_any_device_the_call_goes_on(tmp_path, monkeypatch):
    empty = tmp_path / "asound.conf"
    empty.write_text("pcm.default { type hw card 99 }\n")
    monkeypatch.setenv("ALSA_CONFIG_PATH", str(empty))
    await expect_no_sound("no input device", "sound server")


@pytest.mark.trio
async def test_without_portaudio_the_call_goes_on(tmp_path, monkeypatch):
    hide_portaudio(tmp_path, monkeypatch)
    failed = await trio.run_process([sys.executable, "-c", "import sounddevice"], capture_stderr=True, check=False)
    assert b"OSError" in failed.stderr
    await expect_no_sound("PortAudio is missing", "install it")


def hide_portaudio(tmp_path, monkeypatch) -> None:
    """The library is hidden from the loader's search, so that sounddevice fails as it does where it is missing."""
    (tmp_path / "sitecustomize.py").write_text("import ctypes.util\nctypes.util.find_library = lambda name: None\n")
    put_first(tmp_path, monkeypatch)


def streams(sound: VirtualSound) -> set[tuple[str, str]]:
    """What programs have open of the server's devices: each opening has a number of its own."""
    lists = {name: sound.control("list", "short", name).splitlines() for name in ("sink-inputs", "source-outputs")}
    rows = [(name, *line.split("\t")) for name, lines in lists.items() for line in lines]
    return {(name, number) for name, number, _, client, *_ in rows if client != "-"}  # `-`: the server's own


async def looked(engine) -> None:
    """Wait until the engine knows what there is: what it does with devices it does in the order of the commands."""
    engine.tell(ListDevices())
    await engine.wait(Devices)


async def talking(engine, up, call: str) -> None:
    engine.tell(up.command(call, "up", Direction.SEND))
    await engine.wait(TransportConnected, lambda report: report.transport == "up")
    engine.tell(Send(call, "up", 77, PAYLOAD_TYPE, "cname", "0", 0, 0))


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
