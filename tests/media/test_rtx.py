"""Retransmissions: as packets, and over a real worker whose path loses some."""

import itertools
import random
from contextlib import suppress

import pytest
import trio
from aiortc import rtp as aiortc_rtp
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from media.inside import Client, Inside, run
from media_peer import Peer, Worker
from palaver_media import rtcp, rtp
from palaver_media.rtcp import Nack
from palaver_media.rtp import ABS_SEND_TIME, MID, RtpPacket
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    CloseConsumer,
    CloseProducer,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
    Rtx,
)
from palaver_worker import rtx
from palaver_worker.nack import REQUESTS
from palaver_worker.packet import Packet
from palaver_worker.reports import REPORT

PACKETS = st.builds(
    RtpPacket,
    payload_type=st.just(101),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.just(11),
    body=st.binary(max_size=50),
    is_marked=st.booleans(),
    extensions=st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16)),
)


def wrap(packet: RtpPacket, ssrc: int, payload_type: int, sequence: int) -> RtpPacket:
    """A client's retransmission of a packet."""
    body = packet.sequence.to_bytes(2, "big") + packet.body
    return RtpPacket(payload_type, sequence, packet.timestamp, ssrc, body, packet.is_marked, packet.extensions)


def restore(packet: RtpPacket) -> RtpPacket:
    """What a client gets of a retransmission."""
    sequence = int.from_bytes(packet.body[:2], "big")
    return RtpPacket(101, sequence, packet.timestamp, OUT, packet.body[2:], packet.is_marked, packet.extensions)


def read(packet: RtpPacket) -> Packet:
    return Packet(packet.write(), {number: number for number in range(1, 15)}, 1.0)


def fields(packet: Packet) -> tuple[int, int, int, bytes, int, bytes]:
    return packet.sequence, packet.second, packet.timestamp, packet.body, packet.padding, packet.elements


@given(PACKETS, st.integers(0, 2**20))
def test_what_is_wrapped_is_restored(packet, index):
    original = read(packet)
    wrapped = rtx.wrap(original, packet.sequence + 0x10000, 102, index, 1.0)
    assert (wrapped.index, wrapped.second & 0x7F) == (index, 102)
    restored = rtx.restore(wrapped, 101)
    assert restored is not None
    assert fields(restored) == fields(original) == fields(read(packet))


@given(PACKETS)
def test_what_aiortc_wraps_is_restored(packet):
    packet.extensions = {}  # of which aiortc knows only those by their URIs
    theirs = aiortc_rtp.RtpPacket.parse(packet.write())
    wrapped = aiortc_rtp.wrap_rtx(theirs, payload_type=102, sequence_number=7, ssrc=12).serialize()
    restored = rtx.restore(read(rtp.parse(wrapped)), 101)
    assert restored is not None
    assert fields(restored) == fields(read(packet))
    assert wrapped == wrap(packet, 12, 102, 7).write()  # as those here do


@pytest.mark.parametrize("body", [b"", b"\1", b"\0\0\0\4", b"\1\0\0\3"])
def test_probes_hold_no_packet(body):
    padding = body[-1] if len(body) == 4 else 0
    assert rtx.restore(read(RtpPacket(97, 1, 2, 12, body, padding=padding)), 96) is None


# -- in the worker -----------------------------------------------------------------------------------------------------
SSRC, RTX_SSRC, OUT, RTX_OUT = 1, 2, 11, 12


def video(sequence: int, ssrc: int = SSRC) -> RtpPacket:
    """A packet of a video, whose body tells its number."""
    body = b"\x10\1" + sequence.to_bytes(4, "big")
    return RtpPacket(96, sequence & 0xFFFF, 3000 * sequence & 0xFFFFFFFF, ssrc, body, extensions={4: b"1", 2: b"now"})


def resent(sequence: int, number: int) -> bytes:
    """The same in the stream of retransmissions."""
    return wrap(video(sequence), RTX_SSRC, 97, number).write()


