"""REST: what its pages say, to whom, that they are what the OpenAPI document promises, and what odd requests get."""

import os
import signal
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import jsonschema_rs
import orjson
import pytest
import trio
from attrs import evolve

from http_peer import Peer
from palaver_media.worker_messages import (
    AddressFamily,
    Beat,
    ConsumerStatistics,
    MediaKind,
    ProducerStatistics,
    Ready,
    StatisticsTaken,
    TransportStatistics,
)
from palaver_protocol.converter import write_notice
from palaver_protocol.models import RoomType
from palaver_protocol.notices import OnlineUsersUpdated, RoomListUpdated
from palaver_server.exchange import Exchange
from palaver_server.http_connection import Request
from palaver_server.rest import PAGES, Rest
from palaver_server.workers import Pool, Worker
from running import PATIENCE, running, serving
from world import open_media, visiting, world

pytestmark = pytest.mark.trio

FRIEND = "http://friend"
COUNTS = ("connections", "users", "rooms", "participants", "callsRinging")


async def ask(url, target, method="GET", **headers):
    """A request, and its answer."""
    return await Peer(url, "").request(method, target, **headers)


async def read(url, target):
    """The content of a page, which must be one."""
    answer = await ask(url, target)
    assert answer.status == 200, answer
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    content = orjson.loads(answer.text)
    assert content.pop("success", True) is True
    return content


def is_refused(answer, status, code):
    """Whether an answer is this refusal, in the form that all refusals have."""
    content = orjson.loads(answer.text)
    assert content.keys() == {"success", "error", "code", "canRetry"}
    return (answer.status, content["success"], content["code"]) == (status, False, code)


async def counts(url):
    """What the statistics count."""
    stats = await read(url, "/api/stats")
    return [stats[count] for count in COUNTS]


@asynccontextmanager
async def lively(url):
    """Ann and Bob in a room, and Cay beside it; the room as Ann knows it, and Ann. At the end nobody is left."""
    async with visiting(url, "ann") as ann, visiting(url, "bob") as bob, visiting(url, "cay"):
        room = (await ann.does("createRoom", roomType="group", roomName="den"))["room"]
        await bob.does("joinRoom", roomId=room["roomId"])
        yield room, ann
    with trio.fail_after(20):
        while sum(await counts(url)):  # the server has yet to see that they hung up
            pass


# -- what the pages say ------------------------------------------------------------------------------------------------
async def test_rooms_and_users_are_what_the_lists_of_the_signalling_say(url):
    async with lively(url) as (room, ann):
        (told,) = (await read(url, "/api/rooms"))["rooms"]
        await ann.until(lambda: ann.heard("roomListUpdated")[-1]["rooms"] == [told])
        assert told["participantNames"] == ["ann", "bob"]
        assert told["participantCount"] == 2
        assert "messages" not in told
        assert (await read(url, f"/api/rooms/{room['roomId']}")) == {"room": told}
        users = (await read(url, "/api/users"))["users"]
        await ann.until(lambda: ann.heard("onlineUsersUpdated")[-1]["users"] == users)
        assert {(user["name"], user["status"]) for user in users} == {
            ("ann", "in_call"),
            ("bob", "in_call"),
            ("cay", "idle"),
        }


async def test_a_room_may_be_asked_for_in_percent_encoding(url):
    async with lively(url) as (room, _):
        encoded = "".join(f"%{byte:02x}" for byte in room["roomId"].encode())
        assert (await read(url, f"/api/r%6Foms/{encoded}?verbose=1&verbose"))["room"]["roomName"] == "den"


async def test_an_ended_room_is_gone(url):
    async with lively(url) as (room, ann):
        await ann.does("endCall", roomId=room["roomId"])
        assert is_refused(await ask(url, f"/api/rooms/{room['roomId']}"), 410, "ended")
        assert await read(url, "/api/rooms") == {"rooms": []}


