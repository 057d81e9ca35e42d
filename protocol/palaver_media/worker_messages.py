"""What a server tells its media worker, and what the worker reports.

The server makes every name (transports, ufrags, producers, consumers, SSRCs, mids), so commands need no answers.
"""

from __future__ import annotations

import enum
from typing import Final, TypeAlias

from attrs import field, frozen

from .codec import Codec

VIDEO_BITRATE: Final = 1_500_000  # bit/s of one video, at most, unless the worker is told otherwise


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
class OpenPipe:
    """A path to another worker of this server. It needs neither ICE nor DTLS: the server knows where and made the keys.

    `host` and `port` are the other worker's. `inbound` and `outbound` are keys with their salts for AEAD_AES_128_GCM
    (RFC 7714), 28 bytes in hex. An older pipe to the same address makes way.
    """

    transport: str
    host: str
    port: int
    inbound: str
    outbound: str


@frozen
class CloseTransport:
    """Forget a transport and what it carries. Its ufrag is dead."""

    transport: str


@frozen
class AddProducer:
    """A track that arrives on a transport.

    `payload_types` and `extensions` map the sender's numbers to the router's; others are dropped or cut out.
    `clock_rate` is in Hz. `rtx_ssrc` is the stream of the sender's retransmissions (RFC 4588), if it has one;
    `rtx_payload_types` maps their payload types to those, also the sender's, of the packets that they restore.
    On a pipe, `router` and `seat` say whose track it is; elsewhere the transport does.
    """

    transport: str
    producer: str
    media: MediaKind
    clock_rate: int
    ssrc: int
    payload_types: dict[int, int]
    extensions: dict[int, int]
    rtx_ssrc: int | None = None
    rtx_payload_types: dict[int, int] = field(factory=dict[int, int])
    router: str | None = None
    seat: str | None = None


@frozen
class AddSpeakers:
    """Have producers that nobody sends: each carries one of those who speak loudest in a room, now this one, now that.

    Nobody hears himself on them, nor a second time whom he consumes by name. Only tracks with audio levels are carried.
    """

    router: str
    producers: tuple[str, ...]
    clock_rate: int


@frozen
class CloseProducer:
    """Stop forwarding a track, or a speaker, and close its consumers."""

    producer: str


@frozen
class PauseProducer:
    """Forward a track to nobody for now, and do not listen who speaks on it: its sender has muted it."""

    producer: str


@frozen
class ResumeProducer:
    """Forward it again; video begins with a request for a keyframe."""

    producer: str


@frozen
class CloseConsumers:
    """Close all consumers that clients have of a producer now. Pipes go on carrying it."""

    producer: str


@frozen
class Rtx:
    """A stream of retransmissions (RFC 4588): what its packets carry."""

    ssrc: int
    payload_type: int


@frozen
class AddConsumer:
    """Forward a producer to a transport, at first paused.

    `extensions` are the router's header extension ids this listener understands. What it misses is sent again as
    `rtx`, or, if it does not understand that, just as it was. With `payload_types` it gets packets of these, too, which
    others get without the copies of earlier frames in them: `rtp.RED`.
    """

    transport: str
    consumer: str
    producer: str
    ssrc: int
    mid: str
    cname: str
    extensions: tuple[int, ...]
    rtx: Rtx | None = None
    payload_types: tuple[int, ...] = ()


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
    """The process lives, with so many transports and consumers open; once a second.

    `dropped` counts datagrams that were of no use, by reason, since the process began.
    """

    transports: int = 0
    consumers: int = 0
    dropped: dict[str, int] = field(factory=dict[str, int])


@frozen
class Draining:
    """The process was asked to end (SIGTERM): it will, once its last transport is gone. Give it nothing new."""


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


class AddressFamily(enum.Enum):
    """By which kind of address a client is reached."""

    IPV4 = "ipv4"
    IPV6 = "ipv6"


@frozen
class ProducerStatistics:
    """A track as it comes from its sender.

    `bytes_received` are of payload. `fraction_lost` (0 to 1) is of the last second, `jitter` is in ms. `packets_nacked`
    are those that listeners asked for again, `level` is the loudness of the last packet in -dBov: 0 is the loudest,
    127 silence, absent where packets do not tell it.
    """

    producer_id: str
    kind: MediaKind
    packets_received: int
    bytes_received: int
    packets_lost: int
    fraction_lost: float
    jitter: float
    packets_nacked: int
    keyframe_requests: int
    level: int | None = None


@frozen
class ConsumerStatistics:
    """A track as it is forwarded to one listener.

    `packets_sent` and `bytes_sent` (of payload) count resends too. The rest the listener reports; it is absent
    until it does: losses and `fraction_lost` (0 to 1) since its report before, `jitter` and `round_trip` in ms, and the
    `bitrate` that it can take in bit/s.
    """

    consumer_id: str
    producer_id: str
    is_paused: bool
    packets_sent: int
    bytes_sent: int
    packets_resent: int
    packets_lost: int | None = None
    fraction_lost: float | None = None
    jitter: float | None = None
    round_trip: float | None = None
    bitrate: int | None = None


@frozen
class TransportStatistics:
    """One client's path, with what it carries.

    What was received and sent is media alone, its bytes are of payload, and tracks that are gone count too.
    `connected_for` is in s, `round_trip` in ms; both, and `family` and `profile` (of SRTP), are absent until known.
    """

    transport_id: str
    packets_received: int
    bytes_received: int
    packets_sent: int
    bytes_sent: int
    producers: tuple[ProducerStatistics, ...]
    consumers: tuple[ConsumerStatistics, ...]
    connected_for: float | None = None
    family: AddressFamily | None = None
    profile: str | None = None
    round_trip: float | None = None


@frozen
class StatisticsTaken:
    """How some of the transports fare, by router; all of them have their turn every few seconds."""

    rooms: dict[str, tuple[TransportStatistics, ...]]


WorkerCommand: TypeAlias = (
    OpenTransport
    | RestartIce
    | ConnectTransport
    | OpenPipe
    | CloseTransport
    | AddProducer
    | AddSpeakers
    | CloseProducer
    | PauseProducer
    | ResumeProducer
    | CloseConsumers
    | AddConsumer
    | ResumeConsumer
    | PauseConsumer
    | CloseConsumer
    | CloseSeat
    | CloseRouter
)
WorkerReport: TypeAlias = (
    Ready | Beat | Draining | TransportConnected | TransportFailed | SpeakersChanged | StatisticsTaken
)

WORKER_CODEC: Final[Codec[WorkerCommand, WorkerReport]] = Codec(WorkerCommand, WorkerReport)
