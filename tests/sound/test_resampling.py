"""Blocks of any length and rate, to 10 ms at 48 kHz and back."""

from __future__ import annotations

import numpy as np
import pytest

from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.resampling import Intake, Outlet
from sound.voices import pitch, rms, tone

RATES = (8_000, 16_000, 22_050, 32_000, 44_100, 96_000)


def at_rate(rate: int, hertz: float, seconds: float) -> np.ndarray:
    """A sine wave at -12 dBFS."""
    return np.round(11_629 * np.sin(2 * np.pi * hertz * np.arange(round(rate * seconds)) / rate)).astype(np.int16)


@pytest.mark.parametrize("rate", RATES)
def test_a_microphone_of_another_rate_is_heard_as_it_was(rate: int):
    got: list[np.ndarray] = []
    ages: list[float] = []
    intake = Intake(rate, lambda block, age: (got.append(block), ages.append(age)))
    said, size = at_rate(rate, 1000, 4), rate // 100
    for at in range(0, len(said), size):
        before = len(got)
        intake.put(said[at : at + size], 0.01)
        assert len(got) - before <= 2  # no bursts
    heard = np.concatenate(got)
    assert {len(block) for block in got} == {BLOCK}
    assert 4 * RATE - 1500 <= len(heard) <= 4 * RATE  # nothing is lost but what is still inside
    assert pitch(heard[RATE : 3 * RATE]) == pytest.approx(1000, abs=0.6)
    assert rms(heard[RATE : 3 * RATE]) == pytest.approx(-12, abs=0.1)
    assert purity(heard[RATE : 3 * RATE], 1000) > 60
    assert 0.01 <= ages[-1] < 0.045


@pytest.mark.parametrize("rate", RATES)
def test_a_loudspeaker_of_another_rate_plays_what_it_should(rate: int):
    said, at = tone(1000, 5), 0
    delays: list[float] = []

    def hear(delay: float) -> np.ndarray:
        nonlocal at
        at += BLOCK
        delays.append(delay)
        return said[at - BLOCK : at]

    outlet = Outlet(rate, hear)
    size = rate // 100
    heard = np.concatenate([outlet.take(size, 0.03) for _ in range(400)])
    assert len(heard) == 400 * size
    assert at <= 4.1 * RATE  # and no more is taken than is needed
    middle = heard[rate : 3 * rate]
    assert rms(middle) == pytest.approx(-12, abs=0.1)
    assert purity(middle, 1000, rate) > 60
    assert 0.03 <= delays[-1] < 0.07


@pytest.mark.parametrize("size", [64, 441, 480, 500, 1024])
def test_blocks_of_any_length_become_ours_and_back(size: int):
    said = np.arange(20_000, dtype=np.int16)
    got: list[np.ndarray] = []
    intake = Intake(RATE, lambda block, age: got.append(block))
    for at in range(0, len(said), size):
        intake.put(said[at : at + size], 0.0)
    np.testing.assert_array_equal(np.concatenate(got), said[: len(got) * BLOCK])
    assert len(said) - len(got) * BLOCK < BLOCK
    blocks = iter(got)
    outlet = Outlet(RATE, lambda delay: next(blocks))
    count = len(got) * BLOCK // size
    np.testing.assert_array_equal(np.concatenate([outlet.take(size, 0.0) for _ in range(count)]), said[: count * size])


def purity(samples: np.ndarray, hertz: float, rate: int = RATE) -> float:
    """How far (dB) what is not this sine wave lies below it."""
    time = np.arange(len(samples)) / rate
    waves = np.stack([np.sin(2 * np.pi * hertz * time), np.cos(2 * np.pi * hertz * time)], axis=1)
    wide = samples.astype(np.float64)
    parts, *_ = np.linalg.lstsq(waves, wide)
    rest = wide - waves @ parts
    return float(10 * np.log10((wide @ wide) / (rest @ rest)))
