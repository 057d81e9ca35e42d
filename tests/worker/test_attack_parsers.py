"""Mutated packets against every parser that strangers and clients can reach: nothing but the declared error comes."""

import binascii
import hashlib
import random
from collections.abc import Callable

import pytest

from media.fuzz import REDUNDANT, RTCP, RTP, STUN, Mutations
from palaver_media import redundancy, rtcp, rtp, stun
from palaver_media.dtls import HELD, Certificate, DtlsSrtp, State
from palaver_media.keyframes import starts_h264_keyframe, starts_vp8_keyframe
from palaver_media.rtcp import Reception
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, OPUS, RED
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import DtlsRole, Fingerprint
from palaver_worker.packet import Packet

FEW, MANY = 25_000, 2_000_000  # mutants for each parser: always, and with --long
LONG = [pytest.mark.long, pytest.mark.timeout(3600)]
SIZES = [FEW, pytest.param(MANY, marks=LONG)]
OURS, THEIRS = Certificate(), Certificate()
EXPECTED = {
    DtlsRole.CLIENT: Fingerprint("sha-256", OURS.fingerprint),
    DtlsRole.SERVER: Fingerprint("sha-256", THEIRS.fingerprint),
}
OTHER = {DtlsRole.CLIENT: DtlsRole.SERVER, DtlsRole.SERVER: DtlsRole.CLIENT}
PACKET, COMPOUND = RTP[0], RTCP[0]

# RFC 5769, section 2.4: a request with the long-term credential, whose user name is not ASCII
LONG_TERM = bytes.fromhex(
    "000100602112a44278ad3433c6ad72c029da412e"
    "00060012e3839ee38388e383aae38383e382afe382b90000"
    "0015001c662f2f3439396b39353464364f4c33346f4c394653547679363473410014000b6578616d706c652e6f726700"
    "00080014f67024656dd64a3e02b8e0712e85c9a28ca89666"
)


def test_the_long_term_request_of_rfc_5769():
    name = "マトリックス"
    message = stun.parse(LONG_TERM)
    assert message.username == name
    key = hashlib.md5(f"{name}:example.org:TheMatrIX".encode(), usedforsecurity=False).digest()
    assert message.is_signed(key)
    assert not message.is_request("TheMatrIX")  # a short-term password signs otherwise


def accepted(read: Callable[[bytes], object], packets: tuple[bytes, ...], count: int) -> int:
    """How many mutants a parser takes; what it does not take must be a ValueError."""
    taken = 0
    for mutant in Mutations(len(packets), packets).take(count):
        try:
            read(mutant)
        except ValueError:
            continue
        taken += 1
    return taken


