"""Cases about the lists that everybody sees, and about several connections of one person."""

from __future__ import annotations

from typing import Any, Final

import trio

from palaver_protocol.table import Code

from .checks import check, check_fields
from .connecting import me_in
from .person import Person
from .stage import Stage, case, group

MOST_LISTS: Final = 8  # of one kind, per second


def room_in(payload: Any, room_id: str) -> Any:
    """A room's line in the list of rooms."""
    return next((room for room in payload["rooms"] if room["roomId"] == room_id), None)


def users_with(person: Person, **fields: Any) -> Any:
    """Whether a list of users has this person with these fields."""

    def is_so(payload: Any) -> bool:
        line = me_in(payload, person)
        return line is not None and all(line.get(name) == value for name, value in fields.items())

    return is_so


@case("onlineUsersUpdated: who comes is seen, and who goes is not")
async def come_and_go(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    await ada.sees("onlineUsersUpdated", users_with(bo, name="Bo", status="idle"), "Bo, idle")
    await bo.sees("onlineUsersUpdated", users_with(ada), "Ada")
    await bo.leave()
    await ada.sees("onlineUsersUpdated", lambda seen: me_in(seen, bo) is None, "no Bo")


@case("onlineUsersUpdated: who sits in a room is in a call, with the room's id")
async def in_call(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await stage.room(bo)
    seated = users_with(bo, status="in_call", currentRoomId=room_id)
    await ada.sees("onlineUsersUpdated", seated, "Bo in the room")
    await bo.does("leaveRoom", roomId=room_id)
    await ada.sees("onlineUsersUpdated", users_with(bo, status="idle", currentRoomId=None), "Bo, idle")


@case("onlineUsersUpdated: somebody with two connections is there once, until both are gone")
async def twice(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    users = (await again.sees("onlineUsersUpdated", users_with(ada), "Ada"))["users"]
    check(sum(user["userId"] == bo.user_id for user in users) == 1, "Bo once", users)
    await bo.leave()
    cy = await stage.person("Cy")
    await ada.sees("onlineUsersUpdated", users_with(cy), "Cy")
    await ada.sees("onlineUsersUpdated", users_with(bo), "Bo still")
    await again.leave()
    await ada.sees("onlineUsersUpdated", lambda seen: me_in(seen, bo) is None, "no Bo")


@case("roomListUpdated: a group room is there until it ends")
async def listed(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    payload = group()
    room_id = await stage.room(ada, **payload)

    def is_listed(seen: Any) -> bool:
        return room_in(seen, room_id) is not None

    line = room_in(await bo.sees("roomListUpdated", is_listed, "the room"), room_id)
    check_fields("the room", line, roomName=payload["roomName"], roomType="group", hostId=ada.user_id, status="active")
    check_fields("the room", line, hostName="Ada", isHostless=False, participantCount=1, participantNames=["Ada"])
    check("messages" not in line, "no messages in a list", line)
    await bo.does("joinRoom", roomId=room_id)
    await ada.hears("userJoined")
    two = "two people in the room"
    await bo.sees("roomListUpdated", lambda seen: (room_in(seen, room_id) or {}).get("participantCount") == 2, two)
    await ada.does("endCall", roomId=room_id)
    await bo.hears("callEnded")
    ada.may_hear("callEnded")
    await bo.sees("roomListUpdated", lambda seen: not is_listed(seen), "no such room")


@case("roomListUpdated: a direct room is not there")
async def unlisted(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    direct = await ada.does("createRoom", roomType="direct", targetUserId=bo.user_id)
    await bo.hears("incomingCall")
    marker = await stage.room(cy)
    seen = await cy.sees("roomListUpdated", lambda seen: room_in(seen, marker) is not None, "the later room")
    check(room_in(seen, direct["room"]["roomId"]) is None, "no direct room in the list", seen)


@case("onlineUsersUpdated: however much happens, the lists come a few times a second", "roomListUpdated")
async def coalesced(stage: Stage) -> None:
    room_id, (_, bo) = await stage.room_of("Ada", "Bo")
    cy = await stage.person("Cy")
    start = trio.current_time()
    for _ in range(20):
        await bo.does("leaveRoom", roomId=room_id)
        await bo.does("joinRoom", roomId=room_id)
    dee = await stage.person("Dee")
    later = await stage.room(dee)
    await cy.sees("onlineUsersUpdated", users_with(dee, status="in_call", currentRoomId=later), "the last to come")
    await cy.sees("roomListUpdated", lambda seen: room_in(seen, later) is not None, "the last room")
    await cy.barrier()
    most = MOST_LISTS * (1 + trio.current_time() - start)
    for event in ("onlineUsersUpdated", "roomListUpdated"):
        told = sum(heard.event == event for heard in cy.heard)
        check(told <= most, f"{event} at most {most:.0f} times", told)
    for person in stage.people:
        await person.barrier()
        person.may_hear("userJoined", "userLeft")


@case("connections: a seat belongs to the connection that took it", "sendMessage")
async def other_connection(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    await again.refused("sendMessage", Code.NOT_MEMBER, roomId=room_id, content="hi")
    await bo.does("sendMessage", roomId=room_id, content="hi")
    for person in (ada, bo):
        await person.hears("newMessage")


@case("serverNotice: who joins over another connection takes the seat along", is_addition=True)
async def seat_moves(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    room = (await again.does("joinRoom", roomId=room_id))["room"]
    check(len(room["participants"]) == 2, "the same two people in the room", room["participants"])
    await bo.barrier()
    moved = [heard.payload for heard in bo.heard if heard.event == "serverNotice" and "seatMoved" in str(heard.payload)]
    check(len(moved) == 1, "one serverNotice of code seatMoved", moved)
    check_fields("serverNotice to Bo", moved[0], code="seatMoved", level="info")
    bo.may_hear("serverNotice")
    await bo.refused("sendMessage", Code.NOT_MEMBER, roomId=room_id, content="hi")
    await again.does("sendMessage", roomId=room_id, content="hi")
    for person in (ada, again):
        await person.hears("newMessage")


@case("connections: who never asked to resume is gone at once when he is cut off", "userLeft")
async def cut_off(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await bo.cut()
    await ada.hears("userLeft", userId=bo.user_id, roomId=room_id)


@case("connections: who says good-bye is gone at once", "userLeft")
async def good_bye(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await bo.leave()
    await ada.hears("userLeft", userId=bo.user_id, roomId=room_id)
