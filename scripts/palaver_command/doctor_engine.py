"""What the sound engine of this machine is made of, what it lacks, and how much of a processor it takes."""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib.util
import platform
import time
from collections.abc import Iterator
from typing import Final

import numpy as np

from palaver_engine.blocks import BLOCK, RATE, SILENCE
from palaver_engine.opus import REMEDY, OpusMissing, library
from palaver_engine.portaudio import install
from palaver_engine.processing import REMEDY as PROCESSING
from palaver_engine.processing import Library, ProcessingMissing
from palaver_engine.processing import library as processing_library
from palaver_engine.treatment import Treatment
from palaver_media.sound_settings import Capture

from .findings import Finding

SECONDS: Final = 2.0  # of sound that is treated to see what that costs
DEAR: Final = 0.2  # of a core: with coding and devices more than half would be taken


def look_at_engine() -> Iterator[Finding]:
    """All that there is to say, one by one."""
    yield look_at_opus()
    yield look_at_libraries()
    yield from look_at_processing()


def look_at_opus() -> Finding:
    """Whether sound can be encoded."""
    try:
        library().opus_get_version_string.restype = ctypes.c_char_p
        return Finding("Opus", library().opus_get_version_string().decode())
    except OpusMissing as why:
        return Finding("Opus", str(why), REMEDY)


def look_at_libraries() -> Finding:
    """Which sound libraries there are; PortAudio has the least delay, and one is enough.

    None of them is loaded: on a machine without sound that alone may write to the terminal, or end us.
    """
    bundled = platform.system() != "Linux"  # in its wheel
    there = {
        "portaudio": bundled or ctypes.util.find_library("portaudio") is not None,
        "miniaudio": importlib.util.find_spec("miniaudio") is not None,
    }
    names = ", ".join(name for name, is_there in there.items() if is_there)
    return Finding("Sound libraries", names or "none", "" if there["portaudio"] else install())


def look_at_processing() -> Iterator[Finding]:
    """Whether echo and noise can be taken away, and what that costs here."""
    what = "Voice processing"
    try:
        found = processing_library()
    except ProcessingMissing as why:
        yield Finding(what, str(why), PROCESSING)
        return
    share = processing_share(found)
    remedy = "a busy machine: switch noise suppression off, or echo cancellation with a headset"
    yield Finding(what, f"{found.name}, {share:.1%} of a core", remedy if share > DEAR else "")


def processing_share(found: Library) -> float:
    """Which part of a core the treatment of a voice takes: echo cancellation, noise suppression, loudness."""
    treatment, random = Treatment(found, Capture()), np.random.default_rng(1)
    blocks = [random.integers(-3000, 3000, BLOCK, np.int16) for _ in range(round(SECONDS * RATE / BLOCK))]
    began = time.thread_time()
    for block in blocks:
        treatment.treat(block, SILENCE)
    return (time.thread_time() - began) / SECONDS
