"""Negotiation, with the parameters that real clients send."""

import pytest
from attrs import evolve

from palaver_protocol.converter import FAST
from palaver_protocol.negotiate import (
    ABS_SEND_TIME,
    AUDIO_LEVEL,
    EXTENSION_IDS,
    H264_PAYLOAD_TYPE,
    H264_RTX_PAYLOAD_TYPE,
    MID,
    OPUS_PAYLOAD_TYPE,
    RED,
    RED_PAYLOAD_TYPE,
    ROUTER,
    VIDEO_ORIENTATION,
    VP8_PAYLOAD_TYPE,
    VP8_RTX_PAYLOAD_TYPE,
    consumer_parameters,
    plan_producer,
)
from palaver_protocol.rtp_models import (
    Codec,
    CodecCapability,
    Encoding,
    Extension,
    ExtensionCapability,
    Kind,
    RtcpFeedback,
    RtpCapabilities,
    RtpParameters,
    RtxEncoding,
)
from palaver_protocol.table import Code, Refusal

TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

CHROMIUM_AUDIO = {  # mediasoup-client in Chromium
    "mid": "0",
    "codecs": [
        {
            "mimeType": "audio/opus",
            "payloadType": 111,
            "clockRate": 48000,
            "channels": 2,
            "parameters": {"minptime": 10, "useinbandfec": 1},
            "rtcpFeedback": [{"type": "nack", "parameter": ""}],
        }
    ],
    "headerExtensions": [
        {"uri": MID, "id": 4, "encrypt": False, "parameters": {}},
        {"uri": ABS_SEND_TIME, "id": 2, "encrypt": False, "parameters": {}},
        {"uri": AUDIO_LEVEL, "id": 1, "encrypt": False, "parameters": {}},
    ],
    "encodings": [{"ssrc": 2774543910, "dtx": False}],
    "rtcp": {"cname": "v5Bfb3ybJZ7HC1Yx", "reducedSize": True},
    "msid": "stream track",
}
CHROMIUM_VIDEO = {
    "mid": "1",
    "codecs": [
        {
            "mimeType": "video/VP8",
            "payloadType": 96,
            "clockRate": 90000,
            "parameters": {},
            "rtcpFeedback": [
                {"type": "goog-remb", "parameter": ""},
                {"type": "ccm", "parameter": "fir"},
                {"type": "nack", "parameter": ""},
                {"type": "nack", "parameter": "pli"},
            ],
        }
    ],
    "headerExtensions": [
        {"uri": MID, "id": 9, "encrypt": False, "parameters": {}},
        {"uri": ABS_SEND_TIME, "id": 2, "encrypt": False, "parameters": {}},
        {"uri": VIDEO_ORIENTATION, "id": 3, "encrypt": False, "parameters": {}},
    ],
    "encodings": [{"ssrc": 4294967295, "dtx": False}],
    "rtcp": {"cname": "v5Bfb3ybJZ7HC1Yx", "reducedSize": True},
}
PYMEDIASOUP_AUDIO = {  # on aiortc
    "mid": "0",
    "codecs": [
        {
            "mimeType": "audio/opus",
            "payloadType": 96,
            "clockRate": 48000,
            "channels": 2,
            "parameters": {},
            "rtcpFeedback": [],
        }
    ],
    "headerExtensions": [{"uri": MID, "id": 1, "encrypt": False, "parameters": {}}],
    "encodings": [{"ssrc": 1234567, "dtx": False}],
    "rtcp": {"cname": "{c2b9-4a5e}", "reducedSize": True, "mux": True},
}
RTX_97 = Codec("video/rtx", 97, 90000, parameters={"apt": 96})
PLAYS_RTX = CodecCapability(Kind.VIDEO, "video/rtx", 90000, 102, parameters={"apt": 101})
H264 = {"level-asymmetry-allowed": 1, "packetization-mode": 1, "profile-level-id": "42e01f"}
CHROMIUM_CAPABILITIES = {
    "codecs": [
        {
            "mimeType": "audio/opus",
            "kind": "audio",
            "preferredPayloadType": 100,
            "clockRate": 48000,
            "channels": 2,
            "parameters": {"minptime": 10, "useinbandfec": 1},
            "rtcpFeedback": [{"type": "nack", "parameter": ""}],
        },
        {
            "mimeType": "video/vp8",
            "kind": "video",
            "preferredPayloadType": 101,
            "clockRate": 90000,
            "parameters": {},
            "rtcpFeedback": [{"type": "nack", "parameter": "pli"}, {"type": "goog-remb", "parameter": ""}],
        },
    ],
    "headerExtensions": [  # mid under video only
        {"kind": "video", "uri": MID, "preferredId": 1, "preferredEncrypt": False, "direction": "sendrecv"},
        {"kind": "audio", "uri": AUDIO_LEVEL, "preferredId": 10, "preferredEncrypt": False, "direction": "sendrecv"},
        {"kind": "video", "uri": VIDEO_ORIENTATION, "preferredId": 11, "preferredEncrypt": False},
    ],
}


