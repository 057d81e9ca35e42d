"""A client that means harm: what it can send over its own transport, with its own keys, and what it must not reach."""

import hashlib
import random
import socket
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from media.fuzz import REDUNDANT, RTCP, RTP, STUN, Mutations
from media.inside import CERTIFICATE, Client, Inside, connected, hear, run
from media_peer import audio, write_nack
from palaver_media import redundancy, rtp, stun
from palaver_media.dtls import Certificate, DtlsSrtp, State
from palaver_media.rtp import RtpPacket
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import (
    AddConsumer,
    CloseConsumer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
    TransportFailed,
)
from palaver_protocol.converter import read_request
from palaver_protocol.models import ConsumerId, Direction, Name, RoomId, TransportId, UserId
from palaver_server.room_effects import Effect, Order
from palaver_server.room_media import RoomMedia
from palaver_server.room_parts import Place
from palaver_server.seat import Seat, Transport
from palaver_worker.client_transport import CONNECT
from world import CAPABILITIES, OPUS

OTHER = {DtlsRole.CLIENT: DtlsRole.SERVER, DtlsRole.SERVER: DtlsRole.CLIENT}
IDS = {4: 1, 3: 10}  # of extensions: a browser's and the router's


def attack(scenario: Callable[[Inside], Awaitable[None]]) -> None:
    """Run a scenario; nothing may be raised past the unit."""

    async def whole(inside: Inside) -> None:
        problems: list[Any] = []
        inside.loop.set_exception_handler(lambda _, context: problems.append(context))
        await scenario(inside)
        assert not problems

    run(whole)


def connect(inside: Inside, media: MediaKind = MediaKind.AUDIO) -> tuple[Client, Client]:
    """A speaker whose track 1 a listener hears as 11."""
    speaker, listener = connected(inside)
    hear(inside, speaker, listener, 1, media, ids=IDS)
    return speaker, listener


def protect(client: Client, packet: bytes) -> bytes | None:
    """The packet with the client's keys, if libsrtp can be had to do it."""
    try:
        return client.dtls.protect_rtcp(packet) if rtp.is_rtcp(packet) else client.dtls.protect_rtp(packet)
    except (SrtpError, IndexError):
        return None


