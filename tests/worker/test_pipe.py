"""A room over two workers: what one hears, the other's listeners hear, and what they ask for comes back."""

from collections.abc import Awaitable, Callable

import pytest

from media.inside import Client, Inside, run
from media_peer import audio, video, write_nack
from palaver_media import rtcp, rtp
from palaver_media.rtcp import KeyframeRequest, Nack, Remb
from palaver_media.rtp import AUDIO_LEVEL, MID, RtpPacket
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    CloseConsumers,
    CloseProducer,
    CloseRouter,
    CloseSeat,
    MediaKind,
    OpenPipe,
    ResumeConsumer,
    SpeakersChanged,
    Speaking,
)
from palaver_worker.pipe import address_of
from palaver_worker.port import bind
from palaver_worker.reports import REPORT
from palaver_worker.sockaddr import IPV4_SIZE, IPV6_SIZE, pack, unpack
from palaver_worker.speakers import INTERVAL, ONSET
from palaver_worker.video_producer import KEYFRAME_THROTTLE

THERE, BACK = "11" * 28, "22" * 28  # keys
IDS = {4: MID, 3: AUDIO_LEVEL}  # a browser's extensions


class Pair:
    """Two forwarding units with a pipe, a speaker at the one and a listener at the other."""

    def __init__(self, near: Inside, far: Inside) -> None:
        self.near, self.far = near, far
        self.open("pipe")
        self.speaker, self.listener = Client(near, "ann"), Client(far, "bob")
        self.speaker.connect()
        self.listener.connect()

    def open(self, name: str) -> None:
        self.near.sfu.apply(OpenPipe(name, *self.far.address, inbound=BACK, outbound=THERE))
        self.far.sfu.apply(OpenPipe(name, *self.near.address, inbound=THERE, outbound=BACK))

    def talk(self, name: str, kind: MediaKind, ssrc: int, payload_types: dict[int, int]) -> None:
        """A track of the speaker's, that the listener consumes."""
        near, far = self.near.sfu, self.far.sfu
        router = {new: new for new in payload_types.values()}
        ids = {new: new for new in IDS.values() if new != MID}
        rate = 48_000 if kind is MediaKind.AUDIO else 90_000
        near.apply(AddProducer(self.speaker.id, name, kind, rate, ssrc, payload_types, IDS))
        near.apply(AddConsumer("pipe", f"{name}>1", name, 1_000 + ssrc, "", "cname", tuple(ids)))
        near.apply(ResumeConsumer(f"{name}>1"))
        far.apply(AddProducer("pipe", name, kind, rate, 1_000 + ssrc, router, ids, router="room", seat="ann"))
        far.apply(AddConsumer(self.listener.id, f"{name}-c", name, 10 + ssrc, "7", "cname", tuple(IDS.values())))
        far.apply(ResumeConsumer(f"{name}-c"))

    def send(self, packet: RtpPacket) -> list[RtpPacket]:
        self.speaker.send(self.speaker.dtls.protect_rtp(packet.write()))
        return self.hear()

    def hear(self) -> list[RtpPacket]:
        return [rtp.parse(self.listener.dtls.unprotect_rtp(each)) for each in self.listener.send() if is_media(each)]

    def answer(self, compound: bytes) -> list[int]:
        """An RTCP compound of the listener's, and the numbers of what is sent for it."""
        came = self.listener.send(self.listener.dtls.protect_rtcp(compound))
        self.near.port.drain(lambda: None)
        return [int.from_bytes(each[2:4], "big") for each in came if is_media(each)]

    def told(self) -> list[object]:
        """What the speaker is told by RTCP."""
        compounds = [self.speaker.dtls.unprotect_rtcp(each) for each in self.speaker.send() if not is_media(each)]
        return [packet for each in compounds for packet in rtcp.parse(each)]


def is_media(datagram: bytes) -> bool:
    return 128 <= datagram[0] <= 191 and not rtp.is_rtcp(datagram)


def run_pair(scenario: Callable[[Pair], Awaitable[None]]) -> None:
    """Run it with each core."""

    async def whole(near: Inside) -> None:
        with await bind("127.0.0.1", 0) as udp:
            far = Inside(near.loop, udp, type(near.port.fanout))
            pair = Pair(near, far)
            await scenario(pair)
            far.sfu.close()
            assert not far.sfu.pipes
            assert not far.sfu.producers
            assert not far.sfu.consumers
            assert not far.port.by_address
            for each in far.sockets:
                each.close()

    run(whole)


def test_a_voice_is_heard_at_the_other_worker_with_its_level():
    async def scenario(pair: Pair) -> None:
        pair.talk("voice", MediaKind.AUDIO, 1, {111: 100})
        for sequence in range(60_000, 60_000 + ONSET):
            (packet,) = pair.send(audio(1, sequence))
            assert (packet.ssrc, packet.payload_type, packet.timestamp) == (11, 100, 960 * sequence)
            assert (packet.payload, packet.extensions) == (b"sound", {MID: b"7", AUDIO_LEVEL: b"\x85"})
        await pair.near.pass_time(INTERVAL)
        await pair.far.pass_time(INTERVAL)
        said = SpeakersChanged("room", (Speaking("voice", 5),))
        assert pair.near.reports[-1] == pair.far.reports[-1] == said
        assert not pair.near.port.dropped
        assert not pair.far.port.dropped

    run_pair(scenario)


