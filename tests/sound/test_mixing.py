"""What the loudspeaker gets of all voices: volumes without clicks, a limit without distortion, ducking, deafness."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from palaver_engine.blocks import BLOCK, SILENCE
from palaver_engine.gains import HANGOVER, RELEASE
from palaver_engine.limiter import CEILING, Limiter
from palaver_engine.mixing import Mixing
from palaver_media.sound_settings import PersonVolume, Volume
from sound.voices import rms, speech, tone

if TYPE_CHECKING:
    from numpy.typing import NDArray


def heard(mixing: Mixing, **voices: NDArray[np.int16]) -> NDArray[np.int16]:
    """What comes of whole voices of one length, block by block."""
    size = len(next(iter(voices.values())))
    starts = range(0, size - BLOCK + 1, BLOCK)
    return np.concatenate(
        [mixing.mix({name: voice[at : at + BLOCK] for name, voice in voices.items()}) for at in starts]
    )


def steepest(samples: NDArray[np.int16]) -> int:
    return int(np.abs(np.diff(samples.astype(np.int32))).max())


def test_nothing_is_done_to_a_single_voice():
    loud = np.full(BLOCK, 32_767, np.int16)
    mixing = Mixing()
    assert mixing.mix({}) is SILENCE
    assert mixing.mix({"a": SILENCE, "b": SILENCE}) is SILENCE
    assert mixing.mix({"a": SILENCE, "b": loud}) is loud


def test_voices_add_up():
    a, b = tone(300, 0.1), tone(500, 0.1)
    assert (heard(Mixing(), a=a, b=b) == a + b).all()
    assert not heard(Mixing(), a=a, b=-a).any()


@pytest.mark.parametrize("count", [2, 9, 40])
def test_any_number_of_voices_has_room(count):
    voices = {str(number): np.full(BLOCK, 10, np.int16) for number in range(count)}
    assert set(Mixing().mix(voices)) == {10 * count}


def test_volumes_are_in_decibels_and_multiply():
    mixing = Mixing()
    mixing.volumes = mixing.volumes.with_master(Volume(-6)).with_person("a", PersonVolume(-10))
    a = tone(300, 0.5)
    assert rms(heard(mixing, a=a)) == pytest.approx(rms(a) - 16, abs=0.05)
    assert rms(heard(mixing, b=a)) == pytest.approx(rms(a) - 6, abs=0.05)


@pytest.mark.parametrize(
    "volume", [PersonVolume(-40), PersonVolume(12), PersonVolume(is_muted=True)], ids=["down", "up", "mute"]
)
def test_a_changed_volume_fades_within_a_block_and_does_not_click(volume):
    mixing = Mixing()
    a = tone(100, 0.3, -20)
    before = heard(mixing, a=a)
    mixing.volumes = mixing.volumes.with_person("a", volume)
    after = heard(mixing, a=a)
    mixing.volumes = mixing.volumes.with_person("a", PersonVolume())
    assert not mixing.volumes.persons  # who is as usual is not kept
    again = heard(mixing, a=a)
    allowed = max(steepest(before), steepest(after[BLOCK:])) + 0.1 * int(np.abs(a).max())
    assert steepest(np.concatenate((before, after, again))) < allowed
    settled = after[BLOCK:]
    assert not settled.any() if volume.is_muted else abs(rms(settled) - rms(a) - volume.volume_db) < 0.1
    assert (again[BLOCK:] == a[BLOCK:]).all()


def test_who_is_deaf_hears_nothing_and_fades_out_and_in():
    mixing = Mixing()
    a = tone(100, 0.3)
    before = heard(mixing, a=a)
    mixing.volumes = mixing.volumes.with_master(Volume(is_deaf=True))
    deaf = heard(mixing, a=a)
    assert deaf[:100].any()
    assert not deaf[BLOCK:].any()
    assert mixing.mix({"a": a[:BLOCK]}) is SILENCE
    mixing.volumes = mixing.volumes.with_master(Volume())
    again = heard(mixing, a=a)
    assert steepest(np.concatenate((before, deaf, again))) < 2 * steepest(a)
    assert (again[BLOCK:] == a[BLOCK:]).all()


def test_eight_loud_talkers_are_turned_down_and_not_distorted():
    voices = {str(seed): speech(4, seed, has_pauses=False) * np.int16(2) for seed in range(8)}
    total = np.array(list(voices.values()), np.float64).sum(axis=0, keepdims=True)[0]
    assert np.abs(total).max() > 1.5 * 32_767
    limited = heard(Mixing(), **voices).astype(np.float64)
    assert np.abs(limited).max() <= CEILING + 1
    assert distortion(limited, total) < -28
    assert distortion(total.clip(-32_768, 32_767), total) > -15


def distortion(heard: NDArray[np.float64], meant: NDArray[np.float64]) -> float:
    """How loud is what a mere change of volume cannot explain, in dB: the worst tenth of the stretches of 20 ms."""
    worst = []
    for at in range(0, len(heard) - 959, 960):
        a, b = heard[at : at + 960], meant[at : at + 960]
        rest = a - b * (np.dot(a, b) / np.dot(b, b))
        worst.append(np.dot(rest, rest) / np.dot(a, a))
    return float(10 * np.log10(np.quantile(worst, 0.9) + 1e-12))


def test_the_limiter_lets_go_slowly_and_wholly():
    limiter = Limiter()
    loud, soft = np.full(BLOCK, 64_000, np.float32), np.full(BLOCK, 1000, np.float32)
    first = loud.copy()
    limiter.limit(first)
    assert first[-1] == pytest.approx(CEILING)
    levels = []
    for _ in range(300):
        block = soft.copy()
        limiter.limit(block)
        levels.append(float(block[-1]))
    assert levels[0] == pytest.approx(500, abs=30)
    assert levels == sorted(levels)
    assert 750 < levels[30] < 900
    assert limiter.is_idle
    assert levels[-1] == 1000


def test_nothing_leaps_where_the_limiter_begins():
    quiet, loud = tone(200, 0.1, -30), tone(200, 0.1)
    mixing = Mixing()
    out = heard(mixing, a=np.concatenate((quiet, loud, quiet)), b=np.concatenate((quiet, loud * 2, quiet)))
    assert steepest(out) < 3 * steepest(loud)
    assert np.abs(out).max() <= CEILING + 1


def test_the_others_are_quieter_while_one_with_priority_talks():
    mixing = Mixing()
    mixing.volumes = mixing.volumes.with_person("chair", PersonVolume(is_priority=True))
    talk, pause = tone(300, 0.2), np.zeros(48_000, np.int16)
    chair, other = np.concatenate((pause, talk, pause)), tone(1000, 2.2, -20)
    blocks = [
        mixing.mix({"chair": chair[at : at + BLOCK], "other": other[at : at + BLOCK]})
        for at in range(0, len(chair), BLOCK)
    ]
    levels = [rms(block) for block in blocks]
    assert levels[:100] == pytest.approx([-20] * 100, abs=0.1)
    others_alone = levels[120:]  # the one with priority is silent again
    assert others_alone[: HANGOVER - 2] == pytest.approx([-32] * (HANGOVER - 2), abs=0.2)
    back = others_alone[HANGOVER : HANGOVER + RELEASE]
    assert back == sorted(back)
    assert back[RELEASE // 2] == pytest.approx(-26, abs=1)
    assert others_alone[HANGOVER + RELEASE :] == pytest.approx([-20] * (100 - HANGOVER - RELEASE), abs=0.1)
    ducked = blocks[110].astype(np.float64) - chair[110 * BLOCK : 111 * BLOCK]
    assert rms(ducked.round().astype(np.int16)) == pytest.approx(-32, abs=0.2)


def test_one_with_priority_who_is_muted_here_ducks_nobody():
    mixing = Mixing()
    mixing.volumes = mixing.volumes.with_person("chair", PersonVolume(is_muted=True, is_priority=True))
    other = tone(1000, 0.5, -20)
    assert (heard(mixing, chair=tone(300, 0.5), other=other) == other).all()


def test_the_others_are_as_loud_as_before_when_one_with_priority_has_left():
    mixing = Mixing()
    mixing.volumes = mixing.volumes.with_person("chair", PersonVolume(is_priority=True))
    other = tone(1000, 1, -20)
    heard(mixing, chair=tone(300, 1), other=other)
    assert rms(heard(mixing, other=other)[-BLOCK:]) == pytest.approx(-20, abs=0.1)


def test_whoever_is_gone_leaves_no_volume_behind():
    volumes = Mixing().volumes
    kept = volumes.with_person("a", PersonVolume(-10, is_priority=True))
    assert (
        kept.with_person("b", PersonVolume(is_muted=True)).with_person("c", PersonVolume(3)).without("b", "c") == kept
    )
    assert kept.without("a") == volumes
