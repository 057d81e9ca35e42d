"""RTP negotiation as pure functions (ORTC): what the router forwards, and how producers and consumers map onto it.

A producer's payload types and extension ids are its browser's; the router's are the same for all consumers. So a
producer is described by two maps from its numbers to the router's, and a consumer by the ids it understands.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, frozen

from .rtp_models import (
    Codec,
    CodecCapability,
    Encoding,
    Extension,
    ExtensionCapability,
    Kind,
    Rtcp,
    RtcpFeedback,
    RtpCapabilities,
    RtpParameters,
)
from .table import Code, refusal

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VIDEO_ORIENTATION: Final = "urn:3gpp:video-orientation"

EXTENSION_IDS: Final = {MID: 1, ABS_SEND_TIME: 4, AUDIO_LEVEL: 10, VIDEO_ORIENTATION: 11}  # the router's
OPUS_PAYLOAD_TYPE: Final = 100
VP8_PAYLOAD_TYPE: Final = 101
REMB: Final = RtcpFeedback("goog-remb")  # the receiver's estimate of the bandwidth

# Transport-wide congestion control is not offered: without its feedback Chromium's video falls to a third.
ROUTER: Final = RtpCapabilities(
    codecs=(
        CodecCapability(
            Kind.AUDIO, "audio/opus", 48_000, OPUS_PAYLOAD_TYPE, channels=2, rtcp_feedback=(RtcpFeedback("nack"),)
        ),
        CodecCapability(
            Kind.VIDEO,
            "video/VP8",
            90_000,
            VP8_PAYLOAD_TYPE,
            rtcp_feedback=(
                RtcpFeedback("nack"),
                RtcpFeedback("nack", "pli"),
                RtcpFeedback("ccm", "fir"),
                REMB,
            ),
        ),
    ),
    header_extensions=tuple(
        ExtensionCapability(uri, EXTENSION_IDS[uri], kind)
        for uri, kind in (
            (MID, Kind.AUDIO),
            (MID, Kind.VIDEO),
            (ABS_SEND_TIME, Kind.AUDIO),
            (ABS_SEND_TIME, Kind.VIDEO),
            (AUDIO_LEVEL, Kind.AUDIO),
            (VIDEO_ORIENTATION, Kind.VIDEO),
        )
    ),
)


@frozen
class ProducerPlan:
    """How a producer's packets map onto the router's numbers. `codec` is what its consumers get."""

    kind: Kind
    ssrc: int
    codec: Codec
    payload_types: dict[int, int]
    extensions: dict[int, int]


def plan_producer(kind: Kind, parameters: RtpParameters) -> ProducerPlan:
    """The plan of a producer.

    Raises:
        Refusal: `unsupported`: no codec of ours, or not one plain stream with an SSRC; `invalidPayload`: a number that
            RTP cannot carry.
    """
    sent = next(((c, r) for c in parameters.codecs if (r := _router_codec(kind, c)) is not None), None)
    if sent is None:
        known = ", ".join(c.mime_type for c in ROUTER.codecs if c.kind is kind)
        raise refusal(Code.UNSUPPORTED, f"no codec that this server forwards; it forwards {known}")
    if len(parameters.encodings) != 1 or (ssrc := parameters.encodings[0].ssrc) is None or not 0 < ssrc < 2**32:
        raise refusal(Code.UNSUPPORTED, "expected one encoding with an ssrc")
    codec, router = sent
    extensions = {x.id: EXTENSION_IDS[x.uri] for x in parameters.header_extensions if x.uri in EXTENSION_IDS}
    if not 0 <= codec.payload_type <= 127 or not all(1 <= number <= 255 for number in extensions):
        raise refusal(Code.INVALID_PAYLOAD, "a payload type is 0 to 127, the id of a header extension 1 to 255")
    assert router.preferred_payload_type is not None
    return ProducerPlan(
        kind,
        ssrc,
        Codec(
            router.mime_type,
            router.preferred_payload_type,
            router.clock_rate,
            router.channels,
            codec.parameters,
            router.rtcp_feedback,
        ),
        payload_types={codec.payload_type: router.preferred_payload_type},
        extensions=extensions,
    )


def consumer_parameters(
    plan: ProducerPlan, capabilities: RtpCapabilities, *, ssrc: int, mid: str, cname: str
) -> RtpParameters:
    """How the packets of a consumer will look.

    Raises:
        Refusal: `unsupported`: the consumer does not understand the producer's codec.
    """
    codec = plan.codec
    theirs = next((c for c in capabilities.codecs if _is_same(c.mime_type, c.clock_rate, c.channels, codec)), None)
    if theirs is None:
        raise refusal(Code.UNSUPPORTED, f"your client does not play {codec.mime_type}")
    # By URI alone: Chromium lists the mid extension under video only.
    known = {x.uri for x in capabilities.header_extensions}
    shared = known & {x.uri for x in ROUTER.header_extensions if x.kind is plan.kind}
    # Who does not see when packets were sent cannot estimate the bandwidth.
    useless = set() if ABS_SEND_TIME in shared else {REMB}
    feedback = tuple(f for f in codec.rtcp_feedback if f in theirs.rtcp_feedback and f not in useless)
    return RtpParameters(
        codecs=(evolve(codec, rtcp_feedback=feedback),),
        mid=mid,
        header_extensions=tuple(Extension(uri, number) for uri, number in EXTENSION_IDS.items() if uri in shared),
        encodings=(Encoding(ssrc),),
        rtcp=Rtcp(cname),
    )


def _router_codec(kind: Kind, codec: Codec) -> CodecCapability | None:
    for known in ROUTER.codecs:
        if known.kind is kind and _is_same(known.mime_type, known.clock_rate, known.channels, codec):
            return known
    return None


def _is_same(mime_type: str, clock_rate: int, channels: int | None, codec: Codec) -> bool:
    return (
        mime_type.lower() == codec.mime_type.lower()
        and clock_rate == codec.clock_rate
        and (channels or 1) == (codec.channels or 1)
    )
