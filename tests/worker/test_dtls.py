"""DTLS-SRTP: both roles, every profile, against ourselves and aiortc, with losses, strangers' bytes and wrong keys."""

import asyncio
import random
import time
from contextlib import asynccontextmanager

import pytest
from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import SRTP_PROFILES, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver_media.dtls import HELD, Certificate, DtlsSrtp, Failure, State
from palaver_media.srtp import MAX_PACKET, SrtpError
from palaver_media.worker_messages import DtlsRole, Fingerprint

RTP = bytes.fromhex("80640001000003e80000beef") + b"sound" * 20
RTCP = bytes.fromhex("80c9000100000001")
OURS, THEIRS = Certificate(), Certificate()


def sha256(certificate: Certificate) -> Fingerprint:
    return Fingerprint("sha-256", certificate.fingerprint)


def pair(ours: Certificate = OURS, theirs: Certificate = THEIRS) -> tuple[DtlsSrtp, DtlsSrtp]:
    client, server = DtlsSrtp(ours), DtlsSrtp(theirs)
    client.start(DtlsRole.CLIENT, [sha256(theirs)])
    server.start(DtlsRole.SERVER, [sha256(ours)])
    return client, server


def exchange(client: DtlsSrtp, server: DtlsSrtp) -> None:
    while (from_client := client.take()) + (from_server := server.take()):
        for datagram in from_client:
            server.receive(datagram)
        for datagram in from_server:
            client.receive(datagram)


def assert_talks(one: DtlsSrtp, other: DtlsSrtp) -> None:
    assert (one.state, other.state) == (State.CONNECTED, State.CONNECTED)
    for speaker, listener in ((one, other), (other, one)):
        assert listener.unprotect_rtp(speaker.protect_rtp(RTP)) == RTP
        assert listener.unprotect_rtcp(speaker.protect_rtcp(RTCP)) == RTCP


@pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda profile: profile.openssl_profile.decode())
def test_each_profile_carries_media_both_ways(profile):
    client, server = pair(Certificate([profile]), THEIRS)
    exchange(client, server)
    assert client.profile == server.profile == profile.openssl_profile
    assert_talks(client, server)


def test_the_strongest_profile_is_taken():
    client, server = pair()
    exchange(client, server)
    assert server.profile == b"SRTP_AEAD_AES_256_GCM"


def test_without_a_common_profile_the_handshake_fails():
    by_name = {profile.openssl_profile: profile for profile in SRTP_PROFILES}
    client, server = pair(
        Certificate([by_name[b"SRTP_AEAD_AES_128_GCM"]]), Certificate([by_name[b"SRTP_AES128_CM_SHA1_80"]])
    )
    exchange(client, server)
    assert (client.failure, server.failure) == (Failure.DTLS, Failure.DTLS)


def test_a_client_hello_before_the_start_is_held():
    client, server = DtlsSrtp(OURS), DtlsSrtp(THEIRS)
    client.start(DtlsRole.CLIENT, [sha256(THEIRS)])
    for datagram in client.take():
        server.receive(datagram)
    for _ in range(100):
        server.receive(bytes(1200))
    assert len(server._held) == HELD
    assert server.state is State.NEW
    server.start(DtlsRole.SERVER, [sha256(OURS)])
    exchange(client, server)
    assert_talks(client, server)


@pytest.mark.parametrize("role", DtlsRole)
@pytest.mark.parametrize(
    "fingerprints",
    [
        (),
        (Fingerprint("sha-256", "AA:" * 31 + "AA"),),
        (Fingerprint("md5", "AA:" * 15 + "AA"),),
        (sha256(THEIRS), Fingerprint("sha-512", "AA:" * 63 + "AA")),
    ],
    ids=["none", "wrong", "unknown", "one of two wrong"],
)
def test_a_certificate_that_is_not_expected_gets_no_keys(role, fingerprints):
    ours, theirs = DtlsSrtp(OURS), DtlsSrtp(THEIRS)
    ours.start(role, fingerprints)
    theirs.start(DtlsRole.SERVER if role is DtlsRole.CLIENT else DtlsRole.CLIENT, [sha256(OURS)])
    exchange(ours, theirs)
    assert (ours.state, ours.failure) == (State.FAILED, Failure.FINGERPRINT)
    with pytest.raises(SrtpError):
        ours.protect_rtp(RTP)
    with pytest.raises(SrtpError):
        ours.unprotect_rtp(RTP)


