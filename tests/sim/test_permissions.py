"""Who may ask what: every request of the table from everybody that there is."""

import pytest

from palaver_protocol.table import REQUESTS, Standing
from world import CAPABILITIES, DTLS, OPUS, open_media, talk, world

pytestmark = pytest.mark.trio

PEOPLE = ("host", "member", "stranger", "former", "elsewhere", "second")
# All else is for the members of the room.
OPEN = {"createRoom", "joinRoom"}
HOSTS = {"endCall", "transferHost"}


async def test_the_table_says_who_may():
    assert {event for event, row in REQUESTS.items() if row.who == Standing.ANYONE} == OPEN
    assert {event for event, row in REQUESTS.items() if row.who == Standing.HOST} == HOSTS
    assert all(row.who in (Standing.ANYONE, Standing.HOST, Standing.MEMBER) for row in REQUESTS.values())
    assert all(row.doc for row in REQUESTS.values())


def payload_of(event, room_id, ids):
    """A payload with which a member succeeds, but for createRoom, who sits already."""
    room = {"roomId": room_id}
    return {
        "createRoom": {"roomType": "group", "roomName": "other", "leaveCurrent": False},
        "joinRoom": {**room, "leaveCurrent": True},
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
    }[event]


async def everybody(w):
    """One of each standing, towards one room."""
    host, member, former, elsewhere, stranger = await w.people("host", "member", "former", "elsewhere", "stranger")
    room_id = await w.room(host, member, former)
    await w.room(elsewhere, name="attic")
    await former.does("leaveRoom", roomId=room_id)
    second = await w.person("member", "member")
    return room_id, dict(zip(PEOPLE, (host, member, stranger, former, elsewhere, second), strict=True))


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


@pytest.mark.parametrize("event", sorted(REQUESTS))
@pytest.mark.parametrize("who", PEOPLE)
async def test_only_those_may_whom_the_table_allows(autojump_clock, event, who):
    async with world() as w:
        room_id, people = await everybody(w)
        owner = "host" if who == "host" else "member"
        ids = await media_of(w, people[owner], room_id, owner)
        before = (list(w.state(room_id).seats), len(w.routers.made[0].commands))
        answer = await people[who].ask(event, **payload_of(event, room_id, ids))
        if event == "createRoom":
            assert answer["success"] is (who in ("stranger", "former")), answer
            assert answer.get("code", "inRoom") == "inRoom"
        elif event in OPEN or who == "host" or (who == "member" and event not in HOSTS):
            assert answer["success"] is True, answer
        else:
            allowed = {"member": "notHost", "elsewhere": "notFound" if event == "connectTransport" else "notMember"}
            assert answer["code"] == allowed.get(who, "notMember")
            assert (list(w.state(room_id).seats), len(w.routers.made[0].commands)) == before
