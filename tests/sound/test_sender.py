"""What is said becomes packets: numbered and timed whatever their length, none for silence, with copies when asked."""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest
from aiortc.rtp import RtcpReceiverInfo
from hypothesis import given
from hypothesis import strategies as st

from palaver_engine.blocks import BLOCK
from palaver_engine.consumer import Consumer
from palaver_engine.opus import Application, Coding, Decoder, Encoder
from palaver_engine.sender import Numbering, Sender
from palaver_media import redundancy, rtp
from palaver_media.engine_messages import Receive, Send
from palaver_media.rtp import OPUS, RED, RtpPacket
from palaver_media.sound_settings import Encoding
from sound.voices import likeness, speech, tone

SSRC = 7
COMMAND = Send("c", "t", SSRC, OPUS, "cname", "0", 1, 10, RED)


class Line:
    """A sender, whose packets are kept."""

    def __init__(self, command: Send = COMMAND, **encoding: int) -> None:
        self.packets: list[RtpPacket] = []
        self.sender = Sender(command, self._take, Numbering(100, 0xFFFF_F000), Encoding(**encoding))
        self.blocks = 0
        self._highest = 0

    def _take(self, data: bytes) -> int:
        self.packets.append(rtp.parse(data))
        return len(data)

    def say(self, samples: np.ndarray | None, blocks: int = 0) -> list[RtpPacket]:
        """Say samples, or nothing for so many blocks; the packets that came of it."""
        before = len(self.packets)
        for at in range(blocks if samples is None else len(samples) // BLOCK):
            block = None if samples is None else samples[at * BLOCK : (at + 1) * BLOCK]
            self.sender.talk(block, self.blocks * 0.01)
            self.blocks += 1
        return self.packets[before:]

    def lose(self, share: float, reports: int = 1, packets: int = 100) -> None:
        """Go on, and have a listener report that it lost so much, again and again."""
        for _ in range(reports):
            self.say(tone(440, packets * 0.02))
            self._highest += packets
            self.sender.hear(RtcpReceiverInfo(SSRC, round(share * 256), 0, self._highest, 0, 0, 0), 0.02)


def steps(packets: list[RtpPacket]) -> set[int]:
    times = [packet.timestamp for packet in packets]
    return {(later - earlier) & 0xFFFF_FFFF for earlier, later in itertools.pairwise(times)}


@pytest.mark.parametrize(("frame_ms", "mode"), [(10, "audio"), (20, "voip"), (40, "voip")])
def test_frames_of_each_length_are_numbered_and_timed(frame_ms, mode):
    line = Line(frame_ms=frame_ms)
    packets = line.say(speech(2, has_pauses=False))
    assert len(packets) == 2000 // frame_ms
    assert [each.sequence for each in packets] == list(range(100, 100 + len(packets)))
    assert packets[0].timestamp == 0xFFFF_F000  # and it wraps
    assert steps(packets) == {frame_ms * 48}
    assert {len(Decoder().decode(each.payload)) for each in packets} == {frame_ms * 48}
    assert [each.is_marked for each in packets[:3]] == [True, False, False]
    modes = {each.payload[0] >> 3 for each in packets[5:]}  # RFC 6716, 3.1: below 12 is SILK, from 16 on CELT
    assert (max(modes) >= 16) == (mode == "audio")


def test_the_length_changes_between_two_frames():
    line = Line()
    line.say(speech(1.01, has_pauses=False))  # in the middle of a frame
    for frame_ms in (40, 10, 20):
        line.sender.set_encoding(Encoding(frame_ms=frame_ms))
        line.say(speech(1, has_pauses=False))
    sizes = [len(Decoder().decode(each.payload)) for each in line.packets]
    assert set(sizes) == {480, 960, 1920}
    at = line.packets[0].timestamp
    for packet, size in zip(line.packets, sizes, strict=True):
        assert packet.timestamp == at  # nothing is missing, and nothing is there twice
        at = at + size & 0xFFFF_FFFF
    assert line.sender.stats.frame_ms == 20


def test_silence_costs_next_to_nothing_and_time_goes_on():
    line = Line()
    spoken = line.say(speech(2, has_pauses=False))
    silence = line.say(np.zeros(96_000 * 2, np.int16))
    assert len(silence) < 40  # of 200: those until the encoder is sure, then one in 400 ms
    assert sum(len(each.payload) for each in silence[-5:]) * 8 / 2 < 1_000  # bit/s, in the last two seconds
    (first, *_) = line.say(speech(1, seed=2, has_pauses=False))
    assert first.is_marked
    assert (first.timestamp - spoken[0].timestamp) & 0xFFFF_FFFF == 6 * 48_000
    assert first.sequence == 100 + len(spoken) + len(silence)


def test_who_listens_hears_the_speech_after_a_silence_that_was_not_sent():
    line, consumer = Line(), Consumer(Receive("c", "t", "k", SSRC, OPUS, RED))
    first, second = speech(1.5, has_pauses=False), speech(1.5, seed=9, has_pauses=False)
    said = np.concatenate((first, np.zeros(96_000, np.int16), second))
    heard = []
    for at in range(len(said) // BLOCK):
        now = at * 0.01
        for packet in line.say(said[at * BLOCK : (at + 1) * BLOCK]):
            consumer.put(packet, 100, now)
        heard.append(consumer.pull(now))
    assert len(line.packets) < 260  # of 250 frames, of which 100 are silent
    sound, end = np.concatenate(heard), second[:60_000]
    start = len(first) + 96_000
    assert max(likeness(sound[start + lag : start + lag + len(end)], end) for lag in range(0, 4800, 24)) > 0.7


def test_nothing_is_sent_while_muted_and_not_for_ever_when_there_is_no_sound():
    line = Line()
    line.say(tone(440, 1))
    count = len(line.packets)
    for _ in range(100):
        line.sender.hush(0.0)
    assert line.say(None, 100) == []
    assert len(line.packets) == count
    back = line.say(tone(440, 0.1))
    assert back[0].is_marked
    assert (back[0].timestamp - line.packets[0].timestamp) & 0xFFFF_FFFF == 3 * 48_000
    assert len(line.say(None, 300)) < 30  # half a second at most


def test_what_went_to_nobody_does_not_go_out_as_a_copy():
    line = Line()
    line.lose(0)
    line.lose(0.2, 5)
    assert line.sender.stats.copies == 1
    line.sender._transmit = lambda _: 0  # as while the echo test is on
    line.say(tone(440, 0.5))
    line.sender._transmit = line._take
    first, *_ = line.say(tone(880, 0.2))
    assert redundancy.parse(OPUS, first.timestamp, first.payload).copies == ()


def primary(packet: RtpPacket) -> bytes:
    """The frame that a packet is of, with or without copies beside it."""
    return (
        redundancy.parse(OPUS, packet.timestamp, packet.payload).primary
        if packet.payload_type == RED
        else packet.payload
    )


def test_a_receiver_that_had_had_nothing_before_has_lost_nothing():
    line = Line()
    line.sender.hear(RtcpReceiverInfo(SSRC, 0, 0, 0, 0, 0, 0), None)  # before the first packet
    line.say(tone(440, 1))
    line.sender.hear(RtcpReceiverInfo(SSRC, 0, 0, 20_000, 0, 0, 0), None)  # 20,000 is a number, and no count
    for report in range(1, 10):
        line.say(tone(440, 1))
        line.sender.hear(RtcpReceiverInfo(SSRC, 80 * (report % 2), 0, 20_000 + 50 * report, 0, 0, 0), None)
    assert line.sender.stats.copies == 2  # as where losses come in rows


def test_a_loss_raises_the_declared_loss_and_then_copies_come():
    line = Line()
    plain = line.say(speech(1, has_pauses=False))
    line.lose(0)
    assert line.sender.stats.expected_loss == 10
    line.lose(0.2, 5)
    assert line.sender.stats.copies == 1
    packets = line.say(speech(2, seed=3, has_pauses=False))
    assert {each.payload_type for each in plain} == {OPUS}
    assert {each.payload_type for each in packets} == {RED}
    read = [redundancy.parse(OPUS, each.timestamp, each.payload) for each in packets]
    sent = {each.timestamp: primary(each) for each in line.packets}
    for packet, one in zip(packets, read, strict=True):
        before = packet.timestamp - 2 * 960 & 0xFFFF_FFFF
        assert one.copies == ((before, sent[before]),)
    total = sum(len(each.payload) for each in packets[10:])
    assert total * 8 / 1.8 < 2 * 48_000 * 1.1


def test_without_red_the_declared_loss_alone_follows():
    line = Line(Send("c", "t", SSRC, OPUS, "cname", "0", 1, 10))
    line.lose(0.2, 8)
    assert line.sender.stats.expected_loss == 20
    assert {each.payload_type for each in line.say(tone(440, 1))} == {OPUS}


def test_a_receiver_that_begins_anew_has_lost_nothing():
    line = Line()
    line.lose(0, 3)
    line.sender.hear(RtcpReceiverInfo(SSRC, 255, 0, 5, 0, 0, 0), None)
    line.sender.hear(RtcpReceiverInfo(SSRC, 0, -3, 60, 0, 0, 0), None)
    assert line.sender.stats.expected_loss == 10


@pytest.mark.parametrize("has_copies", [True, False])
def test_copies_are_played_where_the_packets_are_lost(has_copies):
    line, consumer = Line(), Consumer(Receive("c", "t", "k", SSRC, OPUS, RED))
    line.lose(0.2, 6)
    for packet in line.say(speech(0.8, has_pauses=False)):
        if not has_copies:
            read = redundancy.parse(OPUS, packet.timestamp, packet.payload)
            packet.payload_type, packet.body = OPUS, read.primary
        if packet.sequence % 5 not in (2, 3):  # in-band copies would mend a single loss
            consumer.put(packet, 100, 0.0)  # all there before the first is due
    for tick in range(60):
        consumer.pull(tick * 0.01)
    assert (consumer.stats(1.0).concealed == 0) == has_copies


@given(st.binary(max_size=60), st.integers(0, 9))
def test_hostile_copies_raise_nothing_but_a_value_error(payload, heads):
    consumer = Consumer(Receive("c", "t", "k", SSRC, OPUS, RED))
    good = Encoder().encode(tone(440, 0.02))
    for sequence, body in enumerate((payload, bytes([0x80 | OPUS, 15, 4, 9]) * heads + bytes([OPUS]) + payload + good)):
        with contextlib.suppress(ValueError):
            consumer.put(RtpPacket(RED, sequence, 960 * sequence, SSRC, body), 100, 0.0)
    for tick in range(8):
        assert len(consumer.pull(tick * 0.01)) == BLOCK
    with pytest.raises(ValueError, match="payload type"):
        Consumer(Receive("c", "t", "k", SSRC, OPUS)).put(RtpPacket(RED, 1, 960, SSRC, b""), 100, 0.0)
    with pytest.raises(ValueError, match="payload type"):
        Consumer(Receive("c", "t", "k", SSRC, OPUS)).put(RtpPacket(0, 1, 960, SSRC, b""), 100, 0.0)


def test_the_encoder_takes_changes_between_two_frames():
    encoder, said = Encoder(), speech(4, has_pauses=False)
    sizes = []
    for bitrate in (16_000, 64_000):
        encoder.use(Coding(bitrate, 0))
        sizes.append(sum(len(encoder.encode(said[at : at + 960])) for at in range(0, len(said), 960)))
    assert sizes[1] > 2.5 * sizes[0]
    with pytest.raises(AssertionError):
        encoder.encode(said[:100])


@pytest.mark.parametrize(
    ("frame", "application"), [(480, Application.AUDIO), (960, Application.VOIP), (1920, Application.VOIP)]
)
def test_fec_recovers_a_frame_of_each_length(frame, application):
    said = speech(4, has_pauses=False)
    encoder, whole, mended, guessed = Encoder(Coding(expected_loss=15), application), Decoder(), Decoder(), Decoder()
    packets = [encoder.encode(said[at : at + frame]) for at in range(0, len(said) - frame + 1, frame)]
    recovered, concealed, true = [], [], []
    for count, packet in enumerate(packets[:-1]):
        true.append(whole.decode(packet))
        is_lost = count % 6 == 5
        recovered.append(mended.recover(packets[count + 1], frame) if is_lost else mended.decode(packet))
        concealed.append(guessed.conceal(frame) if is_lost else guessed.decode(packet))
    alike = [likeness(np.concatenate(each), np.concatenate(true)) for each in (recovered, concealed)]
    assert alike[0] > 0.93
    assert alike[0] > alike[1]
