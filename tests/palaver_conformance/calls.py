"""Cases about calls: one rings at another, and exactly one thing comes of it."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import trio

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .rooms import check_time, participant
from .stage import Stage, case

OVER = (Code.ENDED, Code.NOT_FOUND)  # what a call that is over answers


async def ring(stage: Stage, caller: Person, callee: Person, *others: Person, **payload: Any) -> str:
    """A call that rings at the callee, and on these other connections of his; its id."""
    call_id = str(uuid4())
    answer = await caller.does("callUser", callId=call_id, targetUserId=callee.user_id, **payload)
    check(0 < answer["ringsFor"] <= stage.target.ring * 1000 + 1, "ringsFor in ms", answer)
    for person in (callee, *others):
        heard = await person.hears("incomingCallNew", callId=call_id, fromName=caller.name)
        check_fields("incomingCallNew", heard, **{"from": caller.user_id})
        check(0 < heard.get("ringsFor", 1) <= stage.target.ring * 1000 + 1, "ringsFor in ms", heard)
    return call_id


async def is_over(call_id: str, *people: Person) -> None:
    """Whatever the callee does now comes too late."""
    for person in people:
        await person.refused("acceptCallNew", *OVER, callId=call_id)


# -- callUser ----------------------------------------------------------------------------------------------------------
@case("callUser: it rings on all connections of the callee", "incomingCallNew", "cancelCall", "callCancelled")
async def rings(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    call_id = await ring(stage, ada, bo, again)
    await ada.does("cancelCall", callId=call_id)
    for person in (bo, again):
        await person.hears("callCancelled", callId=call_id)


@case("incomingCallNew: a connection that comes while it rings rings as well", "callUser", "callCancelled")
async def comes_later(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    call_id = await ring(stage, ada, bo)
    again = await stage.person("Bo", bo.user_id)
    await again.hears("incomingCallNew", callId=call_id, fromName="Ada")
    await again.does("acceptCallNew", callId=call_id)
    await ada.hears("callAcceptedNew", callId=call_id)
    await bo.hears("callCancelled", callId=call_id)
    for person in (ada, again):
        await person.barrier()
        person.may_hear("userJoined")


def refused_call(code: Code) -> Any:
    """Call somebody who is oneself or not there."""

    async def play(stage: Stage) -> None:
        ada = await stage.person()
        target = ada.user_id if code is Code.SELF else str(uuid4())
        await ada.refused("callUser", code, callId=str(uuid4()), targetUserId=target)

    return play


case("callUser: oneself is refused")(refused_call(Code.SELF))
case("callUser: somebody who is not online is refused")(refused_call(Code.OFFLINE))


@case("callUser: a busy callee is refused")
async def busy(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    await stage.room(bo)
    await ada.refused("callUser", Code.BUSY, callId=str(uuid4()), targetUserId=bo.user_id)


@case("callUser: a callee in a call who takes call waiting is rung at", "incomingCallNew", is_addition=True)
async def call_waiting(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await stage.person("Bo", callWaiting=True)
    await stage.room(bo)
    call_id = await ring(stage, ada, bo)
    await bo.refused("acceptCallNew", Code.IN_ROOM, callId=call_id)
    await bo.does("acceptCallNew", callId=call_id, leaveCurrent=True)
    await ada.hears("callAcceptedNew", callId=call_id)
    for person in (ada, bo):
        await person.barrier()
        person.may_hear("userJoined")


@case("callUser: an id that is in use is refused")
async def duplicate(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    call_id = await ring(stage, ada, bo)
    await cy.refused("callUser", Code.DUPLICATE, callId=call_id, targetUserId=bo.user_id)


@case("callUser: who calls somebody already is refused")
async def in_call(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    await ring(stage, ada, bo)
    await ada.refused("callUser", Code.IN_CALL, callId=str(uuid4()), targetUserId=cy.user_id)


@case("callUser: three may ring at one callee, and the fourth is refused", "incomingCallNew")
async def fourth(stage: Stage) -> None:
    bo, *callers = await stage.cast("Bo", "Ada", "Cy", "Dee", "Eve")
    for caller in callers[:3]:
        await ring(stage, caller, bo)
    await callers[3].refused("callUser", Code.BUSY, callId=str(uuid4()), targetUserId=bo.user_id)


@case("callUser: who sits in a room is refused")
async def from_a_room(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    await stage.room(ada)
    await ada.refused("callUser", Code.IN_ROOM, callId=str(uuid4()), targetUserId=bo.user_id)


@case("callUser: leaveCurrent gives the caller's seat up once it is accepted", "userLeft", "callAcceptedNew")
async def from_a_room_at_last(stage: Stage) -> None:
    room_id, (cy, ada) = await stage.room_of("Cy", "Ada")
    bo = await stage.person("Bo")
    call_id = await ring(stage, ada, bo, leaveCurrent=True)
    await ada.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)  # sits there still
    await cy.hears("participantMediaStateUpdated")
    await accept(stage, call_id, ada, bo)
    await cy.hears("userLeft", userId=ada.user_id, roomId=room_id)


@case("callUser: where each calls the other, both are accepted into one room", "callAcceptedNew")
async def glare(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    calls = {ada: str(uuid4()), bo: str(uuid4())}
    posed = {ada: bo.user_id, bo: ada.user_id}
    asked = {one: await one.pose("callUser", {"callId": calls[one], "targetUserId": posed[one]}) for one in calls}
    rooms = []
    for person in (ada, bo):
        check_fields(f"the answer to {person.name}", await person.answer(asked[person]), success=True)
        heard = await person.hears("callAcceptedNew", callId=calls[person])
        rooms.append(heard["roomId"])
        check(len(heard["room"]["participants"]) == 2, "two participants", heard["room"])
    check(rooms[0] == rooms[1], "one room", rooms)
    for person in (ada, bo):
        await person.barrier()
        person.may_hear("incomingCallNew", "callCancelled", "userJoined")


@case("callUser: three rejections are followed by a pause", "rejectCallNew")
async def cooldown(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    for _ in range(3):
        call_id = await ring(stage, ada, bo)
        await bo.does("rejectCallNew", callId=call_id)
        await ada.hears("callRejectedNew", callId=call_id)
    no = await ada.refused("callUser", Code.COOLDOWN, callId=str(uuid4()), targetUserId=bo.user_id)
    check(50 < no.get("retryAfter", 0) <= 60, "retryAfter of about 60 s", no)
    cy = await stage.person("Cy")
    await ring(stage, cy, bo)


# -- acceptCallNew -----------------------------------------------------------------------------------------------------
async def accept(stage: Stage, call_id: str, caller: Person, callee: Person) -> dict[str, Any]:
    """The callee says yes, and the caller hears of it: their room."""
    answer = await callee.does("acceptCallNew", callId=call_id)
    heard = await caller.hears("callAcceptedNew", callId=call_id, roomId=answer["roomId"])
    for room in (answer["room"], heard["room"]):
        check_fields("the room", room, roomId=answer["roomId"], roomType="direct", status="active")
        for person in (caller, callee):
            check_fields("a participant", participant(room, person), name=person.name, status="accepted")
    for person in (caller, callee):
        await person.barrier()
        person.may_hear("userJoined")  # the room's first notice says it too
    room_view: dict[str, Any] = answer["room"]
    return room_view


@case("acceptCallNew: both sit in a direct room, and the caller hears of it", "callAcceptedNew", "newMessage")
async def accepted(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room = await accept(stage, await ring(stage, ada, bo), ada, bo)
    await ada.does("sendMessage", roomId=room["roomId"], content="hello?")
    for person in (ada, bo):
        await person.hears("newMessage", content="hello?")
    cy = await stage.person("Cy")
    await cy.refused("joinRoom", Code.NOT_MEMBER, Code.NOT_ALLOWED, roomId=room["roomId"])


@case("acceptCallNew: the first connection to accept wins, and the others stop ringing", "callCancelled")
async def first_wins(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    call_id = await ring(stage, ada, bo, again)
    await accept(stage, call_id, ada, again)
    await bo.hears("callCancelled", callId=call_id)
    await is_over(call_id, bo)


@case("acceptCallNew: only the callee may")
async def accept_wrongly(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    call_id = await ring(stage, ada, bo)
    for person in (ada, cy):
        await person.refused("acceptCallNew", Code.NOT_ALLOWED, Code.NOT_FOUND, callId=call_id)
    await accept(stage, call_id, ada, bo)


# -- rejectCallNew and cancelCall --------------------------------------------------------------------------------------
@case("rejectCallNew: the caller hears the reason, and other connections stop ringing", "callRejectedNew")
async def reject(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    call_id = await ring(stage, ada, bo, again)
    answer = await bo.does("rejectCallNew", callId=call_id, reason="in a meeting")
    check(isinstance(answer.get("message"), str), "a text `message`", answer)
    await ada.hears("callRejectedNew", callId=call_id, reason="in a meeting")
    await again.hears("callCancelled", callId=call_id)
    await is_over(call_id, again)


@case("rejectCallNew: without a reason it is `rejected`", "callRejectedNew")
async def reject_plainly(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    call_id = await ring(stage, ada, bo)
    await bo.does("rejectCallNew", callId=call_id)
    await ada.hears("callRejectedNew", callId=call_id, reason="rejected")


@case("rejectCallNew: only the callee may")
async def reject_wrongly(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    call_id = await ring(stage, ada, bo)
    for person in (ada, cy):
        await person.refused("rejectCallNew", Code.NOT_ALLOWED, Code.NOT_FOUND, callId=call_id)


@case("cancelCall: the callee stops ringing, and may be called again", "callCancelled")
async def cancel(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    for _ in range(2):
        call_id = await ring(stage, ada, bo)
        answer = await ada.does("cancelCall", callId=call_id)
        check(isinstance(answer.get("message"), str), "a text `message`", answer)
        await bo.hears("callCancelled", callId=call_id)
        await is_over(call_id, bo)


@case("cancelCall: only the caller may")
async def cancel_wrongly(stage: Stage) -> None:
    ada, bo, cy = await stage.cast("Ada", "Bo", "Cy")
    call_id = await ring(stage, ada, bo)
    for person in (bo, cy):
        await person.refused("cancelCall", Code.NOT_ALLOWED, Code.NOT_FOUND, callId=call_id)


# -- what else ends a call ---------------------------------------------------------------------------------------------
@case("callCancelled: a caller who is cut off rings no longer", "callUser")
async def caller_lost(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    call_id = await ring(stage, ada, bo)
    await ada.cut()
    await bo.hears("callCancelled", callId=call_id)
    await is_over(call_id, bo)


@case("callRejectedNew: a callee whose last connection is lost is offline", "callUser")
async def callee_lost(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    again = await stage.person("Bo", bo.user_id)
    call_id = await ring(stage, ada, bo, again)
    await bo.cut()
    await again.barrier()
    await again.cut()
    await ada.hears("callRejectedNew", callId=call_id, reason="offline")


@case("acceptCallNew: at the same moment as cancelCall, one of them wins", "cancelCall")
async def race(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    call_id = await ring(stage, ada, bo)
    accepting = await bo.pose("acceptCallNew", {"callId": call_id})
    cancelling = await ada.pose("cancelCall", {"callId": call_id})
    outcomes = [(await bo.answer(accepting))["success"], (await ada.answer(cancelling))["success"]]
    check(sorted(outcomes) == [False, True], "one success", outcomes)
    if outcomes[0]:
        await ada.hears("callAcceptedNew", callId=call_id)
    else:
        await bo.hears("callCancelled", callId=call_id)
    for person in (ada, bo):
        await person.barrier()
        person.may_hear("userJoined")


@case("callTimeout: both hear when nobody answers in time", "callUser", is_slow=True)
async def time_out(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    start = trio.current_time()
    call_id = await ring(stage, ada, bo)
    for person in (ada, bo):
        await person.hears("callTimeout", within=stage.target.ring + stage.target.patience, callId=call_id)
        check_time(trio.current_time() - start, stage.target.ring)
    await is_over(call_id, bo)
    await bo.barrier()
    bo.may_hear("callCancelled")
    await ring(stage, ada, bo)