@pytest.mark.parametrize("media", MediaKind)
@pytest.mark.parametrize("count", [3_000, pytest.param(500_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_authentic_nonsense_costs_only_itself(media, count):
    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside, media)
        mutations = Mutations(4, RTP + RTCP)
        told = 0
        for each in range(count):
            packet = bytearray(mutations.make()[:1900])
            if rtp.is_rtcp(bytes(packet.ljust(2, b"\0"))):
                packet[4:8] = bytes(3) + bytes([1 + each % 8])  # few senders, or they are too many for the unit
            elif each % 3:
                packet[2:4], packet[8:12] = (each & 0xFFFF).to_bytes(2, "big"), bytes(3) + b"\1"  # no replay, and known
            client = speaker if each % 4 else listener
            if (datagram := protect(client, bytes(packet))) is not None:
                client.send(datagram)
                told += 1
            if each % 100 == 99:
                await inside.pass_time(1.1)
                speaker.check()
                listener.check()
        assert told > count / 2
        hear(inside, speaker, listener, 500)
        speaker.send(speaker.dtls.protect_rtp(audio(500, 1).write()))
        assert 510 in {rtp.peek_ssrc(each) for each in listener.send()}
        assert not [each for each in inside.reports if isinstance(each, TransportFailed)]

    attack(scenario)


def frame_of(payload: bytes) -> list[bytes]:
    """The frame in a payload with copies of earlier ones, if it is one."""
    try:
        return [redundancy.parse(111, 0, payload).primary]
    except ValueError:
        return []


@pytest.mark.parametrize("takes", [(), (rtp.RED,)])
@pytest.mark.parametrize("count", [3_000, pytest.param(500_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
def test_nonsense_in_place_of_copies_goes_to_nobody(takes, count):
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, types={111: rtp.OPUS, 63: rtp.RED}, takes=takes)
        times = 0
        for number, mutant in enumerate(Mutations(14, REDUNDANT).take(count)):
            payload = mutant[:1300]
            packet = RtpPacket(63, number & 0xFFFF, 960 * number & 0xFFFF_FFFF, 1, payload)
            speaker.send(speaker.dtls.protect_rtp(packet.write()))
            datagrams = [each for each in listener.receive() if not rtp.is_rtcp(each)]
            came = [rtp.parse(listener.dtls.unprotect_rtp(each)) for each in datagrams]
            if takes:
                heard = [redundancy.parse(rtp.OPUS, each.timestamp, each.payload).primary for each in came]
            else:
                heard = [each.payload for each in came]
            assert heard == frame_of(payload)
            times += len(heard)
            if number % 100 == 99:
                await inside.pass_time(1.1)
                speaker.check()
                listener.check()
        assert times > count / 10
        assert inside.port.dropped["ValueError"] == count - times

    attack(scenario)


@pytest.mark.parametrize("seed", range(20))
def test_a_sender_that_renumbers_its_packets_does_not_get_one_number_used_twice(seed):
    """A listener's numbers are SRTP packet indices: one that stands for two packets gives both away (RFC 3711, 9.1).

    SRTP and we count the cycles of 16-bit numbers, each by itself; half a cycle forward is one of them backward.
    """

    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside)
        dice = random.Random(seed)
        anchors = [dice.randrange(65536) for _ in range(3)]
        anchors += [each + 0x8000 for each in anchors]
        times = 0
        for _ in range(400):
            number = dice.choice(anchors) + dice.randrange(-2, 3) * dice.choice((1, 300))
            packet = audio(1, number, dice.randbytes(dice.choice((0, 20))))
            packet.payload_type = dice.choice((111, 111, 111, 77))  # the last was not negotiated
            if (datagram := protect(speaker, packet.write())) is None:
                continue
            speaker.send(datagram)
            for heard in listener.send():
                listener.dtls.unprotect_rtp(heard)  # which it refuses when the number was there before
                times += 1
            if dice.random() < 0.1:
                inside.sfu.apply(dice.choice((PauseConsumer, ResumeConsumer))("c1"))
        assert times > 0

    attack(scenario)


class OddCertificate(Certificate):
    """A certificate that OpenSSL takes and stricter parsers do not: of X.509 version 4, or with a negative serial."""

    def __init__(self, at: int, value: int) -> None:
        super().__init__()
        key = ec.generate_private_key(ec.SECP256R1())
        der = bytearray(generate_certificate(key).public_bytes(Encoding.DER))
        version = der.find(b"\xa0\x03\x02\x01\x02")
        der[version + at] = value
        with tempfile.NamedTemporaryFile() as file:  # the only way in for a certificate that cannot be parsed
            file.write(ssl.DER_cert_to_PEM_cert(bytes(der)).encode())
            file.flush()
            self.context.use_certificate_file(file.name)
        self.context.use_privatekey(key)
        self.fingerprint = hashlib.sha256(der).digest().hex(":").upper()


@pytest.mark.parametrize("role", DtlsRole)
@pytest.mark.parametrize(("at", "value"), [(4, 3), (4, 0), (4, 200), (7, 0x81)])
def test_an_odd_certificate_is_known_by_its_fingerprint_and_not_parsed(role, at, value):
    async def scenario(inside: Inside) -> None:
        client, odd = Client(inside), OddCertificate(at, value)
        client.dtls = DtlsSrtp(odd)
        inside.sfu.apply(ConnectTransport(client.id, OTHER[role], (Fingerprint("sha-256", odd.fingerprint),)))
        client.dtls.start(role, [Fingerprint("sha-256", CERTIFICATE.fingerprint)])
        check, _ = stun.make_request(f"{client.id}:us", "password", 1)
        heard = client.send(check, *client.dtls.take())
        for _ in range(5):
            for datagram in heard:
                if datagram[0] > 3:
                    client.dtls.receive(datagram)
            heard = client.send(*client.dtls.take())
        assert client.dtls.state is State.CONNECTED
        assert client.transport.is_connected

    attack(scenario)


def test_nacks_do_not_make_the_unit_send_without_end():
    """A datagram of NACKs asks for thousands of packets: no more go out again than went out for the first time."""

    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside)
        listener.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        everything = write_nack(11, range(1, 51)) * 50
        for first in (1, 11, 21):
            for sequence in range(first, first + 10):
                speaker.send(speaker.dtls.protect_rtp(audio(1, sequence).write()))
            listener.send()
            heard = [each for _ in range(10) for each in listener.send(listener.dtls.protect_rtcp(everything))]
            assert len(heard) == 10

    attack(scenario)


@pytest.mark.parametrize("count", [5_000, pytest.param(500_000, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_whatever_a_stranger_sends_is_counted_and_dropped_and_nothing_is_kept(count):
    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside)
        stranger = Client(inside)
        inside.sfu.close_transport(stranger.transport)  # of whom nothing is known any more
        tables = (inside.port.by_address, inside.port.by_ufrag, inside.sfu.transports)
        known = [dict(each) for each in tables]
        genuine = [speaker.dtls.protect_rtp(audio(1, 1).write()), *STUN, *RTP, *RTCP]
        for each, mutant in enumerate(Mutations(13, genuine).take(count), 1):
            assert stranger.send(mutant) == []
            assert sum(inside.port.dropped.values()) == each
        assert [dict(each) for each in tables] == known
        assert len(inside.port.dropped) < 5  # reasons
        assert listener.send() == []

    attack(scenario)


def test_clients_that_are_announced_and_never_come_are_forgotten_after_their_time():
    async def scenario(inside: Inside) -> None:
        for _ in range(100):
            Client(inside).accept(DtlsRole.SERVER)
        assert not [each for each in inside.sfu.transports.values() if each.dtls.state is not State.NEW]
        await inside.pass_time(CONNECT - 2)  # a busy machine needs some of that for the meeting
        assert len(inside.sfu.transports) == len(inside.port.by_ufrag) == 100
        await inside.pass_time(2.1)
        assert not inside.sfu.transports
        assert not inside.port.by_ufrag
        assert [each.reason for each in inside.reports if isinstance(each, TransportFailed)] == ["timeout"] * 100

    attack(scenario)


def test_a_forged_or_replayed_packet_reaches_nobody():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside)
        genuine = speaker.dtls.protect_rtp(audio(1, 1).write())
        speaker.send(genuine)
        assert len(listener.send()) == 1
        foreign = listener.dtls.protect_rtp(audio(1, 2).write())  # another's keys
        altered = [genuine[:at] + bytes([genuine[at] ^ 1]) + genuine[at + 1 :] for at in range(len(genuine))]
        speaker.send(genuine, foreign, *altered)
        assert listener.send() == []
        compound = listener.dtls.protect_rtcp(write_nack(11, [1]))
        foreign = speaker.dtls.protect_rtcp(write_nack(11, [1]))
        altered = [compound[:at] + bytes([compound[at] ^ 1]) + compound[at + 1 :] for at in range(len(compound))]
        assert len(listener.send(compound)) == 1
        assert listener.send(compound, foreign, *altered) == []

    attack(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_the_servers_own_names_give_every_consumer_a_new_ssrc(seed):
    """However tracks come and go: what a listener hears was never heard before, and nothing is refused."""

    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        dice = random.Random(seed)

        def carry_out(effect: Effect) -> None:
            assert isinstance(effect, Order)
            inside.sfu.apply(effect.command)

        media = RoomMedia(RoomId("room"), {}, carry_out, spread_above=1)
        media.parts.add(0, Place(("127.0.0.1",), 1, CERTIFICATE.fingerprint))
        ann, bob = (Seat(UserId(name), Name(name), 1, name, "127.0.0.1", 0) for name in ("ann", "bob"))
        ann.transports[TransportId(speaker.id)] = Transport(Direction.SEND)
        bob.transports[TransportId(listener.id)] = Transport(Direction.RECEIVE)
        ask = cast(Any, read_request)
        heard: dict[int, str] = {}  # by SSRC, the consumer
        for sequence in range(1, 200):
            if not ann.producers or (len(ann.producers) < 4 and dice.random() < 0.2):
                ssrc = dice.choice(
                    [each for each in range(1, 6) if each not in {p.ssrc for p in ann.producers.values()}]
                )
                told = {**OPUS, "encodings": [{"ssrc": ssrc}]}
                payload = {"roomId": "room", "transportId": speaker.id, "kind": "audio", "rtpParameters": told}
                media.produce(ann, ask("produce", payload))
            producer, plan = dice.choice(list(ann.producers.items()))
            payload = {"roomId": "room", "producerId": producer, "rtpCapabilities": CAPABILITIES}
            consumer = media.consume(bob, ann, ask("consume", payload))
            assert consumer.id in inside.sfu.consumers
            media.resume(bob, ConsumerId(consumer.id))
            speaker.send(speaker.dtls.protect_rtp(audio(plan.ssrc, sequence).write()))
            for datagram in listener.send():
                packet = rtp.parse(listener.dtls.unprotect_rtp(datagram))
                assert heard.setdefault(packet.ssrc, consumer.id) == consumer.id
            if dice.random() < 0.2:
                media.close_producer(ann, producer)
                media.forget_producer([ann, bob], producer)
        assert len(heard) == 199

    attack(scenario)


def test_a_consumer_made_anew_never_has_an_ssrc_of_before():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connect(inside)
        heard = []
        for sequence in range(1, 6):
            inside.sfu.apply(CloseConsumer("c1"))
            for ssrc in (11, 12, 13):  # the first that is not spent is taken, and only that
                inside.sfu.apply(AddConsumer(listener.id, "c1", "p1", ssrc, "0", "someone", ()))
                if "c1" in inside.sfu.consumers:
                    break
            inside.sfu.apply(ResumeConsumer("c1"))
            speaker.send(speaker.dtls.protect_rtp(audio(1, sequence).write()))
            heard += [rtp.peek_ssrc(each) for each in listener.send()]
        assert heard == [12, 13]

    attack(scenario)
