"""What is left of echo and noise, what becomes of speech, and that steps can be switched while somebody talks."""

from __future__ import annotations

import sys

import numpy as np
import pesq
import pytest
import scipy.signal
from attrs import evolve
from pystoi import stoi

from palaver_engine import processing
from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.gain import Gain
from palaver_engine.processing import Library, LiveKit, PyWebRtc
from palaver_engine.treatment import LEARNING_ECHO, Treatment
from palaver_media.sound_settings import Capture
from sound.echoes import align, echo_of, power, return_loss, to_samples, treat
from sound.voices import rms, tone
from speech import ANN, BEN, PAUSE, Speech, say_sentences

BARE = Capture(echo=False, noise=False, gain=False, high_pass=False)


@pytest.fixture(scope="module")
def ann(tmp_path_factory: pytest.TempPathFactory) -> Speech:
    return say_sentences(ANN, "en+f3", tmp_path_factory.mktemp("ann"))


@pytest.fixture(scope="module")
def ben(tmp_path_factory: pytest.TempPathFactory) -> Speech:
    return say_sentences(BEN, "en+m3", tmp_path_factory.mktemp("ben"))


@pytest.fixture(params=[PyWebRtc, LiveKit])
def library(request: pytest.FixtureRequest) -> Library:
    kind: type[Library] = request.param
    return kind()


@pytest.mark.parametrize("ppm", [0, 50, -50])
@pytest.mark.parametrize("delay_ms", [20, 100, 250, 400])
def test_the_echo_goes(library: Library, ben: Speech, delay_ms: int, ppm: int):
    far = ben.samples[round(PAUSE * RATE) :]
    echo = echo_of(far, delay_ms, ppm)
    left = treat(Treatment(library, Capture()), echo, far)
    assert return_loss(echo, left, 2, 3) >= 20
    assert return_loss(echo, left, 5, len(left) / RATE) >= 35