def parameters(written):
    return FAST.structure(written, RtpParameters)


def capabilities(written=CHROMIUM_CAPABILITIES):
    return FAST.structure(written, RtpCapabilities)


def test_what_the_router_forwards():
    written = FAST.unstructure(ROUTER)
    assert [(c["mimeType"], c["preferredPayloadType"], c["clockRate"]) for c in written["codecs"]] == [
        ("audio/opus", 100, 48000),
        ("video/VP8", 101, 90000),
        ("video/rtx", 102, 90000),
        ("video/H264", 103, 90000),
        ("video/rtx", 104, 90000),
        ("audio/red", 105, 48000),
    ]
    assert written["codecs"][0]["channels"] == 2
    assert "channels" not in written["codecs"][1]
    for codec in written["codecs"][1:4:2]:
        feedback = [(f["type"], f["parameter"]) for f in codec["rtcpFeedback"]]
        assert feedback == [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", "")]
    assert [codec["parameters"] for codec in written["codecs"]] == [
        {},
        {},
        {"apt": 101},
        {"packetization-mode": 1, "profile-level-id": "42e01f", "level-asymmetry-allowed": 1},
        {"apt": 103},
        {"redundancy": "100/100"},
    ]
    offered = {(x["kind"], x["uri"]): x["preferredId"] for x in written["headerExtensions"]}
    assert offered == {
        ("audio", MID): 1,
        ("video", MID): 1,
        ("audio", ABS_SEND_TIME): 4,
        ("video", ABS_SEND_TIME): 4,
        ("audio", AUDIO_LEVEL): 10,
        ("video", VIDEO_ORIENTATION): 11,
    }
    assert TRANSPORT_CC not in str(written)


@pytest.mark.parametrize(
    ("kind", "written", "payload_types", "extensions"),
    [
        (Kind.AUDIO, CHROMIUM_AUDIO, {111: OPUS_PAYLOAD_TYPE}, {4: 1, 2: 4, 1: 10}),
        (Kind.VIDEO, CHROMIUM_VIDEO, {96: VP8_PAYLOAD_TYPE}, {9: 1, 2: 4, 3: 11}),
        (Kind.AUDIO, PYMEDIASOUP_AUDIO, {96: OPUS_PAYLOAD_TYPE}, {1: 1}),
    ],
)
def test_a_producers_numbers_are_mapped_to_the_routers(kind, written, payload_types, extensions):
    plan = plan_producer(kind, parameters(written))
    assert plan.kind is kind
    assert plan.ssrc == written["encodings"][0]["ssrc"]
    assert plan.payload_types == payload_types
    assert plan.extensions == extensions
    assert plan.codec.parameters == written["codecs"][0]["parameters"]


def test_extensions_that_nobody_forwards_are_left_out():
    audio = parameters(CHROMIUM_AUDIO)
    audio = evolve(audio, header_extensions=(Extension(TRANSPORT_CC, 3), Extension(MID, 14)))
    assert plan_producer(Kind.AUDIO, audio).extensions == {14: EXTENSION_IDS[MID]}


def test_the_first_of_several_codecs_counts():
    video = parameters(CHROMIUM_VIDEO)
    video = evolve(video, codecs=(Codec("video/VP8", 120, 90_000), *video.codecs))
    assert plan_producer(Kind.VIDEO, video).payload_types == {120: VP8_PAYLOAD_TYPE}


OPUS = Codec("audio/opus", 111, 48000, 2)
RED_63 = Codec("audio/red", 63, 48000, 2)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Kind.AUDIO, {"codecs": ()}),
        (Kind.AUDIO, {"codecs": (Codec("audio/PCMU", 0, 8000),)}),
        (Kind.AUDIO, {"codecs": (RED_63,)}),  # copies of nothing
        (Kind.AUDIO, {"codecs": (Codec("audio/red", 63, 8000), OPUS)}),
        (Kind.AUDIO, {"codecs": (evolve(OPUS, channels=None),)}),
        (Kind.AUDIO, {"codecs": (evolve(OPUS, clock_rate=16000),)}),
        (Kind.VIDEO, {}),  # opus is no video
        (Kind.AUDIO, {"encodings": ()}),
        (Kind.AUDIO, {"encodings": (Encoding(1), Encoding(2))}),
        (Kind.AUDIO, {"encodings": (Encoding(None),)}),
        (Kind.AUDIO, {"encodings": (Encoding(0),)}),
        (Kind.AUDIO, {"encodings": (Encoding(-1),)}),
        (Kind.AUDIO, {"encodings": (Encoding(2**32),)}),
    ],
)
def test_what_no_producer_can_be(kind, changes):
    with pytest.raises(Refusal) as refused:
        plan_producer(kind, evolve(parameters(CHROMIUM_AUDIO), **changes))
    assert refused.value.code == Code.UNSUPPORTED.value


