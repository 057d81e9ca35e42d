"""Cases about the transports, CONNECT, acks and limits of speed."""

from __future__ import annotations

from typing import Any, Final
from uuid import uuid4

import orjson
import trio

from palaver_protocol.socketio import Packet, PacketType
from palaver_protocol.table import Code

from .checks import check, check_fields, check_refusal
from .links import LinkLost, PollingLink
from .person import Person
from .shape import faults, shown
from .stage import Stage, case, group
from .target import POLLING, http
from .verdicts import Failed

CONNECT_PATIENCE: Final = 10.0  # s that a server waits for CONNECT
FLOOD: Final = 500  # requests at once; more than any budget


def check_shape(name: str, value: Any) -> None:
    """Hold something against a definition of the schema. Raises Failed."""
    for what in faults({"$ref": f"#/$defs/{name}"}, value):
        raise Failed(f"a {name} as in docs/protocol.md", f"{what} in {shown(value)}")


@case("connecting: the open packet says all five things")
async def open_packet(stage: Stage) -> None:
    person = await stage.link()
    check_shape("Handshake", person.handshake)


@case("connecting: CONNECT is answered with an id of one's own")
async def connect(stage: Stage) -> None:
    ids = []
    for person in await stage.cast("Ada", "Bo"):
        assert person.welcome is not None
        check_shape("Welcome", person.welcome.data)
        ids.append(person.welcome.data["sid"])
    check(ids[0] != ids[1], "two connections have two ids", ids)


WRONG_AUTHS: Final[dict[str, Any]] = {
    "without a name": {"userId": str(uuid4())},
    "without a userId": {"name": "Ada"},
    "with a name that is no string": {"userId": str(uuid4()), "name": 7},
    "with an empty name": {"userId": str(uuid4()), "name": " "},
    "with a name of 33 characters": {"userId": str(uuid4()), "name": "x" * 33},
    "with a userId that is no id": {"userId": "a b", "name": "Ada"},
}


def refused_connect(auth: dict[str, Any]) -> Any:
    async def play(stage: Stage) -> None:
        person = await stage.link()
        answer = await person.connect(**auth)
        expected = "a CONNECT_ERROR (44) with a message"
        check(answer.type is PacketType.CONNECT_ERROR, expected, answer.data)
        check_shape("ConnectError", answer.data)
        person.welcome = None  # nothing may be asked here

    return play


for what, auth in WRONG_AUTHS.items():
    case(f"connecting: CONNECT {what} is refused")(refused_connect(auth))


@case("connecting: a name of 32 characters is taken, however many code points they have")
async def long_name(stage: Stage) -> None:
    name = "e\u0301" * 31 + "👍"
    person = await stage.person(name)
    users = await person.sees("onlineUsersUpdated", lambda seen: bool(me_in(seen, person)), "me in it")
    check_fields("my own line", me_in(users, person), name=name)


def me_in(payload: Any, person: Person) -> Any:
    """Somebody's line in the list of users."""
    return next((user for user in payload["users"] if user["userId"] == person.user_id), None)


@case("connecting: another namespace is refused")
async def namespace(stage: Stage) -> None:
    person = await stage.link()
    await person.send("40/nowhere,")
    await person.until(lambda: bool(person.others), "an answer to CONNECT to /nowhere")
    refused = Packet(PacketType.CONNECT_ERROR, {"message": "Invalid namespace"}, "/nowhere")
    check(person.others == [refused], '44/nowhere,{"message":"Invalid namespace"}', person.others[0].data)


@case("connecting: the lists come first", "onlineUsersUpdated", "roomListUpdated")
async def lists_first(stage: Stage) -> None:
    person = await stage.person()
    await person.until(lambda: len(person.heard) >= 2, "two notices")
    first = {heard.event for heard in person.heard[:2]}
    check(first == {"onlineUsersUpdated", "roomListUpdated"}, "both lists first", sorted(first))


@case("connecting: another version of Engine.IO is refused")
async def old_version(stage: Stage) -> None:
    status, _ = await http(stage.target, "GET", POLLING.replace("EIO=4", "EIO=3"), b"", stage.target.patience)
    check(status == 400, "HTTP 400", status)


@case("connecting: a session id that nobody has is refused")
async def unknown_session(stage: Stage) -> None:
    status, body = await http(stage.target, "GET", f"{POLLING}&sid=nobody", b"", stage.target.patience)
    check(status == 400, "HTTP 400", f"{status} {body[:80]!r}")


@case("connecting: long-polling carries requests and notices", "newMessage")
async def polling(stage: Stage) -> None:
    ada, bo = await stage.person("Ada", transport="polling"), await stage.person("Bo")
    room_id = await stage.room(ada, bo)
    await bo.does("sendMessage", roomId=room_id, content="by WebSocket")
    await ada.does("sendMessage", roomId=room_id, content="by polling")
    for person in (ada, bo):
        await person.hears("newMessage", content="by WebSocket")
        await person.hears("newMessage", content="by polling")


