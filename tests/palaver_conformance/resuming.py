"""Cases about coming back after the connection was lost."""

from __future__ import annotations

from typing import Any

import trio

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .rooms import check_time, participant
from .stage import LACKING, Stage, case
from .verdicts import Skipped


async def resumable(stage: Stage, name: str, user_id: str | None = None, token: str = "") -> Person:
    """Somebody who asks for resumption; skips the case where the server has none."""
    person = await stage.person(name, user_id, resume=token)
    if "resume" not in answer_of(person):
        raise Skipped(LACKING)
    return person


def answer_of(person: Person) -> dict[str, Any]:
    """What the server said to CONNECT."""
    assert person.welcome is not None
    data: dict[str, Any] = person.welcome.data or {}
    return data


async def away(stage: Stage, *names: str) -> tuple[str, list[Person]]:
    """A room whose second member can resume, and has just been cut off."""
    ada, bo = await stage.person(names[0]), await resumable(stage, names[1])
    room_id = await stage.room(ada, bo)
    await bo.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
    await ada.hears("participantMediaStateUpdated", userId=bo.user_id, isMuted=True)
    await bo.cut()
    gone: dict[str, Any] = {
        "userId": bo.user_id,
        "name": bo.name,
        "isMuted": True,
        "isVideoEnabled": False,
        "isAway": True,
    }
    await ada.hears("participantMediaStateUpdated", **gone)
    return room_id, [ada, bo]


@case("resuming: who asks for it gets a token", is_addition=True)
async def token(stage: Stage) -> None:
    person = await resumable(stage, "Ada")
    check_fields("the answer to CONNECT", answer_of(person), resumed=False, userId=person.user_id)
    check(bool(answer_of(person)["resume"]), "a token", answer_of(person))


@case("resuming: a token that the server does not know begins anew", is_addition=True)
async def unknown_token(stage: Stage) -> None:
    person = await resumable(stage, "Ada", token="never-given")
    check_fields("the answer to CONNECT", answer_of(person), resumed=False)


@case("resuming: somebody else's token begins anew", is_addition=True)
async def stolen_token(stage: Stage) -> None:
    room_id, (_, bo) = await away(stage, "Ada", "Bo")
    mallory = await resumable(stage, "Mallory", token=answer_of(bo)["resume"])
    check_fields("the answer to CONNECT", answer_of(mallory), resumed=False)
    await mallory.refused("sendMessage", Code.NOT_MEMBER, roomId=room_id, content="hi")


@case("snapshot: who comes back in time has his seat, and nobody hears of leaving or joining", is_addition=True)
async def back(stage: Stage) -> None:
    room_id, (ada, bo) = await away(stage, "Ada", "Bo")
    said = (await ada.does("sendMessage", roomId=room_id, content="are you there?"))["message"]
    await ada.hears("newMessage")
    again = await resumable(stage, "Bo", bo.user_id, answer_of(bo)["resume"])
    check_fields("the answer to CONNECT", answer_of(again), resumed=True, sid=answer_of(bo)["sid"])
    heard = await again.hears("snapshot")
    check(again.heard[0].event == "snapshot", "snapshot first", again.heard[0].event)
    check_fields("the snapshot's user", heard["user"], userId=bo.user_id, currentRoomId=room_id)
    check_fields("the snapshot's room", heard.get("room"), roomId=room_id, messages=[said])
    check(any(room["roomId"] == room_id for room in heard["rooms"]), "his room among the rooms", heard["rooms"])
    users = {user["userId"] for user in heard["users"]}
    check(users >= {ada.user_id, bo.user_id}, "both among the users", heard["users"])
    mine = {"isMuted": True, "socketId": answer_of(bo)["sid"]}
    check_fields("his own line", participant(heard["room"], bo), **mine)
    await ada.hears("participantMediaStateUpdated", userId=bo.user_id, isMuted=True, isAway=False)
    await again.does("sendMessage", roomId=room_id, content="here I am")
    for person in (ada, again):
        await person.hears("newMessage", content="here I am")


@case("snapshot: a host who resumes is the host still", "hostChanged", is_addition=True)
async def host_back(stage: Stage) -> None:
    ada, bo = await resumable(stage, "Ada"), await stage.person("Bo")
    room_id = await stage.room(ada, bo)
    await ada.cut()
    await bo.hears("participantMediaStateUpdated", userId=ada.user_id, isAway=True)
    again = await resumable(stage, "Ada", ada.user_id, answer_of(ada)["resume"])
    heard = await again.hears("snapshot")
    check_fields("the snapshot's room", heard.get("room"), hostId=ada.user_id, isHostless=False)
    check_fields("his own line", participant(heard["room"], ada), isHost=True)
    await bo.hears("participantMediaStateUpdated", userId=ada.user_id, isAway=False)
    for person in (bo, again):
        await person.barrier()
        person.may_hear("hostChanged")
    await bo.refused("endCall", Code.NOT_HOST, roomId=room_id)


@case("snapshot: a call that rings is in it", "callUser", "incomingCallNew", is_addition=True)
async def call_in_snapshot(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await resumable(stage, "Bo")
    await bo.cut()
    await ada.barrier()
    again = await resumable(stage, "Bo", bo.user_id, answer_of(bo)["resume"])
    await again.hears("snapshot", calls=[])
    call_id = f"call-of-{ada.user_id}"
    await ada.does("callUser", callId=call_id, targetUserId=bo.user_id)
    await again.hears("incomingCallNew", callId=call_id)
    await again.cut()
    back_again = await resumable(stage, "Bo", bo.user_id, answer_of(again)["resume"])
    (call,) = (await back_again.hears("snapshot"))["calls"] or [{}]
    check_fields("the call", call, callId=call_id, fromName="Ada", to=bo.user_id, **{"from": ada.user_id})
    await back_again.does("rejectCallNew", callId=call_id)
    await ada.hears("callRejectedNew", callId=call_id, reason="rejected")


@case("resuming: who says good-bye is gone at once", "userLeft", is_addition=True)
async def clean_end(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await resumable(stage, "Bo")
    room_id = await stage.room(ada, bo)
    await bo.leave()
    await ada.hears("userLeft", userId=bo.user_id, roomId=room_id)
    again = await resumable(stage, "Bo", bo.user_id, answer_of(bo)["resume"])
    check_fields("the answer to CONNECT", answer_of(again), resumed=False)


@case("resuming: who closes the WebSocket properly is gone at once", "userLeft", is_addition=True)
async def clean_close(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await resumable(stage, "Bo")
    room_id = await stage.room(ada, bo)
    assert bo.link is not None
    await bo.link.close()
    await ada.hears("userLeft", userId=bo.user_id, roomId=room_id)


@case("userLeft: the seat of who does not come back is given up when the grace is over", is_slow=True, is_addition=True)
async def never_back(stage: Stage) -> None:
    start = trio.current_time()
    room_id, (ada, bo) = await away(stage, "Ada", "Bo")
    grace = stage.target.resume_grace
    await ada.hears("userLeft", within=grace + stage.target.patience, userId=bo.user_id, roomId=room_id)
    check_time(trio.current_time() - start, grace)
