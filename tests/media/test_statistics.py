"""Statistics: that what is counted, heard from listeners and told to the owner is what really happened."""

from random import Random
from typing import TypeVar

import attrs
import pytest
import trio
from aiortc.rtp import RtcpReceiverInfo, RtcpSenderInfo, RtcpSrPacket

from media.inside import Client, Inside, connected, run
from media_peer import Peer, Worker, add_consumer, add_producer, audio, video, write_nack
from palaver_media import rtcp, rtp
from palaver_media.rtcp import Reception, Remb
from palaver_media.worker_messages import (
    VIDEO_BITRATE,
    AddConsumer,
    AddProducer,
    AddressFamily,
    CloseConsumer,
    CloseProducer,
    CloseTransport,
    MediaKind,
    OpenTransport,
    PauseConsumer,
    ResumeConsumer,
    StatisticsTaken,
)
from palaver_server.app import make_worker
from palaver_server.config import Config, ConfigError, parse
from palaver_worker.feedback import FLOOR
from palaver_worker.reports import CLOCKS, REPORT
from palaver_worker.statistics import FRESH_BITRATE, PART, PERIOD, Statistics, describe, family_of

T = TypeVar("T")

FRAME = 0.02  # s in a packet
SECOND = 50  # packets


def open_session(inside: Inside, media: MediaKind = MediaKind.AUDIO) -> tuple[Client, Client]:
    """A client that sends a track, and one that gets it."""
    speaker, listener = connected(inside)
    rate, types = (48000, {111: 100}) if media is MediaKind.AUDIO else (90000, {96: 101})
    inside.sfu.apply(AddProducer(speaker.id, "p", media, rate, 1, types, {3: rtp.AUDIO_LEVEL}))
    inside.sfu.apply(AddConsumer(listener.id, "c", "p", 11, "0", "someone", ()))
    inside.sfu.apply(ResumeConsumer("c"))
    return speaker, listener


def figures(client: Client):
    """What would be reported of a client now."""
    return describe(client.transport, client.inside.loop.time())


def producer_of(client: Client):
    [producer] = figures(client).producers
    return producer


def consumer_of(client: Client):
    [consumer] = figures(client).consumers
    return consumer


def part(*clients: Client) -> None:
    for client in clients:
        client.socket.close()


def told(client: Client, datagrams: list[bytes], kind: type[T]) -> list[T]:
    """The RTCP of one kind in what a client has heard."""
    compounds = [client.dtls.unprotect_rtcp(each) for each in datagrams if rtp.is_rtcp(each)]
    return [packet for each in compounds for packet in rtcp.parse(each) if isinstance(packet, kind)]


# -- a track as it arrives ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("loss", "swing"), [(0.0, 0.0), (0.2, 0.0), (0.0, 0.01), (0.1, 0.01)])
def test_what_the_way_to_us_does_is_measured(loss, swing):
    """`swing` is by how many s every second packet is late."""

    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside)
        chance = Random(7)
        arriving = [True, *(chance.random() >= loss for _ in range(8 * SECOND)), True]
        for sequence, arrives in enumerate(arriving):
            inside.loop.ahead += FRAME + (swing if sequence % 2 else -swing)
            if sequence % SECOND == 0:
                await inside.pass_time(0)  # the worker tells the speaker how he is heard
            if arrives:
                packet = audio(1, sequence, bytes(10))
                packet.extensions[3] = bytes([0x80 | 17 + sequence % 2])
                speaker.send(speaker.dtls.protect_rtp(packet.write()))
        producer, sending = producer_of(speaker), figures(speaker)
        assert (producer.producer_id, producer.kind) == ("p", MediaKind.AUDIO)
        assert producer.packets_received == sending.packets_received == sum(arriving)
        assert producer.bytes_received == sending.bytes_received == 10 * sum(arriving)
        assert producer.packets_lost == len(arriving) - sum(arriving)
        assert producer.jitter == pytest.approx(1000 * swing * (1 - loss), abs=4)
        assert producer.level == 17 + (len(arriving) - 1) % 2
        assert (producer.fraction_lost > 0) == (loss > 0)
        assert producer.fraction_lost == pytest.approx(loss, abs=0.1)
        assert (sending.packets_sent, sending.consumers) == (0, ())
        consumer, hearing = consumer_of(listener), figures(listener)
        assert consumer.packets_sent == hearing.packets_sent == sum(arriving)
        assert consumer.bytes_sent == hearing.bytes_sent == 10 * sum(arriving)
        assert (hearing.packets_received, hearing.producers) == (0, ())
        part(speaker, listener)

    run(scenario)


