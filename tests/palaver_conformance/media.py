"""Cases about media signalling, and whether the ICE agent behind it lives."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import uuid4

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .shape import shown
from .stage import Stage, case
from .stun import check_connectivity

DTLS_PATIENCE: Final = 10.0  # s that a transport may take to connect
HEX: Final = re.compile(r"[0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2}){31}")
MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
ABS_SEND_TIME: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
AUDIO_LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ORIENTATION: Final = "urn:3gpp:video-orientation"

OPUS: Final = {"mimeType": "audio/opus", "payloadType": 111, "clockRate": 48000, "channels": 2, "parameters": {}}
VP8: Final = {"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000, "parameters": {}}
CAPABILITIES: Final[dict[str, Any]] = {
    "codecs": [
        {"kind": "audio", "mimeType": "audio/opus", "clockRate": 48000, "channels": 2, "preferredPayloadType": 100},
        {"kind": "video", "mimeType": "video/VP8", "clockRate": 90000, "preferredPayloadType": 101},
    ],
    "headerExtensions": [{"kind": "audio", "uri": MID, "preferredId": 1}],
}
FEEDBACK: Final = {
    "audio/opus": [("nack", "")],
    "video/VP8": [("nack", ""), ("nack", "pli"), ("ccm", "fir"), ("goog-remb", "")],
}
EXTENSIONS: Final = {
    ("audio", MID, 1),
    ("video", MID, 1),
    ("audio", ABS_SEND_TIME, 4),
    ("video", ABS_SEND_TIME, 4),
    ("audio", AUDIO_LEVEL, 10),
    ("video", ORIENTATION, 11),
}


def dtls(**fields: Any) -> dict[str, Any]:
    """A client's DTLS parameters, with a certificate that nobody has."""
    return {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": ":".join(["AB"] * 32)}], **fields}


def rtp(ssrc: int = 1111, codec: dict[str, Any] = OPUS) -> dict[str, Any]:
    """A browser's RTP parameters."""
    extensions = [{"uri": MID, "id": 4, "encrypt": False}, {"uri": AUDIO_LEVEL, "id": 14, "encrypt": False}]
    return {"mid": "0", "codecs": [codec], "headerExtensions": extensions, "encodings": [{"ssrc": ssrc}]}


async def transport(person: Person, room_id: str, direction: str = "send") -> dict[str, Any]:
    """A transport of somebody: its parameters."""
    params: dict[str, Any] = (await person.does("createTransport", roomId=room_id, direction=direction))["params"]
    return params


async def produce(person: Person, room_id: str, *hearers: Person, ssrc: int = 1111) -> str:
    """Somebody sends a track, and these people hear of it: its id."""
    opened = (await transport(person, room_id))["id"]
    payload = {"roomId": room_id, "transportId": opened, "kind": "audio", "rtpParameters": rtp(ssrc)}
    producer = str((await person.does("produce", **payload))["producerId"])
    for hearer in hearers:
        await hearer.hears("newProducer", producerId=producer, userId=person.user_id, kind="audio")
    return producer


async def consume(person: Person, room_id: str, producer: str) -> dict[str, Any]:
    """Somebody receives a track, over a new transport: the consumer's parameters."""
    await transport(person, room_id, "receive")
    payload = {"roomId": room_id, "producerId": producer, "rtpCapabilities": CAPABILITIES}
    params: dict[str, Any] = (await person.does("consume", **payload))["params"]
    return params


# -- transports --------------------------------------------------------------------------------------------------------
@case("getRouterRtpCapabilities: Opus, VP8 and the header extensions, under their numbers")
async def capabilities(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    offered = (await ada.does("getRouterRtpCapabilities", roomId=room_id))["rtpCapabilities"]
    codecs = {codec["mimeType"]: codec for codec in offered["codecs"]}
    opus = {"kind": "audio", "clockRate": 48000, "channels": 2, "preferredPayloadType": 100}
    check_fields("opus", codecs.get("audio/opus"), **opus, parameters={})
    check_fields("VP8", codecs.get("video/VP8"), kind="video", clockRate=90000, preferredPayloadType=101)
    for name, wanted in FEEDBACK.items():
        feedback = [(one["type"], one["parameter"]) for one in codecs[name]["rtcpFeedback"]]
        check(feedback == wanted, f"the feedback of {name}: {wanted}", feedback)
    extensions = {(one["kind"], one["uri"], one["preferredId"]) for one in offered["headerExtensions"]}
    check(extensions >= EXTENSIONS, "the header extensions of the contract", sorted(extensions))
    check("transport-wide" not in shown(offered), "no transport-cc without its feedback", sorted(extensions))


@case("createTransport: what a client's ICE and DTLS need")
async def open_transport(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    for direction in ("send", "receive", "recv"):
        params = await transport(ada, room_id, direction)
        check_fields("iceParameters", params["iceParameters"], iceLite=True)
        check(bool(params["iceCandidates"]), "at least one candidate", params)
        for candidate in params["iceCandidates"]:
            check_fields("a candidate", candidate, protocol="udp", type="host", address=candidate["ip"])
        check_fields("dtlsParameters", params["dtlsParameters"], role="auto")
        prints = params["dtlsParameters"]["fingerprints"]
        is_one = len(prints) == 1 and prints[0]["algorithm"] == "sha-256" and HEX.fullmatch(prints[0]["value"])
        check(bool(is_one), "exactly one fingerprint, by sha-256", prints)


@case("createTransport: binding requests are answered, signed and with our address")
async def answers_stun(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    params = await transport(ada, room_id)
    wrong = await check_connectivity(params, params["iceParameters"]["password"], stage.target.patience)
    check(wrong == "", "a binding success response (RFC 8489)", wrong)


@case("createTransport: a binding request with a wrong password is not answered with success")
async def ignores_stun(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    params = await transport(ada, room_id)
    right = params["iceParameters"]["password"]
    check(await check_connectivity(params, right, stage.target.patience) == "", "an answer with the right one", right)
    wrong = await check_connectivity(params, "x" * 32, 0.3)
    check(wrong.startswith(("silence", "no success")), "silence, or an error response", wrong)


@case("createTransport: a second one of a direction takes the place of the first", "connectTransport")
async def replace(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    first, second = await transport(ada, room_id), await transport(ada, room_id)
    await ada.refused("connectTransport", Code.NOT_FOUND, transportId=first["id"], dtlsParameters=dtls())
    await ada.does("connectTransport", transportId=second["id"], dtlsParameters=dtls())


@case("connectTransport: any role, and sha-256, sha-384 or sha-512, are taken")
async def connect(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    for role, bits in (("client", 256), ("server", 512), ("auto", 384)):
        opened = (await transport(ada, room_id))["id"]
        prints = [{"algorithm": f"sha-{bits}", "value": ":".join(["AB"] * (bits // 8))}]
        await ada.does("connectTransport", transportId=opened, dtlsParameters=dtls(role=role, fingerprints=prints))


@case("connectTransport: no such transport, no usable fingerprint, or a second time is refused")
async def connect_wrongly(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    opened = (await transport(ada, room_id))["id"]
    await ada.refused("connectTransport", Code.NOT_FOUND, transportId=str(uuid4()), dtlsParameters=dtls())
    await bo.refused("connectTransport", Code.NOT_FOUND, transportId=opened, dtlsParameters=dtls())
    for prints in ([], [{"algorithm": "md5", "value": "AB"}]):
        bad = dtls(fingerprints=prints)
        await ada.refused("connectTransport", Code.UNSUPPORTED, transportId=opened, dtlsParameters=bad)
    await ada.does("connectTransport", transportId=opened, dtlsParameters=dtls())
    await ada.refused("connectTransport", Code.DUPLICATE, transportId=opened, dtlsParameters=dtls())


@case("restartIce: a transport gets new credentials, which work", is_addition=True)
async def restart(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    params = await transport(ada, room_id)
    fresh = (await ada.does("restartIce", transportId=params["id"]))["iceParameters"]
    for name in ("usernameFragment", "password"):
        check(fresh[name] != params["iceParameters"][name], f"another {name}", fresh)
    renewed = {**params, "iceParameters": fresh}
    wrong = await check_connectivity(renewed, fresh["password"], stage.target.patience)
    check(wrong == "", "a binding success response (RFC 8489)", wrong)
    await bo.refused("restartIce", Code.NOT_FOUND, transportId=params["id"])


@case("transportFailed: a transport that does not connect in ten seconds", "connectTransport", is_slow=True)
async def fails(stage: Stage) -> None:
    room_id, (ada, _) = await stage.room_of("Ada", "Bo")
    opened = (await transport(ada, room_id))["id"]
    await ada.does("connectTransport", transportId=opened, dtlsParameters=dtls())
    within = DTLS_PATIENCE + stage.target.patience
    await ada.hears("transportFailed", within=within, transportId=opened, reason="timeout")
    await ada.refused("connectTransport", Code.NOT_FOUND, transportId=opened, dtlsParameters=dtls())
