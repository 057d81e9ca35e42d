"""RTP capabilities and parameters as mediasoup's clients write them (ORTC dictionaries)."""

from __future__ import annotations

import enum
from typing import TypeAlias

from attrs import field, frozen

ParameterValue: TypeAlias = str | int | float | bool


class Kind(enum.Enum):
    """What a track carries."""

    AUDIO = "audio"
    VIDEO = "video"


@frozen
class RtcpFeedback:
    """A kind of feedback that a codec understands: ``nack``, ``nack pli``, ``ccm fir``, ..."""

    type: str
    parameter: str = ""


@frozen
class CodecCapability:
    """A codec that an endpoint understands. `clock_rate` is in Hz; `channels` counts for audio only."""

    kind: Kind
    mime_type: str
    clock_rate: int
    preferred_payload_type: int | None = None
    channels: int | None = None
    parameters: dict[str, ParameterValue] = field(factory=dict[str, ParameterValue])
    rtcp_feedback: tuple[RtcpFeedback, ...] = ()


@frozen
class ExtensionCapability:
    """A header extension (RFC 8285) that an endpoint understands."""

    uri: str
    preferred_id: int
    kind: Kind | None = None
    preferred_encrypt: bool = False
    direction: str = "sendrecv"


@frozen
class RtpCapabilities:
    """All that an endpoint understands."""

    codecs: tuple[CodecCapability, ...] = ()
    header_extensions: tuple[ExtensionCapability, ...] = ()


@frozen
class Codec:
    """A codec in use, under the payload type that its packets carry."""

    mime_type: str
    payload_type: int
    clock_rate: int
    channels: int | None = None
    parameters: dict[str, ParameterValue] = field(factory=dict[str, ParameterValue])
    rtcp_feedback: tuple[RtcpFeedback, ...] = ()


@frozen
class Extension:
    """A header extension in use, under the id that its packets carry."""

    uri: str
    id: int
    encrypt: bool = False
    parameters: dict[str, ParameterValue] = field(factory=dict[str, ParameterValue])


@frozen
class RtxEncoding:
    """The stream that carries retransmissions of another one (RFC 4588)."""

    ssrc: int


@frozen
class Encoding:
    """One stream of a track."""

    ssrc: int | None = None
    rtx: RtxEncoding | None = None


@frozen
class Rtcp:
    """How a stream's RTCP is sent."""

    cname: str | None = None
    reduced_size: bool = True
    mux: bool = True


@frozen
class RtpParameters:
    """How a track is sent."""

    codecs: tuple[Codec, ...]
    mid: str | None = None
    header_extensions: tuple[Extension, ...] = ()
    encodings: tuple[Encoding, ...] = ()
    rtcp: Rtcp = field(factory=Rtcp)


class DtlsSide(enum.Enum):
    """The role of whoever sends it."""

    AUTO = "auto"
    CLIENT = "client"
    SERVER = "server"


@frozen
class Fingerprint:
    """A hash of a DTLS certificate (RFC 8122)."""

    algorithm: str
    value: str


@frozen
class DtlsParameters:
    """A DTLS endpoint's role and certificate."""

    fingerprints: tuple[Fingerprint, ...]
    role: DtlsSide = DtlsSide.AUTO


@frozen
class IceParameters:
    """What a client needs to pass the server's connectivity checks (RFC 8445); the server is ICE-lite."""

    username_fragment: str
    password: str
    ice_lite: bool = True


@frozen
class IceCandidate:
    """An address of the media worker.

    `ip` and `address` are the same: pymediasoup reads one, mediasoup-client the other.
    """

    foundation: str
    priority: int
    ip: str
    address: str
    port: int
    protocol: str = "udp"
    type: str = "host"


@frozen
class TransportParams:
    """A transport, as its client opens it."""

    id: str
    ice_parameters: IceParameters
    ice_candidates: tuple[IceCandidate, ...]
    dtls_parameters: DtlsParameters


@frozen
class ConsumerParams:
    """A consumer, as its client receives it."""

    id: str
    producer_id: str
    kind: Kind
    rtp_parameters: RtpParameters
