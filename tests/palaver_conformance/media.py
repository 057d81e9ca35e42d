"""Cases about media signalling, and whether the ICE agent behind it lives."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import uuid4

from palaver_protocol.table import Code

from .person import Person, check, check_fields
from .rooms import participant, view
from .shape import shown
from .stage import Stage, case
from .stun import check_connectivity
from .verdicts import Skipped

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
    room_id, (ada,) = await stage.room_of("Ada")
    opened = (await transport(ada, room_id))["id"]
    await ada.does("connectTransport", transportId=opened, dtlsParameters=dtls())
    await ada.hears("transportFailed", within=DTLS_PATIENCE + stage.target.patience, transportId=opened)
    await ada.refused("connectTransport", Code.NOT_FOUND, transportId=opened, dtlsParameters=dtls())


# -- producers ---------------------------------------------------------------------------------------------------------
@case("produce: the others hear of it, and who comes late finds it in the room", "newProducer")
async def produced(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await stage.room(ada, bo)
    producer = await produce(ada, room_id, bo)
    room = (await cy.does("joinRoom", roomId=room_id))["room"]
    for person in (ada, bo):
        await person.hears("userJoined")
    line = participant(room, ada)
    check_fields("Ada", line, producerIds=[{"producerId": producer, "kind": "audio"}])


@case("produce: video is forwarded as well", "newProducer")
async def video(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    opened = (await transport(ada, room_id))["id"]
    payload = {"roomId": room_id, "transportId": opened, "kind": "video", "rtpParameters": rtp(2222, VP8)}
    producer = (await ada.does("produce", **payload))["producerId"]
    await bo.hears("newProducer", producerId=producer, userId=ada.user_id, kind="video")


@case("produce: another's transport, one for receiving, an unknown codec or no SSRC is refused")
async def produce_wrongly(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    send, receive = await transport(ada, room_id), await transport(ada, room_id, "receive")
    common = {"roomId": room_id, "kind": "audio"}
    for who, opened in ((bo, send), (ada, receive)):
        payload = {**common, "transportId": opened["id"], "rtpParameters": rtp()}
        await who.refused("produce", Code.NOT_FOUND, **payload)
    unknown = {"mimeType": "audio/nonsense", "payloadType": 111, "clockRate": 48000}
    for parameters in (rtp(codec=unknown), {**rtp(), "encodings": []}):
        payload = {**common, "transportId": send["id"], "rtpParameters": parameters}
        await ada.refused("produce", Code.UNSUPPORTED, **payload)


@case("produce: the same SSRC twice, or a ninth track, is refused", "newProducer")
async def too_many(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    opened = (await transport(ada, room_id))["id"]
    common = {"roomId": room_id, "transportId": opened, "kind": "audio"}
    await ada.does("produce", **common, rtpParameters=rtp(1))
    await ada.refused("produce", Code.DUPLICATE, **common, rtpParameters=rtp(1))
    for ssrc in range(2, 9):
        await ada.does("produce", **common, rtpParameters=rtp(ssrc))
    await ada.refused("produce", Code.FULL, **common, rtpParameters=rtp(9))


@case("closeProducer: the others hear of it", "producerClosed", "newProducer", is_addition=True)
async def closed(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    producer = await produce(ada, room_id, bo)
    await bo.refused("closeProducer", Code.NOT_FOUND, Code.NOT_ALLOWED, roomId=room_id, producerId=producer)
    await ada.does("closeProducer", roomId=room_id, producerId=producer)
    await bo.hears("producerClosed", producerId=producer, userId=ada.user_id)
    await ada.refused("closeProducer", Code.NOT_FOUND, roomId=room_id, producerId=producer)
    check_fields("Ada", participant(await view(bo, room_id), ada), producerIds=[])


@case("producerClosed: a new transport ends what the old one carried", "createTransport", is_addition=True)
async def closed_by_transport(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    producer = await produce(ada, room_id, bo)
    await transport(ada, room_id)
    await bo.hears("producerClosed", producerId=producer, userId=ada.user_id)


# -- consumers ---------------------------------------------------------------------------------------------------------
@case("consume: the router's numbers, an SSRC of its own, and the producer's kind", "newProducer")
async def consumed(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    producer = await produce(ada, room_id, bo, cy)
    ssrcs = []
    for person in (bo, cy):
        params = await consume(person, room_id, producer)
        check_fields("the consumer", params, producerId=producer, kind="audio")
        parameters = params["rtpParameters"]
        check_fields("the codec", parameters["codecs"][0], mimeType="audio/opus", payloadType=100, channels=2)
        check_fields("rtcp", parameters["rtcp"], reducedSize=True, mux=True)
        check(bool(parameters["rtcp"].get("cname")), "a cname", parameters["rtcp"])
        check(isinstance(parameters.get("mid"), str), "a mid", parameters)
        ssrcs += [encoding.get("ssrc") for encoding in parameters["encodings"]]
    check(len(set(ssrcs)) == 2 and None not in ssrcs, "one SSRC for each consumer", ssrcs)


@case("consume: no such track, no transport for receiving, or no common codec is refused", "newProducer")
async def consume_wrongly(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    producer = await produce(ada, room_id, bo)
    common = {"roomId": room_id, "rtpCapabilities": CAPABILITIES}
    await bo.refused("consume", Code.NOT_FOUND, **common, producerId=producer)
    await transport(bo, room_id, "receive")
    await bo.refused("consume", Code.NOT_FOUND, **common, producerId=str(uuid4()))
    deaf: dict[str, Any] = {"codecs": [], "headerExtensions": []}
    await bo.refused("consume", Code.UNSUPPORTED, roomId=room_id, producerId=producer, rtpCapabilities=deaf)


def resumed(event: str) -> Any:
    """Resume or pause a consumer."""

    async def play(stage: Stage) -> None:
        room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
        params = await consume(bo, room_id, await produce(ada, room_id, bo))
        for _ in range(2):
            await bo.does(event, roomId=room_id, consumerId=params["id"])
        await ada.refused(event, Code.NOT_FOUND, Code.NOT_ALLOWED, roomId=room_id, consumerId=params["id"])
        await bo.refused(event, Code.NOT_FOUND, roomId=room_id, consumerId=str(uuid4()))

    return play


case("resumeConsumer: one's own, and no other", "consume")(resumed("resumeConsumer"))
case("pauseConsumer: one's own, and no other", "consume", is_addition=True)(resumed("pauseConsumer"))


# -- what people do with their media -----------------------------------------------------------------------------------
@case("mediaStateChanged: the others hear of it, and see it in the room", "participantMediaStateUpdated")
async def media_state(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    for is_muted, is_on in ((True, False), (True, True), (False, False)):
        state = {"isMuted": is_muted, "isVideoEnabled": is_on}
        await ada.does("mediaStateChanged", roomId=room_id, **state)
        await bo.hears("participantMediaStateUpdated", userId=ada.user_id, name="Ada", **state)
        check_fields("Ada", participant(await view(bo, room_id), ada), **state)


@case("setRecording: everybody hears of it", "recordingStateChanged", is_addition=True)
async def recording(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    for is_on in (True, False):
        await ada.does("setRecording", roomId=room_id, isRecording=is_on)
        for person in (ada, bo):
            await person.hears("recordingStateChanged", roomId=room_id, userId=ada.user_id, isRecording=is_on)


def beyond(reason: str) -> Any:
    """A notice that nothing over the wire provokes."""

    async def play(_: Stage) -> None:
        raise Skipped(reason)

    return play


case("activeSpeakers: who speaks")(beyond("it needs somebody who speaks: a media engine"))
case("mediaReset: the router moved")(beyond("it needs a media worker that dies"))
