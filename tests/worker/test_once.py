"""No number of a listener's stream ever stands for two packets: with one key, the one would give the other away."""

import struct
from itertools import count

import pytest

from media.inside import Client, Inside, connected, hear, run
from media_peer import write_nack
from palaver_media import redundancy, rtp
from palaver_media.rtp import AUDIO_LEVEL, RtpPacket
from palaver_media.srtp import TRAILER
from palaver_media.worker_messages import (
    AddConsumer,
    CloseConsumers,
    MediaKind,
    ResumeConsumer,
)
from palaver_worker import datagrams, fanout, packet
from palaver_worker.fanout_c_legs import lib
from palaver_worker.producer import Producer


class Call:
    """Somebody speaks to another one, who takes down what he hears under which number."""

    def __init__(self, inside: Inside, media: MediaKind = MediaKind.AUDIO, *, has_keys: bool = True) -> None:
        """`has_keys`: before there is something to hear, not after that."""
        self.inside = inside
        (self.speaker,), self.listener = connected(inside, 1), Client(inside)
        if has_keys:
            self.listener.connect()
        extensions = {3: AUDIO_LEVEL, 20: AUDIO_LEVEL}
        hear(inside, self.speaker, self.listener, media=media, types={111: 100, 63: 105}, ids=extensions)
        if not has_keys:
            self.listener.connect()
        self.heard: dict[int, bytes] = {}

    def hear(self, datagrams: list[bytes]) -> list[bytes]:
        """Take these down: what is heard twice must be the very same."""
        came = [each for each in datagrams if not rtp.is_rtcp(each)]
        for each in came:
            assert self.heard.setdefault(int.from_bytes(each[2:4], "big"), each) == each
        return came

    def say(self, packet: bytes) -> list[bytes]:
        self.speaker.send(self.speaker.dtls.protect_rtp(packet))
        return self.hear(self.listener.receive())

    def miss(self, *numbers: int) -> list[bytes]:
        return self.hear(self.listener.send(self.listener.dtls.protect_rtcp(write_nack(11, list(numbers)))))


def said(number: int, body: bytes) -> bytes:
    return RtpPacket(111, number & 0xFFFF, 960 * number & 0xFFFF_FFFF, 1, body).write()


@pytest.mark.parametrize("media", MediaKind)
def test_an_empty_packet_has_been_here_like_any_other(media):
    async def scenario(inside: Inside) -> None:
        call = Call(inside, media)
        (empty,) = call.say(said(0, b""))
        assert call.say(said(0x8001, b"far behind, or so it seems")) == []
        assert call.say(said(0, b"another")) == []  # of the next cycle for SRTP, and not for us
        assert call.miss(0) == [empty]

    run(scenario)


def test_a_frame_whose_copies_were_cut_off_is_sent_again_as_it_was():
    async def scenario(inside: Inside) -> None:
        call = Call(inside)
        body = redundancy.write(111, 960, b"now", [(0, b"before")])
        (alone,) = call.say(RtpPacket(63, 1, 960, 1, body).write())
        assert call.miss(1) == [alone]
        assert call.listener.dtls.unprotect_rtp(alone).endswith(b"now")

    run(scenario)


@pytest.mark.parametrize("media", MediaKind)
def test_what_was_said_before_a_leap_is_not_sent_again(media):
    async def scenario(inside: Inside) -> None:
        call = Call(inside, media)
        for number in (0, 20_000, 20_001, 52_000):
            call.say(said(number, b"one"))
        assert len(call.miss(52_000)) == 1
        call.say(said(52_800, b"SRTP would now take the third for one of the next cycle"))
        assert call.miss(20_001) == []
        for number in (52_900, 65_536 + 18_000):
            call.say(said(number, b"on"))
        del call.heard[20_001]  # it went out under the first cycle's index
        assert len(call.say(said(65_536 + 20_001, b"two"))) == 1
        assert not inside.port.dropped["unprotected"]

    run(scenario)


@pytest.mark.parametrize("has_keys", [True, False])
@pytest.mark.parametrize("media", MediaKind)
def test_all_that_is_kept_is_sent_again_and_may_come_late(media, has_keys):
    async def scenario(inside: Inside) -> None:
        call = Call(inside, media, has_keys=has_keys)
        call.speaker.dtls.outbound.widen(1)
        kept = inside.sfu.producers["p1"].reach
        (first,) = call.say(said(0, b"the oldest"))
        for number in range(3, kept):
            call.say(said(number, b"said"))
        assert call.miss(0) == [first]
        call.say(said(kept, b"one more"))
        assert call.miss(0) == []
        assert len(call.say(said(1, b"as late as may be"))) == 1
        call.say(said(kept + 2, b"on"))
        assert call.say(said(2, b"too late")) == []
        assert not inside.port.dropped["unprotected"]

    run(scenario)


def test_the_same_element_twice_goes_on_twice():
    """In the two-byte form, too, and with each core."""
    bodies = []

    async def scenario(inside: Inside) -> None:
        call = Call(inside)
        block = bytes([3, 1, 0x85, 20, 1, 0x86, 3, 1, 0x87, 0, 0, 0])
        (datagram,) = call.say(struct.pack("!BBHIIHH", 0x90, 111, 5, 0, 1, 0x1000, len(block) // 4) + block + b"sound")
        bodies.append(call.listener.dtls.unprotect_rtp(datagram)[12:])
        assert inside.sfu.producers["p1"].level == -7

    run(scenario)
    assert bodies[0] == bodies[1]
    assert bodies[0][4:10] == bytes([0xA0, 0x85, 0xA0, 0x86, 0xA0, 0x87])


def test_a_track_is_told_once_that_all_its_listeners_have_gone(monkeypatch):
    async def scenario(inside: Inside) -> None:
        call = Call(inside)
        for number in range(2, 42):
            inside.sfu.apply(AddConsumer(call.listener.id, f"c{number}", "p1", 100 + number, "0", "someone", ()))
            inside.sfu.apply(ResumeConsumer(f"c{number}"))
        calls = count()
        regroup = Producer.regroup
        monkeypatch.setattr(Producer, "regroup", lambda self: (next(calls), regroup(self)))
        inside.sfu.apply(CloseConsumers("p1"))
        monkeypatch.undo()
        assert next(calls) == 1
        assert not inside.sfu.consumers
        assert call.say(said(1, b"to nobody")) == []

    run(scenario)


def test_both_cores_know_the_same_numbers():
    assert (lib.SLOT, lib.BATCH) == (datagrams.SLOT, datagrams.BATCH)
    assert (lib.FARTHEST, lib.KEPT, lib.TRAILER) == (fanout.FARTHEST, fanout.KEPT, TRAILER)
    assert lib.SEEN == fanout.SEEN
    assert (lib.OPUS, lib.RED, lib.COPIES) == (rtp.OPUS, rtp.RED, redundancy.MOST)
    assert (lib.RTP_HEADER, lib.SEND_TIME) == (packet.RTP_HEADER, rtp.ABS_SEND_TIME)
    assert (lib.MID, lib.AUDIO_LEVEL) == (rtp.MID, rtp.AUDIO_LEVEL)
