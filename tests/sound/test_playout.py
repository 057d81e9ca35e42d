"""The playout buffer on simulated paths: deterministic, on a virtual clock."""

from __future__ import annotations

import random

import numpy as np
import pytest

from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.frames import Voice
from palaver_engine.opus import Encoder
from palaver_engine.playout import Playout
from sound.paths import FIRST_SEQUENCE, FRAME, Path, arrivals, encode_as, encoded, play
from sound.voices import likeness, pitch, rms, tone


def test_a_clean_path_costs_little_delay_and_nothing_else():
    run = play(arrivals(encoded("speech", 10), lambda sent: 0.05), 10.2)
    assert (run.tally.lost, run.tally.late, run.tally.concealed) == (0, 0, 0)
    assert run.tally.played == run.tally.received == 500
    assert run.delays.max() < 0.045
    assert run.delays[-1] < 0.015


def test_a_steady_tone_on_a_clean_path_stays_whole():
    run = play(arrivals(encoded("tone", 5), lambda sent: 0.03), 4.5)
    assert pitch(run.heard[48_000:]) == pytest.approx(440, abs=1)
    assert rms(run.heard[48_000:]) == pytest.approx(-12, abs=0.3)
    assert run.delays.max() < 0.03


@pytest.mark.parametrize("seed", range(5))
def test_with_jitter_and_loss_nearly_all_that_arrives_is_played(seed: int):
    dice = random.Random(seed)
    path: Path = lambda sent: None if dice.random() < 0.1 else 0.04 + dice.uniform(-0.02, 0.02)  # noqa: E731
    run = play(arrivals(encoded("speech", 30), path), 30.2)
    assert run.tally.played / run.tally.received >= 0.97
    assert run.tally.lost == pytest.approx(150, abs=40)
    assert run.delays[200:].max() < 0.06


def test_single_losses_are_recovered_from_the_next_packet():
    payloads = encoded("speech without pauses", 12)

    def losing(first: int, *lost: int):
        """The delay settles before the packets are lost that count."""
        return play(
            arrivals(
                payloads, lambda sent: None if (n := round(sent / 0.02)) % 10 in ((5,) if n < first else lost) else 0.02
            ),
            12,
        )

    whole, lossy, guessed = losing(300), losing(300, 5), losing(300, 5, 6)
    assert (lossy.tally.concealed, lossy.tally.lost) == (0, 60)
    assert lossy.tally.recovered == 60
    assert guessed.tally.concealed > 30
    lossy_is, guessed_is = (likeness(run.heard[-5 * RATE :], whole.heard[-5 * RATE :]) for run in (lossy, guessed))
    assert lossy_is > 0.95
    assert guessed_is < lossy_is - 0.02


@pytest.mark.parametrize("kind", ["tone", "speech", "speech without pauses"])
def test_after_a_stall_the_words_come_and_the_delay_falls_back(kind: str):
    stall: Path = lambda sent: 0.02 + max(0.0, 10.5 - sent if sent >= 10 else 0)  # noqa: E731
    run = play(arrivals(encoded(kind, 25), stall), 24.9)
    assert run.tally.played == run.tally.received
    assert run.tally.late == 0
    lag, before = run.lag(), run.lag()[500:1000].max()
    assert before < 0.06
    assert lag.max() > before + 0.4
    assert lag[1550:].max() < before + 0.02  # 5 s after the stall
    assert lag[1350:].max() < before + 0.04  # most of it is made up for in 3 s
    assert run.tally.stretched < 120


def test_a_tone_that_is_hurried_after_a_stall_keeps_its_pitch_and_does_not_click():
    stall: Path = lambda sent: 0.02 + max(0.0, 10.5 - sent if sent >= 10 else 0)  # noqa: E731
    run = play(arrivals(encoded("tone", 25), stall), 20)
    hurried = run.heard[round(10.6 * RATE) : round(13.6 * RATE)]
    assert pitch(hurried) == pytest.approx(440, abs=1)
    assert rms(hurried) == pytest.approx(-12, abs=0.5)
    calm = run.heard[5 * RATE : 9 * RATE]
    assert np.abs(np.diff(hurried, 2)).max() < np.abs(np.diff(calm, 2)).max() * 1.5


def test_rare_short_stalls_do_not_lengthen_the_delay():
    stalls: Path = lambda sent: 0.02 + (0.06 - sent % 2 if sent % 2 < 0.06 else 0)  # noqa: E731
    run = play(arrivals(encoded("speech", 20), stalls), 20)
    assert np.median(run.delays[500:]) < 0.03


