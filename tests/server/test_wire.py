"""Strangers on the wire: whatever they send, they get a clear answer or are let go, and nobody else notices."""

import os
import re
import socket
import struct
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, suppress
from itertools import cycle
from uuid import uuid4

import pytest
import trio
from wsproto.connection import Connection, ConnectionType

from running import serving
from world import DTLS, visiting

pytestmark = pytest.mark.trio

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
UPGRADE = "Upgrade: websocket\r\nConnection: Upgrade\r\n"
PATH = "/socket.io/?EIO=4&transport=websocket"
TEXT, BYTES, CLOSE, PING = 1, 2, 8, 9


def frame(opcode, data, *, is_final=True, is_masked=True, reserved=0, length=None):
    """A WebSocket frame (RFC 6455 section 5.2), right or wrong."""
    length = len(data) if length is None else length
    head = bytes([is_final << 7 | reserved << 4 | opcode])
    mask = is_masked << 7
    if length < 126:
        head += bytes([mask | length])
    elif length < 65536:
        head += bytes([mask | 126]) + struct.pack("!H", length)
    else:
        head += bytes([mask | 127]) + struct.pack("!Q", length)
    return head + (bytes(4) if is_masked else b"") + data  # a mask of zeros changes nothing


async def dial(url):
    host, port = url.removeprefix("http://").split(":")
    return await trio.open_tcp_stream(host, int(port))


async def read_all(stream):
    """All that comes until the server closes, which it must do soon."""
    received = b""
    with trio.fail_after(20):
        try:
            while data := await stream.receive_some():
                received += data
        except trio.BrokenResourceError:  # a reset, where it did not read all we sent
            pass
    return received


async def send(stream, data):
    """Send, and do not mind if the server closes meanwhile."""
    with trio.move_on_after(20):
        with suppress(trio.BrokenResourceError):
            await stream.send_all(data)


async def http(url, head, body=b""):
    """A raw request; all that is answered until the server closes."""
    async with await dial(url) as stream:
        await send(stream, head.replace("\r", "").replace("\n", "\r\n").encode("latin-1") + b"\r\n\r\n" + body)
        return await read_all(stream)


async def shake_hands(stream, path=PATH):
    await stream.send_all(f"GET {path} HTTP/1.1\r\nHost: palaver\r\n{UPGRADE}{KEY}\r\n".encode())
    received = b""
    while b"maxPayload" not in received:
        received += await stream.receive_some()
    assert received.startswith(b"HTTP/1.1 101")


@pytest.fixture
async def witness(url):
    """Somebody else, who must not notice anything."""
    async with visiting(url, "witness") as person:
        yield person
        answer = await person.ask("leaveRoom", roomId="nowhere")
        assert answer["code"] == "notFound"
        assert person.closed is None


# -- HTTP --------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET /healthz HTTP/1.1\nHost: x\nConnection: close", 200),
        ("HEAD /healthz HTTP/1.1\nHost: x\nConnection: close", 200),
        ("POST /healthz HTTP/1.1\nHost: x\nConnection: close", 405),
        ("GET /nowhere HTTP/1.1\nHost: x\nConnection: close", 404),
        ("GET http://[ HTTP/1.1\nHost: x\nConnection: close", 404),
        ("CONNECT a:80 HTTP/1.1\nHost: x\nConnection: close", 404),
        ("OPTIONS * HTTP/1.1\nHost: x\nConnection: close", 404),
        (f"GET {PATH} HTTP/1.1\nHost: x\nConnection: close", 400),
        ("GET /socket.io/?EIO=%ff&transport=%zz HTTP/1.1\nHost: x\nConnection: close", 400),
        ("GET /healthz HTTP/1.1", 400),  # no Host
        ("hello", 400),
        ("\x16\x03\x01\x02", 400),  # TLS
        ("GET / HTTP/1.1\nHost: x\nContent-Length: -1", 400),
        ("GET / HTTP/1.1\nHost: x\nContent-Length: 1\nContent-Length: 2", 400),
        ("GET / HTTP/1.1\nHost: x\nTransfer-Encoding: nonsense", 501),
    ],
)
async def test_plain_requests(url, witness, head, status):
    answer = await http(url, head)
    assert answer.split(b" ")[1] == str(status).encode(), answer
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_answer_to_head_has_no_body(url):
    head, _, body = (await http(url, "HEAD /healthz HTTP/1.1\nHost: x\nConnection: close")).partition(b"\r\n\r\n")
    assert int(re.search(rb"content-length: (\d+)", head)[1]) > 0
    assert body == b""


