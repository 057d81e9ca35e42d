"""Cases that the event table makes: for each request, what it refuses to whom and to what."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from uuid import uuid4

from palaver_protocol.requests import ToCall, ToRoom, ToSeat
from palaver_protocol.table import REQUESTS, Code, RequestRow, Standing

from .checks import check_refusal
from .media import CAPABILITIES, dtls, rtp
from .shape import is_valid, protocol
from .stage import Play, Stage, case

# What WIRE adds to the reference's 19 requests.
ADDITIONS: Final = frozenset(
    {
        "transferHost",
        "editMessage",
        "deleteMessage",
        "getMessages",
        "closeProducer",
        "pauseConsumer",
        "restartIce",
        "setRecording",
    }
)
STRANGE: Final[tuple[Any, ...]] = (None, 7, -1.5, True, [], {}, "no\nsuch thing", "x" * 300)
VALUES: Final[dict[str, Any]] = {
    "roomType": "group",
    "content": "hi",
    "emoji": "👍",
    "isMuted": True,
    "isVideoEnabled": False,
    "isRecording": True,
    "direction": "send",
    "kind": "audio",
    "dtlsParameters": dtls(),
    "rtpParameters": rtp(),
    "rtpCapabilities": CAPABILITIES,
}


def sample(event: str, **fields: Any) -> dict[str, Any]:
    """A valid payload: what must be there, with ids that nobody has."""
    definition = definition_of(event)
    return {name: VALUES.get(name, str(uuid4())) for name in definition["required"]} | fields


def definition_of(event: str) -> dict[str, Any]:
    """The schema of a request's payload."""
    reference: str = protocol()["requests"][event]["payload"]["$ref"]
    definition: dict[str, Any] = protocol()["$defs"][reference.removeprefix("#/$defs/")]
    return definition


def wrong_payloads(event: str) -> Iterator[Any]:
    """What the schema does not take: no object, a field missing, a field of another kind."""
    yield from (None, 7, "text", [], [{}], True)
    definition = definition_of(event)
    for name in definition["required"]:
        yield {key: value for key, value in sample(event).items() if key != name}
    for name, kind in definition["properties"].items():
        yield sample(event, **{name: next(value for value in STRANGE if not is_valid(kind, value))})


def wrong_shape(event: str) -> Play:
    async def play(stage: Stage) -> None:
        person = await stage.person()
        check_refusal(f"{event} without a payload", await person.put(event), Code.INVALID_PAYLOAD)
        for payload in wrong_payloads(event):
            answer = await person.put(event, payload)
            check_refusal(f"{event} with {payload!r:.80}", answer, Code.INVALID_PAYLOAD)

    return play


def nothing_there(event: str) -> Play:
    async def play(stage: Stage) -> None:
        _, (ada,) = await stage.room_of("Ada")
        await ada.refused(event, Code.NOT_FOUND, **sample(event))

    return play


def room_over(event: str) -> Play:
    async def play(stage: Stage) -> None:
        ada, bo = await stage.cast("Ada", "Bo")
        room_id = await stage.room(bo)
        await bo.does("endCall", roomId=room_id)
        await bo.barrier()
        bo.may_hear("callEnded")
        await ada.refused(event, Code.ENDED, **sample(event, roomId=room_id))

    return play


def by_stranger(event: str) -> Play:
    async def play(stage: Stage) -> None:
        room_id, _ = await stage.room_of("Ada", "Bo")
        cy = await stage.person("Cy")
        await cy.refused(event, Code.NOT_MEMBER, **sample(event, roomId=room_id))

    return play


def by_former(event: str) -> Play:
    async def play(stage: Stage) -> None:
        room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
        await bo.does("leaveRoom", roomId=room_id)
        await ada.hears("userLeft")
        await bo.refused(event, Code.NOT_MEMBER, **sample(event, roomId=room_id))

    return play


def without_seat(event: str) -> Play:
    async def play(stage: Stage) -> None:
        ada = await stage.person()
        await ada.refused(event, Code.NOT_MEMBER, Code.NOT_FOUND, **sample(event))

    return play


def make_cases(row: RequestRow) -> None:
    """Enter the cases of one request."""
    event, is_addition = row.event, row.event in ADDITIONS
    case(f"{event}: a payload of the wrong shape is refused", is_addition=is_addition)(wrong_shape(event))
    if issubclass(row.cls, ToSeat):
        case(f"{event}: who sits in no room is refused", is_addition=is_addition)(without_seat(event))
        return
    if issubclass(row.cls, ToRoom | ToCall):
        what = "room" if issubclass(row.cls, ToRoom) else "call"
        case(f"{event}: an unknown {what} is refused", is_addition=is_addition)(nothing_there(event))
    if issubclass(row.cls, ToRoom) and event != "endCall":
        case(f"{event}: a room that has ended is refused", is_addition=is_addition)(room_over(event))
    if row.who in (Standing.MEMBER, Standing.HOST):
        case(f"{event}: a stranger is refused", is_addition=is_addition)(by_stranger(event))
        case(f"{event}: a former member is refused", is_addition=is_addition)(by_former(event))


for one in REQUESTS.values():
    make_cases(one)