def with_red(*codecs):
    return plan_producer(Kind.AUDIO, evolve(parameters(CHROMIUM_AUDIO), codecs=codecs))


def hear(plan, *codecs):
    understood = RtpCapabilities((*capabilities().codecs, *codecs))
    return consumer_parameters(plan, understood, ssrc=77, rtx_ssrc=78, mid="5", cname="them").codecs


@pytest.mark.parametrize("codecs", [(OPUS, RED_63), (RED_63, OPUS)])
def test_copies_of_earlier_frames_are_for_those_who_say_of_what(codecs):
    plan = with_red(*codecs)
    assert plan.payload_types == {OPUS.payload_type: OPUS_PAYLOAD_TYPE, 63: RED_PAYLOAD_TYPE}
    assert plan.codec.mime_type == "audio/opus"
    browsers = evolve(RED, preferred_payload_type=63, parameters={})  # what RED carries its negotiation cannot say
    assert [codec.mime_type for codec in hear(plan, browsers)] == ["audio/opus"]
    opus, red = hear(plan, RED)
    assert (opus.payload_type, red.mime_type, red.payload_type) == (OPUS_PAYLOAD_TYPE, "audio/red", RED_PAYLOAD_TYPE)
    assert len(hear(with_red(OPUS), RED)) == 1  # he sends none


def test_a_picture_has_no_copies():
    with pytest.raises(Refusal):
        plan_producer(Kind.VIDEO, evolve(parameters(CHROMIUM_VIDEO), codecs=(RED_63,)))


@pytest.mark.parametrize("number", [-1, 128, 2**63])
def test_a_payload_type_is_seven_bits(number):
    with pytest.raises(Refusal) as refused:
        plan_producer(Kind.AUDIO, evolve(parameters(CHROMIUM_AUDIO), codecs=(evolve(OPUS, payload_type=number),)))
    assert refused.value.code == Code.INVALID_PAYLOAD.value


@pytest.mark.parametrize("number", [-1, 0, 256])
def test_the_id_of_an_extension_is_one_byte(number):
    sent = parameters(CHROMIUM_AUDIO)
    with pytest.raises(Refusal) as refused:
        plan_producer(Kind.AUDIO, evolve(sent, header_extensions=(evolve(sent.header_extensions[0], id=number),)))
    assert refused.value.code == Code.INVALID_PAYLOAD.value


def consume(kind, written, understood=None):
    plan = plan_producer(kind, parameters(written))
    return consumer_parameters(plan, understood or capabilities(), ssrc=77, rtx_ssrc=78, mid="5", cname="them")