def test_a_picture_is_asked_for_and_mended_across():
    async def scenario(pair: Pair) -> None:
        pair.talk("picture", MediaKind.VIDEO, 2, {96: 101})
        await pair.near.pass_time(0)
        pair.near.port.drain(lambda: None)
        await pair.near.pass_time(KEYFRAME_THROTTLE)
        assert KeyframeRequest(2) in pair.told()
        pair.send(video(2, 1, is_keyframe=True))
        pair.far.port.drain(lambda: None)
        (seen,) = pair.send(video(2, 2, is_keyframe=False))
        assert pair.answer(write_nack(12, [seen.sequence])) == [seen.sequence]
        pair.answer(rtcp.write_remb(5, 300_000, [12]))
        for _ in range(3):
            await pair.near.pass_time(REPORT)
            pair.far.port.drain(lambda: None)
            pair.near.port.drain(lambda: None)
        told = pair.told()
        assert [each.bitrate for each in told if isinstance(each, Remb)][-1] == 300_000
        assert not [each for each in told if isinstance(each, Nack)]

    run_pair(scenario)


def test_a_pipe_carries_on_what_clients_are_to_consume_no_more():
    async def scenario(pair: Pair) -> None:
        pair.talk("voice", MediaKind.AUDIO, 1, {111: 100})
        for sfu in (pair.near.sfu, pair.far.sfu):
            sfu.apply(CloseConsumers("voice"))
        assert (list(pair.near.sfu.consumers), list(pair.far.sfu.consumers)) == (["voice>1"], [])
        pair.far.sfu.apply(AddConsumer(pair.listener.id, "again", "voice", 99, "8", "cname", ()))
        pair.far.sfu.apply(ResumeConsumer("again"))
        assert [each.ssrc for each in pair.send(audio(1, 1))] == [99]

    run_pair(scenario)


@pytest.mark.parametrize("end", [CloseProducer("voice"), CloseRouter("room"), CloseSeat("room", "ann")])
def test_what_ends_leaves_nothing_on_either_side(end):
    async def scenario(pair: Pair) -> None:
        pair.talk("voice", MediaKind.AUDIO, 1, {111: 100})
        assert len(pair.send(audio(1, 1))) == 1
        pair.near.sfu.apply(end)
        assert not pair.near.sfu.producers
        assert not pair.near.sfu.consumers
        pair.far.sfu.apply(CloseProducer("voice") if isinstance(end, CloseSeat) else end)
        assert not pair.far.sfu.producers
        assert not pair.far.sfu.consumers
        assert [*pair.near.sfu.pipes, *pair.far.sfu.pipes] == ["pipe", "pipe"]

    run_pair(scenario)


def test_a_new_pipe_takes_the_place_of_an_older_one_to_the_same_address():
    async def scenario(pair: Pair) -> None:
        pair.talk("voice", MediaKind.AUDIO, 1, {111: 100})
        pair.open("pipe 2")
        assert [*pair.near.sfu.pipes, *pair.far.sfu.pipes] == ["pipe 2", "pipe 2"]
        assert pair.send(audio(1, 1)) == []
        pair.near.sfu.apply(AddConsumer("pipe 2", "again", "voice", 5, "", "cname", (AUDIO_LEVEL,)))
        pair.near.sfu.apply(ResumeConsumer("again"))
        rate, ids = 48_000, {AUDIO_LEVEL: AUDIO_LEVEL}
        pair.far.sfu.apply(
            AddProducer("pipe 2", "voice", MediaKind.AUDIO, rate, 5, {100: 100}, ids, router="room", seat="ann")
        )
        pair.far.sfu.apply(AddConsumer(pair.listener.id, "c2", "voice", 99, "8", "cname", ()))
        pair.far.sfu.apply(ResumeConsumer("c2"))
        assert [each.ssrc for each in pair.send(audio(1, 2))] == [99]

    run_pair(scenario)


def test_who_has_no_key_is_not_heard():
    async def scenario(pair: Pair) -> None:
        pair.talk("voice", MediaKind.AUDIO, 1, {111: 100})
        pair.far.sfu.apply(OpenPipe("pipe 2", *pair.near.address, inbound="33" * 28, outbound=BACK))
        pair.far.sfu.apply(
            AddProducer("pipe 2", "voice", MediaKind.AUDIO, 48_000, 1_001, {100: 100}, {}, router="room", seat="ann")
        )
        pair.send(audio(1, 1))
        assert pair.far.port.dropped["SrtpError"] == 1
        pair.speaker.socket.sendto(bytes([22]) * 40, pair.far.address)  # nor is there a handshake
        pair.far.port.drain(lambda: None)

    run_pair(scenario)


def test_an_address_is_written_as_the_socket_has_it():
    def reached(host: str, size: int) -> tuple[str, int]:
        return unpack(address_of(OpenPipe("p", host, 7, THERE, BACK), size))

    assert reached("127.0.0.1", IPV4_SIZE) == ("127.0.0.1", 7)
    assert reached("::1", IPV6_SIZE) == ("::1", 7)
    assert reached("127.0.0.1", IPV6_SIZE) == unpack(pack(("::ffff:127.0.0.1", 7)))
