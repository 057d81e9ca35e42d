"""Cases about rooms: made, joined, left, ended, and who is the host."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import trio

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .stage import Stage, case, group


def participant(room: dict[str, Any], person: Person) -> Any:
    """Somebody's line in a room; an empty one where he is not."""
    return next((line for line in room["participants"] if line["userId"] == person.user_id), {})


async def view(person: Person, room_id: str) -> dict[str, Any]:
    """The room, as a member sees it: joinRoom of one's own room changes nothing."""
    room: dict[str, Any] = (await person.does("joinRoom", roomId=room_id))["room"]
    check_fields("the room", room, roomId=room_id)
    return room


# -- createRoom --------------------------------------------------------------------------------------------------------
@case("createRoom: a group room is active, and its maker is the host")
async def create(stage: Stage) -> None:
    ada = await stage.person()
    payload = group()
    room = (await ada.does("createRoom", **payload))["room"]
    check_fields("the room", room, roomName=payload["roomName"], roomType="group", status="active", isHostless=False)
    check_fields("the room", room, hostId=ada.user_id, hostName="Ada", messages=[], invitedUserIds=[])
    check(len(room["participants"]) == 1, "one participant", room["participants"])
    assert ada.welcome is not None
    line = {"userId": ada.user_id, "name": "Ada", "isHost": True, "status": "accepted", "producerIds": []}
    check_fields("the participant", room["participants"][0], **line, socketId=ada.welcome.data["sid"])


@case("createRoom: a room without a name gets one")
async def unnamed(stage: Stage) -> None:
    ada = await stage.person()
    room = (await ada.does("createRoom", roomType="group"))["room"]
    check(bool(room["roomName"]), "a name", room)