async def test_several_requests_over_one_connection(url):
    one = "GET /healthz HTTP/1.1\r\nHost: x\r\n"
    answer = await http(url, one + "\r\n" + one + "\r\n" + one + "Connection: close")
    assert answer.count(b'"status":"ok"') == 3


async def test_a_body_of_ten_mebibytes(url, witness):
    answer = await http(url, f"POST /healthz HTTP/1.1\nHost: x\nContent-Length: {10 << 20}", bytes(10 << 20))
    assert answer == b"" or b" 413 " in answer  # the reset may outrun the answer


async def test_headers_without_an_end(url, witness):
    answer = await http(url, "GET / HTTP/1.1\nHost: x\nA: " + "a" * 200_000)
    assert answer == b"" or b" 431 " in answer


async def test_who_sends_one_byte_at_a_time_is_let_go_after_five_seconds(url, witness):
    start = trio.current_time()
    async with await dial(url) as stream, trio.open_nursery() as nursery:

        async def drip():
            for byte in b"GET /healthz HTTP/1.1\r\nHost: " + b"x" * 1000:
                await stream.send_all(bytes([byte]))
                await trio.sleep(0.1)

        async def drip_until_closed():
            with suppress(trio.BrokenResourceError):
                await drip()

        nursery.start_soon(drip_until_closed)
        assert await read_all(stream) == b""
        nursery.cancel_scope.cancel()
    assert 4 < trio.current_time() - start < 15


# -- the upgrade -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("path", "more", "status"),
    [
        (PATH, "", 101),
        ("/", "", 404),
        ("/socket.io", "", 404),
        ("/engine.io/?EIO=4&transport=websocket", "", 404),
        ("/socket.io/", "", 400),
        ("/socket.io/?EIO=3&transport=websocket", "", 400),
        ("/socket.io/?EIO=4&transport=polling", "", 400),
        ("/socket.io/?EIO=4&transport=carrier-pigeon", "", 400),
        (PATH, "Origin: http://evil.example\n", 403),
        (PATH, "Origin: null\n", 403),
        (PATH, "Origin: http://[\n", 403),
        (PATH, "Origin: http://palaver:3000\n", 403),  # a domain that was pointed here
        (PATH, "Origin: http://friend\n", 101),  # --allow-origin
    ],
)
async def test_upgrades(url, witness, path, more, status):
    async with await dial(url) as stream:
        head = f"GET {path} HTTP/1.1\nHost: palaver\n{more}".replace("\n", "\r\n")
        await stream.send_all((head + UPGRADE + KEY + "\r\n").encode())
        answer = await stream.receive_some()
        assert answer.split(b" ")[1] == str(status).encode(), answer


