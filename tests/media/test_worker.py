"""The worker as a process: two clients over loopback, what it forwards, and what it does not."""

import struct

import pytest
import trio
from aioice.stun import Class, Message, Method, parse_message
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSrPacket

from media_peer import Peer, Worker, add_consumer, add_producer, audio, video, write_nack
from palaver_media import rtcp, stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.rtcp import KeyframeRequest, Remb
from palaver_media.rtp import AUDIO_LEVEL, MID
from palaver_media.worker_messages import (
    AddProducer,
    CloseConsumer,
    CloseProducer,
    CloseRouter,
    CloseSeat,
    CloseTransport,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
    SpeakersChanged,
    Speaking,
    TransportConnected,
    TransportFailed,
)

pytestmark = pytest.mark.trio

CLIENT_HELLO = DtlsSrtp(Certificate())
CLIENT_HELLO.start(DtlsRole.CLIENT, [])
STRAY = [
    *CLIENT_HELLO.take(),
    bytes.fromhex("15fefd000000000000000000020228"),  # a fatal alert
    bytes.fromhex("15fefd000000000000000000020100"),  # close_notify
    b"",
    b"\x7f",
    b"\x80",
    b"\x80\xc8",
    bytes(1400),
    b"\x16" * 100,
    b"\x80" * 100,
    b"\x90\xc9" + b"\xff" * 50,
    b"\0\1\0\0" + b"\x21\x12\xa4\x42" + bytes(12),
]


@pytest.fixture
async def worker(nursery):
    worker = Worker()
    await nursery.start(worker.process.run)
    return worker


@pytest.fixture
async def pair(worker, nursery):
    """Two connected clients, one in each DTLS role."""
    speaker, listener = Peer(worker, "speaker"), Peer(worker, "listener")
    await speaker.connect(nursery, DtlsRole.CLIENT)
    await listener.connect(nursery, DtlsRole.SERVER)
    return speaker, listener


async def say_until_heard(speaker, listener, ssrc, first=1):
    """Keep talking until something is heard: the proof that all commands so far have been applied."""
    count = len(listener.rtp)
    for sequence in range(first, first + 100):
        await speaker.say(audio(ssrc, sequence))
        with trio.move_on_after(0.2):
            await listener.news.until(lambda: len(listener.rtp) > count)
            return sequence
    raise AssertionError("nothing was heard")


@pytest.mark.parametrize("role", DtlsRole)
async def test_audio_both_ways_in_both_roles(worker, nursery, role):
    peers = [Peer(worker, "a"), Peer(worker, "b")]
    for peer in peers:
        await peer.connect(nursery, role)
        await worker.wait(TransportConnected("room", peer.id))
    for ssrc, (speaker, listener) in enumerate([peers, peers[::-1]], 100):
        add_consumer(listener, add_producer(speaker, ssrc), ssrc + 1000, mid="7")
        for sequence in range(500, 510):
            await speaker.say(audio(ssrc, sequence))
        await listener.news.until(lambda heard=listener.rtp: len(heard) == 10)
        for number, packet in enumerate(listener.rtp, 500):
            assert (packet.ssrc, packet.payload_type, packet.sequence) == (ssrc + 1000, 100, number)
            assert packet.timestamp == 960 * number
            assert packet.extensions == {MID: b"7", AUDIO_LEVEL: b"\x85"}
            assert packet.payload == b"sound"


async def test_a_late_listener_hears_who_talks_already(worker, nursery, pair):
    speaker, listener = pair
    producer = add_producer(speaker, 1)
    add_consumer(listener, producer, 11)
    last = await say_until_heard(speaker, listener, 1)
    late = Peer(worker, "late")
    await late.connect(nursery)
    add_consumer(late, producer, 21)
    await say_until_heard(speaker, late, 1, last + 1)
    assert late.rtp[0].ssrc == 21