@pytest.mark.timeout(300)
@pytest.mark.parametrize("minutes", [5, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("drift", [2e-4, -2e-4])
def test_drifting_clocks_do_not_add_up(drift: float, minutes: int):
    dice = random.Random(1)
    payloads = encoded("speech", 20) * 3 * minutes
    run = play(arrivals(payloads, lambda sent: 0.02 + dice.uniform(0, 0.003), drift), minutes * 60)
    assert run.delays[1000:].max() < 0.03
    assert run.tally.late == 0
    assert run.tally.concealed < 20  # the end
    moves = [at for at in run.moves(1000) if at < len(run.heads) - 100]
    assert len(moves) == pytest.approx(abs(drift) * minutes * 60 / 0.01, abs=2)  # no more than must be
    before = [run.heard[(at - 1) * BLOCK : at * BLOCK] for at in moves]
    assert max(rms(block) for block in before) < -50  # and in silence


@pytest.mark.parametrize("rise", [0.0015, 0.002, 0.003])
def test_a_slow_beat_between_two_sizes_of_blocks_is_not_followed(rise: float):
    """A sound card whose blocks are a little longer than 20 ms: packets come later and later, then two at once."""
    run = play(arrivals(encoded("speech", 20) * 6, lambda sent: 0.03 + sent * rise % 0.02), 120)
    assert (run.tally.late, run.tally.lost) == (0, 0)
    assert not len(run.moves(2000))
    assert run.delays.max() < 0.03


def test_a_pause_is_no_loss_and_adds_no_delay():
    """Muted for five seconds of ten: the numbers go on without a gap, the time jumps."""
    playout = Playout()
    payloads = encoded("speech", 5)
    sequence, heard = 0, []
    for count in range(6000):
        now = count * 0.01
        if count % 2 == 0 and count % 1000 < 500:
            playout.put(Voice(sequence, count * BLOCK, payloads[count % 1000 // 2]), now + 0.001)
            sequence += 1
        heard.append(playout.pull(now + 0.003))
    tally = playout.tally
    assert (tally.received, tally.lost, tally.late, tally.concealed) == (1500, 0, 0, 0)
    assert tally.played == 1500
    assert tally.delay < 0.03
    pause = np.concatenate(heard[700:1000])
    assert rms(pause) == -100


def test_duplicates_and_reordering_change_nothing():
    payloads = encoded("speech", 10)
    plain = arrivals(payloads, lambda sent: 0.03)
    doubled = sorted([*plain, *((when + 0.045, voice) for when, voice in plain)], key=lambda arrival: arrival[0])
    assert play(doubled, 10.2).tally == play(plain, 10.2).tally
    swapped = play(arrivals(payloads, lambda sent: 0.055 if round(sent / 0.02) % 5 == 0 else 0.03), 10.2)
    assert (swapped.tally.lost, swapped.tally.concealed) == (0, swapped.tally.concealed)
    assert swapped.tally.played / swapped.tally.received > 0.99


@pytest.mark.parametrize(("sequence", "timestamp"), [(7, 99), (FIRST_SEQUENCE + 600, 2**31), (FIRST_SEQUENCE + 100, 5)])
def test_a_sender_that_starts_anew_is_heard_again_soon(sequence: int, timestamp: int):
    payloads = encoded("tone", 5)
    old = arrivals(payloads, lambda sent: 0.02)
    new = [
        (5.02 + count * 0.02, Voice(sequence + count & 0xFFFF, timestamp + count * FRAME & 0xFFFFFFFF, payload))
        for count, payload in enumerate(payloads)
    ]
    run = play([*old, *new], 10)
    assert run.tally.played > 485
    assert run.delays[-1] < 0.03
    assert rms(run.heard[48_000 * 6 : 48_000 * 9]) == pytest.approx(-12, abs=0.5)


def test_rubbish_is_harmless_and_memory_is_bounded():
    dice = random.Random(4)
    playout = Playout()
    payloads = encoded("speech", 5)
    for count in range(30_000):
        payload = dice.choice([dice.choice(payloads), dice.randbytes(dice.randrange(0, 80)), b""])
        playout.put(Voice(dice.randrange(1 << 16), dice.randrange(1 << 32), payload), count * 0.001)
        if count % 10 == 0:
            assert len(playout.pull(count * 0.001)) == BLOCK
        assert playout.held <= 400
        assert len(playout._schedule._transits) <= 500
    dense = Playout()
    for count in range(20_000):  # nobody pulls, and a packet for each sample
        dense.put(Voice(count & 0xFFFF, count, payloads[0]), 0.0)
    assert dense.held <= 400


@pytest.mark.parametrize("size", [120, 240, 480, 1920, 2880])
def test_packets_of_any_duration_are_played(size: int):
    """2.5 to 60 ms, as other clients send."""
    encoder, samples = Encoder(), tone(440, 4)
    playout, heard, sent = Playout(), [], 0
    for count in range(300):
        now = count * 0.01
        while sent * size / 48_000 <= now:
            payload = encode_as(encoder, samples[sent * size : (sent + 1) * size])
            playout.put(Voice(sent & 0xFFFF, sent * size, payload), now)
            sent += 1
        heard.append(playout.pull(now + 0.005))
    assert pitch(np.concatenate(heard[100:])) == pytest.approx(440, abs=1)
    assert playout.tally.concealed == 0
