"""The one TCP port: HTTP and long-polling, and WebSocket upgrades handed on to trio-websocket."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import h11
import trio
import trio_websocket
from attrs import define, field
from wsproto.utilities import LocalProtocolError

from palaver_protocol import engineio

from .http_connection import PATIENCE, HttpConnection, Request, Response, in_json
from .links import OnLink, close_stream
from .polling_door import Headers, PollingDoor, error
from .websocket_link import WebSocketLink

log = logging.getLogger(__name__)

MESSAGES_AHEAD: Final = 64  # WebSocket messages read before they are handled
PREFLIGHT_AGE: Final = 600  # s for which a browser need not ask again
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@define(eq=False)
class FrontDoor:
    """What a TCP connection meets first. Links come in at `path`; those that poll live in `nursery`."""

    nursery: trio.Nursery
    settings: engineio.Settings
    allowed_origins: frozenset[str]
    on_link: OnLink
    health: Callable[[], dict[str, object]]
    path: str = "/socket.io/"
    polling: PollingDoor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.polling = PollingDoor(self.nursery, self.settings, self.on_link)

    async def serve(self, stream: trio.SocketStream) -> None:
        """One TCP connection, behind a crash barrier: whatever goes wrong here ends this connection only."""
        try:
            await self._serve(HttpConnection(stream, self.settings.max_payload))
        except* (trio.TooSlowError, trio.BrokenResourceError, trio_websocket.ConnectionClosed):
            pass
        except* LocalProtocolError:
            log.debug("a client sent a message too long while it was being closed")  # to which trio-websocket objects
        except* Exception:
            log.exception("a connection broke at the front door")
        finally:
            await close_stream(stream)

    async def _serve(self, connection: HttpConnection) -> None:
        """Requests one after another, or one WebSocket."""
        try:
            goes_on = True
            while goes_on:
                with trio.fail_after(PATIENCE):
                    request = await connection.receive()
                if request is None:
                    return
                if request.is_upgrade or request.path == self.path:
                    goes_on = await self._serve_client(connection, request)
                else:
                    goes_on = await connection.send(self.respond(request))
        except h11.RemoteProtocolError as broken:
            with suppress(h11.LocalProtocolError, trio.BrokenResourceError):
                await connection.send(in_json(broken.error_status_hint, {"error": str(broken)}))

    def respond(self, request: Request) -> Response:
        """The answer to a plain request."""
        if request.path == "/healthz":
            is_get = request.method in ("GET", "HEAD")
            return in_json(200, self.health()) if is_get else in_json(405, {"error": "only GET"})
        return in_json(404, {"error": "not found", "hint": f"clients connect to {self.path}, see also /healthz"})

    async def _serve_client(self, connection: HttpConnection, request: Request) -> bool:
        """A client's request: a poll, a push, or its WebSocket; whether the connection can go on."""
        headers = cross_origin(request)
        response = self.refuses(request)
        if response is not None:
            return await connection.send(response)
        if request.is_upgrade:
            await self._serve_websocket(connection, request.query.get("sid"))
            return False
        if request.method == "OPTIONS":
            return await connection.send(headers.on(PREFLIGHT))
        return await self.polling.serve(connection, request, headers)

    def refuses(self, request: Request) -> Response | None:
        """Why a client is not let in, if it is not."""
        if request.path != self.path:
            return in_json(404, {"error": "not found"})
        origin = request.headers.get("origin")
        if origin is not None and not self.is_allowed(origin, request.headers.get("host", "")):
            return in_json(403, error(4, "Forbidden: add this page's origin by --allow-origin"))
        headers = cross_origin(request)
        if request.method == "OPTIONS":
            return None
        if request.query.get("EIO") != str(engineio.PROTOCOL):
            return headers.on(in_json(400, error(5, "Unsupported protocol version")))
        if request.query.get("transport") != ("websocket" if request.is_upgrade else "polling"):
            return headers.on(in_json(400, error(0, "Transport unknown")))
        refusal = self.polling.refuses(request)
        return headers.on(refusal) if refusal else None

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether a web page of this origin may connect: a listed one, or on loopback one of this machine.

        Browsers let any page open a WebSocket to this machine, so the rest are kept out. That the page's host is the
        one it connects to says nothing: whoever owns a domain can let it point here.
        """
        if "*" in self.allowed_origins or origin in self.allowed_origins:
            return True
        from_host, to_host = hostname(origin), hostname("//" + host)
        return from_host in LOOPBACK and to_host in LOOPBACK

    async def _serve_websocket(self, connection: HttpConnection, sid: str | None) -> None:
        """One WebSocket, from its handshake to its end."""
        stream = connection.replay()
        address = stream.stream.socket.getsockname()[0]
        async with trio.open_nursery() as nursery:
            with trio.fail_after(PATIENCE):
                request = await trio_websocket.wrap_server_stream(
                    nursery, stream, MESSAGES_AHEAD, self.settings.max_payload, receive_buffer_size=None
                )
                websocket = await request.accept()
            if sid is None:
                await self.on_link(WebSocketLink(self.settings, secrets.token_urlsafe(15), websocket), address)
            elif link := self.polling.links.get(sid):
                await link.upgrade(websocket)
            await close_stream(stream)
            nursery.cancel_scope.cancel()


PREFLIGHT: Final = Response(
    204,
    headers=(
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", str(PREFLIGHT_AGE)),
    ),
)


def cross_origin(request: Request) -> Headers:
    """What lets the page that asks, and is allowed to, read the answer (Fetch, CORS protocol)."""
    origin = request.headers.get("origin")
    return Headers() if origin is None else Headers((("access-control-allow-origin", origin), ("vary", "Origin")))


def hostname(url: str) -> str:
    """The host in a URL; empty where there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:  # a bracket that is no IPv6 address
        return ""