# -- a track as a listener gets it -------------------------------------------------------------------------------------
@pytest.mark.parametrize("as_sender", [False, True])  # whoever sends too reports within his sender reports
def test_what_a_listener_reports_is_heard(as_sender):
    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside)
        before = consumer_of(listener)
        assert (before.consumer_id, before.producer_id, before.is_paused) == ("c", "p", False)
        assert (before.packets_lost, before.fraction_lost, before.jitter) == (None, None, None)
        assert (before.round_trip, before.bitrate, figures(listener).round_trip) == (None, None, None)
        info = RtcpSenderInfo(ntp_timestamp=1000 << 32, rtp_timestamp=48000, packet_count=9, octet_count=9)
        speaker.send(speaker.dtls.protect_rtcp(rtcp.write_sender_report(1, info)))
        await inside.pass_time(REPORT)
        [first] = told(listener, listener.send(), RtcpSrPacket)
        for _ in range(CLOCKS):
            await inside.pass_time(REPORT)
        [second] = told(listener, listener.send(), RtcpSrPacket)

        def report(ssrc: int, lsr: int, held: float) -> None:
            block = RtcpReceiverInfo(ssrc, 64, 25, 1000, 480, lsr, round(held * 65536))
            other = RtcpReceiverInfo(99, 255, 9, 9, 9, lsr, 0)  # of a track that is none of his
            compound = (
                rtcp.write_sender_report(5, info, [other, block])
                if as_sender
                else rtcp.write_receiver_report(5, [other, block])
            )
            listener.send(listener.dtls.protect_rtcp(compound))

        inside.loop.ahead += 0.3
        report(11, rtcp.to_short_ntp(second.sender_info.ntp_timestamp), held=0.25)
        heard = consumer_of(listener)
        assert (heard.packets_lost, heard.fraction_lost, heard.jitter) == (25, 0.25, 10.0)
        assert heard.round_trip == pytest.approx(50, abs=20)
        assert figures(listener).round_trip == heard.round_trip
        held = CLOCKS * REPORT + 0.2  # the second was still on its way
        report(11, rtcp.to_short_ntp(first.sender_info.ntp_timestamp), held)
        assert consumer_of(listener).round_trip == pytest.approx(100, abs=20)
        listener.transport.round_trip = 0.07  # by another of his tracks
        report(11, 12345, held=0.1)  # no report of ours
        report(11, 0, held=0.0)  # none at all
        assert consumer_of(listener).round_trip == pytest.approx(100, abs=20)
        assert figures(listener).round_trip == 70
        report(11, rtcp.to_short_ntp(second.sender_info.ntp_timestamp), held=60000)
        assert consumer_of(listener).round_trip == 0
        part(speaker, listener)

    run(scenario)


def test_requests_of_listeners_are_counted():
    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside, MediaKind.VIDEO)
        await inside.pass_time(0)
        for sequence in (1, 2, 3, 5):
            speaker.send(speaker.dtls.protect_rtp(video(1, sequence, is_keyframe=True).write()))
        listener.send()
        nack = write_nack(11, [2, 3, 4])  # we miss the last of them too
        assert len(listener.send(listener.dtls.protect_rtcp(nack))) == 2
        listener.send(listener.dtls.protect_rtcp(rtcp.write_remb(5, 400_000, [11])))
        consumer, producer = consumer_of(listener), producer_of(speaker)
        assert (consumer.packets_sent, consumer.packets_resent, consumer.bitrate) == (6, 2, 400_000)
        assert (producer.packets_lost, producer.packets_nacked, producer.keyframe_requests) == (1, 3, 1)
        assert producer.level is None
        inside.loop.ahead += FRESH_BITRATE
        assert consumer_of(listener).bitrate is None  # what a listener could take long ago holds nobody down
        inside.sfu.apply(PauseConsumer("c"))
        assert consumer_of(listener).is_paused
        part(speaker, listener)

    run(scenario)


