"""What a server tells its media worker, and what the worker reports.

The server makes every name (transports, ufrags, producers, consumers, SSRCs, mids), so commands need no answers.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

from attrs import frozen

from .codec import Codec


class DtlsRole(enum.Enum):
    """Which side of a DTLS handshake the receiver of the command plays."""

    CLIENT = "client"
    SERVER = "server"


class MediaKind(enum.Enum):
    """What a track carries."""

    AUDIO = "audio"
    VIDEO = "video"


@frozen
class Fingerprint:
    """A hash of a certificate (RFC 8122): `sha-256`, `sha-384` or `sha-512`, upper-case hex with colons."""

    algorithm: str
    value: str


@frozen
class OpenTransport:
    """Expect a client that knows this ufrag and password. STUN is answered from now on."""

    router: str
    seat: str
    transport: str
    ufrag: str
    password: str


@frozen
class RestartIce:
    """Expect the client with this ufrag and password too; once it has come with them, the old ones are dead."""

    transport: str
    ufrag: str
    password: str


@frozen
class ConnectTransport:
    """The client's certificate is one of these fingerprints; `role` is the worker's own."""

    transport: str
    role: DtlsRole
    fingerprints: tuple[Fingerprint, ...]


@frozen
class CloseTransport:
    """Forget a transport and what it carries. Its ufrag is dead."""

    transport: str


@frozen
class AddProducer:
    """A track that arrives on a transport.

    `payload_types` and `extensions` map the sender's numbers to the router's; others are dropped or cut out.
    `clock_rate` is in Hz.
    """

    transport: str
    producer: str
    media: MediaKind
    clock_rate: int
    ssrc: int
    payload_types: dict[int, int]
    extensions: dict[int, int]


@frozen
class CloseProducer:
    """Stop forwarding a track, and close its consumers."""

    producer: str


@frozen
class AddConsumer:
    """Forward a producer to a transport, at first paused.

    `extensions` are the router's header extension ids this listener understands.
    """

    transport: str
    consumer: str
    producer: str
    ssrc: int
    mid: str
    cname: str
    extensions: tuple[int, ...]


@frozen
class ResumeConsumer:
    """Forward from now on; video starts with a request for a keyframe."""

    consumer: str


@frozen
class PauseConsumer:
    """Forward no more for now."""

    consumer: str


@frozen
class CloseConsumer:
    """Forward no more."""

    consumer: str


@frozen
class CloseSeat:
    """Close all transports of one person in one room."""

    router: str
    seat: str


@frozen
class CloseRouter:
    """Close all transports of a room."""

    router: str


@frozen
class Ready:
    """The worker's first report: its UDP port, its certificate's SHA-256 fingerprint, and the core it forwards by."""

    port: int
    fingerprint: str
    core: str = "python"


@frozen
class Beat:
    """The process lives, with so many transports open; once a second."""

    transports: int = 0


@frozen
class TransportConnected:
    """DTLS is done: media can pass."""

    router: str
    transport: str


@frozen
class TransportFailed:
    """The transport is dead and forgotten: `fingerprint`, `dtls`, `consent` or `timeout`."""

    router: str
    transport: str
    reason: str


@frozen
class Speaking:
    """A producer that is spoken into; `level` is in -dBov: 0 is the loudest, 127 silence (RFC 6464)."""

    producer: str
    level: int


@frozen
class SpeakersChanged:
    """Who speaks in a room now, the loudest first; empty when everybody has fallen silent."""

    router: str
    speakers: tuple[Speaking, ...]


WorkerCommand: TypeAlias = (
    OpenTransport
    | RestartIce
    | ConnectTransport
    | CloseTransport
    | AddProducer
    | CloseProducer
    | AddConsumer
    | ResumeConsumer
    | PauseConsumer
    | CloseConsumer
    | CloseSeat
    | CloseRouter
)
WorkerReport: TypeAlias = Ready | Beat | TransportConnected | TransportFailed | SpeakersChanged

WORKER_CODEC: Final[Codec[WorkerCommand, WorkerReport]] = Codec(WorkerCommand, WorkerReport)
