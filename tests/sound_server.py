"""A PulseAudio server with virtual microphones and loudspeakers, seen by PortAudio through ALSA's pulse plugin.

Each person has a null sink as the cable into a microphone and another as loudspeaker. PortAudio lists them as
`alice_mic`, `alice_speaker`, and `alice`, which is both. `default` is the first person's.
Needs pulseaudio, pulseaudio-utils (pacat, parec) and libasound2-plugins.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from attrs import define, field

if TYPE_CHECKING:
    from numpy.typing import NDArray

RATE = 48_000
START = 10.0  # s for the server to come up
FIRST = ("nice", "-n", "-11") if os.geteuid() == 0 else ()  # a sound card does not wait for its turn
_FORMAT = ("--raw", "--format=s16le", f"--rate={RATE}", "--channels=1")
# What plays and records must not be what breaks the sound, so both may wait long. A null sink hands on whole blocks as
# long as the player asks it for no more than the recorder's 20 ms: (latency - 2 * process time) / 2. Else its blocks
# are as long as its thread slept, 20.1 ms, and 10 ms callbacks see a microphone that falls back by 2 ms a second.
_PLAYING = ("--latency-msec=400", "--process-time-msec=180")
_RECORDING = ("--latency-msec=100",)


def is_installed() -> bool:
    """Whether this machine has what the virtual devices need."""
    return all(shutil.which(program) for program in ("pulseaudio", "pacat", "parec", "pactl"))


@define(eq=False)
class VirtualSound:
    """A running server. `env` is what a program needs to see its devices (and no others)."""

    folder: Path
    people: tuple[str, ...]
    env: dict[str, str]
    _server: subprocess.Popen[bytes] | None = None
    _helpers: list[subprocess.Popen[bytes]] = field(factory=list)

    def microphone(self, person: str) -> str:
        """The name of a microphone, as sounddevice lists it."""
        return f"{person}_mic"

    def speaker(self, person: str) -> str:
        """The name of a loudspeaker, as sounddevice lists it."""
        return f"{person}_speaker"

    def headset(self, person: str) -> str:
        """The name of one device with the person's microphone and loudspeaker."""
        return person

    def start(self) -> None:
        """Start the server, also again after `kill`; returns when it answers."""
        script = self.folder / "pulse.pa"
        script.write_text("\n".join(_modules(self.people, self.env["PULSE_SERVER"].removeprefix("unix:"))) + "\n")
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--disable-shm=yes", "-F", str(script)]
        line = [*FIRST, "pulseaudio", *options]
        with (self.folder / "pulse.log").open("ab") as log:
            self._server = subprocess.Popen(line, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + START
        last = f"{self.people[-1]}_mic".encode()
        while last not in self._run("pactl", "list", "short", "sources"):
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise RuntimeError((self.folder / "pulse.log").read_text())
            time.sleep(0.05)

    def control(self, *command: str) -> str:
        """What `pactl` answers to a command."""
        return self._run("pactl", *command).decode()

    def unplug(self, person: str) -> None:
        """A person's microphone is gone."""
        (module,) = [
            line.split()[0]
            for line in self.control("list", "short", "modules").splitlines()
            if f"source_name={person}_mic" in line
        ]
        self.control("unload-module", module)

    def plug(self, person: str) -> None:
        """A person's microphone is there again."""
        self.control("load-module", *_microphone(person))

    def make_default(self, person: str) -> None:
        """The default devices are now a person's, for ALSA as for PulseAudio."""
        _configure(self.folder, self.people, person)
        self.control("set-default-sink", f"{person}_speaker")
        self.control("set-default-source", f"{person}_mic")

    def kill(self) -> None:
        """The server dies without a word."""
        assert self._server is not None
        self._server.kill()
        self._server.wait()

    @contextlib.contextmanager
    def hanging(self) -> Iterator[None]:
        """Have the server answer nobody for the length of the block."""
        assert self._server is not None
        self._server.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._server.send_signal(signal.SIGCONT)

    def play(self, person: str, samples: NDArray[np.int16]) -> subprocess.Popen[bytes]:
        """Say samples (48 kHz mono) into a person's microphone; the process ends when they are said."""
        return self._play(f"{person}_cable", samples)

    def play_to_speaker(self, person: str, samples: NDArray[np.int16]) -> subprocess.Popen[bytes]:
        """Play samples through a person's loudspeaker, as another program would."""
        return self._play(f"{person}_speaker", samples)

    def record(self, person: str, path: Path) -> subprocess.Popen[bytes]:
        """Record what a person's loudspeaker plays into a raw file, until the process is terminated."""
        with path.open("wb") as out:
            line = [*FIRST, "parec", *_FORMAT, *_RECORDING, f"--device={person}_speaker.monitor"]
            return self._keep(subprocess.Popen(line, env=self.env, stdin=subprocess.DEVNULL, stdout=out))

    @contextlib.contextmanager
    def recording(self, person: str) -> Iterator[list[NDArray[np.int16]]]:
        """Record a loudspeaker for the length of the block; then the list holds the samples."""
        path = self.folder / f"{person}-{time.monotonic_ns()}.raw"
        recorder = self.record(person, path)
        deadline = time.monotonic() + START
        while not path.stat().st_size:
            if time.monotonic() > deadline:
                raise RuntimeError("nothing is recorded")
            time.sleep(0.02)
        heard: list[NDArray[np.int16]] = []
        try:
            yield heard
        finally:
            _end(recorder)
            heard.append(np.fromfile(path, "<i2", count=path.stat().st_size // 2).astype(np.int16))

    def close(self) -> None:
        """End everything that was started here."""
        for process in (*self._helpers, *([self._server] if self._server else [])):
            _end(process)

    def _play(self, sink: str, samples: NDArray[np.int16]) -> subprocess.Popen[bytes]:
        path = self.folder / f"{sink}-{time.monotonic_ns()}.raw"
        samples.astype("<i2").tofile(path)
        line = [*FIRST, "pacat", "--playback", *_FORMAT, *_PLAYING, f"--device={sink}", str(path)]
        return self._keep(subprocess.Popen(line, env=self.env, stdin=subprocess.DEVNULL))

    def _keep(self, process: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        self._helpers.append(process)
        return process

    def _run(self, *line: str) -> bytes:
        return subprocess.run(line, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, check=False).stdout


@contextlib.contextmanager
def virtual_sound(folder: Path, people: Sequence[str] = ("alice", "bob")) -> Iterator[VirtualSound]:
    """A sound server of our own for the length of the block; all it needs lies in `folder`."""
    asound = _configure(folder, people, people[0])
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PULSE_", "DBUS_", "PIPEWIRE_"))}
    env |= {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(runtime),
        "PULSE_SERVER": f"unix:{folder / 'pulse.sock'}",
        "ALSA_CONFIG_PATH": str(asound),
    }
    sound = VirtualSound(folder, tuple(people), env)
    try:
        sound.start()
        yield sound
    finally:
        sound.close()


def _modules(people: Sequence[str], socket: str) -> Iterator[str]:
    yield f"load-module module-native-protocol-unix auth-anonymous=1 socket={socket}"
    for person in people:
        # With rewinds a null sink renders two seconds ahead, and ALSA's plugin does not ask it for less.
        for sink in (f"{person}_cable", f"{person}_speaker"):
            yield f"load-module module-null-sink sink_name={sink} rate={RATE} channels=1 format=s16le norewinds=1"
        yield f"load-module {' '.join(_microphone(person))}"
    yield f"set-default-sink {people[0]}_speaker"
    yield f"set-default-source {people[0]}_mic"


def _configure(folder: Path, people: Sequence[str], default: str) -> Path:
    path = folder / "asound.conf"
    path.write_text("".join(_devices(person) for person in people) + _both("default", default))
    return path


def _microphone(person: str) -> tuple[str, ...]:
    return ("module-remap-source", f"source_name={person}_mic", f"master={person}_cable.monitor", "channels=1")


def _devices(person: str) -> str:
    half = "pcm.{name} {{ type pulse device {name} }}\n"
    ends = half.format(name=f"{person}_mic") + half.format(name=f"{person}_speaker")
    return ends + _both(person, person)


def _both(name: str, person: str) -> str:
    return (
        f"pcm.{name} {{ type asym playback.pcm {{ type pulse device {person}_speaker }}"
        f" capture.pcm {{ type pulse device {person}_mic }} }}\n"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