@case("connecting: long-polling moves to a WebSocket and loses nothing", "newMessage")
async def upgrade(stage: Stage) -> None:
    ada, bo = await stage.person("Ada", transport="polling"), await stage.person("Bo")
    check("websocket" in ada.handshake["upgrades"], "websocket among the upgrades", ada.handshake)
    room_id = await stage.room(ada, bo)
    assert isinstance(ada.link, PollingLink)
    posed = [await bo.pose("sendMessage", {"roomId": room_id, "content": f"{number}"}) for number in range(20)]
    try:
        await ada.link.upgrade()
    except LinkLost as why:
        raise Failed("an upgrade to a WebSocket", str(why)) from None
    posed += [await bo.pose("sendMessage", {"roomId": room_id, "content": f"{number}"}) for number in range(20, 40)]
    for number in posed:
        check_fields("the answer to sendMessage", await bo.answer(number), success=True)
    for number in range(40):
        await ada.hears("newMessage", content=f"{number}")
    await bo.barrier()
    bo.may_hear("newMessage")
    await ada.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
    await bo.hears("participantMediaStateUpdated", isMuted=True)


@case("connecting: who says nothing for ten seconds is let go", is_slow=True)
async def silent(stage: Stage) -> None:
    person = await stage.link()
    await person.is_let_go(CONNECT_PATIENCE + 5)


@case("heartbeat: the server pings, and keeps who answers", is_slow=True)
async def heartbeat(stage: Stage) -> None:
    person = await stage.person()
    interval = person.handshake["pingInterval"] / 1000
    await person.until(lambda: len(person.pings) >= 2, "two pings", 2 * interval + stage.target.patience)
    between = person.pings[1] - person.pings[0]
    check(abs(between - interval) < 2, f"a ping each {interval:g} s", round(between, 2))


@case("heartbeat: who answers no ping is let go", is_slow=True)
async def dead(stage: Stage) -> None:
    person = await stage.person()
    person.answers_pings = False
    times = person.handshake["pingInterval"] + person.handshake["pingTimeout"]
    await person.is_let_go(times / 1000 + stage.target.patience)
    check(len(person.pings) == 1, "one ping before that", len(person.pings))


# -- acks --------------------------------------------------------------------------------------------------------------
@case("acks: an unknown event is refused")
async def unknown_event(stage: Stage) -> None:
    person = await stage.person()
    check_refusal("an unknown event", await person.put("conformanceNonsense", {}), Code.UNKNOWN_EVENT)


@case("acks: each answer belongs to its request", "createRoom", "leaveRoom")
async def answers(stage: Stage) -> None:
    person = await stage.person()
    created = await person.pose("createRoom", group())
    nowhere = [await person.pose("leaveRoom", {"roomId": f"nowhere-{number}"}) for number in range(20)]
    for number in nowhere:
        check_refusal("leaveRoom of no room", await person.answer(number), Code.NOT_FOUND)
    check_fields("the answer to createRoom", await person.answer(created), success=True)


@case("acks: a request without one is obeyed and not answered", "sendMessage", "newMessage")
async def no_ack(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    payload = {"roomId": room_id, "content": "no answer, please"}
    await ada.send("42" + orjson.dumps(["sendMessage", payload]).decode())
    for person in (ada, bo):
        await person.hears("newMessage", content="no answer, please")


@case("acks: fields that nobody knows are ignored", "sendMessage", "newMessage")
async def unknown_fields(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    await ada.does("sendMessage", roomId=room_id, content="hi", conformance={"x": [1]})
    await ada.hears("newMessage", content="hi")


@case("limits: a message larger than maxPayload closes the connection")
async def too_large(stage: Stage) -> None:
    person = await stage.person()
    await person.send("42" + orjson.dumps(["sendMessage", "x" * person.handshake["maxPayload"]]).decode())
    code = await person.is_let_go()
    check(code in (1009, None), "close code 1009", code)


@case("limits: what is no Socket.IO closes the connection")
async def nonsense(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    await ada.send("4" + "nonsense")
    await ada.is_let_go()
    await bo.barrier()


@case("limits: a flood is refused with the time to wait, and then all is well", "sendMessage")
async def flood(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    posed = [await ada.pose("leaveRoom", {"roomId": "nowhere"}) for _ in range(FLOOD)]
    answers = [await ada.answer(number) for number in posed]
    limited = [answer for answer in answers if answer.get("code") == Code.RATE_LIMITED.value]
    check(bool(limited), f"rateLimited within {FLOOD} requests", answers[-1])
    check_fields("the refusal", limited[-1], canRetry=True)
    after = limited[-1].get("retryAfter")
    check(isinstance(after, int | float) and 0 < after < 60, "retryAfter in s", limited[-1])
    await bo.refused("leaveRoom", Code.NOT_FOUND, roomId="nowhere")
    await trio.sleep(after + 0.1)
    await ada.refused("leaveRoom", Code.NOT_FOUND, roomId="nowhere")
