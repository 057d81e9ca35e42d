"""RTP negotiation as pure functions (ORTC): what the router forwards, and how producers and consumers map onto it.

A producer's payload types and extension ids are its browser's; the router's are the same for all consumers. So a
producer is described by two maps from its numbers to the router's, and a consumer by the ids it understands.
"""

from __future__ import annotations

from typing import Final

from attrs import evolve, field, frozen

from . import h264
from .rtp_models import (
    Codec,
    CodecCapability,
    Encoding,
    Extension,
    ExtensionCapability,
    Kind,
    ParameterValue,
    Rtcp,
    RtcpFeedback,
    RtpCapabilities,
    RtpParameters,
    RtxEncoding,
)
from .table import Code, refusal

MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
VIDEO_ORIENTATION: Final = "urn:3gpp:video-orientation"

EXTENSION_IDS: Final = {MID: 1, ABS_SEND_TIME: 4, AUDIO_LEVEL: 10, VIDEO_ORIENTATION: 11}  # the router's
OPUS_PAYLOAD_TYPE: Final = 100
VP8_PAYLOAD_TYPE: Final = 101
VP8_RTX_PAYLOAD_TYPE: Final = 102
H264_PAYLOAD_TYPE: Final = 103
H264_RTX_PAYLOAD_TYPE: Final = 104
RED_PAYLOAD_TYPE: Final = 105
REMB: Final = RtcpFeedback("goog-remb")  # the receiver's estimate of the bandwidth
VIDEO_FEEDBACK: Final = (RtcpFeedback("nack"), RtcpFeedback("nack", "pli"), RtcpFeedback("ccm", "fir"), REMB)
APT: Final = "apt"  # the parameter of RTX that says whose retransmissions it carries
REDUNDANCY: Final = "redundancy"  # the parameter of RED that says what it carries copies of, as in RFC 2198, section 5


def _video(name: str, payload_type: int, parameters: dict[str, ParameterValue]) -> CodecCapability:
    return CodecCapability(
        Kind.VIDEO, f"video/{name}", 90_000, payload_type, parameters=parameters, rtcp_feedback=VIDEO_FEEDBACK
    )


def _rtx(payload_type: int, original: int) -> CodecCapability:
    return CodecCapability(Kind.VIDEO, "video/rtx", 90_000, payload_type, parameters={APT: original})


# Copies of earlier frames of Opus. Browsers' negotiation cannot write down what RED carries, so it goes only to those
# who say it in `REDUNDANCY`; it is the last codec, so that nobody takes it for the one to send.
RED: Final = CodecCapability(
    Kind.AUDIO,
    "audio/red",
    48_000,
    RED_PAYLOAD_TYPE,
    channels=2,
    parameters={REDUNDANCY: f"{OPUS_PAYLOAD_TYPE}/{OPUS_PAYLOAD_TYPE}"},
)

