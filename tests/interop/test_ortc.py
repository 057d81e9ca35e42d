"""Our RTP negotiation against mediasoup's own, over generated producers and consumers."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from attrs import frozen
from hypothesis import event, given, settings
from hypothesis import strategies as st

from interop.nodejs import HERE, NODE
from palaver_protocol.converter import FAST
from palaver_protocol.negotiate import EXTENSION_IDS, ROUTER, consumer_parameters, plan_producer
from palaver_protocol.rtp_models import Kind, RtpCapabilities, RtpParameters
from palaver_protocol.table import Code, Refusal

Oracle = Callable[[dict[str, Any]], dict[str, Any]]

CODECS = {
    Kind.AUDIO: [
        ("audio/opus", 48_000, 2),
        ("audio/OPUS", 48_000, 2),
        ("audio/opus", 48_000, 1),
        ("audio/PCMU", 8000, 1),
    ],
    Kind.VIDEO: [
        ("video/VP8", 90_000, None),
        ("video/H264", 90_000, None),
        ("video/h264", 90_000, None),
        ("video/vp8", 90_000, None),
        ("video/VP9", 90_000, None),
    ],
}
RTX = ("video/rtx", 90_000, None)
RED = ("audio/red", 48_000, 2)
COPIES = {"redundancy": "100/100"}
FOREIGN = [("audio/G722", 8_000, 1), ("video/AV1", 90_000, None)]
PROFILES = [
    *("42e01f", "42E028", "42e00a", "42f00b", "4d8034", "42e00b"),  # constrained baseline
    *("42001f", "4d001f", "58801f", "58c01f", "640c1f"),
]
FEEDBACK = [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", ""), ("transport-cc", "")]
STRANGE = "urn:ietf:params:rtp-hdrext:toffset"


@frozen
class Case:
    """A producer, and who wants to consume it."""

    kind: Kind
    producer: dict[str, Any]
    consumer: dict[str, Any]


def some(items: list[Any]) -> st.SearchStrategy[list[Any]]:
    return st.just(items) | st.lists(st.sampled_from(items), unique=True, max_size=len(items))


def codec(described: tuple[str, int, int | None], **numbers: Any) -> dict[str, Any]:
    mime_type, clock_rate, channels = described
    return {"mimeType": mime_type, "clockRate": clock_rate, **numbers, **({"channels": channels} if channels else {})}


def is_h264(codec: dict[str, Any]) -> bool:
    return str(codec["mimeType"]).lower() == "video/h264"


@st.composite
def h264(draw: st.DrawFn) -> dict[str, Any]:
    """Parameters of H.264, mostly such as browsers write."""
    written = {
        "packetization-mode": draw(st.just(1) | st.sampled_from([1, None, 0, 2, "1"])),
        "profile-level-id": draw(
            st.sampled_from(PROFILES[:6])
            | st.sampled_from([*PROFILES, "", None])
            | st.text("0123456789aeEx +_", max_size=7)
        ),
        "level-asymmetry-allowed": draw(st.sampled_from([1, 1, None, 0, "1"])),
    }
    return {name: value for name, value in written.items() if value is not None}


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind = draw(st.sampled_from([Kind.VIDEO, Kind.VIDEO, Kind.AUDIO]))
    feedback = st.lists(st.sampled_from(FEEDBACK), unique=True).map(
        lambda chosen: [{"type": type_, "parameter": parameter} for type_, parameter in chosen]
    )
    ids = draw(st.lists(st.integers(1, 14), min_size=5, max_size=5, unique=True))
    uris = draw(some([*EXTENSION_IDS, STRANGE]))
    described = draw(st.sampled_from(CODECS[kind][:2]) | st.sampled_from(CODECS[kind]))
    sent = codec(described, payloadType=draw(st.integers(0, 127)), rtcpFeedback=draw(feedback))
    sent["parameters"] = draw(st.dictionaries(st.sampled_from(["minptime", "usedtx"]), st.integers(0, 60)))
    sent["parameters"] |= draw(h264()) if is_h264(sent) else {}
    codecs = [sent]
    if draw(st.integers(0, 9)) == 0:
        other = codec(draw(st.sampled_from(FOREIGN)), payloadType=draw(st.integers(0, 127)), parameters={})
        codecs.insert(draw(st.integers(0, 1)), other)
    if kind is Kind.VIDEO and draw(st.booleans()):
        others = st.integers(0, 127).filter(lambda number: number != sent["payloadType"])
        codecs.append(codec(RTX, payloadType=draw(others), parameters={"apt": sent["payloadType"]}))
    if kind is Kind.AUDIO and draw(st.booleans()):
        others = st.integers(0, 127).filter(lambda number: number != sent["payloadType"])
        codecs.append(codec(RED, payloadType=draw(others), parameters=COPIES))
    extensions = [{"uri": uri, "id": id_} for uri, id_ in zip(uris, ids, strict=False)]
    encodings = [{"ssrc": draw(st.integers(1, 2**32 - 1))}]
    producer = {"codecs": codecs, "headerExtensions": extensions, "encodings": encodings, "rtcp": {"cname": "who"}}
    understood = [
        codec(one, kind=of.value, preferredPayloadType=draw(st.integers(96, 127)), rtcpFeedback=draw(feedback))
        for of in Kind
        for one in draw(some(CODECS[of]))
    ]
    for one in understood:
        one["parameters"] = draw(h264()) if is_h264(one) else {}
    if draw(st.booleans()):
        understood.append(codec(RTX, kind="video", preferredPayloadType=102, parameters={"apt": 101}, rtcpFeedback=[]))
    if any(one["kind"] == "audio" and one["channels"] == 2 for one in understood) and draw(st.booleans()):
        understood.append(codec(RED, kind="audio", preferredPayloadType=105, parameters=COPIES, rtcpFeedback=[]))
    known = [
        {"uri": uri, "preferredId": EXTENSION_IDS.get(uri, 14), "kind": draw(st.sampled_from(Kind)).value}
        for uri in draw(some([*EXTENSION_IDS, STRANGE]))
    ]
    return Case(kind, producer, {"codecs": understood, "headerExtensions": known})


@pytest.fixture(scope="module")
def oracle() -> Iterator[Oracle]:
    command = [NODE, HERE / "ortc.js"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:

        def ask(case: dict[str, Any]) -> dict[str, Any]:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(json.dumps(case) + "\n")
            process.stdin.flush()
            answer: dict[str, Any] = json.loads(process.stdout.readline())
            return answer

        yield ask


def ours(case: Case) -> dict[str, Any]:
    """What we answer, as the oracle does."""
    try:
        plan = plan_producer(case.kind, FAST.structure(case.producer, RtpParameters))
        consumer = FAST.structure(case.consumer, RtpCapabilities)
        parameters = consumer_parameters(plan, consumer, ssrc=1, rtx_ssrc=2, mid="0", cname="who")
    except Refusal as no:
        if no.code != Code.UNSUPPORTED.value:
            raise
        return {"unsupported": no.error}
    rtx = next(
        (c.preferred_payload_type for c in ROUTER.codecs if c.parameters.get("apt") == plan.codec.payload_type), None
    )
    retransmitted = dict.fromkeys(plan.rtx_payload_types, rtx)
    return {
        "payloadTypes": [list(pair) for pair in (plan.payload_types | retransmitted).items()],
        "parameters": FAST.unstructure(parameters),
    }


def compared(answer: dict[str, Any]) -> Any:
    """What must be the same in both answers; numbers that each makes up are not."""
    if "unsupported" in answer:
        return "unsupported"
    parameters = answer["parameters"]
    (encoding,) = parameters["encodings"]
    return {
        "payload types": sorted(answer["payloadTypes"]),
        "codecs": [
            [codec.get(key) for key in ("mimeType", "payloadType", "clockRate", "channels", "parameters")]
            for codec in parameters["codecs"]
        ],
        "feedback": [
            {(one["type"], one["parameter"]) for one in codec["rtcpFeedback"]} & ROUTER_FEEDBACK[codec["mimeType"]]
            for codec in parameters["codecs"]
        ],
        "rtx": "rtx" in encoding and encoding["rtx"]["ssrc"] - encoding["ssrc"],
        "extensions": {(one["uri"], one["id"]) for one in parameters["headerExtensions"]},
        "cname": parameters["rtcp"]["cname"],
    }


def summary(answer: dict[str, Any]) -> str:
    return (
        ", ".join(codec["mimeType"] for codec in answer["parameters"]["codecs"]) if "parameters" in answer else "none"
    )


# What a consumer asks for beyond that the router does not do; mediasoup leaves it to the client not to ask.
ROUTER_FEEDBACK = {one.mime_type: {(f.type, f.parameter) for f in one.rtcp_feedback} for one in ROUTER.codecs}


@given(case=cases())
@settings(max_examples=250)
def test_our_negotiation_is_mediasoups(oracle: Oracle, case: Case) -> None:
    router = FAST.unstructure(ROUTER)
    theirs = oracle({"router": router, "kind": case.kind.value, "producer": case.producer, "consumer": case.consumer})
    event(summary(theirs))
    assert compared(ours(case)) == compared(theirs)