async def test_a_stream_that_is_joined_late_starts_below_the_wrap(pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    await speaker.say(audio(1, 65530))
    await listener.news.until(lambda: listener.rtp)
    assert listener.rtp[0].sequence == 65530 & 0x7FFF


async def test_a_pause_leaves_no_gap_and_late_packets_from_before_it_are_dropped(worker, pair):
    speaker, listener = pair
    consumer = add_consumer(listener, add_producer(speaker, 1), 11)
    add_consumer(listener, "producer-1", 12)  # not paused: tells when all has passed
    for sequence in (1, 2, 4):
        await speaker.say(audio(1, sequence))
    await listener.news.until(lambda: len(listener.rtp) == 6)
    worker.tell(PauseConsumer(consumer))
    for sequence in (5, 6, 7, 9):
        await speaker.say(audio(1, sequence))
    await listener.news.until(lambda: len(listener.rtp) == 10)
    worker.tell(ResumeConsumer(consumer))
    for sequence in (10, 8, 3, 12, 11):
        await speaker.say(audio(1, sequence))
    await listener.news.until(lambda: len([each for each in listener.rtp if each.ssrc == 12]) == 12)
    heard = [(each.sequence, each.timestamp // 960) for each in listener.rtp if each.ssrc == 11]
    assert heard == [(1, 1), (2, 2), (4, 4), (5, 10), (7, 12), (6, 11)]


async def test_a_nack_is_answered_from_the_ring_with_the_very_same_bytes(worker, pair):
    speaker, listener = pair
    consumer = add_consumer(listener, add_producer(speaker, 1), 11)
    for sequence in range(1, 6):
        await speaker.say(audio(1, sequence, bytes([sequence])))
    await listener.news.until(lambda: len(listener.raw) == 5)
    worker.tell(PauseConsumer(consumer), ResumeConsumer(consumer))
    await speaker.say(audio(1, 6))
    await listener.news.until(lambda: len(listener.raw) == 6)
    for sequence in range(7, 11):
        await speaker.say(audio(1, sequence, bytes([sequence])))
    await listener.news.until(lambda: len(listener.raw) == 10)
    sent, listener.raw[:] = list(listener.raw), []
    deaf, listener.dtls.unprotect_rtp = listener.dtls.unprotect_rtp, lambda _: audio(0, 0).write()
    nack = write_nack(11, [3, 8, 10, 60000])  # 3 is from before the pause: not resent, never mixed up
    await listener.send(listener.dtls.protect_rtcp(nack))
    await listener.news.until(lambda: len(listener.raw) == 2)
    listener.dtls.unprotect_rtp = deaf
    assert listener.raw == [sent[7], sent[9]]


async def test_what_was_not_negotiated_is_not_forwarded(pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    odd = audio(1, 1)
    odd.payload_type = 77
    await speaker.say(odd)
    await speaker.say(audio(2, 1))  # an SSRC nobody announced
    await speaker.say(audio(1, 2))
    await listener.news.until(lambda: listener.rtp)
    assert [each.timestamp for each in listener.rtp] == [1920]


async def test_a_replayed_packet_is_heard_once(pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    datagram = await speaker.say(audio(1, 1))
    await speaker.send(datagram)
    await speaker.send(datagram[:-1] + bytes([datagram[-1] ^ 1]))
    await speaker.say(audio(1, 2))
    await listener.news.until(lambda: len(listener.rtp) == 2)
    assert [each.sequence for each in listener.rtp] == [1, 2]


async def test_strangers_do_no_harm_to_a_running_call(worker, nursery, pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    stranger = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
    with stranger:
        await stranger.bind(("127.0.0.1", 0))
        packet = await speaker.say(audio(1, 1))
        for sequence in range(2, 52):
            for stray in STRAY:
                await stranger.sendto(stray, worker.address)
            await stranger.sendto(packet[:-1] + b"x", worker.address)
            await speaker.say(audio(1, sequence))
            await listener.news.until(lambda count=sequence: len(listener.rtp) == count)
        with trio.move_on_after(0.2) as silence:
            await stranger.recv(2048)
    assert silence.cancelled_caught  # nobody answered it
    assert not worker.having(TransportFailed)


async def test_garbage_from_a_validated_address_does_no_harm_after_the_handshake(worker, pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    for peer in pair:
        for stray in STRAY:
            await peer.send(stray)
    broken = struct.pack("!BBHII", 0xBF, 111, 1, 1, 1)  # authentic, but 15 CSRCs, padding and extension are missing
    await speaker.send(speaker.dtls.protect_rtcp(b"\x80\xc9\0\1\0\0\0\1\xff\xff\xff\xff"))
    with pytest.raises(Exception, match=r".*"):
        speaker.dtls.protect_rtp(broken)
    for sequence in range(1, 11):
        await speaker.say(audio(1, sequence))
    await listener.news.until(lambda: len(listener.rtp) == 10)
    assert not worker.having(TransportFailed)


async def test_media_before_ice_is_dropped(worker, nursery, pair):
    """Keys alone do not help: an address must have passed a check."""
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    await speaker.move(nursery)
    await speaker.say(audio(1, 1))
    await speaker.check()
    await speaker.say(audio(1, 2))
    await listener.news.until(lambda: listener.rtp)
    assert [each.sequence for each in listener.rtp] == [2]


async def test_a_moved_client_is_heard_over_both_its_addresses_and_spoken_to_at_the_new_one(nursery, pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    add_consumer(speaker, add_producer(listener, 2), 12)
    old = speaker.socket
    await speaker.move(nursery)
    await speaker.check()
    await old.sendto(speaker.dtls.protect_rtp(audio(1, 1).write()), speaker.worker.address)
    await speaker.say(audio(1, 2))
    await listener.news.until(lambda: len(listener.rtp) == 2)
    await listener.say(audio(2, 1))
    await speaker.news.until(lambda: speaker.rtp)
    assert speaker.sockets == [speaker.socket]


async def test_only_who_knows_the_password_is_answered(worker, nursery):
    peer = Peer(worker, "a")
    await peer.open(nursery)
    good, _ = stun.make_request(f"{peer.ufrag}:us", peer.password, 1)
    indication = Message(Method.BINDING, Class.INDICATION)
    for bad in (
        stun.make_request(f"{peer.ufrag}:us", "wrong", 1)[0],
        stun.make_request("nobody:us", peer.password, 1)[0],
        good[:-1] + bytes([good[-1] ^ 1]),
        bytes(indication),
        good[:30],
    ):
        await peer.send(bad)
    await peer.check()
    assert len(peer.answers) == 1
    assert parse_message(peer.answers[0]).attributes["XOR-MAPPED-ADDRESS"] == peer.socket.getsockname()


async def test_an_ice_restart_leads_to_a_new_network_and_disturbs_neither_keys_nor_media(worker, nursery, pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    add_consumer(speaker, add_producer(listener, 2), 12)
    await speaker.say(audio(1, 1))
    await listener.news.until(lambda: listener.rtp)
    old = speaker.restart()
    await speaker.check(old)  # those hold until the new ones have come
    await speaker.say(audio(1, 2))
    await speaker.move(nursery)
    await speaker.check()
    await speaker.say(audio(1, 3))
    await listener.news.until(lambda: len(listener.rtp) == 3)
    await listener.say(audio(2, 1))
    await speaker.news.until(lambda: speaker.rtp)
    assert speaker.sockets == [speaker.socket]
    assert [each.sequence for each in listener.rtp] == [1, 2, 3]
    assert len(worker.having(TransportConnected)) == 2
    assert not worker.having(TransportFailed)


async def test_after_an_ice_restart_the_old_credentials_are_dead(worker, nursery):
    peer = Peer(worker, "a")
    await peer.open(nursery)
    first = peer.ufrag, peer.password
    await peer.check()
    assert peer.restart() == first
    skipped = peer.restart()
    for mixed in ((peer.ufrag, first[1]), (first[0], peer.password), skipped):
        await peer.send(stun.make_request(f"{mixed[0]}:us", mixed[1], 1)[0])
    await peer.check(first)
    await peer.check()
    await peer.send(stun.make_request(f"{first[0]}:us", first[1], 1)[0])
    await peer.check()
    assert len(peer.answers) == 4
    worker.tell(CloseTransport("a"))
    await peer.send(stun.make_request(f"{peer.ufrag}:us", peer.password, 1)[0])
    other = Peer(worker, "b")
    await other.open(nursery)
    await other.check()  # answered after the closed one was not
    assert len(peer.answers) == 4


async def test_a_closed_transport_is_dead_and_says_goodbye(worker, nursery, pair):
    speaker, listener = pair
    worker.tell(CloseTransport("speaker"))
    request, _ = stun.make_request(f"{speaker.ufrag}:us", speaker.password, 1)
    await speaker.send(request)
    await listener.check()  # answered after the other was not
    assert len(speaker.answers) == 1


async def test_a_client_hello_before_the_fingerprints_is_held(worker, nursery):
    peer = Peer(worker, "a")
    await peer.open(nursery)
    await peer.check()
    await peer.handshake(DtlsRole.CLIENT)
    await peer.check()
    assert peer.dtls.state is State.CONNECTING
    peer.accept(DtlsRole.CLIENT)
    await worker.wait(TransportConnected("room", "a"))
    await peer.news.until(lambda: peer.dtls.state is State.CONNECTED)


async def test_as_dtls_client_the_worker_waits_for_an_address(worker, nursery):
    peer = Peer(worker, "a")
    await peer.open(nursery)
    peer.accept(DtlsRole.SERVER)
    await peer.handshake(DtlsRole.SERVER)
    await peer.check()
    await worker.wait(TransportConnected("room", "a"))


@pytest.mark.parametrize("role", DtlsRole)
async def test_a_wrong_certificate_passes_nothing_and_is_reported(worker, nursery, role):
    listener, impostor = Peer(worker, "listener"), Peer(worker, "impostor")
    await listener.connect(nursery)
    await impostor.open(nursery)
    impostor.accept(role, Fingerprint("sha-256", Certificate().fingerprint))
    add_consumer(listener, add_producer(impostor, 1), 11)
    await impostor.check()
    await impostor.handshake(role)
    await worker.wait(TransportFailed("room", "impostor", "fingerprint"))
    if impostor.dtls.state is State.CONNECTED:
        await impostor.say(audio(1, 1))
    await listener.check()
    assert not listener.rtp
    assert TransportConnected("room", "impostor") not in worker.reports


async def test_a_broken_handshake_is_reported(worker, nursery):
    peer = Peer(worker, "a")
    await peer.open(nursery)
    peer.accept(DtlsRole.CLIENT)
    await peer.check()
    await peer.send(bytes.fromhex("15fefd000000000000000000020228"))
    await worker.wait(TransportFailed("room", "a", "dtls"))


async def test_a_lost_flight_is_sent_again(worker, nursery):
    peer = Peer(worker, "a", is_deaf=True)
    await peer.open(nursery)
    peer.accept(DtlsRole.SERVER)
    await peer.check()
    await peer.handshake(DtlsRole.SERVER)
    await peer.check()
    peer.is_deaf = False
    await worker.wait(TransportConnected("room", "a"))


async def test_a_video_listener_gets_its_keyframe_asked_each_second_until_it_comes(worker, pair):
    speaker, listener = pair
    producer = add_producer(speaker, 1, MediaKind.VIDEO)

    def asked() -> int:
        return sum(rtcp.parse(each) == [KeyframeRequest(1)] for each in speaker.rtcp)

    consumer = add_consumer(listener, producer, 11)
    await speaker.say(video(1, 1, is_keyframe=False))
    await speaker.news.until(lambda: asked() == 2)
    await speaker.say(video(1, 2, is_keyframe=True))
    settled, seconds = asked(), len(reports(speaker, RtcpRrPacket))
    await speaker.news.until(lambda: len(reports(speaker, RtcpRrPacket)) == seconds + 2)  # one report a second
    assert asked() == settled
    for feedback in (rtcp.write_pli(1, 11), fir(11), rtcp.write_pli(1, 11)):
        await listener.send(listener.dtls.protect_rtcp(feedback))
    await speaker.news.until(lambda: asked() == settled + 1)
    await speaker.say(video(1, 3, is_keyframe=True))
    await listener.news.until(lambda: len(listener.rtp) == 3)
    worker.tell(PauseConsumer(consumer), ResumeConsumer(consumer))
    await speaker.news.until(lambda: asked() == settled + 2)


async def test_a_paused_video_stops_and_comes_back_with_a_keyframe(worker, pair):
    speaker, listener = pair
    consumer = add_consumer(listener, add_producer(speaker, 1, MediaKind.VIDEO), 11)

    def asked() -> int:
        return sum(rtcp.parse(each) == [KeyframeRequest(1)] for each in speaker.rtcp)

    await speaker.say(video(1, 1, is_keyframe=True))
    await listener.news.until(lambda: listener.rtp)
    worker.tell(PauseConsumer(consumer))
    await speaker.say(video(1, 2, is_keyframe=False))
    await speaker.say(video(1, 3, is_keyframe=True))
    await listener.check()  # answered after those were not forwarded
    before = asked()
    worker.tell(ResumeConsumer(consumer))
    await speaker.news.until(lambda: asked() == before + 1)
    await speaker.say(video(1, 4, is_keyframe=False))
    await speaker.news.until(lambda: asked() == before + 2)  # for no keyframe has come
    await speaker.say(video(1, 5, is_keyframe=True))
    await listener.news.until(lambda: len(listener.rtp) == 3)
    assert [(each.sequence, each.timestamp // 3000) for each in listener.rtp] == [(1, 1), (2, 4), (3, 5)]
    seconds = len(reports(speaker, RtcpRrPacket))
    await speaker.news.until(lambda: len(reports(speaker, RtcpRrPacket)) == seconds + 2)  # one report a second
    assert asked() == before + 2


async def test_who_speaks_is_reported_and_in_the_end_that_nobody_does(worker, pair):
    talker, other = pair
    add_producer(talker, 1)
    worker.tell(AddProducer("listener", "other-ids", MediaKind.AUDIO, 48000, 2, {111: 100}, {4: MID, 9: AUDIO_LEVEL}))
    worker.tell(AddProducer("listener", "no-level", MediaKind.AUDIO, 48000, 3, {111: 100}, {}))
    for sequence in range(1, 5):
        await other.say(audio(3, sequence))
        packet = audio(2, sequence)
        packet.extensions = {3: b"\x7f", 9: b"\x1e"}  # 30 dB below the loudest
        await other.say(packet)
        await talker.say(audio(1, sequence))
    both = SpeakersChanged("room", (Speaking("producer-1", 5), Speaking("other-ids", 30)))
    await worker.wait(both)
    await worker.wait(SpeakersChanged("room", ()))
    assert len(worker.having(SpeakersChanged)) <= 3  # the first may have been heard alone


def fir(ssrc: int) -> bytes:
    return struct.pack("!BBHIIIB3x", 0x84, 206, 4, 1, 0, ssrc, 1)


def reports(peer, kind):
    return [packet for each in peer.rtcp for packet in rtcp.parse(each) if isinstance(packet, kind)]


async def test_reports_reach_both_sides(pair):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    info = RtcpSenderInfo(ntp_timestamp=1000 << 32, rtp_timestamp=48000, packet_count=9, octet_count=9)
    await speaker.send(speaker.dtls.protect_rtcp(rtcp.write_sender_report(1, info)))
    for sequence in (1, 2, 4):
        await speaker.say(audio(1, sequence))
    await listener.send(listener.dtls.protect_rtcp(rtcp.write_remb(1, 300_000, [11])))
    await speaker.news.until(lambda: reports(speaker, Remb))
    assert reports(speaker, Remb)[0] == Remb(300_000, (1,))
    [block] = reports(speaker, RtcpRrPacket)[-1].reports
    assert isinstance(block, RtcpReceiverInfo)
    assert (block.ssrc, block.highest_sequence, block.packets_lost, block.lsr) == (1, 4, 1, 1000 << 16)
    assert 0 < block.dlsr < 2 * 65536
    await listener.news.until(lambda: reports(listener, RtcpSrPacket))
    sender = reports(listener, RtcpSrPacket)[-1]
    elapsed = (sender.sender_info.ntp_timestamp - (1000 << 32)) / (1 << 32)
    assert sender.ssrc == 11
    assert 0 < elapsed < 2
    assert sender.sender_info.rtp_timestamp == pytest.approx(48000 * (1 + elapsed), abs=2)
    assert (sender.sender_info.packet_count, sender.sender_info.octet_count) == (3, 15)
    assert reports(listener, RtcpSdesPacket)[-1].chunks[0].items == [(1, b"someone")]


@pytest.mark.parametrize(
    "close",
    [
        CloseConsumer("consumer-11"),
        CloseProducer("producer-1"),
        CloseTransport("speaker"),
        CloseSeat("room", "seat-speaker"),
        CloseRouter("room"),
    ],
)
async def test_what_is_closed_is_heard_no_more(worker, nursery, pair, close):
    speaker, listener = pair
    add_consumer(listener, add_producer(speaker, 1), 11)
    await speaker.say(audio(1, 1))
    await listener.news.until(lambda: listener.rtp)
    worker.tell(close, close)  # what is gone already does nothing
    await speaker.say(audio(1, 2))
    witness = Peer(worker, "witness")
    await witness.open(nursery)
    await witness.check()  # answered after all that
    assert len(listener.rtp) == 1


async def test_commands_about_what_is_gone_do_nothing(worker, pair):
    speaker, listener = pair
    ghost = Peer(worker, "ghost")
    ghost.accept(DtlsRole.CLIENT)
    add_consumer(listener, "producer-9", 9)
    add_consumer(ghost, add_producer(speaker, 1), 10)
    add_producer(ghost, 2)
    add_producer(speaker, 1)
    worker.tell(ConnectTransport("speaker", DtlsRole.SERVER, ()), PauseConsumer("none"), CloseSeat("none", "none"))
    add_consumer(listener, "producer-1", 11)
    await say_until_heard(speaker, listener, 1)


async def test_an_ssrc_is_not_used_twice_with_one_key(worker, pair):
    speaker, listener = pair
    consumer = add_consumer(listener, add_producer(speaker, 1), 11)
    await speaker.say(audio(1, 1))
    await listener.news.until(lambda: listener.rtp)
    worker.tell(CloseConsumer(consumer))
    add_consumer(listener, "producer-1", 11)
    add_consumer(listener, "producer-1", 12)
    await speaker.say(audio(1, 2))
    await listener.news.until(lambda: len(listener.rtp) == 2)
    assert [each.ssrc for each in listener.rtp] == [11, 12]