@pytest.mark.parametrize("count", SIZES)
def test_stun(count):
    def read(data: bytes) -> None:
        message = stun.parse(data)
        assert isinstance(message.nominates, bool)
        assert not message.is_answer(bytes(12), "password")
        if message.is_request("password"):
            stun.parse(stun.make_answer(message, ("192.0.2.1", 5), "password"))
        assert message.username

    assert 0 < accepted(read, STUN, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_signed_stun(count):
    """Mutants with the right fingerprint and length, as one who knows the password can make them."""

    def read(data: bytes) -> None:
        data = data.ljust(20, b"\0")
        data = data[:2] + (len(data) - 12).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + data[8:]
        stun.parse(data + b"\x80\x28\0\4" + (binascii.crc32(data) ^ 0x5354554E).to_bytes(4, "big"))

    unsigned = tuple(each[:-8] for each in STUN if len(each) > 20)  # without their FINGERPRINT
    assert 0 < accepted(read, unsigned, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_rtp(count):
    def read(data: bytes) -> None:
        packet = rtp.parse(data)
        again = rtp.parse(packet.write())
        assert (again.body, again.sequence, again.csrcs) == (packet.body, packet.sequence, packet.csrcs)

    assert 0 < accepted(read, RTP, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_rtp_in_the_worker(count):
    def read(data: bytes) -> None:
        packet = Packet(data, {4: MID, 3: AUDIO_LEVEL, 1: ABS_SEND_TIME}, 5.0)
        assert rtp.read_extensions(rtp.ONE_BYTE, packet.elements).keys() <= {AUDIO_LEVEL, ABS_SEND_TIME}
        assert packet.body.startswith(packet.payload)
        assert packet.level is None or -127 <= packet.level <= 0
        starts_vp8_keyframe(packet.payload)
        starts_h264_keyframe(packet.payload)

    assert 0 < accepted(read, RTP, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_rtp_extensions(count):
    blocks = tuple(rtp.write_extensions({MID: b"0", 3: b"\x85", 7: bytes(size)}) + b"\0\0" for size in (1, 16))

    def read(block: bytes) -> None:
        for profile in (0xBEDE, 0x1000):
            elements = rtp.read_extensions(profile, block)
            assert sum(len(each) for each in elements.values()) <= len(block)

    assert 0 < accepted(read, blocks, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_redundancy(count):
    def read(payload: bytes) -> None:
        found = redundancy.parse(111, 48_000, payload)
        assert payload.endswith(found.primary)
        assert len(found.copies) <= redundancy.MOST
        assert 0 < len(found.primary) < len(payload) - sum(len(copy) for _, copy in found.copies)
        assert redundancy.parse(111, 48_000, redundancy.write(111, 48_000, found.primary, found.copies)) == found

    assert 0 < accepted(read, REDUNDANT, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_redundancy_in_the_worker(count):
    def read(payload: bytes) -> None:
        renumbered, start = redundancy.renumber(payload, {111: OPUS, 63: RED}, OPUS)
        assert (len(renumbered), renumbered[start:]) == (len(payload), payload[start:])
        assert redundancy.parse(OPUS, 48_000, renumbered) == redundancy.parse(111, 48_000, payload)

    assert 0 < accepted(read, REDUNDANT, count) < count


@pytest.mark.parametrize("count", SIZES)
def test_rtcp(count):
    reception = Reception(1, 48000)

    def read(data: bytes) -> None:
        for packet in rtcp.parse(data):
            match packet:
                case rtcp.RtcpSrPacket(ssrc=ssrc, sender_info=info, reports=reports):
                    reception.note_sender_report(info.ntp_timestamp, 5.0)
                    rtcp.write_sender_report(ssrc, info, reports)
                    rtcp.write_receiver_report(1, [reception.report(6.0)])
                    for each in reports:
                        rtcp.round_trip(each, rtcp.to_ntp(7.0))
                case rtcp.Remb(bitrate, ssrcs):
                    rtcp.write_remb(1, bitrate, ssrcs)
                case rtcp.Nack(_, lost):
                    assert all(0 <= each <= 0xFFFF for each in lost)
                case _:
                    continue

    assert 0 < accepted(read, RTCP, count) < count


# DTLS-SRTP in both roles and every state


def flights() -> list[tuple[DtlsRole, bytes]]:
    """The datagrams of one handshake, and who sent each."""
    ends = {DtlsRole.CLIENT: DtlsSrtp(OURS), DtlsRole.SERVER: DtlsSrtp(THEIRS)}
    for role, end in ends.items():
        end.start(role, [EXPECTED[OTHER[role]]])
    said: list[tuple[DtlsRole, bytes]] = []
    while fresh := [(role, datagram) for role, end in ends.items() for datagram in end.take()]:
        for role, datagram in fresh:
            ends[OTHER[role]].receive(datagram)
        said += fresh
    assert {end.state for end in ends.values()} == {State.CONNECTED}
    return said


def attack(role: DtlsRole, steps: int, mutants: list[bytes], dice: random.Random) -> DtlsSrtp:
    """One end of a handshake that hears mutants among its peer's first `steps` datagrams; the other hears none."""
    certificates = {DtlsRole.CLIENT: OURS, DtlsRole.SERVER: THEIRS}
    victim, peer = DtlsSrtp(certificates[role]), DtlsSrtp(certificates[OTHER[role]])
    if dice.random() < 0.9:
        victim.start(role, [EXPECTED[OTHER[role]]])
    peer.start(OTHER[role], [EXPECTED[role]])
    waiting = list(mutants)
    for _ in range(steps):
        said = victim.take()
        for datagram in said:
            peer.receive(datagram)
        for datagram in peer.take():
            if waiting and dice.random() < 0.5:
                victim.receive(waiting.pop())
            victim.receive(datagram)
    for mutant in waiting:
        victim.receive(mutant)
    victim.handle_timeout()
    assert len(victim._held) <= HELD
    assert len(b"".join(victim.take())) < 30_000
    if victim.state is State.CONNECTED and peer.state is State.CONNECTED:
        assert victim.unprotect_rtp(peer.protect_rtp(PACKET)) == PACKET
    return victim


@pytest.mark.parametrize("count", [6_000, pytest.param(1_000_000, marks=LONG)])
@pytest.mark.parametrize("role", DtlsRole)
def test_dtls(role, count):
    """A handshake that goes wrong fails, one that does not gives keys, and nothing is raised."""
    dice = random.Random(1)
    said = flights()
    mutations = Mutations(2, [datagram for _, datagram in said])
    seen: set[State] = set()
    while count > 0:
        mutants = [mutations.make() for _ in range(dice.choice((1, 3, 20)))]
        count -= len(mutants)
        victim = attack(role, dice.randrange(5), mutants, dice)
        seen.add(victim.state)
        victim.close()
        for mutant in mutants:
            victim.receive(mutant)
        with pytest.raises(SrtpError):
            victim.protect_rtp(PACKET)
    assert seen == {State.NEW, State.CONNECTING, State.CONNECTED, State.FAILED}


@pytest.mark.parametrize("count", SIZES)
def test_srtp(count):
    """Nothing that was changed passes, and what was not changed passes once."""
    ends = {DtlsRole.CLIENT: DtlsSrtp(OURS), DtlsRole.SERVER: DtlsSrtp(THEIRS)}
    for role, end in ends.items():
        end.start(role, [EXPECTED[OTHER[role]]])
    client, server = ends[DtlsRole.CLIENT], ends[DtlsRole.SERVER]
    while (ours := client.take()) + (theirs := server.take()):
        for datagram in ours:
            server.receive(datagram)
        for datagram in theirs:
            client.receive(datagram)
    genuine = (client.protect_rtp(PACKET), client.protect_rtcp(COMPOUND))
    passed: list[bytes] = []
    for mutant in Mutations(3, genuine).take(count):
        for read in (server.unprotect_rtp, server.unprotect_rtcp):
            try:
                read(mutant)
            except SrtpError:
                continue
            passed.append(mutant)
    for read, protected, plain in zip(
        (server.unprotect_rtp, server.unprotect_rtcp), genuine, (PACKET, COMPOUND), strict=True
    ):
        if protected not in passed:
            passed.append(protected)
            assert read(protected) == plain
        with pytest.raises(SrtpError):
            read(protected)
    assert sorted(passed) == sorted(genuine)
