"""What is heard where a voice pauses, stops, or passes to another talker."""

from __future__ import annotations

import ctypes
import struct

import numpy as np
import pytest

from palaver_engine import opus
from palaver_engine.blocks import BLOCK, RATE
from palaver_engine.frames import Voice
from palaver_engine.listening import Listening
from palaver_engine.opus import FRAME, Encoder
from palaver_engine.playout import Playout
from palaver_media.engine_messages import Receive
from sound.paths import encode_as, encoded, play
from sound.voices import likeness, pitch, rms, speech, tone

SET_DTX = 4016  # opus_defines.h


def dtx_packets(samples):
    """What a sender with discontinuous transmission sends: (frame number, payload); what has no content is left out."""
    encoder = Encoder()
    opus.library().opus_encoder_ctl(encoder._state, SET_DTX, ctypes.c_int(1))
    frames = (samples[at : at + FRAME] for at in range(0, len(samples) - FRAME + 1, FRAME))
    return [(count, payload) for count, frame in enumerate(frames) if len(payload := encode_as(encoder, frame)) > 2]


def sent(packets, first_sequence=0):
    return [
        (count * 0.02 + 0.03, Voice(first_sequence + number & 0xFFFF, count * FRAME, payload))
        for number, (count, payload) in enumerate(packets)
    ]


def with_room_noise(samples, dbfs=-55.0):
    noise = np.random.default_rng(3).normal(0, 32_768 * 10 ** (dbfs / 20), len(samples))
    return (samples + noise).astype(np.int16)


def levels(samples, size=BLOCK * 5):
    return np.array([rms(samples[at : at + size]) for at in range(0, len(samples) - size + 1, size)])


def clicks(samples):
    return int(np.abs(np.diff(samples.astype(np.int64), 2)).max())


@pytest.fixture(scope="module")
def talk_with_a_long_pause():
    words = speech(4, has_pauses=False)
    return with_room_noise(np.concatenate((words, np.zeros(6 * RATE, np.int16), words)))


def test_a_pause_under_dtx_is_filled_with_the_rooms_noise_and_counts_as_nothing(talk_with_a_long_pause):
    packets = dtx_packets(talk_with_a_long_pause)
    assert len(packets) < 450  # of 700: it does pause
    run = play(sent(packets), 14.1)
    assert (run.tally.lost, run.tally.late, run.tally.concealed) == (0, 0, 0)
    assert run.tally.played == run.tally.received == len(packets)
    pause = levels(run.heard[5 * RATE : 10 * RATE])
    assert pause.min() > -66  # no holes
    assert pause.max() < -48  # and nothing louder than the room
    assert run.delays.max() < 0.045


def test_dtx_packets_of_one_byte_are_no_loss_either(talk_with_a_long_pause):
    packets = dict(dtx_packets(talk_with_a_long_pause))
    all_of_them = [(count, packets.get(count, b"\x78")) for count in range(690)]
    run = play(sent(all_of_them), 13.8)
    assert (run.tally.lost, run.tally.late, run.tally.concealed) == (0, 0, 0)
    assert levels(run.heard[5 * RATE : 10 * RATE]).max() < -48


