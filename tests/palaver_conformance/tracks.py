"""Cases about tracks: sent, received, paused, muted."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from palaver_protocol.table import Code

from .checks import check, check_fields
from .media import CAPABILITIES, VP8, consume, produce, rtp, transport
from .rooms import participant, view
from .stage import Stage, case
from .verdicts import Skipped


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
        heard = await bo.hears("participantMediaStateUpdated", userId=ada.user_id, name="Ada", **state)
        check(heard.get("isAway", False) is False, "somebody who is there", heard)
        check_fields("Ada", participant(await view(bo, room_id), ada), **state)


def beyond(reason: str) -> Any:
    """A notice that nothing over the wire provokes."""

    async def play(_: Stage) -> None:
        raise Skipped(reason)

    return play


case("activeSpeakers: who speaks")(beyond("it needs somebody who speaks: a media engine"))
case("mediaReset: the router moved")(beyond("it needs a media worker that dies"))