class Wire:
    """What aiortc's DTLS transport wants of ICE, with our DTLS at the other end."""

    role = "controlling"

    def __init__(self, dtls: DtlsSrtp) -> None:
        self.dtls = dtls
        self.arrived: asyncio.Queue[bytes] = asyncio.Queue()
        self.pump()

    def pump(self) -> None:
        for datagram in self.dtls.take():
            self.arrived.put_nowait(datagram)

    async def _recv(self) -> bytes:
        return await self.arrived.get()

    async def _send(self, data: bytes) -> None:
        self.dtls.receive(data)
        self.pump()


@asynccontextmanager
async def aiortc_peer(role: str, algorithm: str = "sha-256"):
    """Our DTLS connected with an aiortc transport in this role, whose certificate we know by this hash."""
    certificate = RTCCertificate.generateCertificate()
    digests = {each.algorithm: each.value for each in certificate.getFingerprints()}
    dtls = DtlsSrtp(OURS)
    dtls.start(
        DtlsRole.SERVER if role == "client" else DtlsRole.CLIENT, [Fingerprint(algorithm, digests[algorithm.lower()])]
    )
    wire = Wire(dtls)
    transport = RTCDtlsTransport(wire, [certificate])
    transport._set_role(role)
    await asyncio.wait_for(transport.start(RTCDtlsParameters([RTCDtlsFingerprint("sha-256", OURS.fingerprint)])), 10)
    yield transport, dtls, wire
    await transport.stop()


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ["sha-256", "SHA-384", "sha-512"])
async def test_each_hash_is_enough(algorithm):
    async with aiortc_peer("client", algorithm) as (transport, dtls, _):
        assert (transport.state, dtls.state) == ("connected", State.CONNECTED)


@pytest.mark.asyncio
@pytest.mark.parametrize("role", ["client", "server"])
async def test_aiortc_connects_in_either_role(role):
    async with aiortc_peer(role) as (transport, dtls, _):
        assert (transport.state, dtls.state) == ("connected", State.CONNECTED)
        assert dtls.unprotect_rtp(transport._tx_srtp.protect(RTP)) == RTP
        assert transport._rx_srtp.unprotect(dtls.protect_rtp(RTP)) == RTP


@pytest.mark.asyncio
@pytest.mark.parametrize("role", ["client", "server"])
async def test_aiortc_hears_our_goodbye(role):
    async with aiortc_peer(role) as (transport, dtls, wire):
        closed = asyncio.Event()
        transport.on("statechange", closed.set)
        dtls.close()
        wire.pump()
        await asyncio.wait_for(closed.wait(), 10)
        assert transport.state == "closed"


def test_datagrams_hold_whole_records_and_fit():
    client, server = pair()
    [hello] = client.take()
    server.receive(hello)
    flight = server.take()
    assert all(len(datagram) <= 1200 for datagram in flight)
    for datagram in flight:
        while datagram:
            size = 13 + int.from_bytes(datagram[11:13], "big")
            assert len(datagram) >= size
            datagram = datagram[size:]


def test_lost_flights_are_sent_again():
    """Each datagram of the handshake lost once, and heavy random loss; all at once, for OpenSSL's clock is real."""
    links = [Link(lose_once=each) for each in range(4)] + [Link(loss=random.Random(seed)) for seed in range(4)]
    while unfinished := [link for link in links if not link.is_done()]:
        for link in unfinished:
            link.exchange()
        deadlines = [link.deadline() for link in unfinished if not link.is_done()]
        if deadlines:
            time.sleep(max(0.0, min(deadlines) - time.monotonic()))
        for link in unfinished:
            link.handle_timeouts()
    assert any(link.lost for link in links)
    for link in links:
        assert_talks(link.client, link.server)


