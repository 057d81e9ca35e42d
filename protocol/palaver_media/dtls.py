"""DTLS-SRTP (RFC 5763, 5764) without I/O: datagrams in, datagrams out, then keys for SRTP.

DTLS 1.2, ECDHE-ECDSA with a P-256 certificate, either role. The certificate of the peer is checked against the
fingerprints that signalling brought, and nothing is protected or unprotected before that.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from aiortc.rtcdtlstransport import (
    SRTP_PROFILES,
    X509_DIGEST_ALGORITHMS,
    SRTPProtectionProfile,
    certificate_digest,
    generate_certificate,
)
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from .srtp import Session, SrtpError
from .worker_messages import DtlsRole, Fingerprint

if TYPE_CHECKING:
    from OpenSSL.crypto import X509

MTU: Final = 1200  # bytes of UDP payload
HELD: Final = 8  # datagrams kept until the role and the fingerprints are known
REPEATS: Final = 8  # times the last flight is sent again: twice what OpenSSL's back-off can ask for in 10 s
CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
    b"ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
_DTLS_1_2: Final = 0xFEFD
_RECORD_HEADER: Final = 13  # type, version, epoch, sequence number, length (RFC 6347, 4.1)
_HANDSHAKE_RECORD: Final = 22


class State(enum.Enum):
    """How far a `DtlsSrtp` is."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


class Failure(enum.Enum):
    """Why a handshake failed."""

    DTLS = "dtls"
    FINGERPRINT = "fingerprint"


class Certificate:
    """A self-signed P-256 certificate and the one SSL context that all its connections share."""

    def __init__(self, profiles: Iterable[SRTPProtectionProfile] = SRTP_PROFILES) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = generate_certificate(key)
        self.profiles = {profile.openssl_profile: profile for profile in profiles}
        self.fingerprint: str = certificate_digest(certificate, "sha-256")
        self.context = SSL.Context(SSL.DTLS_METHOD)
        self.context.set_min_proto_version(_DTLS_1_2)
        self.context.set_max_proto_version(_DTLS_1_2)
        self.context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_QUERY_MTU)
        self.context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Any certificate passes here: who it must be is known by fingerprint, and checked after the handshake.
        self.context.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, lambda *_: True)
        self.context.use_certificate(certificate)
        self.context.use_privatekey(key)
        self.context.set_cipher_list(CIPHERS)
        self.context.set_tlsext_use_srtp(b":".join(self.profiles))