def produce(transport: str) -> AddProducer:
    """A video with retransmissions, with Chromium's numbers."""
    extensions = {4: MID, 2: ABS_SEND_TIME}
    return AddProducer(transport, "p", MediaKind.VIDEO, 90000, SSRC, {96: 101}, extensions, RTX_SSRC, {97: 96})


def consume(transport: str, stream: Rtx | None = None) -> AddConsumer:
    return AddConsumer(transport, "c", "p", OUT, "0", "someone", (MID, ABS_SEND_TIME), stream)


class Pair:
    """A sender and a listener of a video, and the unit between them."""

    def __init__(self, inside: Inside, stream: Rtx | None = None) -> None:
        self.inside = inside
        self.sender, self.listener = Client(inside), Client(inside)
        self.sender.connect()
        self.listener.connect()
        inside.sfu.apply(produce(self.sender.id))
        inside.sfu.apply(consume(self.listener.id, stream))
        inside.sfu.apply(ResumeConsumer("c"))

    def say(self, *packets: bytes) -> list[RtpPacket]:
        """Send this, and hear what the listener gets of it."""
        self.sender.send(*map(self.sender.dtls.protect_rtp, packets))
        return self.heard(self.listener.send())

    def say_all(self, *sequences: int) -> list[int]:
        """Send these, and hear which the listener gets."""
        return [number(each) for each in self.say(*(video(each).write() for each in sequences))]

    def miss(self, *sequences: int) -> list[RtpPacket]:
        """Have the listener miss these, and hear what he gets."""
        nack = rtcp.write_nack(1, OUT, sequences)
        return self.heard(self.listener.send(self.listener.dtls.protect_rtcp(nack)))

    def heard(self, datagrams: list[bytes]) -> list[RtpPacket]:
        return [rtp.parse(self.listener.dtls.unprotect_rtp(each)) for each in datagrams if not rtp.is_rtcp(each)]

    def told(self) -> list[RtcpReceiverInfo]:
        """What the sender is told about what came."""
        compounds = [rtcp.parse(self.sender.dtls.unprotect_rtcp(each)) for each in self.sender.receive()]
        reports = [each for parts in compounds for each in parts if isinstance(each, RtcpRrPacket)]
        return [block for report in reports for block in report.reports]

    async def asked(self, seconds: float) -> list[tuple[int, ...]]:
        """What the sender is asked for meanwhile."""
        asked = []
        for _ in range(round(seconds / 0.02)):
            await self.inside.pass_time(0.02)
            for datagram in self.sender.send():
                if rtp.is_rtcp(datagram):
                    packets = rtcp.parse(self.sender.dtls.unprotect_rtcp(datagram))
                    asked += [packet.lost for packet in packets if isinstance(packet, Nack)]
        return asked

    def close(self) -> None:
        self.sender.socket.close()
        self.listener.socket.close()


def number(packet: RtpPacket) -> int:
    """What `video` wrote into it."""
    return int.from_bytes(packet.body[-4:], "big")


def test_who_understands_rtx_gets_what_he_misses_in_that_stream():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside, Rtx(RTX_OUT, 102))
        said = pair.say(*(video(each).write() for each in range(65_000, 65_010)))
        first = said[0].sequence
        await inside.pass_time(1)
        for round_ in range(2):  # numbered on and on, whatever is asked for
            again = pair.miss(first + 2, first + 5, first + 700)
            for position, packet in zip((2, 5), again, strict=True):
                assert (packet.ssrc, packet.payload_type) == (RTX_OUT, 102)
                assert packet.sequence == 2 * round_ + (position == 5)
                restored = restore(packet)
                assert restored.sequence == first + position
                assert restored.payload == video(65_000 + position).payload
                assert restored.extensions[MID] == b"0"
                assert restored.extensions[ABS_SEND_TIME] != said[position].extensions[ABS_SEND_TIME]
        pair.close()

    run(scenario)


def test_who_does_not_gets_the_very_same_packets():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside)
        said = pair.say(*(video(each).write() for each in range(10)))
        (again,) = pair.listener.send(pair.listener.dtls.protect_rtcp(rtcp.write_nack(1, OUT, [4])))
        assert rtp.peek_ssrc(again) == OUT
        assert int.from_bytes(again[2:4], "big") == said[4].sequence
        pair.close()

    run(scenario)