def test_a_consumer_gets_the_routers_numbers_and_its_own_ssrc_and_mid():
    given = consume(Kind.AUDIO, CHROMIUM_AUDIO)
    (codec,) = given.codecs
    assert (codec.mime_type, codec.payload_type, codec.channels) == ("audio/opus", OPUS_PAYLOAD_TYPE, 2)
    assert codec.parameters == {"minptime": 10, "useinbandfec": 1}
    assert given.encodings == (Encoding(77),)
    assert given.mid == "5"
    assert FAST.unstructure(given)["rtcp"] == {"cname": "them", "reducedSize": True, "mux": True}


def test_extensions_are_matched_by_uri_whatever_kind_lists_them():
    audio, video = consume(Kind.AUDIO, CHROMIUM_AUDIO), consume(Kind.VIDEO, CHROMIUM_VIDEO)
    assert {x.uri: x.id for x in audio.header_extensions} == {MID: 1, AUDIO_LEVEL: 10}
    assert {x.uri: x.id for x in video.header_extensions} == {MID: 1, VIDEO_ORIENTATION: 11}


def test_feedback_is_what_both_understand():
    sees_times = ExtensionCapability(ABS_SEND_TIME, 4, Kind.VIDEO)
    both = evolve(capabilities(), header_extensions=(sees_times,))
    (codec,) = consume(Kind.VIDEO, CHROMIUM_VIDEO, both).codecs
    assert codec.rtcp_feedback == (RtcpFeedback("nack", "pli"), RtcpFeedback("goog-remb"))


def test_bandwidth_is_not_estimated_by_who_does_not_see_when_packets_were_sent():
    (codec,) = consume(Kind.VIDEO, CHROMIUM_VIDEO).codecs
    assert codec.rtcp_feedback == (RtcpFeedback("nack", "pli"),)


def test_who_does_not_play_the_codec_is_refused():
    only_audio = RtpCapabilities((CodecCapability(Kind.AUDIO, "audio/opus", 48000, channels=2),))
    with pytest.raises(Refusal) as refused:
        consume(Kind.VIDEO, CHROMIUM_VIDEO, only_audio)
    assert refused.value.code == Code.UNSUPPORTED.value
    assert not consume(Kind.AUDIO, CHROMIUM_AUDIO, only_audio).header_extensions


def with_rtx(ssrc=2, codecs=(RTX_97,)):
    """Chromium's video, and retransmissions."""
    sent = parameters(CHROMIUM_VIDEO)
    return evolve(sent, codecs=(*sent.codecs, *codecs), encodings=(Encoding(1, RtxEncoding(ssrc)),))


def with_h264(**changes):
    """H.264 as Chromium sends it, with changes to its parameters; None: without that one."""
    sent = parameters(CHROMIUM_VIDEO)
    written = {name.replace("_", "-"): value for name, value in changes.items()}
    fmtp = {name: value for name, value in (H264 | written).items() if value is not None}
    return evolve(sent, codecs=(evolve(sent.codecs[0], mime_type="video/H264", parameters=fmtp),))


def test_the_streams_of_retransmissions_are_known():
    plan = plan_producer(Kind.VIDEO, with_rtx())
    assert plan.payload_types == {96: VP8_PAYLOAD_TYPE}
    assert plan.rtx_payload_types == {97: 96}
    assert plan.rtx_ssrc == 2
    assert plan.ssrcs == {1, 2}


def test_a_producer_without_retransmissions_has_none():
    for sent in (
        parameters(CHROMIUM_VIDEO),
        with_rtx(codecs=()),
        with_rtx(codecs=(evolve(RTX_97, parameters={"apt": 95}),)),
        with_rtx(codecs=(evolve(RTX_97, parameters={}),)),
    ):
        plan = plan_producer(Kind.VIDEO, sent)
        assert plan.rtx_ssrc is None
        assert plan.rtx_payload_types == {}
        assert plan.ssrcs == {sent.encodings[0].ssrc}
    no_stream = evolve(with_rtx(), encodings=(Encoding(1),))
    assert plan_producer(Kind.VIDEO, no_stream).rtx_ssrc is None


