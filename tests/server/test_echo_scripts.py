"""The rules of Engine.IO v4 and Socket.IO v5 that the protocols' own test cases check, held by the echo scripts."""

import json
import signal
from contextlib import asynccontextmanager, suppress

import pytest
import trio
from trio_websocket import ConnectionClosed

from http_peer import PATIENCE, Peer, exchange, hear
from running import ROOT
from standing import standing

pytestmark = pytest.mark.trio

INTERVAL, TIMEOUT = 0.3, 0.2  # s
OPENED = {"pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


def script(name):
    """A script on a free port, which a Ctrl-C ends in order; its URL."""
    with standing(str(ROOT / "scripts" / name), "--port", "0", end=signal.SIGINT) as url:
        yield url


@pytest.fixture(scope="module")
def engineio():
    yield from script("engineio_echo.py")


@pytest.fixture(scope="module")
def socketio():
    yield from script("socketio_echo.py")


@pytest.fixture(params=["engine", "socket"])
def peer(request, engineio, socketio):
    """A stranger to either server: what lies below Socket.IO is the same in both."""
    return Peer(engineio, "/engine.io/") if request.param == "engine" else Peer(socketio, "/socket.io/")


@pytest.fixture
def echo(engineio):
    return Peer(engineio, "/engine.io/")


async def closes(websocket, *, answers_pings=False):
    """The server closes, and soon."""
    with trio.fail_after(PATIENCE), suppress(ConnectionClosed):
        while True:
            if await websocket.get_message() == "2" and answers_pings:
                await websocket.send_message("3")


# -- handshake ---------------------------------------------------------------------------------------------------------
async def test_a_session_opens_by_polling(peer):
    _, opened = await peer.open()
    assert isinstance(opened.pop("sid"), str)
    assert opened == {"upgrades": ["websocket"], **OPENED}


async def test_a_session_opens_by_websocket(peer):
    async with peer.websocket() as websocket:
        opened = json.loads((await hear(websocket)).removeprefix("0"))
        assert isinstance(opened.pop("sid"), str)
        assert opened == {"upgrades": [], **OPENED}


@pytest.mark.parametrize("query", ["transport=polling", "EIO=abc&transport=polling", "EIO=4", "EIO=4&transport=abc"])
async def test_a_wrong_query(peer, query):
    assert (await peer.request("GET", f"{peer.path}?{query}")).status == 400
    assert await peer.handshake(f"{peer.path}?{query.replace('polling', 'websocket')}") == 400


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "HEAD"])
async def test_a_wrong_method(peer, method):
    async with await trio.open_tcp_stream(*peer.address) as stream:
        await stream.send_all(f"{method} {peer.target()} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n".encode())
        with trio.fail_after(PATIENCE):
            assert (await stream.receive_some()).startswith(b"HTTP/1.1 400")


# -- messages ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "payload", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA==", "4\u20ac\x1eb", "4"]
)
async def test_a_payload_comes_back(echo, payload):
    client, _ = await echo.open()
    await client.post(payload)
    assert await client.get() == payload


@pytest.mark.parametrize("payload", [b"abc", b"", b"4a\x1e", b"b!", b"bAQ", b"4\xff", b"0", b"2", b"5", b"6"])
async def test_no_payload_ends_the_session(peer, payload):
    client, _ = await peer.open()
    assert (await client.request("POST", body=payload)).status == 400
    assert (await client.request("GET")).status == 400


async def test_two_polls_at_once_end_the_session(peer):
    client, _ = await peer.open()
    answers = []

    async def poll():
        answers.append(await client.request("GET"))

    async with trio.open_nursery() as polls:
        polls.start_soon(poll)
        polls.start_soon(poll)
    ended, refused = sorted(answers, key=lambda answer: answer.status)
    assert (ended.status, ended.text) == (200, "1")
    assert refused.status == 400
    assert (await client.request("GET")).status == 400


async def test_messages_come_back_by_websocket(echo):
    async with echo.websocket() as websocket:
        await hear(websocket)
        for message in ("4hello", b"\1\2\3\4"):
            await websocket.send_message(message)
            assert await hear(websocket) == message