# -- transports --------------------------------------------------------------------------------------------------------
def test_a_transport_is_described_as_far_as_it_has_come():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        new = figures(client)
        assert (new.connected_for, new.family, new.profile, new.round_trip) == (None, None, None, None)
        client.connect()
        await inside.pass_time(5)
        now = figures(client)
        assert now.transport_id == client.id
        assert now.connected_for == pytest.approx(5, abs=0.5)
        assert now.family is AddressFamily.IPV4
        assert now.profile == "SRTP_AEAD_AES_256_GCM"
        part(client)

    run(scenario)


@pytest.mark.parametrize(
    ("host", "family"),
    [
        ("192.0.2.1", AddressFamily.IPV4),
        ("2001:db8::1", AddressFamily.IPV6),
        ("::1", AddressFamily.IPV6),
    ],
)
def test_the_family_of_an_address(host, family):
    assert family_of(host) is family


def test_a_transports_counts_do_not_fall_when_its_tracks_go():
    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside)
        speaker.send(speaker.dtls.protect_rtp(audio(1, 1, bytes(10)).write()))
        inside.sfu.apply(CloseConsumer("c"))
        inside.sfu.apply(CloseProducer("p"))
        assert (figures(speaker).packets_received, figures(speaker).bytes_received) == (1, 10)
        assert (figures(listener).packets_sent, figures(listener).bytes_sent) == (1, 10)
        part(speaker, listener)

    run(scenario)


# -- reports -----------------------------------------------------------------------------------------------------------
def test_every_transport_has_its_turn_once_in_a_period_and_a_large_room_in_parts():
    async def scenario(inside: Inside) -> None:
        statistics = Statistics(inside.sfu)
        statistics.start()
        for router, count in (("large", 2 * PART + 1), ("small", 3)):
            for number in range(count):
                name = f"{router}-{number}"
                inside.sfu.apply(OpenTransport(router, "seat", name, name, "password"))
        for _ in range(2):
            await inside.pass_time(PERIOD)  # to the round's beginning
            for _ in range(2):
                await inside.pass_time(PERIOD / 3)
            parts = [{router: len(each) for router, each in report.rooms.items()} for report in inside.reports]
            assert parts == [{"large": 1, "small": 3}, {"large": PART}, {"large": PART}]
            rooms = [room for report in inside.reports for room in report.rooms.values()]
            assert sorted(each.transport_id for room in rooms for each in room) == sorted(inside.sfu.transports)
            inside.reports.clear()
        await inside.pass_time(PERIOD)
        for name in list(inside.sfu.transports):
            inside.sfu.apply(CloseTransport(name))
        inside.reports.clear()
        for _ in range(20):
            await inside.pass_time(PERIOD)
        assert inside.reports == []
        statistics.close()

    run(scenario)


def test_a_report_that_fails_costs_no_later_one(caplog):
    async def scenario(inside: Inside) -> None:
        statistics = Statistics(inside.sfu)
        statistics.start()
        for number in range(PART + 1):
            name = f"t{number}"
            inside.sfu.apply(OpenTransport("room", "seat", name, name, "password"))
        inside.sfu.transports[f"t{PART}"].destination = b"no address"
        for turn in range(2):
            await inside.pass_time(PERIOD)  # the part of the last one, which fails
            assert not inside.reports
            await inside.pass_time(PERIOD / 2)
            assert [len(report.rooms["room"]) for report in inside.reports] == [PART]
            inside.reports.clear()
            assert len(caplog.records) == turn + 1
        caplog.clear()
        statistics.close()

    run(scenario)