def test_what_a_sender_retransmits_is_forwarded_once():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside)
        assert pair.say(resent(3, 0)) == []  # of what was not missed, for nothing has come yet
        assert pair.say_all(1, 2, 5) == [1, 2, 5]
        (restored,) = pair.say(resent(3, 1))
        assert (restored.ssrc, restored.payload_type, restored.sequence, number(restored)) == (OUT, 101, 3, 3)
        assert pair.say(resent(3, 2), resent(2, 3), resent(9, 4), video(3).write()) == []
        probe = RtpPacket(97, 5, 1, RTX_SSRC, bytes(199) + b"\xc8", padding=200)
        other = wrap(video(4), RTX_SSRC, 98, 6)
        assert pair.say(probe.write(), other.write()) == []
        assert pair.say_all(4) == [4]
        assert pair.say(resent(4, 7)) == []
        for first in range(700, 1300, 100):
            assert pair.say_all(*range(first, first + 100)) == list(range(first, first + 100))
        assert pair.say(resent(600, 8)) == []  # where its place in the ring is another's already
        assert pair.inside.sfu.producers["p"].reception.received == 1 + 4 + 600  # retransmissions do not count
        pair.close()

    run(scenario)


def test_what_is_lost_of_the_retransmissions_is_told_apart():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside)
        pair.say_all(1, 5)
        await inside.pass_time(REPORT)
        assert [block.ssrc for block in pair.told()] == [SSRC]
        pair.say(resent(2, 10), resent(4, 12))
        await inside.pass_time(REPORT)
        video, again = pair.told()
        assert (video.ssrc, video.packets_lost) == (SSRC, 3)
        assert (again.ssrc, again.packets_lost, again.highest_sequence) == (RTX_SSRC, 1, 12)
        pair.close()

    run(scenario)


def test_a_sender_is_asked_a_few_times_for_what_is_missing():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside)
        pair.say_all(65_533, 65_534)
        assert await pair.asked(0.5) == []
        pair.say_all(65_537, 65_540)
        asked = await pair.asked(0.06)
        assert asked[0] == (65_535, 0, 2, 3)
        pair.say_all(65_542)
        asked += await pair.asked(0.02)
        assert 5 in asked[-1]  # soon, whatever else is waited for
        pair.say(resent(65_535, 0), resent(65_541, 1))
        asked += await pair.asked(2)
        assert asked[-1] == (0, 2, 3)
        assert [sum(each in lost for lost in asked) for each in (0, 2, 3)] == [REQUESTS] * 3
        pair.close()

    run(scenario)


def test_nobody_is_asked_for_what_nobody_would_see():
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside)
        inside.sfu.apply(PauseConsumer("c"))
        pair.say_all(1, 3)
        assert await pair.asked(0.5) == []
        inside.sfu.apply(ResumeConsumer("c"))
        assert await pair.asked(0.5) == []
        pair.say_all(5)
        assert await pair.asked(0.1) == [(4,)]
        inside.sfu.apply(CloseProducer("p"))
        assert await pair.asked(0.5) == []
        pair.close()

    run(scenario)


def test_no_ssrc_is_used_twice(caplog):
    async def scenario(inside: Inside) -> None:
        pair = Pair(inside, Rtx(RTX_OUT, 102))
        inside.sfu.apply(CloseConsumer("c"))
        for ssrc, stream in ((OUT, None), (RTX_OUT, None), (13, Rtx(OUT, 102)), (13, Rtx(RTX_OUT, 102))):
            inside.sfu.apply(evolve(consume(pair.listener.id, stream), ssrc=ssrc))
            assert not inside.sfu.consumers
        for ssrc, other in ((RTX_SSRC, None), (3, SSRC), (3, RTX_SSRC)):
            inside.sfu.apply(evolve(produce(pair.sender.id), producer="q", ssrc=ssrc, rtx_ssrc=other))
            assert set(inside.sfu.producers) == {"p"}
        inside.sfu.apply(CloseProducer("p"))
        inside.sfu.apply(produce(pair.sender.id))
        assert inside.sfu.producers["p"].ssrcs == (SSRC, RTX_SSRC)
        pair.close()

    run(scenario)
    assert len(caplog.records) == 7 * 2  # with each core