class Link:
    """A client and a server with a bad path between them."""

    def __init__(self, lose_once: int = -1, loss: random.Random | None = None) -> None:
        self.client, self.server = pair()
        self.lose_once, self.loss = lose_once, loss
        self.carried = self.lost = 0

    def exchange(self) -> None:
        while (from_client := self.client.take()) + (from_server := self.server.take()):
            for datagram in filter(self.arrives, from_client):
                self.server.receive(datagram)
            for datagram in filter(self.arrives, from_server):
                self.client.receive(datagram)

    def arrives(self, _: bytes) -> bool:
        is_lost = self.carried == self.lose_once or (self.loss is not None and self.loss.random() < 0.15)
        self.carried += 1
        self.lost += is_lost
        return not is_lost

    def deadline(self) -> float:
        return min(each for end in (self.client, self.server) if (each := end.deadline()) is not None)

    def handle_timeouts(self) -> None:
        self.client.handle_timeout()
        self.server.handle_timeout()

    def is_done(self) -> bool:
        return {self.client.state, self.server.state} == {State.CONNECTED}


def test_the_last_flight_is_repeated_a_bounded_number_of_times():
    client, server = pair()
    for datagram in client.take():
        server.receive(datagram)
    for datagram in server.take():
        client.receive(datagram)
    final = client.take()
    for datagram in final:
        server.receive(datagram)
    lost = server.take()
    assert server.state is State.CONNECTED
    for datagram in final:
        server.receive(datagram)
    assert server.take() == lost
    for _ in range(1000):
        server.receive(final[0])
    assert len(server.take()) < 10 * len(lost)
    for datagram in lost:
        client.receive(datagram)
    assert_talks(client, server)


def test_closed_there_are_no_keys():
    client, server = pair()
    exchange(client, server)
    client.close()
    assert client.state is State.CLOSED
    for transform in (client.protect_rtp, client.protect_rtcp, client.unprotect_rtp, client.unprotect_rtcp):
        with pytest.raises(SrtpError):
            transform(RTP)
    assert client.deadline() is None
    client.handle_timeout()


def test_replayed_forged_and_overlong_packets_are_refused():
    client, server = pair()
    exchange(client, server)
    packet = client.protect_rtp(RTP)
    server.unprotect_rtp(packet)
    for bad in (packet, packet[:-1] + bytes([packet[-1] ^ 1]), b"", bytes(MAX_PACKET + 1)):
        with pytest.raises(SrtpError):
            server.unprotect_rtp(bad)
    with pytest.raises(SrtpError):
        client.protect_rtp(RTP + bytes(MAX_PACKET))


def test_a_resend_is_byte_for_byte_the_same():
    client, server = pair()
    exchange(client, server)
    assert client.protect_rtp(RTP) == client.protect_rtp(RTP)


def test_a_forgotten_sender_costs_nothing_and_may_be_unknown():
    client, server = pair()
    exchange(client, server)
    assert client.outbound is not None
    client.outbound.forget(0xBEEF)
    client.protect_rtp(RTP)
    client.outbound.forget(0xBEEF)


@given(st.lists(st.one_of(st.binary(max_size=80), st.integers(0, 200)), max_size=6), st.sampled_from(DtlsRole))
@settings(max_examples=200, deadline=None)
def test_garbage_never_raises(garbage, role):
    """Bytes of a stranger, and alerts, in every state; an integer flips a bit of a genuine flight."""
    client = DtlsSrtp(OURS)
    client.start(DtlsRole.CLIENT, [sha256(THEIRS)])
    genuine = client.take()[0]
    target = DtlsSrtp(THEIRS)
    if role is DtlsRole.SERVER:
        target.start(role, [sha256(OURS)])
    for each in garbage:
        if isinstance(each, int):
            bad = bytearray(genuine)
            bad[each % len(bad)] ^= 0x55
            each = bytes(bad)
        target.receive(each)
        target.handle_timeout()
        target.take()
    target.start(DtlsRole.CLIENT, [sha256(OURS)])
    target.receive(bytes.fromhex("15fefd000000000000000000020228"))
    assert target.state in (State.CONNECTING, State.FAILED)


def test_alerts_after_the_handshake_do_no_harm():
    client, server = pair()
    exchange(client, server)
    for target in (client, server):
        target.receive(bytes.fromhex("15fefd000000000000000000020228"))
        target.receive(bytes.fromhex("15fefd000000000000000000020100"))
    assert_talks(client, server)
