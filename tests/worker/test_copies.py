"""Copies of earlier frames on their way through workers, and what their senders are told of losses."""

from __future__ import annotations

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from media.inside import Client, Inside, connected, hear, run
from palaver_media import redundancy, rtcp, rtp
from palaver_media.rtcp import Reception
from palaver_media.rtp import AUDIO_LEVEL, OPUS, RED, RtpPacket
from palaver_media.worker_messages import AddConsumer, AddProducer, MediaKind, ResumeConsumer
from palaver_worker.reports import REPORT
from palaver_worker.statistics import FRESH
from worker.test_pipe import Pair, run_pair
from worker.test_stage import Listener, gather, people, speakers

TYPES = {111: OPUS, 63: RED}


def packet(sequence: int, ssrc: int = 1) -> RtpPacket:
    body = redundancy.write(111, 960 * sequence, b"now", [(960 * sequence - 1920, b"before")])
    return RtpPacket(63, sequence, 960 * sequence, ssrc, body, extensions={3: b"\x9e"})


@pytest.mark.parametrize("takes", [(), (RED,)])
def test_a_pipe_carries_copies_to_those_who_take_them(takes):
    async def scenario(pair: Pair) -> None:
        near, far = pair.near.sfu, pair.far.sfu
        near.apply(AddProducer(pair.speaker.id, "p", MediaKind.AUDIO, 48_000, 1, TYPES, {3: AUDIO_LEVEL}))
        near.apply(AddConsumer("pipe", "p>1", "p", 1_001, "", "cname", (AUDIO_LEVEL,), None, (RED,)))
        near.apply(ResumeConsumer("p>1"))
        types = {OPUS: OPUS, RED: RED}
        ids = {AUDIO_LEVEL: AUDIO_LEVEL}
        far.apply(AddProducer("pipe", "p", MediaKind.AUDIO, 48_000, 1_001, types, ids, router="room", seat="ann"))
        far.apply(AddConsumer(pair.listener.id, "c", "p", 11, "7", "cname", (AUDIO_LEVEL,), None, takes))
        far.apply(ResumeConsumer("c"))
        (came,) = pair.send(packet(50))
        if takes:
            read = redundancy.parse(OPUS, came.timestamp, came.payload)
            assert (came.payload_type, read.primary, read.copies) == (RED, b"now", ((48_000 - 1920, b"before"),))
        else:
            assert (came.payload_type, came.payload) == (OPUS, b"now")

    run_pair(scenario)


def test_a_slot_carries_copies_to_those_who_take_them():
    async def scenario(inside: Inside) -> None:
        (slot,) = speakers(inside, 1)
        gather(inside, "a")
        (talker,) = people(inside)
        inside.sfu.apply(AddProducer(talker.id, "b", MediaKind.AUDIO, 48_000, 2, TYPES, {3: AUDIO_LEVEL}))
        plain, modern = Listener(inside, "plain", [slot]), Listener(inside, "modern", [])
        inside.sfu.apply(AddConsumer(modern.id, "m", slot, 200, "0", "speaker", (AUDIO_LEVEL,), None, (RED,)))
        inside.sfu.apply(ResumeConsumer("m"))
        modern.heard[200] = []
        for sequence in range(50, 80):
            await inside.pass_time(0.02)
            talker.send(talker.dtls.protect_rtp(packet(sequence, ssrc=2).write()))
        plain.take()
        modern.take()
        assert len(plain.heard[100]) > 20
        assert {(each.payload_type, each.payload) for each in plain.heard[100]} == {(OPUS, b"now")}
        assert {each.payload_type for each in modern.heard[200]} == {RED}
        for each in modern.heard[200]:  # whatever the slot's time is, a copy lies as far back as it did
            (copy,) = redundancy.parse(OPUS, each.timestamp, each.payload).copies
            assert copy == ((each.timestamp - 1920) & 0xFFFF_FFFF, b"before")

    run(scenario)


def told(client: Client) -> list[RtcpReceiverInfo]:
    """The report blocks that a client got."""
    compounds = [client.dtls.unprotect_rtcp(each) for each in client.receive() if rtp.is_rtcp(each)]
    parsed = [each for compound in compounds for each in rtcp.parse(compound)]
    return [block for each in parsed if isinstance(each, RtcpRrPacket) for block in each.reports]


@pytest.mark.parametrize(
    ("types", "losses", "expected"),
    [
        (TYPES, (), 0),
        (TYPES, (51,), 51),
        (TYPES, (0, 51), 51),
        (TYPES, (0, 26, 255), 26),  # one of three cannot make it bad for all
        ({111: OPUS}, (51,), 0),  # a browser
    ],
)
def test_who_can_send_copies_is_told_what_the_middle_listener_loses(types, losses, expected):
    async def scenario(inside: Inside) -> None:
        speaker = Client(inside)
        speaker.connect()
        inside.sfu.apply(AddProducer(speaker.id, "p", MediaKind.AUDIO, 48_000, 1, types, {}))
        for number, lost in enumerate(losses):
            listener = Client(inside)
            listener.connect()
            inside.sfu.apply(AddConsumer(listener.id, f"c{number}", "p", 11 + number, "0", "someone", ()))
            inside.sfu.apply(ResumeConsumer(f"c{number}"))
            report = rtcp.write_receiver_report(9, [RtcpReceiverInfo(11 + number, lost, 0, 0, 0, 0, 0)])
            listener.send(listener.dtls.protect_rtcp(report))
        speaker.send(speaker.dtls.protect_rtp(RtpPacket(111, 1, 960, 1, b"x").write()))
        speaker.receive()
        await inside.pass_time(REPORT)
        block = told(speaker)[-1]
        assert (block.fraction_lost, block.packets_lost) == (expected, 0)
        assert inside.sfu.producers["p"].told.fraction_lost == 0  # statistics are of the sender's own path

    run(scenario)


def test_what_a_listener_misses_is_of_the_whole_way():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, types=TYPES)
        for sequence in (1, 2, 4, 5):  # 3 is lost before it comes to us
            speaker.send(speaker.dtls.protect_rtp(RtpPacket(111, sequence, 960, 1, b"x").write()))
        speaker.receive()
        heard = [listener.dtls.unprotect_rtp(each) for each in listener.receive() if not rtp.is_rtcp(each)]
        came = [rtp.parse(each) for each in heard]
        counted = Reception(11, 48_000)
        for packet in came:
            counted.count(packet.sequence, packet.timestamp, 0.0)
        listener.send(listener.dtls.protect_rtcp(rtcp.write_receiver_report(9, [counted.report(0.0)])))
        for sequence in range(6, 16):  # of these he has said nothing yet
            speaker.send(speaker.dtls.protect_rtp(RtpPacket(111, sequence, 960, 1, b"x").write()))
        await inside.pass_time(REPORT)
        assert len(came) == 4
        assert [(each.fraction_lost, each.highest_sequence) for each in told(speaker)] == [(256 // 5, 5)]
        await inside.pass_time(FRESH)
        last = told(speaker)[-1]
        assert (last.fraction_lost, last.highest_sequence) == (0, 15)  # his word is old

    run(scenario)


def test_of_who_has_sent_nothing_nothing_is_told():
    async def scenario(inside: Inside) -> None:
        speaker = Client(inside)
        speaker.connect()
        inside.sfu.apply(AddProducer(speaker.id, "p", MediaKind.AUDIO, 48_000, 1, TYPES, {}))
        await inside.pass_time(REPORT)
        assert told(speaker) == []

    run(scenario)
