"""The playout buffer on simulated paths: deterministic, on a virtual clock."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from attrs import frozen
from numpy.typing import NDArray

from engine.voices import likeness, pitch, rms, speech, tone
from palaver_engine.mixer import BLOCK
from palaver_engine.opus import FRAME, Encoder
from palaver_engine.playout import Playout, Tally, Voice

FIRST_SEQUENCE = 65_400  # both wrap soon
FIRST_TIMESTAMP = 2**32 - 30_000
PHASE = 0.0043  # s of the first pull after the first packet was sent

Path = Callable[[float], float | None]  # when a packet is sent (s) -> its delay (s), None: lost


@cache
def encoded(kind: str, seconds: float) -> tuple[bytes, ...]:
    samples = tone(440, seconds) if kind == "tone" else speech(seconds, has_pauses=kind == "speech")
    encoder = Encoder()
    return tuple(encoder.encode(samples[at : at + FRAME]) for at in range(0, len(samples) - FRAME + 1, FRAME))


@frozen
class Run:
    tally: Tally
    heard: NDArray[np.int16]
    delays: NDArray[np.float64]  # s, at each pull
    heads: NDArray[np.int64]  # the RTP time that is next, after each pull

    def moves(self, start: int) -> NDArray[np.int64]:
        """The pulls, from one on, at which time did not go on by a block: one was left out, or one more concealed."""
        return np.flatnonzero(np.diff(self.heads[start:]) != BLOCK) + start + 1


def arrivals(payloads: tuple[bytes, ...], path: Path, drift: float = 0.0) -> list[tuple[float, Voice]]:
    """When each packet arrives, in the order of arrival."""
    arriving = []
    for count, payload in enumerate(payloads):
        sent = count * 0.02 * (1 + drift)
        delay = path(sent)
        if delay is not None:
            sequence, timestamp = FIRST_SEQUENCE + count & 0xFFFF, FIRST_TIMESTAMP + count * FRAME & 0xFFFFFFFF
            arriving.append((sent + delay, Voice(sequence, timestamp, payload)))
    return sorted(arriving, key=lambda arrival: arrival[0])


def play(arriving: list[tuple[float, Voice]], seconds: float) -> Run:
    """Put what arrives and pull each 10 ms."""
    playout, waiting = Playout(), iter(arriving)
    heard, delays, heads = [], [], []
    when, voice = next(waiting, (float("inf"), None))
    for count in range(round(seconds * 100)):
        now = PHASE + count * 0.01
        while when <= now:
            assert voice is not None
            playout.put(voice, when)
            when, voice = next(waiting, (float("inf"), None))
        heard.append(playout.pull(now))
        delays.append(playout.tally.delay)
        heads.append(playout.head)
    return Run(playout.tally, np.concatenate(heard), np.array(delays), np.array(heads))


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
    whole = play(arrivals(payloads, lambda sent: 0.02), 12).heard
    lossy = play(arrivals(payloads, lambda sent: None if round(sent / 0.02) % 10 == 5 else 0.02), 12)
    guessed = play(arrivals(payloads, lambda sent: None if round(sent / 0.02) % 10 in (5, 6) else 0.02), 12)
    assert lossy.tally.lost == 60
    assert likeness(lossy.heard, whole) > 0.95
    assert likeness(guessed.heard, whole) < likeness(lossy.heard, whole) - 0.02


def test_after_a_stall_the_words_come_and_the_delay_falls_back():
    stall: Path = lambda sent: 0.02 + max(0.0, 10.5 - sent if sent >= 10 else 0)  # noqa: E731
    run = play(arrivals(encoded("tone", 25), stall), 25)
    assert run.tally.played / run.tally.received > 0.98
    assert run.delays[:1000].max() < 0.03
    assert run.delays.max() > 0.2
    assert run.delays[1700:].max() < 0.04


def test_rare_short_stalls_do_not_lengthen_the_delay():
    stalls: Path = lambda sent: 0.02 + (0.06 - sent % 2 if sent % 2 < 0.06 else 0)  # noqa: E731
    run = play(arrivals(encoded("speech", 20), stalls), 20)
    assert np.median(run.delays[500:]) < 0.03


@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
@pytest.mark.parametrize("drift", [1e-4, -1e-4, 2e-4, -2e-4])
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
    from palaver_engine import opus

    encoder, samples = Encoder(), tone(440, 4)
    out = bytearray(1275)
    buffer = (opus.ctypes.c_char * len(out)).from_buffer(out)
    playout, heard, sent = Playout(), [], 0
    for count in range(300):
        now = count * 0.01
        while sent * size / 48_000 <= now:
            block = np.ascontiguousarray(samples[sent * size : (sent + 1) * size])
            length = opus.library().opus_encode(encoder._state, block.ctypes.data, size, buffer, len(out))
            playout.put(Voice(sent & 0xFFFF, sent * size, bytes(out[:length])), now)
            sent += 1
        heard.append(playout.pull(now + 0.005))
    assert pitch(np.concatenate(heard[100:])) == pytest.approx(440, abs=1)
    assert playout.tally.concealed == 0