# -- over a path that loses some ---------------------------------------------------------------------------------------
LOSS = 0.2


class Lossy(Peer):
    """A client who loses some of the packets that he sends and gets, sends again what is missed, and asks for it."""

    def __init__(self, worker: Worker, id: str, *, has_rtx: bool) -> None:
        super().__init__(worker, id)
        self.chance = random.Random(id)
        self.has_rtx = has_rtx
        self.got: dict[int, int] = {}  # what `video` wrote, by sequence number, of those that arrived
        self.asked = self.lost = 0
        self._numbers = itertools.count()

    async def say_or_lose(self, packet: RtpPacket) -> None:
        datagram = self.dtls.protect_rtp(packet.write())
        if self.chance.random() < LOSS:
            self.lost += 1
        else:
            await self.send(datagram)

    async def _take(self, data: bytes, socket: trio.socket.SocketType) -> None:
        if data[0] >= 128 and rtp.is_rtcp(data):
            for packet in rtcp.parse(self.dtls.unprotect_rtcp(data)):
                if isinstance(packet, Nack):
                    self.asked += 1
                    for sequence in packet.lost:
                        await self._say_again(sequence)
        elif data[0] >= 128 and self.chance.random() < LOSS:
            self.lost += 1
        elif data[0] >= 128:
            with suppress(SrtpError):  # asked for twice, and here already
                self._hear(rtp.parse(self.dtls.unprotect_rtp(data)))
        else:
            await super()._take(data, socket)

    async def _say_again(self, sequence: int) -> None:
        packet = video(sequence)
        await self.say_or_lose(wrap(packet, RTX_SSRC, 97, next(self._numbers)) if self.has_rtx else packet)

    def _hear(self, packet: RtpPacket) -> None:
        assert (packet.ssrc, packet.payload_type) in ({(OUT, 101), (RTX_OUT, 102)} if self.has_rtx else {(OUT, 101)})
        original = restore(packet) if packet.ssrc == RTX_OUT else packet
        assert self.got.setdefault(original.sequence, number(original)) == number(original)

    async def miss(self, last: int) -> None:
        """Ask for what has not come."""
        if missing := [each for each in range(1, last + 1) if each not in self.got]:
            await self.send(self.dtls.protect_rtcp(rtcp.write_nack(1, OUT, missing)))


@pytest.mark.trio
@pytest.mark.parametrize("has_rtx", [True, False])
async def test_a_fifth_is_lost_on_either_way_and_nothing_is_missing(nursery, has_rtx):
    worker = Worker()
    await nursery.start(worker.process.run)
    sender, listener = Lossy(worker, "sender", has_rtx=has_rtx), Lossy(worker, "listener", has_rtx=has_rtx)
    for peer in (sender, listener):
        await peer.connect(nursery)
    adding = produce(sender.id) if has_rtx else evolve(produce(sender.id), rtx_ssrc=None, rtx_payload_types={})
    worker.tell(adding, consume(listener.id, Rtx(RTX_OUT, 102) if has_rtx else None), ResumeConsumer("c"))
    if not has_rtx:
        sender.dtls.outbound.widen(SSRC)
    await sender.say(video(0))  # that nothing comes before the first one
    with trio.fail_after(10):
        for sequence in range(1, 301):
            await sender.say_or_lose(video(sequence))
            if sequence % 30 == 0:
                await listener.miss(sequence)
        last = 300
        while not all(each in listener.got for each in range(1, 301)):
            last += 1  # as in life it goes on: what is sent allows for as many resends
            await sender.say_or_lose(video(last))
            await listener.miss(300)
            with trio.move_on_after(0.05):
                await listener.news.until(lambda: all(each in listener.got for each in range(1, 301)))
    assert all(listener.got[each] == each for each in range(1, 301))
    assert sender.asked > 1
    assert sender.lost > 40
    assert listener.lost > 40
