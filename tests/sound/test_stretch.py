"""Shorter and longer sound: its pitch stays, nothing clicks, and what cannot be done well is not done."""

from __future__ import annotations

import time

import numpy as np
import pytest

from palaver_engine import stretch
from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.stretch import SEAM, SHORTEST
from sound.voices import pitch, rms, speech, tone

ALIKE = 0.7


def shortened(samples):
    """All of it with a piece left out of each 40 ms, or so."""
    heard, left = [], samples
    while len(left) > 4 * BLOCK:
        shorter = stretch.shorten(left, BLOCK * 3 // 2, ALIKE)
        left = left if shorter is None else shorter
        heard.append(left[: 3 * BLOCK])
        left = left[3 * BLOCK :]
    return np.concatenate(heard)


def lengthened(samples):
    heard, left = samples[: 3 * BLOCK], samples[3 * BLOCK :]
    while len(left) > 4 * BLOCK:
        longer = stretch.lengthen(heard[-3 * BLOCK :], left, SEAM, 2 * BLOCK, ALIKE)
        left = left if longer is None else longer
        heard = np.concatenate((heard, left[: 4 * BLOCK]))
        left = left[4 * BLOCK :]
    return heard


def roughness(samples):
    """The greatest bend from sample to sample: a click's is large."""
    return int(np.abs(np.diff(samples.astype(np.int64), 2)).max())


@pytest.mark.parametrize("hertz", [80, 123, 210, 440, 1000])
@pytest.mark.parametrize("change", [shortened, lengthened])
def test_a_tone_keeps_its_pitch_and_its_level_and_does_not_click(hertz, change):
    said = tone(hertz, 6)
    heard = change(said)
    assert abs(len(heard) - len(said)) > len(said) * 0.1
    size = 4 * RATE
    assert pitch(heard[:size]) == pytest.approx(hertz, abs=1)
    assert rms(heard) == pytest.approx(-12, abs=0.3)
    assert roughness(heard) < roughness(said) + 120


@pytest.mark.parametrize("change", [shortened, lengthened])
def test_speech_keeps_its_level_and_does_not_click(change):
    said = speech(10, has_pauses=False)
    heard = change(said)
    assert abs(len(heard) - len(said)) > len(said) * 0.05
    assert rms(heard) == pytest.approx(rms(said), abs=0.5)
    assert roughness(heard) < 2 * roughness(said)


def test_noise_has_no_place_to_be_cut_at_but_keeps_its_level_if_it_must_be():
    noise = np.random.default_rng(1).normal(0, 3000, RATE).astype(np.int16)
    assert stretch.shorten(noise, BLOCK, ALIKE) is None
    assert stretch.lengthen(noise, noise[::-1], SEAM, BLOCK, ALIKE) is None
    seams = [stretch.leave_out(noise[at:], BLOCK)[:SEAM] for at in range(0, RATE - 2 * BLOCK, BLOCK)]
    assert rms(np.concatenate(seams)) == pytest.approx(rms(noise), abs=0.2)


def test_a_piece_has_the_size_that_is_asked_for():
    noise = np.random.default_rng(2).normal(0, 10, RATE).astype(np.int16)
    assert len(stretch.leave_out(noise, 77)) == RATE - 77
    assert len(stretch.play_again(noise, noise, 480)) == RATE + 480
    for most in (200, 333, 480):
        shorter = stretch.shorten(tone(210, 0.1), most, -1)
        assert shorter is not None
        assert SHORTEST <= 4800 - len(shorter) <= most
        longer = stretch.lengthen(tone(210, 0.1), tone(210, 0.1), 240, 240 + most, -1)
        assert longer is not None
        assert 240 <= len(longer) - 4800 <= 240 + most


def test_silence_and_full_scale_are_no_special_case():
    silence, square = np.zeros(2000, np.int16), np.where(np.arange(4000) // 100 % 2, 32_767, -32_768).astype(np.int16)
    assert stretch.shorten(silence, BLOCK, -1) is not None
    shorter = stretch.shorten(square, BLOCK, ALIKE)
    assert shorter is not None
    assert len(square) - len(shorter) == 400


def test_it_is_cheap():
    samples = speech(1, has_pauses=False)
    begin = time.thread_time()
    for at in range(0, 20_000, 100):
        stretch.shorten(samples[at:], BLOCK, -1)
    assert (time.thread_time() - begin) / 200 < 0.001
