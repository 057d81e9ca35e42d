"""Who may ask what: every request of the table from everybody that there is."""

import pytest

from palaver_protocol.table import REQUESTS, Standing
from world import CAPABILITIES, DTLS, OPUS, open_media, talk, world

pytestmark = pytest.mark.trio

PEOPLE = ("host", "member", "invited", "stranger", "former", "elsewhere", "second")
CALL_PEOPLE = ("caller", "callee", "other connection of the caller", "other connection of the callee", "stranger")
# All else is for the members of the room.
OPEN = {"createRoom", "callUser"}
DOORS = {"joinRoom", "acceptCall"}  # a group room invites everybody
HOSTS = {"endCall", "transferHost"}
CALLERS = {"cancelCall"}
CALLEES = {"acceptCallNew", "rejectCallNew"}
CALLS = CALLERS | CALLEES


async def test_the_table_says_who_may():
    who = {event: row.who for event, row in REQUESTS.items()}
    assert {event for event in who if who[event] == Standing.ANYONE} == OPEN
    assert {event for event in who if who[event] == Standing.HOST} == HOSTS
    assert {event for event in who if who[event] == Standing.INVITED | Standing.MEMBER} == DOORS
    assert {event for event in who if who[event] == Standing.INVITED} == {"rejectCall"}
    assert {event for event in who if who[event] == Standing.CALLER} == CALLERS
    assert {event for event in who if who[event] == Standing.CALLEE} == CALLEES
    rest = set(who) - OPEN - HOSTS - DOORS - CALLS - {"rejectCall"}
    assert all(who[event] == Standing.MEMBER for event in rest)
    assert all(row.doc for row in REQUESTS.values())


def payload_of(event, room_id, ids):
    """A payload with which a member succeeds, but for createRoom, who sits already."""
    room = {"roomId": room_id}
    return {
        "createRoom": {"roomType": "group", "roomName": "other", "leaveCurrent": False},
        "callUser": {"callId": "c", "targetUserId": "target"},
        "joinRoom": {**room, "leaveCurrent": True},
        "acceptCall": {**room, "leaveCurrent": True},
        "rejectCall": room,
        "leaveRoom": room,
        "endCall": room,
        "sendMessage": {**room, "content": "hi"},
        "reactToMessage": {**room, "messageId": ids["message"], "emoji": "👍"},
        "editMessage": {**room, "messageId": ids["message"], "content": "ho"},
        "deleteMessage": {**room, "messageId": ids["message"]},
        "getMessages": room,
        "transferHost": {**room, "userId": "member"},
        "mediaStateChanged": {**room, "isMuted": True, "isVideoEnabled": False},
        "getRouterRtpCapabilities": room,
        "createTransport": {**room, "direction": "receive"},
        "connectTransport": {"transportId": ids["transport"], "dtlsParameters": DTLS},
        "produce": {
            **room,
            "transportId": ids["transport"],
            "kind": "audio",
            "rtpParameters": {**OPUS, "encodings": [{"ssrc": 7}]},
        },
        "closeProducer": {**room, "producerId": ids["producer"]},
        "consume": {**room, "producerId": ids["producer"], "rtpCapabilities": CAPABILITIES},
        "resumeConsumer": {**room, "consumerId": ids["consumer"]},
        "pauseConsumer": {**room, "consumerId": ids["consumer"]},
        "restartIce": {"transportId": ids["transport"]},
        "setRecording": {**room, "isRecording": True},
    }[event]


async def everybody(w):
    """One of each standing, towards one room."""
    host, member, invited, former, elsewhere, stranger, _ = await w.people(
        "host", "member", "invited", "former", "elsewhere", "stranger", "target"
    )
    room_id = await w.room(host, member, former)
    await host.does("createRoom", roomType="group", roomName="den", joinExisting=True, invitedUserIds=["invited"])
    await w.room(elsewhere, name="attic")
    await former.does("leaveRoom", roomId=room_id)
    second = await w.person("member", "member")
    people = (host, member, invited, stranger, former, elsewhere, second)
    return room_id, dict(zip(PEOPLE, people, strict=True))


async def media_of(w, owner, room_id, user_id):
    """Media of somebody in the room; the ids are what others would like to use."""
    producer = await talk(owner, room_id)
    (transport,) = w.state(room_id).seats[user_id].transports
    await open_media(owner, room_id, "receive")
    answer = await owner.does("consume", roomId=room_id, producerId=producer, rtpCapabilities=CAPABILITIES)
    said = await owner.does("sendMessage", roomId=room_id, content="hi")
    return {
        "message": said["message"]["messageId"],
        "producer": producer,
        "transport": transport,
        "consumer": answer["params"]["id"],
    }


