"""Long-polling at a real server: who may poll, what each request is answered, and that an upgrade loses nothing."""

import asyncio
import signal
from contextlib import asynccontextmanager, suppress

import orjson
import pytest
import socketio
import trio
import trio.testing
from trio_websocket import ConnectionClosed, wrap_client_stream

from http_peer import PATIENCE, Peer, exchange
from palaver_protocol.engineio import Settings
from palaver_server.polling_link import PollingLink
from palaver_server.session import MAX_WAITING
from running import serving
from world import accept_websocket, visiting

PATH = "/socket.io/"
FRIEND = "http://friend"


@pytest.fixture
def stranger(url):
    return Peer(url, PATH)


def packets(text):
    """The packets of a payload that are no pings."""
    return [packet for packet in text.split("\x1e") if packet != "2"]


async def enter(stranger, name):
    """A client that polls and has said who it is."""
    client, _ = await stranger.open()
    await client.post("40" + orjson.dumps({"userId": name, "name": name}).decode())
    assert (await client.get()).startswith('40{"sid":')
    return client


async def connections(url):
    """How many sessions the server counts."""
    return orjson.loads((await Peer(url, PATH).request("GET", "/healthz")).text)["connections"]


async def until_connections(url, number):
    with trio.fail_after(PATIENCE):
        while await connections(url) != number:  # noqa: ASYNC110
            await trio.sleep(0.02)


# -- requests ----------------------------------------------------------------------------------------------------------
@pytest.mark.trio
@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", "transport=polling", 5),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=pigeon", 0),
        ("GET", "EIO=4&transport=websocket", 0),
        ("POST", "EIO=4&transport=polling", 2),
        ("PUT", "EIO=4&transport=polling", 2),
        ("GET", "EIO=4&transport=polling&sid=nobody", 1),
        ("POST", "EIO=4&transport=polling&sid=nobody", 1),
    ],
)
async def test_what_is_refused(stranger, method, query, code):
    answer = await stranger.request(method, f"{PATH}?{query}")
    assert answer.status == 400
    assert orjson.loads(answer.text)["code"] == code


@pytest.mark.trio
async def test_a_websocket_of_an_unknown_session(stranger):
    assert await Peer(stranger.url, PATH, "nobody").handshake() == 400


@pytest.mark.trio
async def test_a_listed_page_may_poll(stranger):
    preflight = await stranger.request("OPTIONS", Origin=FRIEND, **{"Access-Control-Request-Method": "POST"})
    assert preflight.status == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    client, _ = await stranger.open()
    post = await client.request("POST", body=b"40{}", Origin=FRIEND)
    poll = await client.request("GET", Origin=FRIEND)
    refused = await stranger.request("POST", Origin=FRIEND)
    assert (post.status, poll.status, refused.status) == (200, 200, 400)
    for answer in (preflight, post, poll, refused):
        assert answer.headers["access-control-allow-origin"] == FRIEND
        assert answer.headers["vary"] == "Origin"


@pytest.mark.trio
@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", "http://palaver:3000"])
async def test_another_page_may_not(stranger, origin):
    client, _ = await stranger.open()
    for peer, method in ((stranger, "GET"), (stranger, "OPTIONS"), (client, "GET"), (client, "POST")):
        answer = await peer.request(method, body=b"1", Origin=origin)
        assert answer.status == 403
        assert "access-control-allow-origin" not in answer.headers
    await client.post("1")  # it was still there


@pytest.mark.trio
async def test_a_client_of_no_page_is_told_nothing_about_pages(stranger):
    answer = await stranger.request("GET")
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.trio
async def test_a_payload_as_large_as_may_be_and_one_larger(stranger):
    client, opened = await stranger.open()
    size = opened["maxPayload"]
    text = '40{"userId":"large","name":"large","x":"' + "x" * 1000
    await client.post(text + "x" * (size - len(text) - 2) + '"}')
    assert (await client.get()).startswith("40")
    with suppress(trio.BrokenResourceError):  # the reset may outrun the answer
        assert (await client.request("POST", body=b"4" * (size + 1))).status == 413