def test_the_first_syllable_after_a_pause_is_whole(talk_with_a_long_pause):
    said, encoder = talk_with_a_long_pause, Encoder()
    always = [encoder.encode(said[at : at + FRAME]) for at in range(0, len(said), FRAME)]
    steady, run = play(sent(list(enumerate(always))), 14), play(sent(dtx_packets(said)), 14)
    onset = steady.heard[10 * RATE + 1920 : 10 * RATE + RATE // 2]
    found = [likeness(run.heard[at : at + len(onset)], onset) for at in range(10 * RATE, 10 * RATE + 4800, 24)]
    assert max(found) > 0.9


def test_a_voice_that_stops_fades_softly_into_silence():
    said = with_room_noise(speech(3, has_pauses=True), -45)
    run = play(sent(list(enumerate(Encoder().encode(said[at : at + FRAME]) for at in range(0, 3 * RATE, FRAME)))), 6)
    after = run.heard[round(3.2 * RATE) :]
    assert rms(after[-RATE:]) == -100
    assert clicks(after) < 2000
    steps = np.diff(levels(after[: round(1.4 * RATE)]))
    assert steps.min() > -25


def test_another_talker_in_the_same_stream_is_heard_from_his_first_syllable():
    """A slot of a big room: the numbers go on, the time leaps, now here, now there."""
    for leap in (10 * RATE, 300 * RATE, -2 * RATE, -RATE // 10, RATE // 2):
        first = encoded("tone", 5)
        encoder, other = Encoder(), tone(700, 3)
        second = [encoder.encode(other[at : at + FRAME]) for at in range(0, len(other), FRAME)]
        packets = [(n * 0.02 + 0.03, Voice(n, n * FRAME, payload)) for n, payload in enumerate(first)]
        packets += [
            ((250 + n) * 0.02 + 0.03, Voice(250 + n, (250 + n) * FRAME + leap & 0xFFFFFFFF, payload))
            for n, payload in enumerate(second)
        ]
        run, alone = play(packets, 7.9), play(packets[250:], 7.9)
        assert run.tally.received - run.tally.played <= 2, leap
        assert run.tally.lost == 0
        assert clicks(run.heard[4 * RATE : 7 * RATE]) < 1.3 * clicks(alone.heard), leap
        assert pitch(run.heard[round(5.1 * RATE) : round(6.1 * RATE)]) == pytest.approx(700, abs=1), leap
        assert rms(run.heard[round(5.1 * RATE) : round(5.2 * RATE)]) > -14, leap


def test_another_ssrc_of_the_same_consumer_takes_over_without_a_click():
    playout, heard = Playout(), []
    encoder, other = Encoder(), tone(700, 3)
    second = [encoder.encode(other[at : at + FRAME]) for at in range(0, len(other), FRAME)]
    first = encoded("tone", 5)
    for count in range(750):
        now = count * 0.01
        number, is_whole = divmod(count, 2)
        if count == 500:
            playout.expect_another()
        if not is_whole and number < 250:
            playout.put(Voice(number, number * FRAME, first[number]), now)
        elif not is_whole and number - 250 < len(second):
            playout.put(Voice(number + 40_000 & 0xFFFF, 17_017 + (number - 250) * FRAME, second[number - 250]), now)
        heard.append(playout.pull(now + 0.004))
    sound = np.concatenate(heard)
    assert (playout.tally.received, playout.tally.lost) == (375, 0)
    assert playout.tally.played >= 373  # one is the first talker's last, one is still to be played
    assert clicks(sound[4 * RATE :]) < 1000  # of 11,600, and a tone that is broken off bends by as much
    assert rms(sound[round(5.1 * RATE) : round(5.2 * RATE)]) > -14


def test_a_stream_that_starts_anew_loses_no_packet():
    """The first packet with a far number is believed with the second, and played then."""
    payloads = encoded("tone", 5)
    packets = [(n * 0.02 + 0.03, Voice(n, n * FRAME, payload)) for n, payload in enumerate(payloads)]
    packets += [
        ((250 + n) * 0.02 + 0.03, Voice(30_000 + n, 2**31 + n * FRAME, payload)) for n, payload in enumerate(payloads)
    ]
    run = play(packets, 10.2)
    assert (run.tally.received, run.tally.lost) == (500, 0)
    assert run.tally.played >= 498


def test_a_consumer_that_gets_another_ssrc_keeps_its_playout_and_its_counts():
    posted: list[object] = []
    listening = Listening("call", posted.append)
    listening.receive(Receive("call", "transport", "bo", 7, 100))
    packets = encoded("tone", 5)[:20]
    first = listening.consumers["bo"]
    for number, payload in enumerate(packets[:10]):
        listening.on_rtp("transport", rtp_packet(7, number, payload), number * 0.02)
    listening.receive(Receive("call", "transport", "bo", 8, 100))
    second = listening.consumers["bo"]
    for number, payload in enumerate(packets[10:]):
        listening.on_rtp("transport", rtp_packet(8, 9000 + number, payload), (10 + number) * 0.02)
    assert second._playout is first._playout
    assert (second._playout.tally.received, second._playout.tally.lost) == (20, 0)
    with pytest.raises(ValueError, match="SSRC"):
        listening.on_rtp("transport", rtp_packet(7, 10, packets[0]), 1.0)


def rtp_packet(ssrc: int, number: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, 100, number, number * FRAME, ssrc) + payload