@pytest.mark.parametrize(
    "headers",
    [
        UPGRADE,  # neither key nor version
        UPGRADE + KEY.replace("13", "12"),
        UPGRADE + KEY.replace("dGhlIHNhbXBsZSBub25jZQ==", "short"),
        "Upgrade: websocket\r\n" + KEY,
    ],
)
async def test_broken_handshakes(url, witness, headers):
    answer = await http(url, f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{headers}".rstrip())
    assert not answer.startswith(b"HTTP/1.1 2")


# -- frames ------------------------------------------------------------------------------------------------------------
CONNECT = frame(TEXT, b'40{"userId":"mallory","name":"mallory"}')


@pytest.mark.parametrize(
    "frames",
    [
        [frame(TEXT, b"40", is_masked=False)],
        [frame(TEXT, b"40", reserved=4)],
        [frame(3, b"40")],
        [frame(0, b"40")],
        [frame(PING, bytes(126))],
        [frame(PING, b"", is_final=False)],
        [frame(TEXT, b"4", is_final=False), frame(TEXT, b"0")],
        [CONNECT, frame(TEXT, b"4\xff\xfe")],
        [CONNECT, frame(TEXT, b"4\xf0", is_final=False), frame(0, b"x")],
        [CONNECT, frame(CLOSE, b"\3")],
        [CONNECT, frame(CLOSE, struct.pack("!H", 999))],
        [CONNECT, frame(CLOSE, struct.pack("!H", 1000))],
        [CONNECT, frame(BYTES, b"bytes where none belong")],
        [CONNECT, CONNECT],
        [frame(TEXT, b'42["joinRoom",{}]'), CONNECT],
        [CONNECT, frame(TEXT, b'42["a","\\ud800"]')],
        [CONNECT, frame(TEXT, b'42["a",' + b"[" * 3000 + b"]" * 3000 + b"]")],
        [
            CONNECT,
            frame(TEXT, b'451-["a",' + b"[" * 900 + b'{"_placeholder":true,"num":0}' + b"]" * 900 + b"]"),
            frame(BYTES, b"abc"),
        ],
        [CONNECT, frame(TEXT, b'451-["a",{"_placeholder":true,"num":5}]'), frame(BYTES, b"abc")],
        [CONNECT, frame(TEXT, b'451-["a",{"_placeholder":true,"num":0}]'), frame(TEXT, b'42["b"]')],
    ],
)
async def test_frames_that_end_their_link(url, witness, frames):
    async with await dial(url) as stream:
        await shake_hands(stream)
        for one in frames:
            await send(stream, one)
        await read_all(stream)


async def test_a_broken_protocol_is_answered_with_1002_and_the_reason(url, witness):
    async with await dial(url) as stream:
        await shake_hands(stream)
        await send(stream, frame(TEXT, b"9"))
        assert struct.pack("!H", 1002) + b"no Engine.IO packet" in await read_all(stream)


@pytest.mark.parametrize("pieces", [1, 160])
async def test_ten_mebibytes_in_one_message_are_answered_with_1009(url, witness, pieces):
    part = b"4" * ((10 << 20) // pieces)
    async with await dial(url) as stream, trio.open_nursery() as nursery:
        await shake_hands(stream)
        received = []

        async def read():
            received.append(await read_all(stream))

        nursery.start_soon(read)
        for number in range(pieces):
            await send(stream, frame(TEXT if number == 0 else 0, part, is_final=number == pieces - 1))
    assert struct.pack("!H", 1009) in received[0]


async def test_a_half_frame_and_a_lost_connection(url, witness):
    for length in (None, 1 << 62):
        async with await dial(url) as stream:
            await shake_hands(stream)
            await stream.send_all(CONNECT + frame(TEXT, b"4" * 100, length=length)[:50])
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset, not a close


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("noSuchEvent", {}, "unknownEvent"),
        ("joinRoom", None, "invalidPayload"),
        ("joinRoom", {"roomId": ["x"]}, "invalidPayload"),
        ("joinRoom", {"roomId": "somebody's"}, "notFound"),
        ("sendMessage", {"roomId": "x", "content": 5}, "invalidPayload"),
        ("connectTransport", {"transportId": "x", "dtlsParameters": DTLS}, "notMember"),
        ("createRoom", {"roomType": "GROUP"}, "invalidPayload"),
        ("createRoom", {"roomType": "group", "roomName": {"a": {"b": [1] * 500}}}, "invalidPayload"),
    ],
)
async def test_wrong_requests_are_answered(url, witness, event, payload, code):
    async with visiting(url, "mallory") as mallory:
        refused = await mallory.answer(await mallory.pose(event, payload))
        assert refused["success"] is False
        assert refused["code"] == code


async def test_numbers_out_of_all_bounds_do_not_harm_the_worker(url, witness):
    async with visiting(url, "mallory") as mallory:
        room_id = (await mallory.does("createRoom", roomType="group"))["room"]["roomId"]
        for number in (-1, 0, 128, 255, 256, 2**31, 2**63):
            params = (await mallory.does("createTransport", roomId=room_id, direction="send"))["params"]
            codec = {"mimeType": "audio/opus", "payloadType": number, "clockRate": 48000, "channels": 2}
            extension = {"uri": "urn:ietf:params:rtp-hdrext:sdes:mid", "id": number}
            parameters = {"codecs": [codec], "headerExtensions": [extension], "encodings": [{"ssrc": 5}]}
            answer = await mallory.ask(
                "produce", roomId=room_id, transportId=params["id"], kind="audio", rtpParameters=parameters
            )
            assert answer["success"] or answer["code"] in ("unsupported", "invalidPayload")
            await mallory.ask(
                "connectTransport",
                transportId=params["id"],
                dtlsParameters={"role": "server", "fingerprints": [{"algorithm": "sha-256", "value": "\x00" * 1000}]},
            )
        assert (await mallory.does("createTransport", roomId=room_id, direction="send"))["params"]
        await mallory.does("endCall", roomId=room_id)
        assert not mallory.heard("mediaReset")