class DtlsSrtp:
    """One DTLS-SRTP association.

    Give it what arrives (`receive`), send what `take` returns after every call, and call `handle_timeout` at
    `deadline`. Datagrams that come before `start` are held, the first few of them.
    """

    def __init__(self, certificate: Certificate) -> None:
        self.state = State.NEW
        self.failure: Failure | None = None
        self.profile = b""
        self._certificate = certificate
        self._role = DtlsRole.SERVER
        self._fingerprints: tuple[Fingerprint, ...] = ()
        self._held: list[bytes] = []
        self._ssl: SSL.Connection | None = None
        self._outgoing: list[bytes] = []
        self._last_flight: list[bytes] = []
        self._repeats = 0
        self._goodbye: list[bytes] = []
        self.inbound: Session | None = None  # from the end of the handshake to `close`
        self.outbound: Session | None = None

    def start(self, role: DtlsRole, fingerprints: Iterable[Fingerprint]) -> None:
        """Begin the handshake in our `role`; the peer's certificate must match every fingerprint we can compute."""
        if self.state is not State.NEW:
            return
        self.state = State.CONNECTING
        self._role = role
        self._fingerprints = tuple(fingerprints)
        self._ssl = SSL.Connection(self._certificate.context)
        self._ssl.set_ciphertext_mtu(MTU)
        if role is DtlsRole.CLIENT:
            self._ssl.set_connect_state()
            self._step(self._ssl)
        else:
            self._ssl.set_accept_state()
        held, self._held = self._held, []
        for datagram in held:
            self.receive(datagram)

    def receive(self, datagram: bytes) -> None:
        """Take a DTLS datagram (first byte 20-63); garbage is ignored or ends the handshake, but never raises."""
        if self.state is State.NEW:
            if len(self._held) < HELD:
                self._held.append(datagram)
        elif self._ssl is not None and datagram:
            self._ssl.bio_write(datagram)
            self._step(self._ssl)
        elif self.state is State.CONNECTED and datagram[:1] == bytes([_HANDSHAKE_RECORD]):
            self._repeat_last_flight()

    def take(self) -> list[bytes]:
        """The datagrams to send now, in order."""
        outgoing, self._outgoing = self._outgoing, []
        return outgoing

    def deadline(self) -> float | None:
        """When `handle_timeout` is due, on `time.monotonic`'s clock (s)."""
        left = None if self._ssl is None else self._ssl.DTLSv1_get_timeout()
        return None if left is None else time.monotonic() + left

    def handle_timeout(self) -> None:
        """Send the last flight again if nothing came back in time."""
        if self._ssl is None:
            return
        try:
            self._ssl.DTLSv1_handle_timeout()
        except SSL.Error:
            self._fail(Failure.DTLS)
        else:
            self._outgoing += _flush(self._ssl)

    def close(self) -> None:
        """Use the keys no more, and say close_notify if there is a connection."""
        if self.state in (State.NEW, State.CONNECTING, State.CONNECTED):
            self._outgoing += self._goodbye
            self.state = State.CLOSED
        self._held = []
        self._ssl = self.inbound = self.outbound = None

    def protect_rtp(self, packet: bytes) -> bytes:
        """Encrypt and authenticate an RTP packet.

        A sequence number may be used again only for the very same bytes (a resend).

        Raises:
            SrtpError: it was not done, and the packet must not be sent.
        """
        return self._keyed(self.outbound).protect_rtp(packet)

    def protect_rtcp(self, packet: bytes) -> bytes:
        """Encrypt and authenticate an RTCP compound.

        Raises:
            SrtpError: it was not done, and the packet must not be sent.
        """
        return self._keyed(self.outbound).protect_rtcp(packet)

    def unprotect_rtp(self, packet: bytes) -> bytes:
        """The RTP packet in an SRTP packet.

        Raises:
            SrtpError: it is not authentic, or was here before.
        """
        return self._keyed(self.inbound).unprotect_rtp(packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The RTCP compound in an SRTCP packet.

        Raises:
            SrtpError: it is not authentic, or was here before.
        """
        return self._keyed(self.inbound).unprotect_rtcp(packet)

    def _keyed(self, session: Session | None) -> Session:
        if session is None:
            raise SrtpError(f"{self.state.value}: no keys")
        return session

    def _step(self, ssl: SSL.Connection) -> None:
        try:
            ssl.do_handshake()
        except SSL.WantReadError:
            self._outgoing += _flush(ssl)
        except SSL.Error:
            self._outgoing += _flush(ssl)  # the alert that says why
            self._fail(Failure.DTLS)
        else:
            self._finish(ssl)

    def _finish(self, ssl: SSL.Connection) -> None:
        last_flight = _flush(ssl)
        certificate = ssl.get_peer_certificate()  # not parsed any further: it is the peer's, and may be odd
        profile = self._certificate.profiles.get(ssl.get_selected_srtp_profile())
        failure = None
        if certificate is None or not _is_expected(certificate, self._fingerprints):
            failure = Failure.FINGERPRINT
        elif profile is None:
            failure = Failure.DTLS
        else:
            self._make_sessions(ssl, profile)
        self._goodbye = _say_goodbye(ssl)
        self._outgoing += last_flight
        if failure is not None:
            self._outgoing += self._goodbye
            self._fail(failure)
            return
        if self._role is DtlsRole.SERVER:  # only the server's last flight can be missing at the other side
            self._last_flight = last_flight
        self._ssl = None  # it holds 88 KiB, and all it could still say is said
        self.state = State.CONNECTED

    def _make_sessions(self, ssl: SSL.Connection, profile: SRTPProtectionProfile) -> None:
        size = 2 * (profile.key_length + profile.salt_length)
        material = ssl.export_keying_material(b"EXTRACTOR-dtls_srtp", size)  # RFC 5764, 4.2
        client, server = profile.get_key_and_salt(material, 0), profile.get_key_and_salt(material, 1)
        ours, theirs = (client, server) if self._role is DtlsRole.CLIENT else (server, client)
        self.profile = profile.openssl_profile
        self.inbound = Session(theirs, profile, is_inbound=True)
        self.outbound = Session(ours, profile, is_inbound=False)

    def _repeat_last_flight(self) -> None:
        """The peer repeats its flight, so it misses ours; the records as they were will do."""
        if self._repeats < REPEATS and self._last_flight:
            self._repeats += 1
            self._outgoing += self._last_flight

    def _fail(self, failure: Failure) -> None:
        self.state, self.failure = State.FAILED, failure
        self._ssl = self.inbound = self.outbound = None


def _is_expected(certificate: X509, fingerprints: Iterable[Fingerprint]) -> bool:
    """Whether there is a fingerprint we can compute, and all those match (RFC 8122, section 5)."""
    known = [each for each in fingerprints if each.algorithm.lower() in X509_DIGEST_ALGORITHMS]
    return bool(known) and all(
        certificate.digest(each.algorithm.lower().replace("-", "")).decode() == each.value.upper() for each in known
    )


def _say_goodbye(ssl: SSL.Connection) -> list[bytes]:
    """The close_notify, made while we can: it is sent when we close, long after the SSL object is gone."""
    try:
        ssl.shutdown()
    except SSL.Error:
        return []
    return _flush(ssl)


def _flush(ssl: SSL.Connection) -> list[bytes]:
    """What OpenSSL wants to send, as datagrams: whole records, as many as fit into one."""
    datagrams: list[bytes] = []
    for record in _records(ssl):
        if datagrams and len(datagrams[-1]) + len(record) <= MTU:
            datagrams[-1] += record
        else:
            datagrams.append(record)
    return datagrams


def _records(ssl: SSL.Connection) -> Iterator[bytes]:
    try:
        data = ssl.bio_read(65536)
    except SSL.WantReadError:
        return
    while data:
        size = _RECORD_HEADER + int.from_bytes(data[11:_RECORD_HEADER], "big")
        yield data[:size]
        data = data[size:]