async def test_a_room_of_two_is_hidden(autojump_clock):
    async with world() as w:
        (ann,) = await w.people("ann")
        room_id = await w.room(ann)
        rest = Rest(w.exchange, Pool([]))
        path = f"/api/rooms/{room_id}"
        assert rest.respond(Request("GET", path, {}, {}), is_allowed=True).status == 200
        w.state(room_id).kind = RoomType.DIRECT
        assert orjson.loads(rest.respond(Request("GET", "/api/rooms", {}, {}), is_allowed=True).body)["rooms"] == []
        hidden = rest.respond(Request("GET", path, {}, {}), is_allowed=True)
        unknown = rest.respond(Request("GET", "/api/rooms/x", {}, {}), is_allowed=True)
        assert hidden == unknown
        assert hidden.status == 404


async def test_stats_count(url):
    before = await read(url, "/api/stats")
    assert [before[count] for count in COUNTS] == [0, 0, 0, 0, 0]
    async with lively(url) as (room, ann), visiting(url, "ann again", "ann"):
        await open_media(ann, room["roomId"], "send")
        await ann.does("createRoom", roomType="group", roomName="den", joinExisting=True, invitedUserIds=["cay"])
        with trio.fail_after(20):
            while not (stats := await read(url, "/api/stats"))["workers"][0]["transports"]:  # told at its next beat
                pass
        assert [stats[count] for count in COUNTS] == [4, 3, 1, 2, 1]
        assert sorted((each["rooms"], each["transports"]) for each in stats["workers"]) == [(0, 0), (1, 1)]
        assert stats["workers"][0]["isUp"] is True
        assert stats["uptime"] > before["uptime"]
        assert stats["cpuTime"] > before["cpuTime"]
        assert [each["dropped"] for each in stats["workers"]] == [{}, {}]
        assert 10_000_000 < stats["memory"] < 1_000_000_000


async def test_a_new_worker_shows_under_its_own_pid():
    async with serving() as (url, _):
        worker, _ = (await read(url, "/api/stats"))["workers"]
        os.kill(worker["pid"], signal.SIGKILL)
        with trio.fail_after(20):
            while (now := (await read(url, "/api/stats"))["workers"][0]).get("pid") in (worker["pid"], None):
                assert now["isUp"] is ("pid" in now)
        assert now == {**worker, "pid": now["pid"]}


TRACK = ProducerStatistics("p", MediaKind.AUDIO, 90, 9000, 10, 0.1, 2.0, 4, 0, 30)
WAY = ConsumerStatistics("c", "p", False, 80, 8000, 3, 20, 0.25, 1.0, 50.0, 300_000)


def told_of(transport, **figures):
    """A worker's figures of a transport that sends a track."""
    told = TransportStatistics(transport, 90, 9000, 0, 0, (TRACK,), (), 7.5, AddressFamily.IPV4, "AES", None)
    return evolve(told, **figures)


def worker_of(w, room_id, part=0):
    """A worker that says to have this room, or a part of it."""
    return Worker("127.0.0.1", "", 0, rooms={room_id: (w.exchange.rooms.open[room_id], part)})


def get(rest, path):
    """The content of a page, asked for without a network."""
    return orjson.loads(rest.respond(Request("GET", path, {}, {}), is_allowed=True).body)