@pytest.mark.parametrize("message", ["abc", "1"])
async def test_a_websocket_closes(peer, message):
    async with peer.websocket() as websocket:
        await hear(websocket)
        await websocket.send_message(message)
        await closes(websocket)


# -- heartbeat ---------------------------------------------------------------------------------------------------------
async def test_the_server_pings_who_polls(echo):
    client, _ = await echo.open()
    for _ in range(3):
        assert await client.get() == "2"
        await client.post("3")


@pytest.mark.parametrize("polls", [True, False])
async def test_who_polls_and_answers_no_ping_is_let_go(peer, polls):
    client, _ = await peer.open()
    start = trio.current_time()
    if polls:
        assert await client.get() == "2"
        assert await client.get() == "1"
        assert trio.current_time() - start > TIMEOUT
    else:
        await trio.sleep(INTERVAL + TIMEOUT + 0.1)  # what is tested is time itself
    assert (await client.request("GET")).status == 400


async def test_the_server_pings_a_websocket_and_lets_it_go(echo):
    async with echo.websocket() as websocket:
        await hear(websocket)
        for _ in range(3):
            assert await websocket.get_message() == "2"
            await websocket.send_message("3")
        await closes(websocket)


# -- the end -----------------------------------------------------------------------------------------------------------
async def test_who_polls_says_that_he_leaves(peer):
    client, _ = await peer.open()
    heard = []

    async def poll():
        heard.append(await client.get())

    async with await trio.open_tcp_stream(*peer.address) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(poll)
        await until_polling()
        await exchange(stream, "POST", client.target(), b"1")
    assert heard == ["6"]
    assert (await client.request("GET")).status == 400


async def until_polling():
    """Give a poll that was started time to arrive: no event tells this side."""
    await trio.sleep(0.05)


