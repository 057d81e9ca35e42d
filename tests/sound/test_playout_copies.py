"""Frames that come as copies in later packets (RFC 2198), and packets of other durations."""

from __future__ import annotations

import random

import numpy as np
import pytest

from palaver_engine import opus
from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.frames import Frame, Frames, Voice, has_inband_copy
from palaver_engine.opus import FRAME, Encoder
from palaver_engine.playout import Playout
from sound.paths import arrivals, bursts, encode_as, encoded, play
from sound.voices import pitch, rms, tone


def lossy(seed: int, share: float):
    dice = random.Random(seed)
    return lambda sent: None if dice.random() < share else 0.03


@pytest.mark.parametrize("seed", range(3))
def test_copies_of_the_two_frames_before_mend_nearly_all(seed: int):
    payloads = encoded("speech", 20)
    plain = play(arrivals(payloads, lossy(seed, 0.2)), 20.2)
    mended = play(arrivals(payloads, lossy(seed, 0.2), copies=(1, 2)), 20.2)
    assert mended.tally.lost == plain.tally.lost == pytest.approx(200, abs=40)  # packets are packets
    assert mended.tally.received == plain.tally.received
    assert mended.tally.played == mended.tally.received
    assert mended.tally.recovered > mended.tally.lost * 0.9
    assert mended.tally.concealed < plain.tally.concealed / 4
    assert np.median(mended.lag()) < 0.09  # as long as a copy takes


def test_a_copy_from_three_frames_back_mends_bursts_and_the_schedule_waits_for_it():
    payloads = encoded("speech without pauses", 30)

    def path():
        is_lost = bursts(random.Random(5), 0.1, 3)
        return lambda sent: None if is_lost() else 0.03

    plain, mended = play(arrivals(payloads, path()), 30), play(arrivals(payloads, path(), copies=(3,)), 30)
    assert mended.tally.concealed < plain.tally.concealed * 0.6
    assert np.median(mended.lag()) > np.median(plain.lag()) + 0.03


def test_copies_of_what_came_change_nothing():
    payloads = encoded("speech", 10)
    plain = play(arrivals(payloads, lambda sent: 0.03), 10)
    copied = play(arrivals(payloads, lambda sent: 0.03, copies=(1, 2, 3)), 10)
    assert copied.tally == plain.tally
    assert (copied.heard == plain.heard).all()


def test_rubbish_among_the_copies_is_harmless():
    dice, playout, payloads = random.Random(6), Playout(), encoded("speech", 5)
    for count, payload in enumerate(payloads):
        copies = tuple((dice.randrange(1 << 32), dice.randbytes(dice.randrange(9))) for _ in range(3))
        playout.put(Voice(count, count * FRAME, payload, copies), count * 0.02)
        playout.pull(count * 0.02 + 0.001)
        playout.pull(count * 0.02 + 0.011)
    assert playout.held < 10
    assert playout.tally.played > len(payloads) - 5


def test_a_packet_is_preferred_to_a_copy():
    frames = Frames()
    copy, packet = Frame(960, 960, 0.0, b"copy", is_copy=True), Frame(960, 960, 0.0, b"packet")
    for order in ((copy, packet), (packet, copy)):
        frames.clear(0)
        for each in order:
            frames.hold(each)
        assert frames.first() == packet


def test_inband_copies_are_recognised():
    lib, packets = opus.library(), encoded("speech", 20)
    if hasattr(lib, "opus_packet_has_lbrr"):  # from 1.5 on
        assert [has_inband_copy(each) for each in packets] == [
            lib.opus_packet_has_lbrr(each, len(each)) for each in packets
        ]
    assert 200 < sum(map(has_inband_copy, packets)) < 1000
    silent = [Encoder().encode(np.zeros(FRAME, np.int16)) for _ in range(5)]
    assert not any(has_inband_copy(packet) for packet in silent)
    assert not has_inband_copy(b"")
    assert not has_inband_copy(b"\xfc\xff\xfe")


def test_the_duration_of_packets_may_change_in_mid_call():
    encoder, samples, playout = Encoder(), tone(440, 13), Playout()
    heard, at, dice = [], 0, random.Random(2)
    for count in range(1200):
        now = count * 0.01
        while at / RATE <= now:
            size = (480, 960, 1920, 2880, 960)[count // 240]
            if at == 0 or count % 240 < 100 or dice.random() > 0.05:
                playout.put(
                    Voice(playout._sequence.highest + 1 & 0xFFFF, at, encode_as(encoder, samples[at : at + size])), now
                )
            at += size
        heard.append(playout.pull(now + 0.004))
    sound = np.concatenate(heard)
    assert pitch(sound[RATE:]) == pytest.approx(440, abs=1)
    for part in range(5):
        steady = sound[round((part * 2.4 + 0.3) * RATE) : round((part * 2.4 + 0.9) * RATE)]
        assert rms(steady) == pytest.approx(-12, abs=0.6)
    assert len(sound) == 1200 * BLOCK
