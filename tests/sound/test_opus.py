"""libopus: what is encoded is heard again, what is lost is recovered or concealed, what is broken is told."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from palaver_engine.opus import FRAME, Decoder, Encoder, OpusError, duration
from sound.voices import likeness, pitch, rms, speech, tone


def frames(samples):
    return [samples[at : at + FRAME] for at in range(0, len(samples) - FRAME + 1, FRAME)]


def encode(samples):
    encoder = Encoder()
    return [encoder.encode(frame) for frame in frames(samples)]


def delay(heard, said) -> int:
    """The lag in samples at which two sounds are most alike, up to 20 ms."""
    return max(range(0, 960, 4), key=lambda lag: likeness(heard[lag : lag + 40_000], said[:40_000]))


def test_a_tone_comes_back_at_about_32_kilobits():
    packets = encode(tone(440, 3))
    decoder = Decoder()
    heard = np.concatenate([decoder.decode(packet) for packet in packets])
    assert pitch(heard[48_000:]) == pytest.approx(440, abs=1)
    assert rms(heard[48_000:]) == pytest.approx(-12, abs=0.5)
    talk = encode(speech(5))
    assert 12_000 < sum(map(len, talk)) * 8 / 5 < 45_000
    assert {duration(packet) for packet in packets} == {FRAME}


def test_a_lost_frame_is_recovered_from_the_next_and_else_concealed():
    said = speech(8)
    packets = encode(said)
    whole, recovered, concealed, silent = Decoder(), Decoder(), Decoder(), Decoder()
    heard: dict[str, list] = {"whole": [], "recovered": [], "concealed": [], "silent": []}
    for count, packet in enumerate(packets):
        heard["whole"].append(whole.decode(packet))
        if count % 8 == 4 and count + 1 < len(packets):
            heard["recovered"].append(recovered.recover(packets[count + 1], FRAME))
            heard["concealed"].append(concealed.conceal(FRAME))
            heard["silent"].append(np.zeros(FRAME, np.int16))
        else:
            heard["recovered"].append(recovered.decode(packet))
            heard["concealed"].append(concealed.decode(packet))
            heard["silent"].append(silent.decode(packet))
    all_of = {name: np.concatenate(blocks) for name, blocks in heard.items()}
    score = {name: likeness(sound, all_of["whole"]) for name, sound in all_of.items()}
    assert score["recovered"] > 0.95
    assert score["recovered"] > score["concealed"] > score["silent"]


def test_broken_packets_are_told():
    with pytest.raises(OpusError):
        Decoder().decode(b"\xff" * 3)
    assert duration(b"\xff" * 3) == 0
    assert duration(b"") == 0


def test_an_engine_without_libopus_says_what_would_mend_it():
    code = (
        "import ctypes.util, importlib.util\n"
        "ctypes.util.find_library = importlib.util.find_spec = lambda name: None\n"
        "from palaver_engine import opus\n"
        "try:\n    opus.Decoder()\nexcept opus.OpusMissing as why:\n    print(why, '|', opus.REMEDY)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "there is no libopus" in result.stdout
    assert "apt install libopus0" in result.stdout


def test_the_systems_library_will_do_where_pyav_brings_none():
    code = (
        "import importlib.util\nimportlib.util.find_spec = lambda name: None\n"
        "import numpy\nfrom palaver_engine import opus\n"
        "packet = opus.Encoder().encode(numpy.zeros(960, numpy.int16))\n"
        "print(len(opus.Decoder().decode(packet)), opus.library()._name)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.stdout.startswith("960 libopus"), result.stderr
