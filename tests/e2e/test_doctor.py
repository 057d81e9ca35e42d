"""`palaver doctor` tells what this machine has, and what to do about what it lacks."""

import json
import os
import signal
import subprocess
import sys

import pytest
import trio

from engine.running import until
from running import PYTHONPATH, running, serving
from sound_server import virtual_sound


def doctor(*options, core="", env=os.environ):
    return subprocess.run(
        [sys.executable, "-m", "palaver_command", "doctor", *options],
        env={**env, "PYTHONPATH": PYTHONPATH, "PALAVER_FANOUT": core},
        capture_output=True,
        text=True,
        check=False,
    )


def findings(*options, core="", env=os.environ):
    done = doctor("--json", *options, core=core, env=env)
    assert done.stderr == ""
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert done.returncode == int(any(each["remedy"] for each in found.values()))
    return found


@pytest.mark.parametrize(("core", "has_remedy"), [("c", False), ("python", True)])
def test_the_core_in_use_is_told(core, has_remedy):
    core_found = findings("--no-sound", core=core)["Media worker's core"]
    assert core_found["found"] == core
    assert bool(core_found["remedy"]) is has_remedy


def test_in_plain_words():
    done = doctor("--no-sound", core="python")
    assert done.stderr == ""
    assert done.returncode == 1
    assert "!  Media worker's core  python" in done.stdout.replace("! ", "!  ")
    assert "PALAVER_FANOUT=python asks for it" in done.stdout


def test_the_sound_engines_parts_and_what_the_processing_of_a_voice_costs_are_told():
    found = findings("--no-sound")
    assert found["Sound libraries"] == {"what": "Sound libraries", "found": "portaudio, miniaudio", "remedy": ""}
    name, share = found["Voice processing"]["found"].split(", ")
    assert name == "pywebrtc-audio"
    assert 0 < float(share.partition("%")[0]) < 100


def test_a_missing_part_is_told_with_what_installs_it(tmp_path):
    for name in ("pywebrtc_audio", "livekit"):
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    run = "import sys; sys.path.insert(0, {!r}); from palaver_command.doctor import main; sys.exit(main({!r}))"
    done = subprocess.run(
        [sys.executable, "-c", run.format(str(tmp_path), ["--no-sound", "--json"])],
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
    )
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 1
    assert "pip install pywebrtc-audio" in found["Voice processing"]["remedy"]


@pytest.mark.trio
async def test_the_network_to_a_server_is_tried_with_real_sound():
    async with serving() as (url, _):
        found = await trio.to_thread.run_sync(lambda: findings("--no-sound", url))
    assert found["Server"]["found"].startswith("connected in ")
    assert found["Round trip"]["found"].endswith(" ms over UDP")
    assert found["Loss"]["found"].startswith("0.0% of 300")
    assert "of a core" in found["CPU"]["found"]


@pytest.mark.trio
async def test_where_udp_does_not_pass_it_says_so_and_what_would_help():
    async with serving("--announce", "127.0.0.9") as (url, _):  # where nobody is
        found = await trio.to_thread.run_sync(lambda: findings("--no-sound", url))
    assert found["UDP"]["found"].startswith("no sound passes")
    assert "--media-port" in found["UDP"]["remedy"]


def test_an_address_where_no_server_is():
    found = findings("--no-sound", "http://127.0.0.1:9")
    assert "127.0.0.1:9" in found["Server"]["found"]
    assert found["Server"]["remedy"]


@pytest.mark.sound
def test_devices_are_listed_and_the_echo_path_is_measured(tmp_path):
    with virtual_sound(tmp_path, ["alice"]) as sound:
        join = "load-module module-loopback source=alice_speaker.monitor sink=alice_cable latency_msec=60"
        subprocess.run(["pactl", *join.split()], env=sound.env, check=True)
        found = findings("--input", "alice", "--output", "device:alice", env=sound.env)
        assert "alice" in found["Microphones"]["found"]
        assert "ms from loudspeaker to microphone" in found["Echo path"]["found"]
        assert not found["Microphone"]["remedy"]  # silent, but it hears
        found = findings("--input", "device:nothing", "--output", "device:alice", env=sound.env)
        assert "nothing" in found["Microphone"]["found"]
        assert found["Microphone"]["remedy"]


@pytest.mark.trio
async def test_ctrl_c_in_the_sound_test_ends_it_without_a_complaint(tmp_path):
    path = tmp_path / "played.wav"
    async with running("doctor", "--json", "--input", "null", "--output", f"file:{path}") as program:
        await until(lambda: path.exists() and path.stat().st_size > 50, seconds=20)  # more than a header: it plays
        assert await program.end(signal.SIGINT) == 130
    assert (program.lines, program.errors) == ([], [])


def test_a_machine_without_sound_is_told_so_and_what_would_help(tmp_path):
    (tmp_path / "asound.conf").write_text("")
    env = {**os.environ, "ALSA_CONFIG_PATH": str(tmp_path / "asound.conf"), "PULSE_SERVER": "unix:/nowhere"}
    found = findings(env=env)
    assert found["Microphones"]["remedy"]
    assert found["Loudspeakers"]["remedy"]
