"""One connection against a server that keeps to its script, or does not."""

from __future__ import annotations

import contextlib
import functools
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
import trio.testing

from client.scripted import OPEN, Script, Server, serve_stream
from palaver_client.carriers import websocket_over
from palaver_client.errors import Disconnected, LinkLost, LinkRefused, NotSecure
from palaver_client.link import ANSWER, Link
from palaver_client.phrases import connect_remedy
from palaver_client.upgrade import CONNECT, open_stream
from palaver_client.url import ServerUrl
from palaver_protocol.models import RoomId
from palaver_protocol.notices import AnyNotice, UserLeft
from palaver_protocol.requests import Done, LeaveRoom
from palaver_protocol.table import Refusal

URL = ServerUrl("server", 8440, False)
LEAVE = LeaveRoom(RoomId("r"))

While = Callable[[Link], Awaitable[None]]


async def nothing(link: Link) -> None:
    await trio.sleep_forever()


class Finished(Exception):
    """The test's own part is done."""


async def lose(script: Script, while_up: While = nothing, heard: list[AnyNotice] | None = None) -> LinkLost:
    """Run a link against a script until it is lost, and say why."""
    ours, theirs = trio.testing.memory_stream_pair()
    link = Link(URL, {"userId": "u", "name": "Ann"}, (heard if heard is not None else []).append)
    failures: list[LinkLost] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, script, theirs)
        try:
            await link.run(websocket_over(ours, URL), lambda: while_up(link))
        except LinkLost as why:
            failures.append(why)
        nursery.cancel_scope.cancel()
    return failures[0]


async def do(script: Script, while_up: While, heard: list[AnyNotice] | None = None) -> None:
    """Run a link until `while_up` is through."""
    ours, theirs = trio.testing.memory_stream_pair()
    link = Link(URL, {"userId": "u", "name": "Ann"}, (heard if heard is not None else []).append)
    is_through = False

    with trio.CancelScope() as scope:

        async def then_stop() -> None:
            nonlocal is_through
            await while_up(link)
            is_through = True
            scope.cancel()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve_stream, script, theirs)
            await link.run(websocket_over(ours, URL), then_stop)
    assert is_through


async def until_hung_up(server: Server) -> None:
    while True:
        await server.receive()


@pytest.mark.trio
async def test_says_who_we_are_and_gets_in(autojump_clock: trio.testing.MockClock) -> None:
    said: list[Any] = []

    async def script(server: Server) -> None:
        said.append(await server.welcome())
        await until_hung_up(server)

    async def while_up(link: Link) -> None:
        assert len(said) == 1

    await do(script, while_up)
    assert said == [{"userId": "u", "name": "Ann"}]


@pytest.mark.trio
async def test_answers_find_their_questions_in_any_order(autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.welcome()
        first, second = await server.asked(), await server.asked()
        await server.refuse(second[0], "notMember", retryAfter=2)
        await server.answer(first[0], message="gone")
        await until_hung_up(server)

    got: list[object] = []

    async def ask(link: Link) -> None:
        try:
            got.append(await link.ask(LEAVE))
        except Refusal as no:
            got.append((no.code, no.retry_after))

    async def while_up(link: Link) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask, link)
            nursery.start_soon(ask, link)

    await do(script, while_up)
    assert got == [("notMember", 2.0), Done("gone")]


