"""Recordings that know when they were made."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from typing import Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from sound_server import FIRST, VirtualSound

RATE: Final = 48_000
LATENCY_MS: Final = (
    20  # what a client's own streams ask of a sink; less would hurry the sink, and change what is measured
)


@frozen
class Recording:
    """Samples (48 kHz, mono), and the time (s, monotonic) at which the first one was there."""

    samples: NDArray[np.float64]
    began: float

    def between(self, start: float, end: float) -> Recording:
        """The part between two times, or as much of it as there is."""
        first, last = (min(len(self.samples), max(0, round((at - self.began) * RATE))) for at in (start, end))
        return Recording(self.samples[first:last], self.began + first / RATE)


class Recorder:
    """What a PulseAudio source gives, from now until `stop`.

    A sample cannot arrive before it was there, so the earliest arrival of all blocks, reckoned back, is the first one's
    time.
    """

    def __init__(self, sound: VirtualSound, source: str, latency_ms: int = LATENCY_MS) -> None:
        line = [*FIRST, "parec", "--raw", "--format=s16le", f"--rate={RATE}", "--channels=1"]
        self._process = subprocess.Popen(
            [*line, f"--latency-msec={latency_ms}", f"--device={source}"],
            env=sound.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        self._data = bytearray()
        self._began = float("inf")
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while block := os.read(self._process.stdout.fileno(), 65536):
            self._data += block
            self._began = min(self._began, time.monotonic() - len(self._data) / 2 / RATE)

    def stop(self) -> Recording:
        """All of it."""
        self._process.terminate()
        self._thread.join()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        samples = np.frombuffer(bytes(self._data[: len(self._data) // 2 * 2]), "<i2").astype(np.float64)
        return Recording(samples, self._began)