@pytest.mark.parametrize("delay_ms", [20, 250])
def test_those_who_take_turns_are_understood(library: Library, ann: Speech, ben: Speech, delay_ms: int):
    silence = np.zeros(RATE // 2, np.int16)
    far = np.concatenate((ben.samples, silence, np.zeros_like(ann.samples)))
    near = np.concatenate((np.zeros_like(ben.samples), silence, ann.samples))
    far, near = np.concatenate((far, far)), np.concatenate((near, near))
    heard = treat(Treatment(library, Capture()), near + echo_of(far, delay_ms), far)
    begin = len(near) - len(ann.samples)
    assert stoi(*align(ann.samples, heard[begin - BLOCK :]), RATE) >= 0.93


def test_with_nobody_else_talking_speech_stays_what_it_was(library: Library, ann: Speech, ben: Speech):
    """`livekit` suppresses noise harder, and cannot be told otherwise."""
    intelligible = 0.97 if isinstance(library, LiveKit) else 0.99
    for person in (ann, ben):
        said, heard = align(person.samples, treat(Treatment(library, Capture()), person.samples))
        assert stoi(said, heard, RATE) >= intelligible
        both = [scipy.signal.resample_poly(each, 16_000, RATE) for each in (said, heard)]
        assert pesq.pesq(16_000, *both, "wb") >= 4.0


def test_noise_goes_and_speech_stays(library: Library, ann: Speech):
    noise = to_samples(np.random.default_rng(1).standard_normal(len(ann.samples)) * 100)
    clean = treat(Treatment(library, evolve(Capture(), gain=False)), ann.samples + noise)
    pause = slice(-RATE // 4, None)
    only_noise = treat(Treatment(library, evolve(Capture(), gain=False)), noise)
    assert rms(only_noise[pause]) < rms(noise[pause]) - 5
    assert stoi(*align(ann.samples, clean), RATE) >= 0.9


def test_a_high_pass_takes_the_rumble_alone(library: Library):
    passed = evolve(BARE, high_pass=True)
    assert rms(treat(Treatment(library, passed), tone(10, 1))[-RATE // 2 :]) < -30
    assert rms(treat(Treatment(library, passed), tone(400, 1))[-RATE // 2 :]) == pytest.approx(-12, abs=0.5)


def test_soft_speech_is_raised_and_no_further_than_six_decibels(ann: Speech):
    soft = (ann.samples // 8).astype(np.int16)
    louder = treat(Treatment(PyWebRtc(), evolve(BARE, gain=True)), soft)
    assert 4 <= 10 * np.log10(power(louder) / power(soft)) <= 6.5


def test_with_all_off_nothing_is_changed(library: Library, ann: Speech):
    untreated = treat(Treatment(library, BARE), ann.samples)
    assert np.array_equal(untreated, ann.samples[: len(untreated)])


@pytest.mark.parametrize("step", ["echo", "noise", "gain", "high_pass"])
def test_a_step_is_switched_without_a_click(library: Library, step: str):
    """A click is where a smooth sound turns sharply: by far more than a hum's 8 or, with processing, 26."""
    humming = tone(300, 5, -20)
    treatment = Treatment(library, evolve(BARE, high_pass=True))
    switched = {150: {step: step != "high_pass"}, 300: {step: step == "high_pass"}}

    def switch(number: int) -> None:
        if number in switched:
            treatment.set(evolve(BARE, **{"high_pass": True, **switched[number]}))

    heard = treat(treatment, humming, meanwhile=switch)[RATE // 10 :]
    assert np.max(np.abs(np.diff(heard.astype(np.int32), 2))) < 100


@pytest.mark.parametrize("change", [{"noise": False}, {"gain": False}, {"microphone_db": 3.0}])
def test_switching_another_step_lets_no_echo_in(library: Library, ben: Speech, change: dict[str, bool]):
    far = np.concatenate((ben.samples, ben.samples))[round(PAUSE * RATE) :]
    echo = echo_of(far, 100)
    treatment = Treatment(library, Capture())

    def switch(number: int) -> None:
        if number == 600:
            treatment.set(evolve(Capture(), **change))

    left = treat(treatment, echo, far, switch)
    switched = 6 + LEARNING_ECHO * BLOCK / RATE
    assert return_loss(echo, left, 6, switched) >= 35
    assert return_loss(echo, left, switched, switched + 3) >= 35


def test_switching_takes_hold_soon(library: Library):
    treatment = Treatment(library, BARE)
    treat(treatment, tone(10, 0.5))
    treatment.set(evolve(BARE, noise=True))
    treatment.set(evolve(BARE, high_pass=True))  # while the one before is still learning
    assert rms(treat(treatment, tone(10, 2))[-RATE // 2 :]) < -30


def test_manual_gain_is_exact_below_the_knee_and_never_clips():
    louder = treat(Treatment(None, evolve(BARE, microphone_db=6)), tone(400, 1, -30))
    assert rms(louder[BLOCK:]) == pytest.approx(-24, abs=0.1)
    loud = Gain()
    blocks = [loud.amplify(block, 20) for block in tone(400, 0.1, -16).reshape(-1, BLOCK)]
    bent = np.concatenate(blocks[1:]).astype(np.int32)
    assert 32_000 < np.max(np.abs(bent)) <= 32_767
    assert np.max(np.abs(np.diff(bent, 2))) < 6000  # round where a clipped wave has corners


def test_a_change_of_manual_gain_is_smooth():
    gain, steady = Gain(), np.full(BLOCK, 1000, np.int16)
    changed = np.concatenate([gain.amplify(steady, db) for db in (0, 0, 20, 20, -20, -20)])
    assert np.max(np.abs(np.diff(changed.astype(np.int32)))) < 40
    assert changed[0] == 1000
    assert changed[-1] == pytest.approx(100, abs=1)


def test_the_small_library_is_taken_before_the_large_one():
    processing.library.cache_clear()
    assert processing.library().name == "pywebrtc-audio"
    processing.library.cache_clear()


def test_without_a_library_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch):
    for name in ("pywebrtc_audio", "livekit.rtc.apm"):
        monkeypatch.setitem(sys.modules, name, None)
    processing.library.cache_clear()
    with pytest.raises(processing.ProcessingMissing, match="pywebrtc-audio"):
        processing.library()
    processing.library.cache_clear()
