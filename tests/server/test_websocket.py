"""The server's WebSocket against wsproto's client: what comes in, what goes out, and what breaks it."""

import tracemalloc

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import memory_stream_pair
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from palaver_server.session import Outbox
from palaver_server.websocket import MAX_REASON, Closed, FrameError, WebSocket, closing_frame, frame_of, unmask

LIMIT = 70_000  # bytes of a message
SIZES = [0, 1, 3, 125, 126, 127, 65_535, 65_536, LIMIT]


def client():
    return Connection(ConnectionType.CLIENT)


def one(message, is_last=True):
    """The event of a message, or of a part of one."""
    kind = TextMessage if isinstance(message, str) else BytesMessage
    return kind(data=message, message_finished=is_last)


def feed(data, limit=LIMIT, piece=None):
    """All that a server hears in these bytes, and what it answers to pings; a piece at a time, then the end."""
    heard, answers = [], []

    async def listen():
        ours, theirs = memory_stream_pair()
        websocket = WebSocket(theirs, limit, answers.append)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(send, ours)
            try:
                while True:
                    heard.append(await websocket.receive())
            except (Closed, FrameError) as why:
                heard.append(why)
            nursery.cancel_scope.cancel()

    async def send(ours):
        for start in range(0, len(data), piece or len(data)):
            await ours.send_all(data[start : start + (piece or len(data))])
            await trio.testing.wait_all_tasks_blocked()
        await ours.send_eof()

    trio.run(listen)
    return heard, answers


@st.composite
def conversations(draw):
    """Messages, and the bytes by which a client sends them: in fragments, with pings between them."""
    sender, messages, data = client(), [], b""
    for parts in draw(st.lists(st.one_of(st.lists(st.text(), min_size=1), st.lists(st.binary(), min_size=1)))):
        for number, part in enumerate(parts, 1):
            if draw(st.booleans()):
                data += sender.send(Ping(payload=b"there?"))
            data += sender.send(one(part, number == len(parts)))
        messages.append(type(parts[0])().join(parts))
    return messages, data


@given(conversations(), st.integers(1, 300))
def test_what_is_said_is_heard_however_it_is_cut(conversation, piece):
    messages, data = conversation
    heard, _ = feed(data, piece=piece)
    assert heard[:-1] == messages
    assert isinstance(heard[-1], Closed)
    assert heard[-1].code is None


@pytest.mark.parametrize("size", SIZES)
def test_messages_of_every_length_class(size):
    sender, receiver = client(), client()
    for message in ("x" * size, b"x" * size):
        heard, _ = feed(sender.send(one(message)), piece=1000)
        assert heard[0] == message
        receiver.receive_data(frame_of(message))
        assert type(message)().join(event.data for event in receiver.events()) == message


@given(st.binary(min_size=4, max_size=4), st.binary(max_size=40))
def test_unmasking(mask, payload):
    assert unmask(mask, payload) == bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))


def test_a_ping_is_answered_with_its_payload():
    _, (answer,) = feed(client().send(Ping(payload=b"there?")))
    receiver = client()
    receiver.receive_data(answer)
    assert list(receiver.events()) == [Pong(payload=b"there?")]
    assert frame_of(answer) is answer


def test_the_clients_goodbye():
    data = client().send(CloseConnection(code=1000, reason="bye"))
    heard, _ = feed(client().send(one("last words")) + data + b"anything at all")
    assert heard[0] == "last words"
    assert heard[1].code == 1000


def test_our_goodbye_has_room_for_a_reason_of_any_length():
    for reason in ("", "why", "ü" * 200):
        receiver = client()
        receiver.receive_data(closing_frame(1002, reason))
        (event,) = receiver.events()
        assert event.code == 1002
        assert reason.startswith(event.reason or "")
        assert len((event.reason or "").encode()) <= MAX_REASON


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (client().send(one("x" * (LIMIT + 1))), 1009),
        (client().send(one("x", is_last=False)) + client().send(one("x")), 1002),
        (b"\x81\xff" + (1 << 62).to_bytes(8, "big"), 1009),  # the length alone is enough
        (b"\x81\x05hello", 1002),  # not masked
        (b"\x83\x80mask", 1002),  # an opcode that is reserved
        (b"\xc1\x80mask", 1002),  # an extension that was not agreed on
        (b"\x80\x80mask", 1002),  # the end of no message
        (b"\x81\x81\x00\x00\x00\x00\xff", 1007),
        (b"\x01\x81\x00\x00\x00\x00\xff", 1007),
    ],
    ids=range(9),  # what a client sends is masked by chance, and a name must be the same in each process
)
def test_what_breaks_the_protocol(data, code):
    (why,), _ = feed(data)
    assert why.code == code


@pytest.mark.parametrize(("part", "count"), [("x" * 30_000, 3), ("x", LIMIT), ("", LIMIT)])
def test_fragments_too_many_or_too_long_together(part, count):
    sender = client()
    first, others = sender.send(one(part, is_last=False)), sender.send(one(part, is_last=False))
    (why,), _ = feed(first + others * count, piece=1 << 20)
    assert why.code == 1009


@pytest.mark.trio
@pytest.mark.parametrize("character", ["x", "\xe9", "\u4e16", "\U0001f389"])
async def test_what_waits_for_a_slow_reader_takes_less_than_a_mebibyte(character):
    outbox = Outbox()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        while not outbox.scope.cancel_called:
            outbox.put(character * 5000)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert 1 << 18 < after - before < 1 << 20


@pytest.mark.trio
async def test_a_message_of_any_size_finds_its_place():
    outbox = Outbox()
    outbox.put("x" * (3 << 20))
    assert not outbox.scope.cancel_called
    outbox.put("and no more")
    assert outbox.scope.cancel_called