@case("createRoom: who sits in a room is refused")
async def create_elsewhere(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    await ada.refused("createRoom", Code.IN_ROOM, **group())
    check((await view(ada, room_id))["roomId"] == room_id, "he still sits there", room_id)


@case("createRoom: leaveCurrent gives the other seat up", "userLeft", "roomHostless")
async def create_and_leave(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await bo.does("createRoom", **group(), leaveCurrent=True)
    await ada.hears("userLeft", userId=bo.user_id, roomId=room_id)


@case("createRoom: joinExisting makes the room, or joins the one of that name", is_addition=True)
async def join_existing(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    payload = group(joinExisting=True)
    made = (await ada.does("createRoom", **payload))["room"]
    found = (await bo.does("createRoom", **payload))["room"]
    check_fields("the room that Bo is in", found, roomId=made["roomId"], hostId=ada.user_id)
    await ada.hears("userJoined", userId=bo.user_id)


@case("createRoom: without joinExisting a name may be used twice")
async def same_name(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    payload = group()
    one = (await ada.does("createRoom", **payload))["room"]
    two = (await bo.does("createRoom", **payload))["room"]
    check(one["roomId"] != two["roomId"], "two rooms", two)


# -- joinRoom ----------------------------------------------------------------------------------------------------------
@case("joinRoom: the others hear of it, and who joins gets the room", "userJoined")
async def join(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    room_id = await stage.room(ada, bo)
    room = (await cy.does("joinRoom", roomId=room_id))["room"]
    assert cy.welcome is not None
    for person in (ada, bo):
        await person.hears("userJoined", userId=cy.user_id, userName="Cy", socketId=cy.welcome.data["sid"])
        check_fields("a participant", participant(room, person), name=person.name, isHost=person is ada)
    check(bool(participant(room, cy)), "Cy among the participants", room["participants"])


@case("joinRoom: who sits there already gets the room, and nobody hears of it")
async def join_again(stage: Stage) -> None:
    room_id, (_, bo) = await stage.room_of("Ada", "Bo")
    room = await view(bo, room_id)
    check(len(room["participants"]) == 2, "two participants", room["participants"])


@case("joinRoom: who sits in another room is refused")
async def join_elsewhere(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    _, (bo,) = await stage.room_of("Bo")
    await bo.refused("joinRoom", Code.IN_ROOM, roomId=room_id)
    check(len((await view(ada, room_id))["participants"]) == 1, "Ada alone in her room", room_id)


@case("joinRoom: leaveCurrent gives the other seat up", "userJoined", "userLeft")
async def join_and_leave(stage: Stage) -> None:
    first, (ada, bo) = await stage.room_of("Ada", "Bo")
    second, (cy,) = await stage.room_of("Cy")
    await bo.does("joinRoom", roomId=second, leaveCurrent=True)
    await ada.hears("userLeft", userId=bo.user_id, roomId=first)
    await cy.hears("userJoined", userId=bo.user_id)


# -- leaveRoom and endCall ---------------------------------------------------------------------------------------------
@case("leaveRoom: the others hear of it, and the answer says so", "userLeft")
async def leave(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    answer = await cy.does("leaveRoom", roomId=room_id)
    check(isinstance(answer.get("message"), str), "a text `message`", answer)
    for person in (ada, bo):
        await person.hears("userLeft", userId=cy.user_id, roomId=room_id)
    await cy.refused("leaveRoom", Code.NOT_MEMBER, roomId=room_id)


@case("leaveRoom: a room that nobody sits in is over", "joinRoom")
async def empty(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await stage.room(ada)
    await ada.does("leaveRoom", roomId=room_id)
    await bo.refused("joinRoom", Code.ENDED, roomId=room_id)


@case("roomHostless: a host who leaves makes the room hostless", "leaveRoom", "userLeft")
async def host_leaves(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    await ada.does("leaveRoom", roomId=room_id)
    for person in (bo, cy):
        await person.hears("roomHostless", roomId=room_id)
        await person.hears("userLeft", userId=ada.user_id)
    room = await view(bo, room_id)
    check_fields("the room", room, isHostless=True)
    check(not any(line["isHost"] for line in room["participants"]), "nobody is host", room["participants"])


@case("endCall: in a hostless room everybody may", "callEnded", "roomHostless")
async def end_hostless(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    await ada.does("leaveRoom", roomId=room_id)
    for person in (bo, cy):
        await person.hears("roomHostless")
        await person.hears("userLeft")
    await cy.does("endCall", roomId=room_id)
    await bo.hears("callEnded", roomId=room_id, endedBy=cy.user_id, reason="ended")
    cy.may_hear("callEnded")


@case("endCall: the host ends the room for all", "callEnded")
async def end(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    answer = await ada.does("endCall", roomId=room_id)
    check(isinstance(answer.get("message"), str), "a text `message`", answer)
    for person in (bo, cy):
        await person.hears("callEnded", roomId=room_id, endedBy=ada.user_id, reason="ended")
    await ada.barrier()
    ada.may_hear("callEnded")
    await bo.refused("joinRoom", Code.ENDED, roomId=room_id)
    await bo.does("createRoom", **group())  # nobody sits in an ended room


@case("endCall: asked again it succeeds again, and nobody hears of it", "callEnded")
async def end_twice(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await ada.does("endCall", roomId=room_id)
    await bo.hears("callEnded")
    await ada.does("endCall", roomId=room_id)
    await ada.barrier()
    ada.may_hear("callEnded")


@case("endCall: a member who is not the host is refused")
async def end_as_member(stage: Stage) -> None:
    room_id, (_, bo) = await stage.room_of("Ada", "Bo")
    await bo.refused("endCall", Code.NOT_HOST, roomId=room_id)
    check_fields("the room", await view(bo, room_id), status="active")


# -- the host ----------------------------------------------------------------------------------------------------------
@case("transferHost: the role goes to a member, and everybody hears of it", "hostChanged", is_addition=True)
async def transfer(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    room = (await ada.does("transferHost", roomId=room_id, userId=bo.user_id))["room"]
    check_fields("the room", room, roomId=room_id, hostId=bo.user_id, hostName="Bo")
    for person in (ada, bo):
        await person.hears("hostChanged", roomId=room_id, hostId=bo.user_id, hostName="Bo", reason="transfer")
    await ada.refused("endCall", Code.NOT_HOST, roomId=room_id)
    check_fields("Bo", participant(await view(ada, room_id), bo), isHost=True)


@case("transferHost: only the host may", is_addition=True)
async def transfer_as_member(stage: Stage) -> None:
    room_id, (_, bo) = await stage.room_of("Ada", "Bo")
    await bo.refused("transferHost", Code.NOT_HOST, roomId=room_id, userId=bo.user_id)


@case("transferHost: to oneself or to a stranger is refused", is_addition=True)
async def transfer_wrongly(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    await ada.refused("transferHost", Code.SELF, roomId=room_id, userId=ada.user_id)
    await ada.refused("transferHost", Code.NOT_FOUND, roomId=room_id, userId=str(uuid4()))


@case("transferHost: a hostless room has a host again", "hostChanged", is_addition=True)
async def adopt(stage: Stage) -> None:
    room_id, (ada, bo, cy) = await stage.room_of("Ada", "Bo", "Cy")
    await ada.does("leaveRoom", roomId=room_id)
    for person in (bo, cy):
        await person.hears("roomHostless")
        await person.hears("userLeft")
    room = (await bo.does("transferHost", roomId=room_id, userId=cy.user_id))["room"]
    check_fields("the room", room, isHostless=False, hostId=cy.user_id)
    for person in (bo, cy):
        await person.hears("hostChanged", hostId=cy.user_id, reason="transfer")


@case("hostChanged: a host who was cut off and comes back in time is the host again", is_addition=True)
async def host_returns(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await ada.cut()
    await bo.hears("userLeft", userId=ada.user_id)
    lost = await view(bo, room_id)
    check(isinstance(lost.get("hostDisconnectedAt"), int), "hostDisconnectedAt while he is away", lost)
    check_fields("the room", lost, hostId=ada.user_id, isHostless=False)
    again = await stage.person("Ada", ada.user_id)
    room = (await again.does("joinRoom", roomId=room_id))["room"]
    await bo.hears("userJoined", userId=ada.user_id)
    await bo.hears("hostChanged", hostId=ada.user_id, reason="returned")
    again.may_hear("hostChanged")
    check_fields("the room", room, hostId=ada.user_id, isHostless=False, hostDisconnectedAt=None)
    await bo.refused("endCall", Code.NOT_HOST, roomId=room_id)


@case("roomHostless: a host who does not come back loses the role when the grace is over", is_slow=True)
async def host_stays_away(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    start = trio.current_time()
    await ada.cut()
    await bo.hears("userLeft", userId=ada.user_id)
    grace = stage.target.host_grace
    await bo.hears("roomHostless", within=grace + stage.target.patience, roomId=room_id)
    check_time(trio.current_time() - start, grace)
    await bo.does("endCall", roomId=room_id)
    bo.may_hear("callEnded")


def check_time(took: float, expected: float) -> None:
    """Check that a timer went off when it should. Raises Failed."""
    check(-0.2 < took - expected < 1.0, f"{expected:g} s (--help tells the flag)", f"{took:.2f} s")
