"""How long the way from loudspeaker to microphone is, and how loud the echo."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
import trio

from engine.running import running_engine
from palaver_engine.blocks import RATE
from palaver_engine.loopback import find, program
from palaver_media.engine_messages import Side, SoundTested, TestSound
from sound_server import VirtualSound, virtual_sound


@pytest.mark.parametrize("milliseconds", [0, 31, 123, 400])
@pytest.mark.parametrize("gain", [1.0, 0.1])
def test_way_and_loudness_are_found_in_noise(milliseconds: int, gain: float):
    played = program().astype(np.float64)
    noise = np.random.default_rng(3).normal(0, 60, len(played))
    heard = noise + gain * np.concatenate((np.zeros(milliseconds * RATE // 1000), played))[: len(played)]
    found = find(heard.astype(np.int16))
    assert found is not None
    assert found[0] * 1000 == pytest.approx(milliseconds, abs=0.2)
    assert found[1] == pytest.approx(20 * np.log10(gain), abs=0.5)


@pytest.mark.parametrize("dbfs", [-100, -50, -20])
def test_nothing_is_found_in_noise_alone(dbfs: int):
    noise = np.random.default_rng(5).normal(0, 32_768 * 10 ** (dbfs / 20), len(program()))
    assert find(noise.astype(np.int16)) is None


def test_a_microphone_that_gave_nothing_heard_nothing():
    assert find(np.zeros(0, np.int16)) is None


@pytest.fixture
def sound(tmp_path, monkeypatch):
    with virtual_sound(tmp_path, ["alice"]) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.mark.sound
@pytest.mark.trio
async def test_a_real_loudspeaker_is_heard_by_a_real_microphone(sound: VirtualSound):
    join = "load-module module-loopback source=alice_speaker.monitor sink=alice_cable latency_msec=60"
    await trio.to_thread.run_sync(lambda: subprocess.run(["pactl", *join.split()], env=sound.env, check=True))
    async with running_engine() as engine:
        engine.tell(TestSound("test", "device:alice", "device:alice"))
        tested = await engine.wait(SoundTested, seconds=20)
    assert tested.problems == {}
    assert tested.latency_ms is not None
    assert 50 < tested.latency_ms < 250  # the 60 ms are what PulseAudio aims at, its buffers and ours included
    assert tested.echo_db == pytest.approx(0, abs=2)
    assert tested.noise_dbfs < -60


@pytest.mark.trio
async def test_where_nothing_is_heard_it_is_told_and_what_fails_too(tmp_path):
    async with running_engine() as engine:
        engine.tell(TestSound("deaf", "null", "null"))
        tested = await engine.wait(SoundTested, lambda report: report.call == "deaf")
        assert (tested.latency_ms, tested.echo_db, tested.problems) == (None, None, {})
        engine.tell(TestSound("broken", f"file:{tmp_path / 'none.wav'}", "null"))
        tested = await engine.wait(SoundTested, lambda report: report.call == "broken")
        assert "no such file" in tested.problems[Side.SOURCE]
