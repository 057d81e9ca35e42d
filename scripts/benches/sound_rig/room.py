"""A room in which a loudspeaker is heard by a microphone: live, in a process of its own. The acoustics are pure."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import numpy as np
from attrs import asdict, define, field, frozen
from numpy.typing import NDArray

from impairment_relay import take_precedence
from running import PYTHONPATH
from sound_server import VirtualSound

RATE: Final = 48_000
BLOCK: Final = 480
TAIL: Final = 0.06  # s of reverberation
DECAY: Final = 0.015  # s until it is a third
PIPES: Final = ("--raw", "--format=s16le", f"--rate={RATE}", "--channels=1")


@frozen
class Acoustics:
    """An echo `delay_ms` later than the devices make it anyway, `gain_db` loud, that drifts away by `drift_ppm`."""

    delay_ms: float = 0.0
    gain_db: float = -10.0
    drift_ppm: float = 0.0
    seed: int = 1


@define(eq=False)
class Room:
    """What the loudspeaker plays goes in, block by block; what of it the microphone hears comes out."""

    acoustics: Acoustics
    _response: NDArray[np.float64] = field(init=False)
    _past: NDArray[np.float64] = field(init=False)  # what was played: the response and the block reach back into it
    _wet: NDArray[np.float64] = field(init=False)  # with the response: the delay reaches back into it
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        self._response = respond(self.acoustics)
        self._past = np.zeros(len(self._response) - 1)
        self._wet = np.zeros(round((self.acoustics.delay_ms / 1000 + 0.1) * RATE) + 4)

    def hear(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        """As many samples as are given."""
        played = np.concatenate((self._past, block))
        self._past = played[len(block) :]
        wet = np.concatenate((self._wet, np.convolve(played, self._response, "valid")))
        self._wet = wet[len(block) :]
        number = np.arange(len(block))
        drifted = (self._count + number) * self.acoustics.drift_ppm * 1e-6
        self._count += len(block)
        place = len(wet) - len(block) + number - 2 - self.acoustics.delay_ms / 1000 * RATE - drifted
        return _between(wet, np.maximum(1.0, place))


def respond(acoustics: Acoustics) -> NDArray[np.float64]:
    """A room's impulse response: the direct way, and reverberation that dies away; as loud as `gain_db` in all."""
    random = np.random.default_rng(acoustics.seed)
    time = np.arange(round(TAIL * RATE)) / RATE
    response = random.normal(0, 0.08, len(time)) * np.exp(-time / DECAY)
    response[0] = 1.0
    loud: NDArray[np.float64] = response * (10 ** (acoustics.gain_db / 20) / np.sqrt(np.sum(response**2)))
    return loud


def _between(samples: NDArray[np.float64], place: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples at places that need not be whole: cubic (Catmull-Rom) interpolation."""
    whole = place.astype(np.int64)
    part = place - whole
    before, left, right, after = (samples[whole + step] for step in (-1, 0, 1, 2))
    curve = 2 * before - 5 * left + 4 * right - after + part * (3 * (left - right) + after - before)
    return cast("NDArray[np.float64]", left + 0.5 * part * (right - before + part * curve))


@contextmanager
def echoing(sound: VirtualSound, person: str, acoustics: Acoustics) -> Iterator[None]:
    """A person sits in such a room for the length of the block."""
    line = [sys.executable, "-m", "benches.sound_rig.room", person, json.dumps(asdict(acoustics))]
    with subprocess.Popen(line, env={**sound.env, "PYTHONPATH": PYTHONPATH}, stdin=subprocess.DEVNULL) as process:
        try:
            yield
        finally:
            process.terminate()


def main(person: str, acoustics: Acoustics) -> None:
    """Let the person's microphone hear his loudspeaker."""
    take_precedence()
    room = Room(acoustics)
    record = ["parec", *PIPES, "--latency-msec=10", f"--device={person}_speaker.monitor"]
    play = ["pacat", "--playback", *PIPES, "--latency-msec=40", "--process-time-msec=10", f"--device={person}_cable"]
    with (
        subprocess.Popen(record, stdout=subprocess.PIPE) as recorder,
        subprocess.Popen(play, stdin=subprocess.PIPE) as player,
    ):
        assert recorder.stdout is not None
        assert player.stdin is not None
        try:
            while block := recorder.stdout.read(2 * BLOCK):
                heard = room.hear(np.frombuffer(block, "<i2").astype(np.float64))
                player.stdin.write(np.clip(heard, -32768, 32767).astype("<i2").tobytes())
                player.stdin.flush()
        finally:
            recorder.terminate()
            player.terminate()


if __name__ == "__main__":
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    main(sys.argv[1], Acoustics(**json.loads(sys.argv[2])))
