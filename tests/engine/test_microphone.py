"""From the microphone's blocks to packets, and from those to what a listener's playout makes of them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from attrs import define, evolve, field

from engine.peer import PAYLOAD_TYPE
from media_peer import read_audio_level
from palaver_engine import processing
from palaver_engine.blocks import BLOCK, RATE, Samples
from palaver_engine.frames import Voice
from palaver_engine.microphone import Microphone
from palaver_engine.playout import Playout
from palaver_media import rtp
from palaver_media.engine_messages import EngineReport, Send, Sending, SoundProblem
from palaver_media.sound_settings import Capture, Transmit
from sound.voices import likeness, rms, tone
from speech import ANN, find, speak

SEND = Send("call", "up", 77, PAYLOAD_TYPE, "cname", "0", rtp.MID, rtp.AUDIO_LEVEL)
BARE = Capture(echo=False, noise=False, gain=False, high_pass=False)
QUIET = np.zeros(RATE, np.int16)


@define
class Line:
    """A microphone, and what it has sent: with each packet the number of the block that it came with."""

    is_live: bool = False
    reports: list[EngineReport] = field(factory=list)
    packets: list[tuple[int, rtp.RtpPacket]] = field(factory=list)
    blocks: int = 0
    microphone: Microphone = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.microphone = Microphone("call", self.reports.append)
        self.microphone.use(self.is_live)
        self.microphone.send(SEND, self._transmit)

    def say(self, samples: Samples) -> None:
        for block in samples[: len(samples) // BLOCK * BLOCK].reshape(-1, BLOCK):
            self.microphone.talk(block)
            self.blocks += 1

    def sending(self) -> list[bool]:
        return [report.is_sending for report in self.reports if isinstance(report, Sending)]

    def hear(self, seconds: float) -> tuple[Samples, Playout]:
        """What a playout makes of the packets on a path of 5 ms."""
        playout, waiting, heard = Playout(), list(self.packets), []
        for tick in range(round(seconds * 100)):
            while waiting and waiting[0][0] <= tick:
                packet = waiting.pop(0)[1]
                playout.put(Voice(packet.sequence, packet.timestamp, packet.payload), tick / 100 + 0.005)
            heard.append(playout.pull(tick / 100 + 0.009))
        return np.concatenate(heard), playout

    def _transmit(self, data: bytes) -> int:
        self.packets.append((self.blocks, rtp.parse(data)))
        return len(data)


@pytest.fixture(scope="module")
def sentences(tmp_path_factory: pytest.TempPathFactory) -> list[Samples]:
    folder = tmp_path_factory.mktemp("spoken")
    return [speak(sentence, "en+f3", folder) for sentence in ANN]


def test_open_sends_all_and_mute_nothing():
    line = Line()
    line.say(tone(440, 0.5))
    count = len(line.packets)
    line.microphone.is_muted = True
    line.say(tone(440, 0.5))
    assert len(line.packets) == count == 25
    line.microphone.is_muted = False
    line.say(tone(440, 0.5))
    assert len(line.packets) == 50
    assert line.sending() == [True, False, True]


@pytest.mark.parametrize("why", ["is_muted", "is_private"])
def test_a_frame_that_is_on_its_way_when_we_are_muted_is_not_sent(why: str):
    line = Line()
    line.say(tone(440, 0.51))  # and half a frame
    line.microphone.tap = lambda _: setattr(line.microphone, why, True)
    line.say(tone(440, 0.01))
    assert len(line.packets) == 25


def test_who_sends_to_nobody_is_not_sending():
    line = Line()
    line.say(tone(440, 0.1))
    line.microphone.stop()
    line.say(tone(440, 0.1))
    assert line.sending() == [True, False]


@pytest.mark.parametrize("is_live", [True, False])
def test_by_voice_the_first_syllable_is_sent_and_the_pauses_are_not(sentences: list[Samples], is_live: bool):
    line = Line(is_live)
    line.say(QUIET[: 2 * BLOCK])  # so that there is a packet that tells when the first block was
    line.microphone.set_capture(evolve(Capture(), transmit=Transmit.VOICE))
    said = np.concatenate([QUIET, QUIET, *(part for each in sentences for part in (each, QUIET))])
    line.say(said)
    (_, zero), *later = line.packets
    assert len(later) < 0.85 * len(said) / 960
    assert line.sending() == [True, False] * (1 + len(sentences))
    spurts = [(packet.timestamp - zero.timestamp & 0xFFFFFFFF) // BLOCK for _, packet in later if packet.is_marked]
    loud = np.flatnonzero([rms(block) > -50 for block in said[: len(said) // BLOCK * BLOCK].reshape(-1, BLOCK)]) + 2
    onsets = [loud[0], *loud[1:][np.diff(loud) > 50]]
    spurts = [each for each, before in zip(spurts, [-100, *spurts], strict=False) if each - before > 50]  # by DTX, too
    assert len(spurts) == len(onsets) == len(sentences)
    assert all(onset - 12 <= spurt <= onset + 2 for spurt, onset in zip(spurts, onsets, strict=True))


def test_what_was_held_back_is_played_and_delays_nothing_for_long(sentences: list[Samples]):
    line = Line(is_live=True)
    line.microphone.set_capture(evolve(Capture(), transmit=Transmit.VOICE))
    line.say(np.concatenate([QUIET, QUIET, *(part for each in sentences for part in (each, QUIET))]))
    heard, playout = line.hear(line.blocks / 100 + 1)
    tally = playout.tally
    assert tally.played == tally.received == len(line.packets)
    assert tally.delay < 0.045
    start = 2 * len(QUIET)
    for sentence in sentences:
        pieces = [at for at in range(0, RATE * 3 // 10, 4 * BLOCK) if rms(sentence[at : at + 4 * BLOCK]) > -27]
        found = [
            is_heard(heard[start + at - RATE // 10 :][: RATE // 2], sentence[at : at + 4 * BLOCK]) for at in pieces
        ]
        assert sum(found) >= 0.75 * len(found) >= 3  # a piece may have been made shorter
        start += len(sentence) + len(QUIET)


def is_heard(heard: Samples, piece: Samples) -> bool:
    at = find(piece, heard)
    return abs(likeness(heard[at : at + len(piece)], piece)) > 0.75


def test_what_was_held_back_comes_with_its_own_time(sentences: list[Samples]):
    line = Line()
    line.microphone.set_capture(evolve(BARE, transmit=Transmit.VOICE))
    line.say(np.concatenate((QUIET, sentences[0], QUIET, sentences[1])))
    lags = [packet.timestamp - BLOCK * number for number, packet in line.packets]
    steps = np.diff([packet.timestamp for _, packet in line.packets])
    assert min(steps) == 960
    assert max(steps) > 24_000
    assert lags[0] < lags[10] <= lags[0] + 12 * BLOCK
    assert max(lags[10:]) <= lags[10] + BLOCK
    assert abs(lags[-1] - lags[10]) <= BLOCK


def test_a_new_sender_is_not_given_what_was_before_its_time():
    line = Line()
    line.microphone.set_capture(evolve(BARE, transmit=Transmit.VOICE))
    line.say(tone(440, 0.5))
    before = line.packets[-1][1]
    line.microphone.stop()
    line.say(QUIET)
    line.microphone.send(SEND, line._transmit)
    line.say(tone(440, 0.1))
    after = next(packet for _, packet in line.packets if packet.sequence == before.sequence + 1)
    assert after.timestamp - before.timestamp >= 960


def test_by_key_nothing_is_sent_but_while_it_is_down_and_shortly_after():
    line = Line()
    line.microphone.set_capture(evolve(BARE, transmit=Transmit.PUSH))
    line.say(tone(440, 0.5))
    assert not line.packets
    line.microphone.set_talking(True)
    line.say(tone(440, 0.5))
    line.microphone.set_talking(False)
    line.say(tone(440, 0.5))
    assert 0.58 <= len(line.packets) / 50 <= 0.66
    assert line.sending() == [True, False]
    assert rms(line.hear(3.5)[0][-RATE // 2 :]) == -100  # after a second of noise, and its end


def test_a_mute_leaves_nothing_for_afterwards():
    line = Line()
    line.microphone.set_capture(evolve(BARE, transmit=Transmit.PUSH))
    line.microphone.set_talking(True)
    line.say(tone(440, 0.1))
    line.microphone.set_talking(False)
    line.microphone.is_muted = True
    line.say(tone(440, 0.02))
    line.microphone.is_muted = False
    count = len(line.packets)
    line.say(tone(440, 0.2))
    assert len(line.packets) == count


def test_a_microphones_voice_bit_tells_speech_from_noise(sentences: list[Samples]):
    line = Line(is_live=True)
    hiss = (np.random.default_rng(3).standard_normal(3 * RATE) * 400).astype(np.int16)
    line.say(hiss)
    bits = [read_audio_level(packet.extensions[rtp.AUDIO_LEVEL])[1] for _, packet in line.packets]
    assert not any(bits[100:])
    line.packets.clear()
    line.say(sentences[0])
    bits = [read_audio_level(packet.extensions[rtp.AUDIO_LEVEL])[1] for _, packet in line.packets]
    assert np.mean(bits) > 0.8


def test_what_is_no_microphone_is_sent_as_it_is():
    line = Line()
    line.say(tone(440, 1, -20))
    assert rms(line.hear(1)[0][RATE // 2 :]) == pytest.approx(-20, abs=0.5)


def test_without_a_library_it_is_told_once_and_all_else_goes_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    monkeypatch.setitem(sys.modules, "livekit", None)
    processing.library.cache_clear()
    line = Line(is_live=True)
    line.microphone.use(True)
    line.microphone.set_capture(evolve(Capture(), microphone_db=6))
    line.say(tone(440, 1, -20))
    problems = [report for report in line.reports if isinstance(report, SoundProblem)]
    assert len(problems) == 1
    assert "pip install pywebrtc-audio" in problems[0].remedy
    assert line.microphone.meter.read() == pytest.approx(-14, abs=0.5)
    processing.library.cache_clear()


def test_the_far_end_is_taken_also_when_there_is_nothing_to_say():
    line = Line(is_live=True)
    for _ in range(100):
        line.microphone.far_end.put(tone(440, 0.01))
        line.microphone.talk(None)
    assert not line.microphone.far_end.shifts
