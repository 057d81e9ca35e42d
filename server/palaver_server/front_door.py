"""The one TCP port: HTTP answers by h11, and WebSocket upgrades handed on to trio-websocket."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs, urlsplit

import h11
import orjson
import trio
import trio_websocket
from attrs import define, frozen

from palaver_protocol import engineio

from .links import Link, close_stream

log = logging.getLogger(__name__)

PATIENCE: Final = 5.0  # s for a request to arrive whole
MAX_HEAD: Final = 16 * 1024  # bytes of a request's line and headers
MAX_BODY: Final = 128 * 1024
MESSAGES_AHEAD: Final = 64  # WebSocket messages read before they are handled
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@frozen
class Request:
    """An HTTP request without its body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@frozen
class Response:
    """An HTTP answer with a JSON body."""

    status: int
    body: object

    def events(self, *, is_last: bool, is_head: bool) -> list[h11.Event]:
        """The answer, for h11; to a HEAD request without its body."""
        data = orjson.dumps(self.body)
        headers = [("content-type", "application/json"), ("content-length", str(len(data)))]
        if is_last:
            headers.append(("connection", "close"))
        head = h11.Response(status_code=self.status, headers=headers)
        return [head, h11.EndOfMessage()] if is_head else [head, h11.Data(data=data), h11.EndOfMessage()]


@define(eq=False)
class Replay(trio.abc.Stream):
    """A stream that first gives back the bytes that were read from it."""

    stream: trio.SocketStream
    held: bytes

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """The next bytes."""
        if self.held:
            held, self.held = self.held, b""
            await trio.lowlevel.checkpoint()
            return held
        return await self.stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes."""
        await self.stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        """Wait until sending might not block."""
        await self.stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        """Close the stream."""
        await self.stream.aclose()


@define(eq=False)
class FrontDoor:
    """What a TCP connection meets first. `on_link` serves a link until it ends, given the address it came to."""

    settings: engineio.Settings
    allowed_origins: frozenset[str]
    on_link: Callable[[Link, str], Awaitable[None]]
    health: Callable[[], dict[str, object]]

    async def serve(self, stream: trio.SocketStream) -> None:
        """One TCP connection, behind a crash barrier: whatever goes wrong here ends this connection only."""
        try:
            await self._serve(stream)
        except* (trio.TooSlowError, trio.BrokenResourceError, trio_websocket.ConnectionClosed):
            pass
        except* Exception:
            log.exception("a connection broke at the front door")
        finally:
            await close_stream(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        """Requests one after another, or one WebSocket."""
        http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)
        try:
            while True:
                with trio.fail_after(PATIENCE):
                    request, read = await self._receive(http, stream)
                if request is None:
                    return
                response = self.refuses(request) if request.is_upgrade else self.respond(request)
                if response is None:
                    await self._serve_websocket(Replay(stream, read))
                    return
                if not await self._send(http, stream, response, is_head=request.method == "HEAD"):
                    return
        except h11.RemoteProtocolError as error:
            with suppress(h11.LocalProtocolError, trio.BrokenResourceError):
                await self._send(http, stream, Response(error.error_status_hint, {"error": str(error)}))

    def respond(self, request: Request) -> Response:
        """The answer to a plain request."""
        if request.path == "/healthz":
            is_get = request.method in ("GET", "HEAD")
            return Response(200, self.health()) if is_get else Response(405, {"error": "only GET"})
        if request.path == "/socket.io/":
            return Response(400, {"code": 0, "message": "Transport unknown: this server speaks WebSocket"})
        return Response(404, {"error": "not found", "hint": "clients connect to /socket.io/, see also /healthz"})

    def refuses(self, request: Request) -> Response | None:
        """Why a WebSocket is not let in, if it is not."""
        if request.path != "/socket.io/":
            return Response(404, {"error": "not found"})
        if request.query.get("EIO") != str(engineio.PROTOCOL):
            return Response(400, {"code": 5, "message": "Unsupported protocol version"})
        if request.query.get("transport") != "websocket":
            return Response(400, {"code": 0, "message": "Transport unknown"})
        origin = request.headers.get("origin")
        if origin is not None and not self.is_allowed(origin, request.headers.get("host", "")):
            return Response(403, {"code": 4, "message": "Forbidden: add this page's origin by --allow-origin"})
        return None

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether a web page of this origin may connect: a listed one, or on loopback one of this machine.

        Browsers let any page open a WebSocket to this machine, so the rest are kept out. That the page's host is the
        one it connects to says nothing: whoever owns a domain can let it point here.
        """
        if "*" in self.allowed_origins or origin in self.allowed_origins:
            return True
        from_host, to_host = hostname(origin), hostname("//" + host)
        return from_host in LOOPBACK and to_host in LOOPBACK

    async def _receive(self, http: h11.Connection, stream: trio.SocketStream) -> tuple[Request | None, bytes]:
        """The next request, whole, and the bytes it came in; None when the client is gone."""
        read = b""
        body = 0
        request: Request | None = None
        while True:
            event = http.next_event()
            match event:
                case h11.NEED_DATA:
                    data = await stream.receive_some(MAX_HEAD)
                    read += data
                    http.receive_data(data)
                case h11.Request():
                    request = to_request(event)
                    if request.is_upgrade:
                        return request, read
                case h11.Data():
                    body += len(event.data)
                    if body > MAX_BODY:
                        raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
                case h11.EndOfMessage():
                    return request, read
                case _:
                    return None, read

    async def _send(
        self, http: h11.Connection, stream: trio.SocketStream, response: Response, *, is_head: bool = False
    ) -> bool:
        """Answer; whether the connection can go on."""
        is_last = http.their_state is not h11.DONE
        with trio.move_on_after(PATIENCE):
            for event in response.events(is_last=is_last, is_head=is_head):
                if data := http.send(event):
                    await stream.send_all(data)
        if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
            return False
        http.start_next_cycle()
        return True

    async def _serve_websocket(self, stream: Replay) -> None:
        """One WebSocket, from its handshake to its end."""
        address = stream.stream.socket.getsockname()[0]
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE):
                request = await trio_websocket.wrap_server_stream(
                    nursery, stream, MESSAGES_AHEAD, self.settings.max_payload, receive_buffer_size=None
                )
                websocket = await request.accept()
            await self.on_link(Link(websocket, self.settings, secrets.token_urlsafe(15)), address)
            await close_stream(stream)
            nursery.cancel_scope.cancel()


def to_request(event: h11.Request) -> Request:
    """h11's request, decoded."""
    path, _, fields = event.target.decode("ascii", "replace").partition("?")
    query = {key: values[-1] for key, values in parse_qs(fields).items()}
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("ascii"), path, query, headers)


def hostname(url: str) -> str:
    """The host in a URL; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is no IPv6 address
        return ""