# -- slow readers ------------------------------------------------------------------------------------------------------
@asynccontextmanager
async def library(url, slow_buffer=4096):
    """Ann and Bob in a room, and a third one on a raw socket, who has read nothing since he came in."""
    async with visiting(url, "ann") as ann, visiting(url, "bob") as bob:
        room = {"roomType": "group", "roomName": "library", "joinExisting": True}
        room_id = (await ann.does("createRoom", **room))["room"]["roomId"]
        await bob.does("joinRoom", roomId=room_id)
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, slow_buffer)
        host, port = url.removeprefix("http://").split(":")
        await sock.connect((host, int(port)))
        async with trio.SocketStream(sock) as slow:
            await shake_hands(slow)
            await slow.send_all(frame(TEXT, b'40{"userId":"slow","name":"slow"}'))
            await slow.send_all(frame(TEXT, b'421["joinRoom",{"roomId":"%b"}]' % room_id.encode()))
            await ann.expect("userJoined")
            await ann.expect("userJoined")
            yield room_id, ann, bob, slow


@asynccontextmanager
async def speakers(url, room_id):
    """People in the room who take turns, for one alone may not say so much."""
    async with AsyncExitStack() as stack:
        people = [await stack.enter_async_context(visiting(url, "speaker", str(uuid4()))) for _ in range(10)]
        for person in people:
            await person.does("joinRoom", roomId=room_id)
        yield cycle(people)


async def test_who_reads_no_more_is_cut_off_soon_and_delays_nobody(url, witness):
    async with library(url) as (room_id, _, bob, _), speakers(url, room_id) as turns:
        start = trio.current_time()
        said = [f"{number} " + "x" * 19_000 for number in range(100)]
        for content, speaker in zip(said, turns, strict=False):
            await speaker.does("sendMessage", roomId=room_id, content=content)
        assert await bob.expect("userLeft") == {"userId": "slow", "roomId": room_id}
        assert trio.current_time() - start < 10
        await bob.until(lambda: len(bob.heard("newMessage")) == len(said))
        assert [told["content"] for told in bob.heard("newMessage")] == said


async def hear(stream):
    """The messages that come, one after another."""
    client, text = Connection(ConnectionType.CLIENT), ""
    while True:
        client.receive_data(await stream.receive_some(1000))
        for event in client.events():
            text += event.data
            if event.message_finished:
                yield text
                text = ""


async def test_who_reads_late_gets_every_frame_whole_and_in_order(url, witness):
    async with library(url) as (room_id, _, _, slow), speakers(url, room_id) as turns:
        said = [f"{number} " + "x" * 10_000 for number in range(40)]  # more than a socket takes, less than waits
        for content, speaker in zip(said, turns, strict=False):
            await speaker.does("sendMessage", roomId=room_id, content=content)
        with trio.fail_after(20):
            async with aclosing(hear(slow)) as messages:
                for content in said:
                    while not (message := await anext(messages)).startswith('42["newMessage"'):
                        pass
                    assert f'"content":"{content}"' in message
                await slow.send_all(frame(TEXT, b'422["getMessages",{"roomId":"%b"}]' % room_id.encode()))
                while not (message := await anext(messages)).startswith("432"):  # alone, and again more than it takes
                    pass
                assert message.count("content") == len(said)


# -- endurance ---------------------------------------------------------------------------------------------------------
async def test_two_hundred_connections_leave_no_file_descriptor():
    async with serving() as (url, server):

        def descriptors():
            return len(os.listdir(f"/proc/{server.process.pid}/fd"))

        async with visiting(url, "witness") as witness:
            room_id = (await witness.does("createRoom", roomType="group", roomName="den"))["room"]["roomId"]
            before = descriptors()
            for number in range(200):
                async with visiting(url, f"guest{number}") as guest:
                    await guest.does("joinRoom", roomId=room_id)
                    if number % 2:
                        await guest.websocket.aclose()
            with trio.fail_after(10):
                while len((await witness.does("joinRoom", roomId=room_id))["room"]["participants"]) > 1:
                    await witness.expect("userLeft")
            with trio.fail_after(10):
                while descriptors() > before:  # noqa: ASYNC110
                    await trio.sleep(0.02)
            assert len(witness.heard("userJoined")) == len(witness.heard("userLeft")) == 200
        assert not server.errors