@pytest.mark.trio
async def test_then_comes_before_what_the_server_says_later(autojump_clock: trio.testing.MockClock) -> None:
    heard: list[Any] = []

    async def script(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await server.answer(ack_id)
        await server.tell("userLeft", userId="u", roomId="r")
        await until_hung_up(server)

    async def while_up(link: Link) -> None:
        await link.ask(LEAVE, heard.append)
        await trio.testing.wait_all_tasks_blocked()

    await do(script, while_up, heard)
    assert [type(each) for each in heard] == [Done, UserLeft]


@pytest.mark.trio
async def test_then_comes_also_when_the_asker_has_given_up(autojump_clock: trio.testing.MockClock) -> None:
    answered: list[Done] = []

    async def script(server: Server) -> None:
        await server.welcome()
        ack_id, _, _ = await server.asked()
        await trio.sleep(2)
        await server.answer(ack_id)
        await until_hung_up(server)

    async def while_up(link: Link) -> None:
        with trio.move_on_after(1):
            await link.ask(LEAVE, answered.append)
        assert answered == []
        await trio.sleep(2)
        assert answered == [Done()]

    await do(script, while_up)


@pytest.mark.trio
async def test_pings_are_answered_and_a_server_that_stops_is_gone(autojump_clock: trio.testing.MockClock) -> None:
    pongs: list[str] = []

    async def script(server: Server) -> None:
        await server.welcome()
        for _ in range(3):
            await trio.sleep(10)
            await server.send("2")
            pongs.append(await server.receive())
        await trio.sleep_forever()  # a peer that is half open: its TCP lives, nothing comes

    began = trio.current_time()
    assert "went silent" in str(await lose(script))
    assert pongs == ["3", "3", "3"]
    assert trio.current_time() - began == pytest.approx(30 + 20, abs=0.1)


@pytest.mark.trio
async def test_a_request_without_an_answer_ends_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    failures: list[str] = []

    async def script(server: Server) -> None:
        await server.welcome()
        while True:
            await trio.sleep(5)
            await server.send("2")

    async def while_up(link: Link) -> None:
        try:
            await link.ask(LEAVE)
        except Disconnected as why:
            failures.append(str(why))
            raise

    began = trio.current_time()
    assert str(await lose(script, suppressing(while_up))) == "the server has not answered for 10 s"
    assert failures == ["the server has not answered for 10 s; it may have been done"]
    assert trio.current_time() - began == pytest.approx(ANSWER, abs=0.1)


def suppressing(while_up: While) -> While:
    async def suppressed(link: Link) -> None:
        with contextlib.suppress(Disconnected):
            await while_up(link)

    return suppressed


@pytest.mark.trio
async def test_whoever_waits_for_an_answer_is_told_of_the_loss(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    link = Link(URL, {}, lambda told: None)
    up = trio.Event()

    async def script(server: Server) -> None:
        await server.welcome()
        await server.asked()  # and hang up

    async def while_up() -> None:
        up.set()

    async def run() -> None:
        with pytest.raises(LinkLost, match="closed the connection"):
            await link.run(websocket_over(ours, URL), while_up)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, script, theirs)
        nursery.start_soon(run)
        await up.wait()
        began = trio.current_time()
        with pytest.raises(Disconnected, match="closed the connection"):
            await link.ask(LEAVE)
        assert trio.current_time() - began < 1
        with pytest.raises(Disconnected):
            await link.ask(LEAVE)  # and never again on this one


@pytest.mark.trio
async def test_a_refusal_is_final_and_in_the_server_s_words(autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.send(OPEN)
        await server.receive()
        await server.send('44{"message":"that name is \\u001b[2Jtaken"}')

    why = await lose(script)
    assert isinstance(why, LinkRefused)
    assert str(why) == "that name is \ufffd[2Jtaken"


@pytest.mark.parametrize(
    "messages",
    [
        ("x",),
        ("0{}",),
        ("0",),
        (OPEN.replace("10000", '"nan"'),),
        (OPEN.replace("10000", "-1"),),
        (OPEN.replace("10000", "1e300"),),
        ("42[]",),
        (OPEN, "7"),
        (OPEN, "40[]"),
        (OPEN, '42["early"]'),
        (OPEN, "40{}", "40{}"),
        (OPEN, "40{}", "43[1"),
        (OPEN, "40{}", "43[]"),
        (OPEN, "40{}", '437[{"success":true}]'),
        (OPEN, "40{}", "42" + "[" * 5_000),
        (OPEN, "40{}", '42["a","\\ud800"]'),
        (OPEN, "40{}", '451-["a",{"_placeholder":true,"num":0}]', '42["inside"]'),
        (OPEN, "40{}", '42/other,["a"]'),
    ],
)
@pytest.mark.trio
async def test_a_server_that_breaks_the_protocol_is_left(
    messages: tuple[str, ...], autojump_clock: trio.testing.MockClock
) -> None:
    async def script(server: Server) -> None:
        await server.send(*messages)
        await until_hung_up(server)

    assert "does not speak our protocol" in str(await lose(script))


@pytest.mark.parametrize("ending", ["1", "41"])
@pytest.mark.trio
async def test_a_server_that_says_good_bye(ending: str, autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.welcome()
        await server.send(ending)
        await until_hung_up(server)

    assert str(await lose(script)).startswith("the server at http://server:8440 ")


@pytest.mark.trio
async def test_what_we_do_not_understand_is_skipped(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[AnyNotice] = []

    async def script(server: Server) -> None:
        await server.welcome()
        await server.tell("fromTheFuture", a=1)
        await server.tell("userLeft", userId=5)
        await server.send('42["userLeft"]', '42["userLeft",null]', "6")
        await server.tell("userLeft", userId="u", roomId="r")
        await until_hung_up(server)

    async def while_up(link: Link) -> None:
        await trio.testing.wait_all_tasks_blocked()

    await do(script, while_up, heard)
    assert len(heard) == 1
    assert len(caplog.records) == 3


@pytest.mark.trio
async def test_an_answer_of_another_shape_fails_only_its_request(autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.welcome()
        for answer in ('431[{"success":true,"message":5}]', "432[]", '433[{"success":true}]'):
            await server.asked()
            await server.send(answer)
        await until_hung_up(server)

    async def while_up(link: Link) -> None:
        for _ in range(2):
            with pytest.raises(Refusal, match="makes no sense"):
                await link.ask(LEAVE)
        assert await link.ask(LEAVE) == Done()

    await do(script, while_up)


@pytest.mark.trio
async def test_a_server_that_never_lets_us_in(autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.send(OPEN)
        await trio.sleep_forever()

    began = trio.current_time()
    assert "did not let us in" in str(await lose(script))
    assert trio.current_time() - began == pytest.approx(CONNECT, abs=0.1)


async def lose_raw(answer: bytes | None) -> LinkLost:
    """Run a link against something that answers these bytes to the upgrade, and hangs up; or is silent (None)."""
    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:

        async def serve() -> None:
            await theirs.receive_some(4096)
            if answer is None:
                await trio.sleep_forever()
            await theirs.send_all(answer or b"")
            await theirs.aclose()

        nursery.start_soon(serve)
        try:
            await Link(URL, {}, lambda told: None).run(websocket_over(ours, URL), trio.sleep_forever)
        except LinkLost as why:
            nursery.cancel_scope.cancel()
            return why
    raise AssertionError


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answers 404"),
        (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno", "it answers 403"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "it answers 200"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "no Palaver server"),
        (b"", "hung up"),
        (None, "did not let us in"),
    ],
)
@pytest.mark.trio
async def test_something_else_on_that_port(
    answer: bytes | None, words: str, autojump_clock: trio.testing.MockClock
) -> None:
    assert words in str(await lose_raw(answer))


@pytest.mark.trio
async def test_cancelled_it_says_good_bye(autojump_clock: trio.testing.MockClock) -> None:
    last: list[str] = []

    async def script(server: Server) -> None:
        await server.welcome()
        while True:
            last.append(await server.receive())

    ours, theirs = trio.testing.memory_stream_pair()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, script, theirs)
        with trio.move_on_after(1):
            await Link(URL, {}, lambda told: None).run(websocket_over(ours, URL), trio.sleep_forever)
    assert last == ["41"]


@pytest.mark.trio
async def test_a_server_that_does_not_read_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    is_stuck = False
    send_all = ours.send_stream.send_all

    async def stuck(data: Any) -> None:
        if is_stuck:
            await trio.sleep_forever()
        await send_all(data)

    ours.send_stream.send_all = stuck  # type: ignore[method-assign] # the cable, not our code

    async def script(server: Server) -> None:
        await server.welcome()
        await trio.sleep_forever()

    link = Link(URL, {}, lambda told: None)

    async def ask() -> None:
        with pytest.raises(Disconnected):
            await link.ask(LEAVE)

    async def while_up() -> None:
        nonlocal is_stuck
        is_stuck = True
        async with trio.open_nursery() as askers:
            for _ in range(300):
                askers.start_soon(ask)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(serve_stream, script, theirs)
        with pytest.raises(LinkLost, match="takes nothing any more"):
            await link.run(websocket_over(ours, URL), while_up)
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_message_that_is_too_long_ends_the_connection(autojump_clock: trio.testing.MockClock) -> None:
    async def script(server: Server) -> None:
        await server.welcome()
        await server.send("42" + orjson.dumps(["a", "x" * 9_000_000]).decode())
        await until_hung_up(server)

    assert "closed the connection" in str(await lose(script))


@pytest.mark.trio
async def test_a_server_without_tls_is_told_so() -> None:
    async def not_tls(stream: trio.SocketStream) -> None:
        await stream.receive_some(4096)
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(functools.partial(trio.serve_tcp, not_tls, 0, host="127.0.0.1"))
        url = ServerUrl("127.0.0.1", listeners[0].socket.getsockname()[1], is_secure=True)
        with pytest.raises(NotSecure, match=r"there is no TLS at https://127.0.0.1:\d+") as failure:
            await open_stream(url)
        assert connect_remedy(failure.value).startswith("write http://127.0.0.1:")
        nursery.cancel_scope.cancel()


@pytest.mark.trio
async def test_a_certificate_that_nobody_vouches_for_is_told_so(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    await trio.run_process([*made, "-keyout", str(key), "-out", str(certificate)], capture_stderr=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)

    async def greet(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.do_handshake()

    async with trio.open_nursery() as nursery:
        serve = functools.partial(trio.serve_ssl_over_tcp, greet, 0, context, host="127.0.0.1")
        listeners = await nursery.start(serve)
        port = listeners[0].transport_listener.socket.getsockname()[1]
        with pytest.raises(NotSecure, match=r"certificate of https://127.0.0.1:\d+ is not to be trusted"):
            await open_stream(ServerUrl("127.0.0.1", port, is_secure=True))
        nursery.cancel_scope.cancel()