class Session:
    """Somebody talks and somebody listens; `loss` is the share that is lost on either way, `delay` (s) the way back's.

    Every second packet is 10 ms late on a lossy way.
    """

    def __init__(self, worker: Worker, number: int, loss: float, delay: float) -> None:
        self.talker, self.listener = Peer(worker, f"talker-{number}"), Peer(worker, f"listener-{number}")
        self.ssrc, self.loss, self.delay = number, loss, delay
        self.chance = Random(number)
        self.sent = self.lost_before = self.lost_after = 0

    async def begin(self, nursery: trio.Nursery) -> None:
        for peer in (self.talker, self.listener):
            await peer.connect(nursery)
        add_consumer(self.listener, add_producer(self.talker, self.ssrc), 10 + self.ssrc)
        info = RtcpSenderInfo(ntp_timestamp=1000 << 32, rtp_timestamp=0, packet_count=0, octet_count=0)
        await self.talker.send(self.talker.dtls.protect_rtcp(rtcp.write_sender_report(self.ssrc, info)))

    async def talk(self, packets: int) -> None:
        for sequence in range(packets):
            if self.chance.random() < self.loss and 0 < sequence < packets - 1:
                self.lost_before += 1
                continue
            late = 480 if self.loss and sequence % 2 else 0
            packet = audio(self.ssrc, sequence)
            packet.timestamp = round(trio.current_time() * 48000 + late) & 0xFFFFFFFF
            await self.talker.say(packet)
            self.sent += 1
            await self.listener.news.until(lambda: len(self.listener.rtp) == self.sent)

    async def report(self) -> None:
        """The listener's report on what it has heard."""
        reception = Reception(10 + self.ssrc, 48000)
        for number, packet in enumerate(self.listener.rtp, 1):
            if self.chance.random() < self.loss and 1 < number < self.sent:
                self.lost_after += 1
            else:
                reception.count(
                    packet.sequence, packet.timestamp, packet.timestamp / 48000 + 0.005 * reception.received
                )
        self.listener.rtcp.clear()
        await self.listener.news.until(lambda: sender_reports(self.listener))
        await trio.sleep(self.delay)  # the way takes so long
        reception.note_sender_report(sender_reports(self.listener)[-1].sender_info.ntp_timestamp, trio.current_time())
        block = reception.report(trio.current_time())
        await self.listener.send(self.listener.dtls.protect_rtcp(rtcp.write_receiver_report(5, [block])))


def sender_reports(peer: Peer) -> list[RtcpSrPacket]:
    return [each for one in peer.rtcp for each in rtcp.parse(one) if isinstance(each, RtcpSrPacket)]


def latest(worker: Worker, peer: Peer):
    """The last figures told of a peer; none in the beginning."""
    told = [each for report in worker.having(StatisticsTaken) for each in report.rooms["room"]]
    return [each for each in told if each.transport_id == peer.id][-1:]


@pytest.mark.trio
async def test_a_session_with_known_losses_beside_one_without(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    clean, lossy = Session(worker, 1, loss=0, delay=0), Session(worker, 2, loss=0.25, delay=0.1)
    for session in (clean, lossy):
        await session.begin(nursery)
        await session.talk(100)
    async with trio.open_nursery() as reporting:
        for session in (clean, lossy):
            reporting.start_soon(session.report)

    def is_told(session: Session) -> bool:
        return any(each.round_trip is not None for each in latest(worker, session.listener))

    await worker.news.until(lambda: is_told(clean) and is_told(lossy))
    for session, jitter, round_trip in ((clean, 0, 0), (lossy, 10, 100)):
        [sending], [hearing] = latest(worker, session.talker), latest(worker, session.listener)
        [producer], [consumer] = sending.producers, hearing.consumers
        assert producer.packets_received == consumer.packets_sent == session.sent
        assert producer.packets_lost == session.lost_before
        assert producer.jitter == pytest.approx(jitter, abs=4)
        assert producer.level == 5
        lost = session.lost_before + session.lost_after
        assert (consumer.packets_lost, consumer.fraction_lost) == (lost, pytest.approx(lost / 100, abs=0.005))
        assert consumer.jitter == pytest.approx(5, abs=1)
        assert consumer.round_trip == hearing.round_trip == pytest.approx(round_trip + 40, abs=40)
    assert (clean.lost_before, clean.lost_after) == (0, 0)
    assert lossy.lost_before > 10
    assert lossy.lost_after > 10
    nursery.cancel_scope.cancel()


# -- the bitrate of video ----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("media", "of_first", "of_second", "is_second_paused", "told_bitrate"),
    [
        (MediaKind.VIDEO, None, None, False, VIDEO_BITRATE),
        (MediaKind.VIDEO, 9_000_000, None, False, VIDEO_BITRATE),
        (MediaKind.VIDEO, 900_000, 300_000, False, 300_000),
        (MediaKind.VIDEO, 900_000, 300_000, True, 900_000),
        (MediaKind.AUDIO, None, None, False, None),
        (MediaKind.AUDIO, 9_000_000, 300_000, False, 300_000),
        (MediaKind.VIDEO, 900_000, 1, False, FLOOR),  # who means harm, or cannot take a video at all
        (MediaKind.AUDIO, 900_000, 1, False, FLOOR),
    ],
)
def test_a_sender_is_told_what_its_weakest_listener_can_take(
    media, of_first, of_second, is_second_paused, told_bitrate
):
    async def scenario(inside: Inside) -> None:
        speaker, first = open_session(inside, media)
        second = Client(inside)
        second.connect()
        inside.sfu.apply(AddConsumer(second.id, "d", "p", 12, "0", "someone", ()))
        inside.sfu.apply(ResumeConsumer("d"))
        for listener, ssrc, bitrate in ((first, 11, of_first), (second, 12, of_second)):
            if bitrate is not None:
                listener.send(listener.dtls.protect_rtcp(rtcp.write_remb(5, bitrate, [ssrc])))
        if is_second_paused:
            inside.sfu.apply(PauseConsumer("d"))
        await inside.pass_time(REPORT)
        remb = told(speaker, speaker.send(), Remb)
        assert remb == ([] if told_bitrate is None else [Remb(told_bitrate, (1,))])
        part(speaker, first, second)

    run(scenario)


