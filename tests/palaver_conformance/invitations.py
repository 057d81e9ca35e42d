"""Cases about the older flow: invitations to a room."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import trio

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .rooms import check_time, participant, view
from .stage import Stage, case, group


async def invite(stage: Stage, host: Person, *invited: Person, is_direct: bool = False) -> str:
    """A room to which these people are invited; its id."""
    if is_direct:
        room = (await host.does("createRoom", roomType="direct", targetUserId=invited[0].user_id))["room"]
    else:
        room = (await host.does("createRoom", **group(invitedUserIds=[one.user_id for one in invited])))["room"]
    kind = "direct" if is_direct else "group"
    check_fields("the room", room, roomType=kind, status="pending" if is_direct else "active")
    check(set(room["invitedUserIds"]) == {one.user_id for one in invited}, "the invited people", room)
    check(len(room["participants"]) == 1, "the host alone", room["participants"])
    for person in invited:
        heard = await person.hears(
            "incomingCall", roomId=room["roomId"], roomType=kind, fromUserId=host.user_id, fromUserName=host.name
        )
        check(0 < heard.get("ringsFor", 1) <= stage.target.ring * 1000 + 1, "ringsFor in ms", heard)
    return str(room["roomId"])


async def say_yes(host: Person, invited: Person, room_id: str) -> dict[str, Any]:
    """The invited one accepts, and the host hears of it: the room."""
    room: dict[str, Any] = (await invited.does("acceptCall", roomId=room_id))["room"]
    await host.hears("callAccepted", userId=invited.user_id, roomId=room_id)
    await host.hears("userJoined", userId=invited.user_id)
    await invited.barrier()
    invited.may_hear("callAccepted")
    check_fields("the room", room, roomId=room_id)
    check_fields("the invited one", participant(room, invited), status="accepted", isHost=False)
    return room


@case("createRoom: a direct room is pending and rings at the other one", "incomingCall", "acceptCall", "callAccepted")
async def direct(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await invite(stage, ada, bo, is_direct=True)
    room = await say_yes(ada, bo, room_id)
    check_fields("the room", room, status="active", roomType="direct", hostId=ada.user_id)
    check(len((await view(ada, room_id))["participants"]) == 2, "two participants", room)


@case("createRoom: a direct room may name the other one in invitedUserIds", "incomingCall")
async def direct_by_list(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room = (await ada.does("createRoom", roomType="direct", invitedUserIds=[bo.user_id]))["room"]
    await bo.hears("incomingCall", roomId=room["roomId"], roomType="direct")


@case("createRoom: a direct room with nobody or with several is refused")
async def direct_wrongly(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    await ada.refused("createRoom", Code.INVALID_PAYLOAD, roomType="direct")
    both = [bo.user_id, cy.user_id]
    await ada.refused("createRoom", Code.INVALID_PAYLOAD, roomType="direct", invitedUserIds=both)


@case("createRoom: a direct room with oneself, or with somebody who is not online, is refused")
async def direct_alone(stage: Stage) -> None:
    ada = await stage.person()
    await ada.refused("createRoom", Code.SELF, roomType="direct", targetUserId=ada.user_id)
    await ada.refused("createRoom", Code.OFFLINE, roomType="direct", targetUserId=str(uuid4()))


@case("createRoom: a group room rings at those who are invited", "incomingCall", "acceptCall", "callAccepted")
async def group_invitation(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await invite(stage, ada, bo, cy)
    await say_yes(ada, bo, room_id)
    await say_yes(ada, cy, room_id)
    await bo.hears("callAccepted", userId=cy.user_id)
    await bo.hears("userJoined", userId=cy.user_id)


@case("acceptCall: all connections ring, and the others stop when one accepts", "callCancelled")
async def all_connections(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    room_id = await invite(stage, ada, bo)
    await again.hears("incomingCall", roomId=room_id)
    await say_yes(ada, bo, room_id)
    await again.hears("callCancelled", callId=room_id)


@case("acceptCall: who sits in another room must leave it", "leaveRoom")
async def accept_elsewhere(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await stage.person("Bo", callWaiting=True)
    room_id = await invite(stage, ada, bo)
    other = (await bo.does("createRoom", **group()))["room"]["roomId"]
    await bo.refused("acceptCall", Code.IN_ROOM, roomId=room_id)
    await bo.does("leaveRoom", roomId=other)
    await bo.barrier()
    await bo.does("acceptCall", roomId=room_id)
    await ada.hears("callAccepted", userId=bo.user_id)
    await ada.hears("userJoined", userId=bo.user_id)
    await bo.barrier()
    bo.may_hear("callAccepted")


@case("joinRoom: a direct room admits its two people only", "acceptCall")
async def not_invited(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await invite(stage, ada, bo, is_direct=True)
    for event in ("joinRoom", "acceptCall", "rejectCall"):
        await cy.refused(event, Code.NOT_MEMBER, Code.NOT_ALLOWED, roomId=room_id)
    await say_yes(ada, bo, room_id)


@case("rejectCall: a direct room ends, and its maker hears why", "callRejected", "callEnded")
async def reject_direct(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await invite(stage, ada, bo, is_direct=True)
    answer = await bo.does("rejectCall", roomId=room_id, reason="in a meeting")
    check(isinstance(answer.get("message"), str), "a text `message`", answer)
    await ada.hears("callRejected", userId=bo.user_id, userName="Bo", roomId=room_id, reason="in a meeting")
    await ada.hears("callEnded", roomId=room_id, reason="rejected")
    await bo.refused("acceptCall", Code.ENDED, roomId=room_id)


@case("rejectCall: a group room goes on", "callRejected")
async def reject_group(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await invite(stage, ada, bo, cy)
    await bo.does("rejectCall", roomId=room_id)
    await ada.hears("callRejected", userId=bo.user_id, userName="Bo", roomId=room_id)
    await say_yes(ada, cy, room_id)


@case("rejectCall: who was not invited, or answered before, is refused")
async def reject_wrongly(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await invite(stage, ada, bo)
    codes = (Code.NOT_ALLOWED, Code.NOT_FOUND)
    await cy.refused("rejectCall", *codes, roomId=room_id)
    await bo.does("rejectCall", roomId=room_id)
    await ada.hears("callRejected", userId=bo.user_id)
    await bo.refused("rejectCall", *codes, roomId=room_id)


@case("callCancelled: an invitation rings no longer when its room has ended", "endCall")
async def withdrawn(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await invite(stage, ada, bo)
    await ada.does("endCall", roomId=room_id)
    await bo.hears("callCancelled", callId=room_id)
    await ada.barrier()
    ada.may_hear("callEnded", "callRejected")
    await bo.refused("acceptCall", Code.ENDED, roomId=room_id)


@case("callRejected: an invited one who goes offline does not come", "createRoom")
async def invited_lost(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await invite(stage, ada, bo)
    await bo.cut()
    await ada.hears("callRejected", userId=bo.user_id, roomId=room_id, reason="offline")


@case("createRoom: joinExisting invites to the room that one sits in", "incomingCall", is_addition=True)
async def invite_later(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    payload = group(joinExisting=True)
    room_id = (await ada.does("createRoom", **payload))["room"]["roomId"]
    room = (await ada.does("createRoom", **payload, invitedUserIds=[bo.user_id]))["room"]
    check_fields("the room", room, roomId=room_id)
    await bo.hears("incomingCall", roomId=room_id, fromUserId=ada.user_id)
    await say_yes(ada, bo, room_id)


@case("callRejected: an invitation that nobody answers times out", "callCancelled", "callEnded", is_slow=True)
async def time_out(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    start = trio.current_time()
    room_id = await invite(stage, ada, bo, is_direct=True)
    within = stage.target.ring + stage.target.patience
    await ada.hears("callRejected", within=within, userId=bo.user_id, roomId=room_id, reason="timeout")
    check_time(trio.current_time() - start, stage.target.ring)
    await ada.hears("callEnded", roomId=room_id, reason="timeout")
    await bo.hears("callCancelled", callId=room_id)
    await bo.refused("acceptCall", Code.ENDED, roomId=room_id)
    for person in (ada, bo):
        await person.barrier()
        person.may_hear("callTimeout")  # an invitation's id is its room's
