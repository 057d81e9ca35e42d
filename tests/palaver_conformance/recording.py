"""Cases about telling that one records: everybody knows at any time who does."""

from __future__ import annotations

from palaver_protocol.table import Code

from .checks import check_fields
from .person import Person
from .resuming import answer_of, resumable
from .rooms import participant, view
from .stage import Stage, case

TOLD = "recordingStateChanged"


async def records(room_id: str, who: Person, *others: Person) -> None:
    """Somebody begins to record, and all hear of it."""
    await who.does("setRecording", roomId=room_id, isRecording=True)
    for person in (who, *others):
        await person.hears(TOLD, roomId=room_id, userId=who.user_id, isRecording=True)


async def hears_the_end(person: Person, room_id: str, who: Person) -> None:
    """The recording is over, and this is heard."""
    await person.hears(TOLD, roomId=room_id, userId=who.user_id, isRecording=False)


@case("setRecording: everybody hears of it", TOLD, is_addition=True)
async def told(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await records(room_id, ada, bo)
    check_fields("Ada", participant(await view(bo, room_id), ada), isRecording=True)
    await ada.does("setRecording", roomId=room_id, isRecording=False)
    for person in (ada, bo):
        await hears_the_end(person, room_id, ada)
    check_fields("Ada", participant(await view(bo, room_id), ada), isRecording=False)


@case("setRecording: said again it is news to nobody", TOLD, is_addition=True)
async def again(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await bo.does("setRecording", roomId=room_id, isRecording=False)
    await records(room_id, bo, ada)
    await bo.does("setRecording", roomId=room_id, isRecording=True)


@case("setRecording: who comes later finds it in the room", TOLD, is_addition=True)
async def newcomer(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await records(room_id, bo, ada)
    cy = await stage.person("Cy")
    room = (await cy.does("joinRoom", roomId=room_id))["room"]
    for person in (ada, bo):
        await person.hears("userJoined")
    for person, is_recording in ((ada, False), (bo, True), (cy, False)):
        check_fields(person.name, participant(room, person), isRecording=is_recording)


@case("setRecording: who leaves records no longer, and this is told", TOLD, "userLeft", is_addition=True)
async def leaving(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await records(room_id, bo, ada)
    await bo.does("leaveRoom", roomId=room_id)
    await hears_the_end(ada, room_id, bo)
    await ada.hears("userLeft", userId=bo.user_id)
    room = (await bo.does("joinRoom", roomId=room_id))["room"]
    await ada.hears("userJoined")
    check_fields("Bo", participant(room, bo), isRecording=False)


@case("recordingStateChanged: who is cut off for good records no longer", "userLeft", is_addition=True)
async def cut_off(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await records(room_id, bo, ada)
    await bo.cut()
    await hears_the_end(ada, room_id, bo)
    await ada.hears("userLeft", userId=bo.user_id)


@case("recordingStateChanged: a seat taken along to another connection records no longer", is_addition=True)
async def taken_along(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await records(room_id, bo, ada)
    other = await stage.person("Bo", bo.user_id)
    room = (await other.does("joinRoom", roomId=room_id))["room"]
    check_fields("Bo", participant(room, bo), isRecording=False)
    for person in (ada, other):
        await hears_the_end(person, room_id, bo)
    await bo.barrier()
    bo.may_hear("serverNotice")


@case("recordingStateChanged: who resumes records still, and finds who else does", "snapshot", is_addition=True)
async def resumed(stage: Stage) -> None:
    ada, bo = await stage.person("Ada"), await resumable(stage, "Bo")
    room_id = await stage.room(ada, bo)
    await records(room_id, bo, ada)
    await bo.cut()
    await ada.hears("participantMediaStateUpdated", userId=bo.user_id, isAway=True)
    await records(room_id, ada)
    check_fields("Bo", participant(await view(ada, room_id), bo), isRecording=True)
    back = await resumable(stage, "Bo", bo.user_id, answer_of(bo)["resume"])
    room = (await back.hears("snapshot"))["room"]
    for person in (ada, bo):
        check_fields(person.name, participant(room, person), isRecording=True)
    await ada.hears("participantMediaStateUpdated", userId=bo.user_id, isAway=False)


@case("setRecording: who has no seat is refused, and nobody hears of it", is_addition=True)
async def stranger(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    cy = await stage.person("Cy")
    await cy.refused("setRecording", Code.NOT_MEMBER, roomId=room_id, isRecording=True)
    await bo.does("leaveRoom", roomId=room_id)
    await ada.hears("userLeft")
    await bo.refused("setRecording", Code.NOT_MEMBER, roomId=room_id, isRecording=True)
    for line in (await view(ada, room_id))["participants"]:
        check_fields("a participant", line, isRecording=False)