@pytest.mark.parametrize(("media", "of_nobody"), [(MediaKind.VIDEO, [VIDEO_BITRATE]), (MediaKind.AUDIO, [])])
def test_what_a_listener_could_take_long_ago_holds_no_sender_down(media, of_nobody):
    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside, media)
        listener.send(listener.dtls.protect_rtcp(rtcp.write_remb(5, 300_000, [11])))

        async def told_after(seconds: float) -> list[int]:
            await inside.pass_time(seconds)
            return [remb.bitrate for remb in told(speaker, speaker.send(), Remb)]

        assert await told_after(FRESH_BITRATE - REPORT) == [300_000]
        assert await told_after(REPORT) == of_nobody
        part(speaker, listener)

    run(scenario)


@pytest.mark.parametrize(("media", "of_nobody"), [(MediaKind.VIDEO, [VIDEO_BITRATE]), (MediaKind.AUDIO, [])])
def test_what_a_listener_could_take_who_is_gone_holds_no_sender_down(media, of_nobody):
    async def scenario(inside: Inside) -> None:
        speaker, listener = open_session(inside, media)
        listener.send(listener.dtls.protect_rtcp(rtcp.write_remb(5, 300_000, [11])))
        inside.sfu.apply(CloseConsumer("c"))
        await inside.pass_time(REPORT)
        assert [remb.bitrate for remb in told(speaker, speaker.send(), Remb)] == of_nobody
        part(speaker, listener)

    run(scenario)


@pytest.mark.trio
async def test_the_servers_option_is_what_a_sender_of_video_is_told(nursery):
    config = parse(["--video-bitrate", "800k"], {})
    server_side = make_worker(attrs.evolve(config, port=0), 0, 0)
    worker = Worker()
    worker.process.arguments = server_side.make().arguments
    await nursery.start(worker.process.run)
    speaker = Peer(worker, "speaker")
    await speaker.connect(nursery)
    add_producer(speaker, 1, MediaKind.VIDEO)

    def limits() -> list[Remb]:
        return [packet for each in speaker.rtcp for packet in rtcp.parse(each) if isinstance(packet, Remb)]

    await speaker.news.until(limits)
    assert limits()[0] == Remb(800_000, (1,))
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("given", "bitrate"),
    [("1.5M", 1_500_000), ("800k", 800_000), ("1500000", 1_500_000), (64_000, 64_000), ("0.1M", 100_000)],
)
def test_bitrates_are_written_with_or_without_a_unit(given, bitrate):
    assert Config(video_bitrate=given).video_bitrate == bitrate


@pytest.mark.parametrize("given", ["", "k", "much", "-1M", "49k", "1G", "101M", "nan", "inf", "infM", True, None, [1]])
def test_what_is_no_bitrate_is_refused(given):
    with pytest.raises(ValueError, match="bits per second"):
        Config(video_bitrate=given)
    with pytest.raises(ConfigError, match="command line: video-bitrate = "):
        parse([f"--video-bitrate={given}"], {})