@pytest.mark.trio
async def test_many_requests_over_one_connection(stranger):
    async with await trio.open_tcp_stream(*stranger.address) as stream:
        opened = await exchange(stream, "GET", stranger.target())
        client = Peer(stranger.url, PATH, orjson.loads(opened.text[1:])["sid"])
        for number in range(20):
            assert (await exchange(stream, "POST", client.target(), f"40/{number},".encode())).text == "ok"
            assert "Invalid namespace" in (await exchange(stream, "GET", client.target())).text
        assert (await exchange(stream, "GET", "/healthz")).status == 200


@pytest.mark.trio
async def test_a_request_that_follows_a_poll_at_once_is_kept(stranger):
    client = await enter(stranger, "ann")
    await client.get()  # the first lists
    async with await trio.open_tcp_stream(*stranger.address) as stream:
        poll = f"GET {client.target()} HTTP/1.1\r\nHost: x\r\n\r\n"
        await stream.send_all((poll + "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").encode())
        await client.post('420["leaveRoom",{"roomId":"x"}]')
        with trio.fail_after(PATIENCE):
            answers = b"".join([data async for data in stream])
    assert answers.index(b'430[{"success":false') < answers.index(b'"status":"ok"')


# -- sessions ----------------------------------------------------------------------------------------------------------
@pytest.mark.trio
async def test_a_poll_that_is_hung_up_ends_the_session():
    async with serving() as (url, _):
        client = await enter(Peer(url, PATH), "ann")
        assert await connections(url) == 1
        start = trio.current_time()
        async with await trio.open_tcp_stream(*client.address) as stream:
            is_waiting = False
            while not is_waiting:  # the first lists are answered at once
                await stream.send_all(f"GET {client.target()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                with trio.move_on_after(0.5) as waiting:
                    await stream.receive_some()
                is_waiting = waiting.cancelled_caught
        await until_connections(url, 0)
        assert trio.current_time() - start < 8  # before the first ping
        assert (await client.request("GET")).status == 400


@pytest.mark.trio
async def test_a_server_that_ends_answers_the_polls_first():
    async with serving() as (url, server), trio.open_nursery() as nursery:
        client = await enter(Peer(url, PATH), "ann")
        await client.post('420["createRoom",{"roomType":"group"}]')
        heard = []

        async def poll():
            while not heard or heard[-1] != "1":
                heard.extend(packets(await client.get()))

        nursery.start_soon(poll)
        with trio.fail_after(PATIENCE):
            while not any(packet.startswith("430") for packet in heard):  # noqa: ASYNC110
                await trio.sleep(0.01)
        assert await server.end(signal.SIGTERM, patience=5) == 0
        assert any('"callEnded"' in packet for packet in heard)
        assert server.errors == []


@pytest.mark.trio
async def test_who_leaves_the_namespace_is_let_go(stranger):
    client = await enter(stranger, "ann")
    await client.post("41")
    assert packets(await client.get())[-1] == "1"
    assert await client.is_gone()


@pytest.mark.trio
async def test_a_thousand_packets_at_once_are_handled_in_order(stranger):
    client = await enter(stranger, "ann")
    await client.post("\x1e".join(f'42{number}["no"]' for number in range(1000)))
    acks = []
    with trio.fail_after(PATIENCE):
        while len(acks) < 1000:
            acks += [packet for packet in packets(await client.get()) if packet.startswith("43")]
    assert [int(ack[2 : ack.index("[")]) for ack in acks] == list(range(1000))


# -- a link by itself --------------------------------------------------------------------------------------------------
async def served(nursery, settings=None, on_message=lambda data: None):
    """A link whose open packet was taken."""
    link = PollingLink(settings or Settings(), "sid")
    nursery.start_soon(link.serve, on_message)
    async with link.polling() as poll:
        assert (await poll.wait()).startswith(b"0")
    return link


@pytest.mark.trio
async def test_who_never_polls_is_let_go_by_the_heartbeat(autojump_clock):
    async with trio.open_nursery() as nursery:
        link = await served(nursery)
        start = trio.current_time()
    assert trio.current_time() - start == pytest.approx(20)
    assert not link.is_polling


@pytest.mark.trio
@pytest.mark.parametrize(("interval", "timeout"), [(10, 10), (2, 30), (30, 2)])
async def test_pings_are_an_interval_after_the_last_pong(autojump_clock, interval, timeout):
    async with trio.open_nursery() as nursery:
        link = await served(nursery, Settings(interval, timeout))
        for _ in range(5):
            start = trio.current_time()
            async with link.polling() as poll:
                assert await poll.wait() == b"2"
            assert trio.current_time() - start == pytest.approx(interval)
            await link.push(b"3")
        link.end()


@pytest.mark.trio
async def test_who_does_not_poll_is_cut_off_when_too_much_waits(autojump_clock):
    async with trio.open_nursery() as nursery:
        link = await served(nursery)
        link.outbox.put("4" * MAX_WAITING)
        link.outbox.put("4 and more")
    assert not link.is_polling


@pytest.mark.trio
async def test_a_poll_that_comes_while_the_last_answer_is_on_its_way_waits_for_it(autojump_clock):
    async with trio.open_nursery() as nursery:
        link = await served(nursery)
        heard = []

        async def poll_again():
            async with link.polling() as second:
                heard.append(await second.wait())

        link.outbox.put("4one")
        async with link.polling() as first:
            assert await first.wait() == b"4one"
            nursery.start_soon(poll_again)
            link.outbox.put("4two")
            await trio.testing.wait_all_tasks_blocked()
            assert heard == []
        await trio.testing.wait_all_tasks_blocked()
        assert heard == [b"4two"]
        link.end()


@pytest.mark.trio
async def test_a_websocket_writes_only_when_the_last_answer_is_sent(autojump_clock):
    async with trio.open_nursery() as nursery:
        link = await served(nursery)
        ours, theirs = trio.testing.memory_stream_pair()
        heard = []

        async def serve_websocket():
            await link.upgrade(await accept_websocket(theirs))

        async def listen():
            while True:
                heard.append(await websocket.get_message())

        nursery.start_soon(serve_websocket)
        websocket = await wrap_client_stream(nursery, ours, "palaver", "/")
        nursery.start_soon(listen)
        link.outbox.put("4one")
        async with link.polling() as poll:
            assert await poll.wait() == b"4one"
            await websocket.send_message("2probe")
            await websocket.send_message("5")
            link.outbox.put("4two")
            await trio.testing.wait_all_tasks_blocked()
            assert heard == ["3probe"]
        await trio.testing.wait_all_tasks_blocked()
        assert heard == ["3probe", "4two"]
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_bug_ends_the_link(autojump_clock):
    def broken(data):
        raise ZeroDivisionError

    async with trio.open_nursery() as nursery:
        link = await served(nursery, on_message=broken)
        with pytest.raises(ZeroDivisionError):
            await link.push(b"4x")
    assert not link.is_polling


# -- the upgrade under traffic -----------------------------------------------------------------------------------------
LINES = 120


@pytest.mark.trio
@pytest.mark.parametrize("before", [0, 20, 60])
async def test_an_upgrade_loses_nothing_and_says_nothing_twice(url, stranger, before):
    """Bob speaks all the time; Ann asks all the time, by POST before the upgrade and by WebSocket after it."""
    async with visiting(url, "bob", f"bob{before}") as bob, trio.open_nursery() as nursery:
        room_id = (await bob.does("createRoom", roomType="group", roomName="den"))["room"]["roomId"]
        ann = await enter(stranger, f"ann{before}")
        await ann.post('420["joinRoom",{"roomId":"' + room_id + '"}]')
        heard, asked = [], []
        proved, polled = trio.Event(), trio.Event()

        async def speak():
            for number in range(LINES):
                await bob.does("sendMessage", roomId=room_id, content=str(number))

        async def poll():
            while not proved.is_set():
                heard.extend(packets(await ann.get()))
            polled.set()

        async def ask(send):
            asked.append(len(asked) + 1)
            await send(f'42{asked[-1]}["leaveRoom",{{"roomId":"x"}}]')

        def contents():
            notices = [orjson.loads(packet[2:])[1] for packet in heard if packet.startswith('42["newMessage"')]
            return [notice["content"] for notice in notices]

        def acks():
            return [int(packet[2 : packet.index("[")]) for packet in heard if packet.startswith("43")]

        nursery.start_soon(poll)
        nursery.start_soon(speak)
        with trio.fail_after(PATIENCE):
            while len(contents()) < before:
                await ask(ann.post)
        async with ann.websocket() as websocket:
            await websocket.send_message("2probe")
            assert await websocket.get_message() == "3probe"
            proved.set()
            with trio.fail_after(PATIENCE):
                await polled.wait()
            await ask(ann.post)
            await websocket.send_message("5")
            await ask(websocket.send_message)
            with trio.fail_after(PATIENCE):
                while len(contents()) < LINES or len(acks()) <= len(asked):
                    heard.extend(packets(await websocket.get_message()))
            await websocket.send_message("1")
            with suppress(ConnectionClosed):
                while True:
                    heard.append(await websocket.get_message())
        assert contents() == [str(number) for number in range(LINES)]
        assert acks() == [0, *asked]


@pytest.mark.trio
async def test_a_websocket_that_breaks_in_the_middle_of_its_probe_leaves_the_session_to_polling(stranger):
    client = await enter(stranger, "ann")
    for messages in ([], ["2probe"]):
        async with client.websocket() as websocket:
            for message in messages:
                await websocket.send_message(message)
                assert await websocket.get_message() == "3probe"
    with trio.fail_after(PATIENCE):
        while "6" in packets(await client.get()):  # noqa: ASYNC110  (as long as the server has not seen it break)
            await trio.sleep(0.01)
    async with client.upgraded() as websocket:
        await websocket.send_message('427["leaveRoom",{"roomId":"x"}]')
        with trio.fail_after(PATIENCE):
            while not (await websocket.get_message()).startswith("437["):
                pass


# -- somebody else's client --------------------------------------------------------------------------------------------
class Stranger:
    """python-socketio's client and what it hears."""

    def __init__(self, name):
        self.name = name
        self.heard = asyncio.Queue()
        self.client = socketio.AsyncClient(reconnection=False)
        self.client.on("newMessage", self.heard.put)

    async def connect(self, url, transports):
        await self.client.connect(url, auth={"userId": self.name, "name": self.name}, transports=transports)

    async def does(self, event, **payload):
        answer = await self.client.call(event, payload)
        assert answer["success"] is True, answer
        return answer


@asynccontextmanager
async def strangers(url, **transports):
    """People who come by these transports."""
    people = [Stranger(name) for name in transports]
    try:
        for person, by in zip(people, transports.values(), strict=True):
            await person.connect(url, by)
            assert person.client.transport() == ("polling" if by == ["polling"] else "websocket")
        yield people
    finally:
        for person in people:
            await person.client.disconnect()


@pytest.mark.asyncio
@pytest.mark.parametrize("eve_by", [None, ["polling"], ["websocket"]])
@pytest.mark.parametrize("guy_by", [None, ["polling"]])
async def test_people_with_other_transports_talk(url, eve_by, guy_by):
    async with strangers(url, eve=eve_by, guy=guy_by) as (eve, guy):
        room_id = (await eve.does("createRoom", roomType="group", leaveCurrent=True))["room"]["roomId"]
        await guy.does("joinRoom", roomId=room_id, leaveCurrent=True)  # a seat of the test before may be there still
        for number in range(10):
            for person in (eve, guy):
                await person.does("sendMessage", roomId=room_id, content=f"{person.name} {number} \u2603")
        for person in (eve, guy):
            said = [(await person.heard.get())["content"] for _ in range(20)]
            assert said == [f"{name} {number} \u2603" for number in range(10) for name in ("eve", "guy")]
