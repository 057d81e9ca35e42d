"""Speech is known as speech in noise and hum, and neither noise nor a keyboard is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import scipy.signal

from palaver_engine.activity import HOLD, Activity
from palaver_engine.blocks import BLOCK, RATE, SILENCE, Samples
from palaver_engine.processing import PyWebRtc
from palaver_engine.transmission import PRE_ROLL
from palaver_engine.treatment import Treatment
from palaver_media.sound_settings import Capture
from sound.echoes import to_samples
from sound.voices import rms
from speech import ANN, BEN, say_sentences

if TYPE_CHECKING:
    from numpy.typing import NDArray

SECONDS = 20
SPEECH = -24.0  # dBFS while it lasts


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Samples:
    folder = tmp_path_factory.mktemp("said")
    parts = [say_sentences(ANN, "en+f3", folder).samples, say_sentences(BEN, "en+m3", folder).samples]
    samples = np.concatenate(parts)[: SECONDS * RATE]
    loud = rms(samples[np.abs(samples) > 300])
    return to_samples(samples * 10 ** ((SPEECH - loud) / 20))


def noise(kind: str, dbfs: float) -> Samples:
    random = np.random.default_rng(5)
    wave = random.standard_normal(SECONDS * RATE)
    ticks = np.arange(len(wave)) / RATE
    if kind == "pink":
        wave = scipy.signal.lfilter([0.05, -0.096, 0.0506, -0.0044], [1, -2.495, 2.0173, -0.5222], wave)
    elif kind == "hum":
        wave = 0.1 * wave + sum(np.sin(2 * np.pi * 50 * order * ticks) / order for order in range(1, 12))
    elif kind == "keys":
        wave = keys(random)
    return to_samples(wave / np.sqrt(np.mean(wave**2)) * 10 ** (dbfs / 20) * 32_768)


def keys(random: np.random.Generator) -> NDArray[np.float64]:
    """Clicks of 4 to 50 ms, three to sixteen a second, each with its own colour."""
    wave, at = np.zeros(SECONDS * RATE), 0
    while at < len(wave) - 3000:
        size = int(random.integers(200, 2500))
        click = random.standard_normal(size) * np.exp(-np.arange(size) / (size / 5))
        middle = random.uniform(800, 5000) * 2 / RATE
        wave[at : at + size] += scipy.signal.lfilter(
            *scipy.signal.butter(2, [middle * 0.6, middle * 1.6], "band"), click
        )
        at += int(random.uniform(0.06, 0.35) * RATE)
    return wave


def active(samples: Samples) -> NDArray[np.bool_]:
    """Which blocks the whole treatment takes for speech."""
    treatment = Treatment(PyWebRtc(), Capture())
    blocks = samples.reshape(-1, BLOCK)
    return np.array([treatment.treat(block, SILENCE)[1] for block in blocks])


def spoken(samples: Samples) -> NDArray[np.bool_]:
    return np.array([rms(block) > -50 for block in samples.reshape(-1, BLOCK)])


NOISES = [("white", -60), ("white", -45), ("white", -34), ("pink", -45), ("pink", -34), ("hum", -40), ("keys", -40)]


@pytest.mark.parametrize(("kind", "dbfs"), NOISES)
def test_what_is_no_speech_opens_nothing(kind: str, dbfs: int):
    """The first two seconds are for learning the noise."""
    assert np.mean(active(noise(kind, dbfs))[200:]) <= 0.03


@pytest.mark.parametrize(("kind", "dbfs"), [("white", -90), *NOISES])
def test_speech_is_found_from_its_beginning_with_what_is_sent_before(said: Samples, kind: str, dbfs: int):
    found = active(to_samples(said.astype(np.float64) + noise(kind, dbfs)))
    sent = np.array([found[at : at + PRE_ROLL + 1].any() for at in range(len(found))])
    assert np.mean(sent[spoken(said)]) >= 0.99
    assert np.mean(found) < 0.95


def test_one_likely_block_is_a_click_and_two_are_speech():
    activity = Activity()
    assert [activity.hear(SILENCE, chance) for chance in (0.9, 0.1, 0.9, 0.1, 0.9, 0.9)] == 5 * [False] + [True]


def test_speech_lasts_over_a_pause_and_then_ends():
    activity = Activity()
    heard = [activity.hear(SILENCE, chance) for chance in [0.9, 0.9] + [0.0] * 40]
    assert heard == [False] + [True] * HOLD + [False] * (41 - HOLD)


def test_without_a_library_loudness_tells(said: Samples):
    activity = Activity()
    hiss = noise("white", -50)
    found = np.array([activity.hear(block, None) for block in (said + hiss).reshape(-1, BLOCK)])
    assert np.mean(found[spoken(said)]) > 0.9
    activity = Activity()
    assert not any([activity.hear(block, None) for block in noise("white", -45).reshape(-1, BLOCK)][500:])
