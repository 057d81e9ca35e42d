"""What a client says of Opus: how it sends it, what it can play, and what its engine must know of a consumer."""

from __future__ import annotations

import random
import secrets
from collections.abc import Iterable
from typing import Final

from attrs import evolve

from palaver_media.engine_messages import Receive
from palaver_protocol.models import TransportId
from palaver_protocol.negotiate import AUDIO_LEVEL, MID
from palaver_protocol.rtp_models import (
    Codec,
    CodecCapability,
    ConsumerParams,
    Encoding,
    Extension,
    Kind,
    Rtcp,
    RtpCapabilities,
    RtpParameters,
)
from palaver_protocol.table import Code, refusal

OPUS: Final = "audio/opus"
RED: Final = "audio/red"
OPUS_PARAMETERS: Final = {"minptime": 10, "useinbandfec": 1}  # RFC 7587, section 6.1
OUR_MID: Final = "0"


def sending_parameters(capabilities: RtpCapabilities) -> RtpParameters:
    """How we send Opus, with copies of earlier frames (RED) where the router takes them.

    It is under the router's numbers and an SSRC and CNAME of our own.

    Raises:
        Refusal: `unsupported`: the router does not forward Opus.
    """
    opus = _opus(capabilities)
    extensions = {
        extension.uri: extension.preferred_id
        for extension in capabilities.header_extensions
        if extension.uri in (MID, AUDIO_LEVEL) and extension.kind in (Kind.AUDIO, None)
    }
    codec = Codec(OPUS, opus.preferred_payload_type or 100, opus.clock_rate, opus.channels, dict(OPUS_PARAMETERS), ())
    red = [Codec(RED, red_type, opus.clock_rate, opus.channels)] if (red_type := red_payload_type(capabilities)) else []
    return RtpParameters(
        codecs=(codec, *red),
        mid=OUR_MID,
        header_extensions=tuple(Extension(uri, number) for uri, number in extensions.items()),
        encodings=(Encoding(random.randrange(1, 2**32)),),
        rtcp=Rtcp(secrets.token_hex(8)),
    )


def receiving_capabilities(capabilities: RtpCapabilities) -> RtpCapabilities:
    """What we can play of what the router forwards."""
    red = [codec for codec in capabilities.codecs if codec.mime_type.lower() == RED]
    return evolve(capabilities, codecs=(_opus(capabilities), *red))


def red_payload_type(codecs: Iterable[Codec] | RtpCapabilities) -> int:
    """The payload type of RED among codecs; 0 where there is none."""
    if isinstance(codecs, RtpCapabilities):
        return next((c.preferred_payload_type or 0 for c in codecs.codecs if c.mime_type.lower() == RED), 0)
    return next((codec.payload_type for codec in codecs if codec.mime_type.lower() == RED), 0)


def _opus(capabilities: RtpCapabilities) -> CodecCapability:
    for codec in capabilities.codecs:
        if codec.mime_type.lower() == OPUS:
            return codec
    raise refusal(Code.UNSUPPORTED, "this server does not forward Opus")


def reception(call: str, transport: TransportId, params: ConsumerParams) -> Receive:
    """What the engine must know of a consumer; raises Refusal where the server left it out."""
    parameters = params.rtp_parameters
    ssrc = parameters.encodings[0].ssrc if parameters.encodings else None
    if ssrc is None or not parameters.codecs:
        raise refusal(Code.INTERNAL, "the server names no stream")
    opus = parameters.codecs[0].payload_type
    return Receive(call, transport, params.id, ssrc, opus, red_payload_type(parameters.codecs))