async def test_a_poll_that_is_hung_up_ends_the_session(peer):
    client, _ = await peer.open()
    async with await trio.open_tcp_stream(*peer.address) as stream:
        await stream.send_all(f"GET {client.target()} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        await until_polling()
    assert (await client.request("GET")).status == 400


# -- the upgrade -------------------------------------------------------------------------------------------------------
async def test_an_upgrade(echo):
    client, _ = await echo.open()
    async with client.websocket() as websocket:
        await websocket.send_message("2probe")
        assert await hear(websocket) == "3probe"
        assert await client.get() == "6"  # so that no poll is left to wait
        await websocket.send_message("5")
        await websocket.send_message("4hello")
        assert await hear(websocket) == "4hello"
    assert (await client.request("GET")).status == 400


async def test_a_waiting_poll_ends_with_the_probe(echo):
    client, _ = await echo.open()
    heard = []

    async def poll():
        heard.append(await client.get())

    async with client.websocket() as websocket:
        async with trio.open_nursery() as polls:
            polls.start_soon(poll)
            await until_polling()
            await websocket.send_message("2probe")
        assert heard == ["6"]


async def test_after_an_upgrade_polling_and_other_websockets_are_refused(peer):
    client, _ = await peer.open()
    async with client.upgraded() as websocket:
        assert (await client.request("GET")).status == 400
        assert (await client.request("POST", body=b"4x")).status == 400
        assert await client.handshake() == 400
        if peer.path == "/engine.io/":
            await websocket.send_message("4hello")
            assert await hear(websocket) == "4hello"


@pytest.mark.parametrize(
    "messages", [["4hello"], ["2"], ["2probe", "2probe"], ["5"], ["2probe", "4hello"], [b"2probe"]]
)
async def test_a_wrong_probe_leaves_the_session_to_polling(echo, messages):
    client, _ = await echo.open()
    async with client.websocket() as websocket:
        for message in messages:
            await websocket.send_message(message)
        await closes(websocket)
    await client.post("4still here")
    assert (await client.get()).removeprefix("2\x1e") == "4still here"


# -- Socket.IO: namespaces ---------------------------------------------------------------------------------------------
@asynccontextmanager
async def linked(url, connect=None):
    """A WebSocket to the Socket.IO echo, connected to a namespace or not yet."""
    async with Peer(url, "/socket.io/").websocket() as websocket:
        await hear(websocket)
        if connect is not None:
            await websocket.send_message(connect)
            await hear(websocket)
            await hear(websocket)
        yield websocket


@pytest.mark.parametrize(
    ("connect", "head", "auth"),
    [
        ("40", "40", '42["auth",{}]'),
        ('40{"token":"123"}', "40", '42["auth",{"token":"123"}]'),
        ("40/custom,", "40/custom,", '42/custom,["auth",{}]'),
        ('40/custom,{"token":"abc"}', "40/custom,", '42/custom,["auth",{"token":"abc"}]'),
    ],
)
async def test_a_namespace_lets_in_and_says_the_payload_back(socketio, connect, head, auth):
    async with linked(socketio) as websocket:
        await websocket.send_message(connect)
        assert json.loads((await hear(websocket)).removeprefix(head)).keys() == {"sid"}
        assert await hear(websocket) == auth


async def test_an_unknown_namespace(socketio):
    async with linked(socketio) as websocket:
        await websocket.send_message("40/random")
        assert await hear(websocket) == '44/random,{"message":"Invalid namespace"}'


async def test_who_joins_no_namespace_is_let_go(socketio):
    async with linked(socketio) as websocket:
        start = trio.current_time()
        await closes(websocket, answers_pings=True)
        assert 0.9 < trio.current_time() - start < 1.5 + 3  # the latter for a loaded machine


async def test_leaving_the_only_namespace_closes(socketio):
    async with linked(socketio, "40") as websocket:
        await websocket.send_message("41")
        await closes(websocket)


async def test_leaving_another_namespace_does_not(socketio):
    async with linked(socketio, "40") as websocket:
        await websocket.send_message("40/custom")
        await hear(websocket)
        await hear(websocket)
        await websocket.send_message("41/custom")
        await websocket.send_message('42["message","to the main one"]')
        assert await hear(websocket) == '42["message-back","to the main one"]'


# -- Socket.IO: messages -----------------------------------------------------------------------------------------------
TWO = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'


@pytest.mark.parametrize("namespace", ["", "/custom,"])
@pytest.mark.parametrize(
    ("said", "heard", "bytes_"),
    [
        ('42{}["message",1,"2",{"3":[true]}]', '42{}["message-back",1,"2",{"3":[true]}]', []),
        ('452-{}["message",' + TWO + "]", '452-{}["message-back",' + TWO + "]", [b"\1\2\3", b"\4\5\6"]),
        ('42{}456["message-with-ack",1,"2",{"3":[false]}]', '43{}456[1,"2",{"3":[false]}]', []),
        ('452-{}789["message-with-ack",' + TWO + "]", "462-{}789[" + TWO + "]", [b"\1\2\3", b"\4\5\6"]),
    ],
)
async def test_messages_and_acks(socketio, namespace, said, heard, bytes_):
    async with linked(socketio, f"40{namespace}") as websocket:
        for message in (said.replace("{}", namespace, 1), *bytes_):
            await websocket.send_message(message)
        for message in (heard.replace("{}", namespace, 1), *bytes_):
            assert await hear(websocket) == message


@pytest.mark.parametrize(
    "messages",
    [
        ["4abc"],
        ["42{}"],
        ["42[]"],
        ["42"],
        ["42abc"],
        ['42/custom,["message"]'],
        ["45-1[]"],
        [b"\1"],
        ['451-["m"]', '42["m"]'],
        ["40"],
    ],
)
async def test_no_packet_closes(socketio, messages):
    async with linked(socketio, "40") as websocket:
        for message in messages:
            await websocket.send_message(message)
        await closes(websocket)


async def test_socketio_by_polling_with_bytes(socketio):
    client, _ = await Peer(socketio, "/socket.io/").open()
    await client.post('40{"a":1}')
    welcome, auth = (await client.get()).split("\x1e")
    assert welcome.startswith('40{"sid":"')
    assert auth == '42["auth",{"a":1}]'
    await client.post('452-["message",' + TWO + "]\x1ebAQID\x1ebBAUG")
    assert await client.get() == '452-["message-back",' + TWO + "]\x1ebAQID\x1ebBAUG"
    await client.post("41")
    assert await client.get() == "1"
    assert await client.is_gone()