@pytest.mark.parametrize(
    "sent",
    [
        *(with_rtx(ssrc) for ssrc in (0, -1, 2**32, 1)),
        *(with_rtx(2, (evolve(RTX_97, payload_type=n),)) for n in (-1, 128)),
    ],
)
def test_numbers_of_retransmissions_that_cannot_be(sent):
    with pytest.raises(Refusal) as refused:
        plan_producer(Kind.VIDEO, sent)
    assert refused.value.code == Code.INVALID_PAYLOAD.value


def test_who_understands_rtx_gets_a_stream_of_retransmissions():
    plain = consume(Kind.VIDEO, CHROMIUM_VIDEO)
    assert [codec.mime_type for codec in plain.codecs] == ["video/VP8"]
    assert FAST.unstructure(plain)["encodings"] == [{"ssrc": 77}]
    understood = evolve(capabilities(), codecs=(*capabilities().codecs, PLAYS_RTX))
    given = consume(Kind.VIDEO, CHROMIUM_VIDEO, understood)
    assert given.codecs[1] == Codec("video/rtx", VP8_RTX_PAYLOAD_TYPE, 90000, parameters={"apt": VP8_PAYLOAD_TYPE})
    assert FAST.unstructure(given)["encodings"] == [{"ssrc": 77, "rtx": {"ssrc": 78}}]
    assert len(consume(Kind.AUDIO, CHROMIUM_AUDIO, understood).codecs) == 1


def plays(codec):
    """The capabilities of one who plays this codec, and RTX."""
    known = CodecCapability(Kind.VIDEO, codec.mime_type, codec.clock_rate, 103, parameters=codec.parameters)
    return RtpCapabilities((known, PLAYS_RTX))


def test_h264_is_forwarded_to_who_plays_its_profile():
    plan = plan_producer(Kind.VIDEO, with_h264())
    assert plan.payload_types == {96: H264_PAYLOAD_TYPE}
    given = consumer_parameters(plan, plays(plan.codec), ssrc=77, rtx_ssrc=78, mid="5", cname="them")
    codec, rtx = given.codecs
    assert (codec.mime_type, codec.payload_type, codec.parameters) == ("video/H264", H264_PAYLOAD_TYPE, H264)
    assert (rtx.payload_type, rtx.parameters) == (H264_RTX_PAYLOAD_TYPE, {"apt": H264_PAYLOAD_TYPE})
    for other in ({"profile_level_id": "640c1f"}, {"packetization_mode": 0}):
        (unknown,) = with_h264(**other).codecs
        with pytest.raises(Refusal):
            consumer_parameters(plan, plays(unknown), ssrc=77, rtx_ssrc=78, mid="5", cname="them")


@pytest.mark.parametrize(
    ("written", "agreed"),
    [
        ({}, "42e01f"),
        ({"profile_level_id": None}, "42e01f"),
        ({"profile_level_id": "42C01F"}, "42e01f"),  # constraints that mean the same
        ({"profile_level_id": "4d8034"}, "42e034"),  # main, but constrained; level 5.2 is the sender's own affair
        ({"profile_level_id": "42e034", "level_asymmetry_allowed": "1"}, "42e034"),
        ({"profile_level_id": "42e034", "level_asymmetry_allowed": None}, "42e01f"),
        ({"profile_level_id": "42e00d", "level_asymmetry_allowed": 0}, "42e00d"),
        ({"profile_level_id": "42f00b"}, "42f00b"),  # level 1b
    ],
)
def test_the_level_that_a_sender_of_h264_keeps_to(written, agreed):
    assert plan_producer(Kind.VIDEO, with_h264(**written)).codec.parameters["profile-level-id"] == agreed


@pytest.mark.parametrize(
    "written",
    [
        {"packetization_mode": None},
        {"packetization_mode": "1"},
        *({"profile_level_id": id} for id in ("42001f", "4d001f", "640c1f", "42e0ff", "42e0", "42e01fx", "000000", 42)),
    ],
)
def test_h264_that_is_not_forwarded(written):
    with pytest.raises(Refusal) as refused:
        plan_producer(Kind.VIDEO, with_h264(**written))
    assert refused.value.code == Code.UNSUPPORTED.value