# Clients send the first codec that they know: VP8, which all browsers have, comes before H.264.
# Transport-wide congestion control is not offered: without its feedback Chromium's video falls to a third.
ROUTER: Final = RtpCapabilities(
    codecs=(
        CodecCapability(
            Kind.AUDIO, "audio/opus", 48_000, OPUS_PAYLOAD_TYPE, channels=2, rtcp_feedback=(RtcpFeedback("nack"),)
        ),
        _video("VP8", VP8_PAYLOAD_TYPE, {}),
        _rtx(VP8_RTX_PAYLOAD_TYPE, VP8_PAYLOAD_TYPE),
        _video(
            "H264",
            H264_PAYLOAD_TYPE,
            {h264.PACKETIZATION_MODE: 1, h264.PROFILE_LEVEL_ID: h264.DEFAULT, h264.LEVEL_ASYMMETRY: 1},
        ),
        _rtx(H264_RTX_PAYLOAD_TYPE, H264_PAYLOAD_TYPE),
        RED,
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
    """How a producer's packets map onto the router's numbers. `codec` is what its consumers get.

    `rtx_ssrc` is the stream of its retransmissions, if it has one; `rtx_payload_types` says which of the producer's
    own payload types the packets of that stream stand for.
    """

    kind: Kind
    ssrc: int
    codec: Codec
    payload_types: dict[int, int]
    extensions: dict[int, int]
    rtx_ssrc: int | None = None
    rtx_payload_types: dict[int, int] = field(factory=dict[int, int])

    @property
    def ssrcs(self) -> set[int]:
        """All SSRCs that its packets carry."""
        return {self.ssrc} if self.rtx_ssrc is None else {self.ssrc, self.rtx_ssrc}

    @property
    def has_red(self) -> bool:
        """Whether its packets may bring copies of earlier frames."""
        return RED_PAYLOAD_TYPE in self.payload_types.values()


def plan_producer(kind: Kind, parameters: RtpParameters) -> ProducerPlan:
    """The plan of a producer. Of several codecs the first is the one that is sent.

    Raises:
        Refusal: `unsupported`: no codec, or one that is not ours, or not one plain stream with an SSRC;
            `invalidPayload`: a number that RTP cannot carry.
    """
    sent = [(codec, _router_codec(kind, codec)) for codec in parameters.codecs if not _is_carrier(kind, codec)]
    if not sent:
        raise refusal(Code.UNSUPPORTED, "no codec")
    if len(parameters.encodings) != 1 or (ssrc := parameters.encodings[0].ssrc) is None or not 0 < ssrc < 2**32:
        raise refusal(Code.UNSUPPORTED, "expected one encoding with an ssrc")
    codec, router = sent[0]
    extensions = {x.id: EXTENSION_IDS[x.uri] for x in parameters.header_extensions if x.uri in EXTENSION_IDS}
    rtx_payload_types = _rtx_payload_types(parameters, codec, router)
    red = [each.payload_type for each in parameters.codecs if kind is Kind.AUDIO and _is_same(RED, each)][:1]
    numbers = (codec.payload_type, *rtx_payload_types, *red)
    if not all(0 <= number <= 127 for number in numbers) or not all(1 <= number <= 255 for number in extensions):
        raise refusal(Code.INVALID_PAYLOAD, "a payload type is 0 to 127, the id of a header extension 1 to 255")
    return ProducerPlan(
        kind,
        ssrc,
        _forwarded(codec, router),
        payload_types={**dict.fromkeys(red, RED_PAYLOAD_TYPE), codec.payload_type: _payload_type(router)},
        extensions=extensions,
        rtx_ssrc=_rtx_ssrc(parameters.encodings[0]) if rtx_payload_types else None,
        rtx_payload_types=rtx_payload_types,
    )


def consumer_parameters(
    plan: ProducerPlan, capabilities: RtpCapabilities, *, ssrc: int, rtx_ssrc: int, mid: str, cname: str
) -> RtpParameters:
    """How the packets of a consumer will look. Who understands RTX gets retransmissions under `rtx_ssrc`.

    Raises:
        Refusal: `unsupported`: the consumer does not understand the producer's codec.
    """
    codec = plan.codec
    theirs = next((c for c in capabilities.codecs if _is_same(c, codec)), None)
    if theirs is None:
        raise refusal(Code.UNSUPPORTED, f"your client does not play {codec.mime_type}")
    # By URI alone: Chromium lists the mid extension under video only.
    known = {x.uri for x in capabilities.header_extensions}
    shared = known & {x.uri for x in ROUTER.header_extensions if x.kind is plan.kind}
    # Who does not see when packets were sent cannot estimate the bandwidth.
    useless = set() if ABS_SEND_TIME in shared else {REMB}
    feedback = tuple(f for f in codec.rtcp_feedback if f in theirs.rtcp_feedback and f not in useless)
    rtx = _rtx_codec(codec.payload_type)
    has_rtx = rtx is not None and any(_is_same(c, rtx) for c in capabilities.codecs)
    red = [_red_codec()] if plan.has_red and any(_takes_red(c) for c in capabilities.codecs) else []
    return RtpParameters(
        codecs=(evolve(codec, rtcp_feedback=feedback), *([rtx] if rtx is not None and has_rtx else []), *red),
        mid=mid,
        header_extensions=tuple(Extension(uri, number) for uri, number in EXTENSION_IDS.items() if uri in shared),
        encodings=(Encoding(ssrc, RtxEncoding(rtx_ssrc) if has_rtx else None),),
        rtcp=Rtcp(cname),
    )


def _router_codec(kind: Kind, codec: Codec) -> CodecCapability:
    ours = [known for known in ROUTER.codecs if known.kind is kind and not _is_carrier(kind, known)]
    for known in ours:
        if _is_same(known, codec):
            return known
    names = ", ".join(known.mime_type for known in ours)
    raise refusal(Code.UNSUPPORTED, f"this server does not forward this {codec.mime_type}; it forwards {names}")


def _forwarded(codec: Codec, router: CodecCapability) -> Codec:
    """A sender's codec as its consumers get it."""
    is_h264 = router.preferred_payload_type == H264_PAYLOAD_TYPE
    return Codec(
        router.mime_type,
        _payload_type(router),
        router.clock_rate,
        router.channels,
        h264.agree(codec.parameters, router.parameters) if is_h264 else codec.parameters,
        router.rtcp_feedback,
    )


def _rtx_payload_types(parameters: RtpParameters, codec: Codec, router: CodecCapability) -> dict[int, int]:
    """The payload types of the sender's retransmissions, and the one that they stand for."""
    if _rtx_codec(_payload_type(router)) is None:
        return {}
    carriers = [c for c in parameters.codecs if _is_rtx(c) and c.parameters.get(APT) == codec.payload_type]
    return {carrier.payload_type: codec.payload_type for carrier in carriers}


def _rtx_ssrc(encoding: Encoding) -> int | None:
    if encoding.rtx is None:
        return None
    if not 0 < encoding.rtx.ssrc < 2**32 or encoding.rtx.ssrc == encoding.ssrc:
        raise refusal(Code.INVALID_PAYLOAD, "retransmissions need an ssrc of their own")
    return encoding.rtx.ssrc


def _rtx_codec(original: int) -> Codec | None:
    """How the router retransmits what has this payload type of its own."""
    for known in ROUTER.codecs:
        if known.parameters.get(APT) == original:
            return Codec(known.mime_type, _payload_type(known), known.clock_rate, parameters=known.parameters)
    return None


def _payload_type(router: CodecCapability) -> int:
    assert router.preferred_payload_type is not None
    return router.preferred_payload_type


def _red_codec() -> Codec:
    return Codec(RED.mime_type, RED_PAYLOAD_TYPE, RED.clock_rate, RED.channels, RED.parameters)


def _takes_red(capability: CodecCapability) -> bool:
    """Whether somebody takes copies of our Opus; that he knows RED is not enough."""
    theirs = capability.parameters.get(REDUNDANCY)
    return _is_same(RED, capability) and theirs == RED.parameters[REDUNDANCY]


def _is_rtx(codec: Codec | CodecCapability) -> bool:
    return codec.mime_type.lower().endswith("/rtx")


def _is_carrier(kind: Kind, codec: Codec | CodecCapability) -> bool:
    """Whether a codec only carries what another one made."""
    return _is_rtx(codec) or (kind is Kind.AUDIO and _is_same(RED, codec))


def _is_same(capability: CodecCapability, codec: Codec | CodecCapability) -> bool:
    return (
        capability.mime_type.lower() == codec.mime_type.lower()
        and capability.clock_rate == codec.clock_rate
        and (capability.channels or 1) == (codec.channels or 1)
        and (codec.mime_type.lower() != "video/h264" or h264.is_same(capability.parameters, codec.parameters))
    )