@pytest.mark.parametrize("event", sorted(set(REQUESTS) - CALLS))
@pytest.mark.parametrize("who", PEOPLE)
async def test_only_those_may_whom_the_table_allows(autojump_clock, event, who):
    async with world() as w:
        room_id, people = await everybody(w)
        owner = "host" if who == "host" else "member"
        ids = await media_of(w, people[owner], room_id, owner)
        before = (list(w.state(room_id).seats), len(w.routers.made[0].commands))
        answer = await people[who].ask(event, **payload_of(event, room_id, ids))
        if expected := refused(event, who):
            assert answer["code"] == expected, answer
            assert (list(w.state(room_id).seats), len(w.routers.made[0].commands)) == before
        else:
            assert answer["success"] is True, answer


def refused(event, who):
    """The code with which somebody is refused; none for those who may."""
    sits_here, sits = who in ("host", "member"), who in ("host", "member", "elsewhere", "second")
    if event in OPEN:
        return "inRoom" if sits else None
    if event in DOORS:
        return None
    if event == "rejectCall":
        return {"invited": None, "host": "notAllowed", "member": "notAllowed"}.get(who, "notFound")
    if event in HOSTS and who == "member":
        return "notHost"
    if sits_here:
        return None
    is_elsewhere = who == "elsewhere" and event in ("connectTransport", "restartIce")
    return "notFound" if is_elsewhere else "notMember"


@pytest.mark.parametrize("event", sorted(CALLS))
@pytest.mark.parametrize("who", CALL_PEOPLE)
async def test_a_call_is_for_its_two_people(autojump_clock, event, who):
    async with world() as w:
        caller, callee, stranger = await w.people("caller", "callee", "stranger")
        callers, callees = await w.person("caller", "caller"), await w.person("callee", "callee")
        people = dict(zip(CALL_PEOPLE, (caller, callee, callers, callees, stranger), strict=True))
        await caller.does("callUser", callId="c", targetUserId="callee")
        answer = await people[who].ask(event, callId="c")
        if ("caller" in who and event in CALLERS) or ("callee" in who and event in CALLEES):
            assert answer["success"] is True
        else:
            assert answer["code"] == "notAllowed"
            assert "c" in w.exchange.calls.book.calls


@pytest.mark.parametrize("event", sorted(set(REQUESTS) - CALLS - OPEN))
@pytest.mark.parametrize("who", ["stranger", "former", "elsewhere"])
async def test_a_room_for_two_is_for_two(autojump_clock, event, who):
    async with world() as w:
        host, member, stranger, elsewhere = await w.people("host", "member", "stranger", "elsewhere")
        await w.room(elsewhere, name="attic")
        room_id = (await host.does("createRoom", roomType="direct", targetUserId="member"))["room"]["roomId"]
        await member.does("acceptCall", roomId=room_id)
        ids = await media_of(w, host, room_id, "host")
        await member.does("leaveRoom", roomId=room_id)
        people = {"stranger": stranger, "former": member, "elsewhere": elsewhere}
        asked = await people[who].ask(event, **payload_of(event, room_id, ids))
        if event in DOORS and who == "former":
            assert asked["success"] is True
        elif event in DOORS or event == "rejectCall":
            assert asked["code"] == ("notFound" if who == "former" else "notAllowed")
        elif who == "elsewhere" and event in ("connectTransport", "restartIce"):
            assert asked["code"] == "notFound"
        else:
            assert asked["code"] == "notMember"


@pytest.mark.parametrize("event", sorted(set(REQUESTS) - CALLS - OPEN))
@pytest.mark.parametrize("who", ["invited", "stranger"])
async def test_a_room_that_waits_for_its_second_is_open_to_him_alone(autojump_clock, event, who):
    async with world() as w:
        host, invited, stranger = await w.people("host", "invited", "stranger")
        room_id = (await host.does("createRoom", roomType="direct", targetUserId="invited"))["room"]["roomId"]
        ids = await media_of(w, host, room_id, "host")
        people = {"invited": invited, "stranger": stranger}
        asked = await people[who].ask(event, **payload_of(event, room_id, ids))
        if event not in DOORS | {"rejectCall"}:
            assert asked["code"] == "notMember"
        elif who == "stranger":
            assert asked["code"] == "notAllowed"
            assert list(w.state(room_id).seats) == ["host"]
        else:
            assert asked["success"] is True


@pytest.mark.parametrize("event", sorted(HOSTS))
@pytest.mark.parametrize("who", ["member", "former", "stranger"])
async def test_without_a_host_every_member_may_do_what_he_might(autojump_clock, event, who):
    async with world() as w:
        former, member, stranger = await w.people("former", "member", "stranger")
        room_id = await w.room(former, member)
        await former.does("leaveRoom", roomId=room_id)
        people = {"member": member, "former": former, "stranger": stranger}
        asked = await people[who].ask(event, roomId=room_id, userId="member")
        assert asked.get("code") == (None if who == "member" else "notMember")
