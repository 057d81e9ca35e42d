"""A two-person call over virtual sound devices: delay, CPU, time to first sound and to the first screen."""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import scipy.signal
import trio

from benches.sound_rig.cpu import child_of, cpu_seconds
from benches.sound_rig.recorder import RATE, Recorder
from running import PYTHONPATH, Program, running, serving
from sound_server import VirtualSound, virtual_sound

if TYPE_CHECKING:
    from numpy.typing import NDArray

CHIRPS: Final = 24
FIRST_SCREEN: Final = 5  # runs, of which the median counts


def make_chirps() -> tuple[NDArray[np.int16], NDArray[np.float64]]:
    """Chirps at uneven distances, and one of them."""
    t = np.arange(int(0.08 * RATE)) / RATE
    chirp = scipy.signal.chirp(t, 300, t[-1], 3000) * np.hanning(len(t)) * 12_000
    random = np.random.default_rng(7)
    silence = [np.zeros(int(RATE * gap)) for gap in random.uniform(0.35, 0.65, CHIRPS)]
    parts = [part for gap in silence for part in (gap, chirp)]
    return np.concatenate([*parts, np.zeros(RATE)]).astype(np.int16), chirp


def find(sound: NDArray[np.float64], chirp: NDArray[np.float64], start: int, length: int) -> float:
    """Where in this part of a recording the chirp begins, in samples."""
    part = sound[start : start + length]
    return start + float(np.argmax(np.abs(scipy.signal.correlate(part, chirp, "valid", "fft"))))


async def mouth_to_ear(sound: VirtualSound) -> dict[str, float]:
    """The delay of each chirp from alice's microphone to bob's loudspeaker, in ms."""
    chirps, chirp = make_chirps()
    mouth, ear = (Recorder(sound, f"{source}.monitor", latency_ms=5) for source in ("alice_cable", "bob_speaker"))
    await trio.to_thread.run_sync(sound.play("alice", chirps).wait)
    await trio.sleep(0.5)
    said, heard = mouth.stop(), ear.stop()
    peaks = np.abs(scipy.signal.correlate(said.samples, chirp, "valid", "fft"))
    places, _ = scipy.signal.find_peaks(peaks, height=peaks.max() / 2, distance=int(0.3 * RATE))
    delays: list[float] = []
    for place in places[2:]:
        at = said.began + place / RATE
        start = max(0, int((at - heard.began) * RATE))
        found = find(heard.samples, chirp, start, int(0.4 * RATE) + len(chirp))
        delays.append((heard.began + found / RATE - at) * 1000)
    quartiles = statistics.quantiles(delays, n=20)
    return {"median_ms": statistics.median(delays), "p95_ms": quartiles[-1], "chirps": float(len(delays))}


async def cpu_percent(seconds: float, **programs: Program) -> dict[str, float]:
    """How much of one core each program and its media process take."""
    pids = {name: program.process.pid for name, program in programs.items()}
    pids |= {f"{name}_media": child_of(pid) for name, pid in pids.items()}
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    began = time.monotonic()
    await trio.sleep(seconds)
    passed = time.monotonic() - began
    return {name: 100 * (cpu_seconds(pid) - before[name]) / passed for name, pid in pids.items()}


async def join_to_sound(url: str, sound: VirtualSound, env: dict[str, str], runs: int) -> dict[str, float]:
    """From the answer of the join, and from the program's start, to the first sound of somebody who talks, in ms."""
    since_join: list[float] = []
    since_start: list[float] = []
    async with running(
        "call", url, "--room", "bench", "--name", "talker", "--input", "tone:440", "--output", "null", env=env
    ):
        for _ in range(runs):
            began = time.monotonic()
            null = ("--input", "null")
            speaker = f"device:{sound.speaker('bob')}"
            arguments = ("call", url, "--room", "bench", "--name", "joiner", *null, "--output", speaker, "--json")
            async with running(*arguments, env=env) as joiner:
                await joiner.wait_event("joined")
                joined = time.monotonic()
                await joiner.wait_event("mediaStarted")
                since_join.append((time.monotonic() - joined) * 1000)
                since_start.append((time.monotonic() - began) * 1000)
                await joiner.end()
    return {"since_join_ms": statistics.median(since_join), "since_start_ms": statistics.median(since_start)}


def paint(line: list[str], env: dict[str, str], sign: bytes) -> float:
    """Seconds from starting a program in a terminal until it has written `sign`."""
    began = time.monotonic()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvpe(line[0], line, {**env, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"})
    seen = b""
    while sign not in re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", seen):
        if not select.select([terminal], [], [], 20)[0]:
            raise RuntimeError(seen.decode(errors="replace"))
        seen += os.read(terminal, 65536)
    passed = time.monotonic() - began
    os.kill(pid, 15)
    while select.select([terminal], [], [], 5)[0]:
        try:
            if not os.read(terminal, 65536):
                break
        except OSError:
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    return passed


def first_screen(env: dict[str, str]) -> dict[str, float]:
    """Start-up of the full-screen client, beside that of an empty Textual app (the floor), in ms."""
    environment = {**env, "PYTHONPATH": PYTHONPATH}
    client = [sys.executable, "-m", "palaver_command", "http://127.0.0.1:9", "--name", "ann"]
    empty = [
        sys.executable,
        "-c",
        "from textual.app import App\nfrom textual.widgets import Static\n"
        "class Empty(App):\n    def compose(self):\n        yield Static('Palaver')\nEmpty().run()",
    ]
    clients, floors = [], []
    for _ in range(FIRST_SCREEN):
        clients.append(paint(client, environment, b"Palaver") * 1000)
        floors.append(paint(empty, environment, b"Palaver") * 1000)
    client_ms, floor_ms = statistics.median(clients), statistics.median(floors)
    return {"client_ms": client_ms, "empty_textual_ms": floor_ms, "ratio": client_ms / floor_ms}


async def measure(seconds: float) -> dict[str, dict[str, float]]:
    """All of it, on one server."""
    with tempfile.TemporaryDirectory() as folder, virtual_sound(Path(folder)) as sound:
        env = {**sound.env, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
        figures: dict[str, dict[str, float]] = {"first screen": first_screen(env)}
        async with serving() as (url, server):
            figures["join to first sound"] = await join_to_sound(url, sound, env, runs=5)
            async with running(*call(url, "alice", sound), env=env) as alice:
                async with running(*call(url, "bob", sound), env=env) as bob:
                    await bob.wait_event("mediaStarted")
                    await alice.wait_event("mediaStarted")
                    await trio.sleep(3)  # the playout has found its delay
                    figures["mouth to ear"] = await mouth_to_ear(sound)
                    figures["cpu, % of a core"] = await cpu_percent(seconds, server=server, alice=alice, bob=bob)
                    await bob.end()
                await alice.end()
    return figures


def call(url: str, name: str, sound: VirtualSound) -> tuple[str, ...]:
    """A call on somebody's devices."""
    device = f"device:{sound.headset(name)}"
    return ("call", url, "--room", "bench", "--name", name, "--input", device, "--output", device, "--json")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="scripts/bench call", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--seconds", type=float, default=20, help="how long CPU time is watched (20)")
    options = parser.parse_args()
    figures: dict[str, Any] = trio.run(measure, options.seconds)
    if options.json:
        print(json.dumps(figures, indent=2))
        return
    for group, values in figures.items():
        print(group)
        for name, value in values.items():
            print(f"  {name:<20} {value:9.1f}")


if __name__ == "__main__":
    main()