async def test_what_the_worker_tells_is_shown_where_it_belongs_and_added_up(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        worker = worker_of(w, room_id)
        rest = Rest(w.exchange, Pool([worker]))
        talking, hearing = await open_media(ann, room_id, "send"), await open_media(bob, room_id, "receive")
        assert get(rest, f"/api/stats/{room_id}")["media"] == get(rest, "/api/stats")["media"] == NOTHING
        of_bob = told_of(hearing, producers=(), consumers=(WAY, WAY), round_trip=50.0, connected_for=None)
        for figures in ((told_of("another"), told_of(talking, packets_received=1)), (told_of(talking), of_bob)):
            worker.reported(StatisticsTaken({room_id: figures, "ended": figures}))
        stats, room_stats = get(rest, "/api/stats"), get(rest, f"/api/stats/{room_id}")
        assert stats["media"] == {
            "transports": 1,
            "producers": 1,
            "consumers": 2,
            "packetsReceived": 180,
            "bytesReceived": 18000,
            "packetsLost": 10,
            "packetsSent": 0,
            "bytesSent": 0,
            "packetsResent": 6,
            "fractionLost": 0.25,
            "jitter": 2.0,
            "roundTrip": 50.0,
        }
        assert stats["roomStats"] == [{"roomId": room_id, "media": stats["media"]}]
        assert stats["workers"][0]["media"] == room_stats["media"] == stats["media"]
        of_ann, of_bob = room_stats["seats"]
        assert (of_ann["userId"], of_bob["userId"]) == ("ann", "bob")
        assert [each["transportId"] for each in of_ann["transports"]] == [talking]
        assert of_ann["transports"][0]["producers"][0]["level"] == 30
        assert "roundTrip" not in of_ann["transports"][0]
        assert [each["bitrate"] for each in of_bob["transports"][0]["consumers"]] == [300_000, 300_000]
        await bob.does("leaveRoom", roomId=room_id)
        assert get(rest, "/api/stats")["media"]["consumers"] == 0


NOTHING = {
    **dict.fromkeys(("transports", "producers", "consumers", "packetsReceived", "bytesReceived"), 0),
    **dict.fromkeys(("packetsLost", "packetsSent", "bytesSent", "packetsResent"), 0),
}


async def test_of_a_room_on_several_workers_each_counts_what_it_has_itself(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        workers = [worker_of(w, room_id, part) for part in range(2)]
        rest = Rest(w.exchange, Pool(workers))
        anns, bobs = await open_media(ann, room_id, "send"), await open_media(bob, room_id, "send")
        w.state(room_id).seats["bob"].part = 1
        workers[0].reported(StatisticsTaken({room_id: (told_of(anns),)}))
        workers[1].reported(StatisticsTaken({room_id: (told_of(bobs, packets_received=5),)}))
        stats = get(rest, "/api/stats")
        assert [each["media"]["packetsReceived"] for each in stats["workers"]] == [90, 5]
        assert stats["media"]["packetsReceived"] == 95


async def test_of_a_room_of_two_only_sums_are_told_and_of_nobody_an_address(autojump_clock):
    async with world() as w:
        (ann,) = await w.people("ann")
        room_id = await w.room(ann)
        rest = Rest(w.exchange, Pool([]))
        figures = told_of(await open_media(ann, room_id, "send"))
        worker_of(w, room_id).reported(StatisticsTaken({room_id: (figures,)}))
        pages = [orjson.dumps(get(rest, path)).decode() for path in ("/api/stats", f"/api/stats/{room_id}")]
        assert not any("198.51.100.1" in page or "192.0.2.7" in page for page in pages)
        w.state(room_id).kind = RoomType.DIRECT
        stats = get(rest, "/api/stats")
        assert stats["media"]["packetsReceived"] == 90
        assert stats["roomStats"] == []
        assert room_id not in orjson.dumps(stats).decode()
        hidden = rest.respond(Request("GET", f"/api/stats/{room_id}", {}, {}), is_allowed=True)
        assert hidden == rest.respond(Request("GET", "/api/stats/x", {}, {}), is_allowed=True)
        assert hidden.status == 404


async def stats_of_both(url):
    """The statistics of rooms, once a round trip of each of two people is known."""
    with trio.fail_after(PATIENCE):
        while True:
            stats = await read(url, "/api/stats")
            pages = [await read(url, f"/api/stats/{room['roomId']}") for room in stats["roomStats"]]
            transports = [each for page in pages for seat in page["seats"] for each in seat["transports"]]
            if sum("roundTrip" in each for each in transports) == 2:
                return stats["roomStats"]
            await trio.sleep(0.1)


async def test_stats_of_a_call():
    """Two programs that talk, and what the pages say of it, in the form that the document promises."""
    ways = ("--room", "lab", "--input", "tone:440", "--output", "null", "--json")
    async with (
        serving() as (url, _),
        running("call", url, "--name", "ann", *ways) as ann,
        running("call", url, "--name", "ben", *ways) as ben,
    ):
        for caller in (ann, ben):
            await caller.wait_event("mediaStarted")
        (room,) = await stats_of_both(url)
        seats = (await read(url, f"/api/stats/{room['roomId']}"))["seats"]
        assert len(seats) == 2
        for seat in seats:
            tracks = [each for transport in seat["transports"] for each in transport["producers"]]
            ways = [each for transport in seat["transports"] for each in transport["consumers"]]
            assert [(each["kind"], each["packetsLost"], each["fractionLost"]) for each in tracks] == [("audio", 0, 0)]
            assert tracks[0]["packetsReceived"] > 50
            assert 0 < tracks[0]["level"] < 40
            assert tracks[0]["jitter"] < 20
            assert [each["isPaused"] for each in ways] == [False]
            assert ways[0]["packetsLost"] == 0
            assert ways[0]["roundTrip"] < 100
            assert {each["family"] for each in seat["transports"]} == {"ipv4"}
            assert {each["profile"] for each in seat["transports"]} == {"SRTP_AEAD_AES_256_GCM"}
            assert all(each["connectedFor"] > 0 for each in seat["transports"])
        document = await read(url, "/api/openapi.json")
        for schema in document["components"]["schemas"].values():
            schema["additionalProperties"] = False
        check(document, "/api/stats", await ask(url, "/api/stats"))
        check(document, "/api/stats/{roomId}", await ask(url, f"/api/stats/{room['roomId']}"))


async def test_a_worker_tells_what_it_dropped_and_its_successor_begins_anew(autojump_clock):
    async with world() as w:
        worker = Worker("127.0.0.1", (), 0)
        worker.process = worker.make()
        rest = Rest(w.exchange, Pool([worker]))

        def shown():
            [one] = get(rest, "/api/stats")["workers"]
            return one["dropped"]

        assert shown() == {}
        for strangers in (3, 7):
            worker.reported(Beat(dropped={"stranger": strangers, "unprotected": 1}))
        assert shown() == {"stranger": 7, "unprotected": 1}
        worker.process.dead.set()
        assert shown() == {}
        worker.process = worker.make()
        worker.reported(Ready(40000, "AA:BB"))
        assert shown() == {}


async def test_a_worker_that_is_not_up_has_no_pid(autojump_clock):
    async with world() as w:
        stats = Rest(w.exchange, Pool([Worker("127.0.0.1", (), 0)])).stats()
        assert [(worker.is_up, worker.pid) for worker in stats.workers] == [(False, None)]


# -- the document ------------------------------------------------------------------------------------------------------
async def test_every_page_answers_exactly_what_the_document_says(url):
    document = await read(url, "/api/openapi.json")
    assert document["openapi"] == "3.1.0"
    assert document["paths"].keys() == {page.path for page in PAGES}
    for schema in document["components"]["schemas"].values():
        schema["additionalProperties"] = False
    async with lively(url) as (room, _):
        for path in document["paths"]:
            answer = await ask(url, path.format(roomId=room["roomId"]))
            check(document, path, answer)
        check(document, "/api/rooms/{roomId}", await ask(url, "/api/rooms/nowhere"))


def check(document, path, answer):
    """Whether an answer is of the schema that the document has for it."""
    (content,) = document["paths"][path]["get"]["responses"][str(answer.status)]["content"].values()
    schema = {**content["schema"], "components": document["components"]}
    jsonschema_rs.Draft202012Validator(schema).validate(orjson.loads(answer.text))


async def test_the_lists_are_the_ones_of_the_event_table(url):
    schemas = (await read(url, "/api/openapi.json"))["components"]["schemas"]
    async with world() as w:
        (ann,) = await w.people("ann")
        await w.room(ann)
        _, rooms = write_notice(RoomListUpdated(w.exchange.rooms.summaries()))
        _, users = write_notice(OnlineUsersUpdated(w.exchange.list_users()))
        assert set(schemas["RoomSummary"]["required"]) == rooms["rooms"][0].keys()
        assert set(schemas["User"]["required"]) == users["users"][0].keys() - {"currentRoomId"}


async def test_schemathesis_finds_no_fault(url, tmp_path):
    command = [Path(sys.executable).with_name("schemathesis"), "run", f"{url}/api/openapi.json", "--checks", "all"]
    options = ["--max-examples", "40", "--generation-deterministic", "--no-color"]
    async with lively(url):
        result = await trio.run_process([*command, *options], cwd=tmp_path, capture_stdout=True, check=False)
    output = result.stdout.decode()
    assert result.returncode == 0, output
    assert "Tested: 5" in output, output


# -- odd requests ------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "target",
    [
        "/api/",
        "/api/nowhere",
        "/api/rooms/",
        "/api/rooms/nowhere",
        "/api/rooms/%00%ff%2e%2e%2f",
        "/api/rooms/%zz",
        "/api/rooms/..%2f..%2fetc%2fpasswd",
        "/api/rooms/a/b",
        "/api//rooms",
        "/api/ROOMS",
        "/api/rooms/" + "x" * 10_000,
        "/api/users/ann",
    ],
)
async def test_what_is_not_there(url, target):
    assert is_refused(await ask(url, target), 404, "notFound")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
async def test_nothing_can_be_changed(url, method):
    for page in ("/api/rooms", "/api/rooms/nowhere", "/api/openapi.json"):
        answer = await ask(url, page, method)
        assert is_refused(answer, 405, "unsupported")
        assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert is_refused(await ask(url, "/api/nowhere", method), 404, "notFound")


async def test_head_is_get_without_the_body(url):
    for page in ("/api/users", "/api/rooms/nowhere", "/api/openapi.json"):
        got, headed = await ask(url, page), await ask(url, page, "HEAD")
        assert headed.text == ""
        assert (headed.status, headed.headers) == (got.status, got.headers)


async def test_one_connection_serves_several_requests(url):
    host, port = Peer(url, "").address
    async with await trio.open_tcp_stream(host, port) as stream:
        request = b"GET /api/users HTTP/1.1\r\nHost: localhost:8440\r\n\r\n"
        await stream.send_all(request * 2)
        received = b""
        while received.count(b'{"success":true') < 2:
            received += (more := await stream.receive_some())
            assert more, "it was closed after the first"
        assert received.count(b"HTTP/1.1 200") == 2


# -- web pages ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("origin", [FRIEND, "http://localhost:3000", "http://127.0.0.1"])
async def test_a_page_that_may_connect_may_read(url, origin):
    for target in ("/api/rooms", "/api/rooms/nowhere"):
        answer = await ask(url, target, Host="127.0.0.1", Origin=origin)
        assert answer.headers["access-control-allow-origin"] == origin
        assert answer.headers["vary"] == "Origin"
    preflight = await ask(url, "/api/rooms", "OPTIONS", Origin=FRIEND)
    assert preflight.status == 204
    assert preflight.headers["access-control-allow-methods"] == "GET, HEAD"
    assert preflight.headers["access-control-allow-origin"] == FRIEND


@pytest.mark.parametrize(
    ("host", "is_known"),
    [
        ("foe", False),
        ("localhost.foe:8440", False),
        ("[", False),
        ("localhost:1", True),
        ("[::1]:8440", True),
        ("friend", True),
    ],
)
async def test_a_page_whose_domain_was_made_to_point_here_may_not(url, host, is_known):
    answer = await ask(url, "/api/users", Host=host)  # it asks as one of its own, without an Origin
    assert is_known == (answer.status == 200)
    assert is_known or is_refused(answer, 403, "notAllowed")


@pytest.mark.parametrize("method", ["GET", "OPTIONS", "POST"])
@pytest.mark.parametrize("origin", ["http://foe", "null", "http://friend.foe", "http://["])
async def test_another_page_may_not(url, origin, method):
    for target in ("/api/rooms", "/api/nowhere"):
        answer = await ask(url, target, method, Origin=origin)
        assert is_refused(answer, 403, "notAllowed")
        assert "access-control-allow-origin" not in answer.headers


# -- a bug -------------------------------------------------------------------------------------------------------------
async def test_a_bug_is_logged_and_answered(autojump_clock, monkeypatch, caplog):
    monkeypatch.setattr(Exchange, "list_users", lambda _: 1 / 0)
    async with world() as w:
        rest = Rest(w.exchange, Pool([]))
        answer = rest.respond(Request("GET", "/api/users", {}, {}), is_allowed=True)
        assert answer.status == 500
        assert orjson.loads(answer.body)["code"] == "internal"
        assert [record.exc_info[0] for record in caplog.records] == [ZeroDivisionError]
        assert rest.respond(Request("GET", "/api/rooms", {}, {}), is_allowed=True).status == 200
