"""The one TCP port: REST and long-polling over HTTP, and what becomes a WebSocket."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

import h11
import trio
from attrs import define, field

from palaver_protocol import engineio

from .handshake import accept
from .http_connection import PATIENCE, HttpConnection, Request, Response, in_json
from .links import OnLink, close_stream
from .polling_door import Headers, PollingDoor, error
from .websocket import Closed, WebSocket
from .websocket_link import WebSocketLink

log = logging.getLogger(__name__)

PREFLIGHT_AGE: Final = 600  # s for which a browser need not ask again
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@define(eq=False)
class FrontDoor:
    """What a TCP connection meets first. Links come in at `path`; those that poll live in `nursery`.

    `api` answers what is asked under `/api/`, given whether the web page that asks is allowed to.
    """

    nursery: trio.Nursery
    settings: engineio.Settings
    allowed_origins: frozenset[str]
    on_link: OnLink
    health: Callable[[], dict[str, object]]
    path: str = "/socket.io/"
    api: Callable[[Request, bool], Response] | None = None
    is_local: bool = False  # only this machine reaches it
    polling: PollingDoor = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.polling = PollingDoor(self.nursery, self.settings, self.on_link)

    async def serve(self, stream: trio.SocketStream) -> None:
        """One TCP connection, behind a crash barrier: whatever goes wrong here ends this connection only."""
        try:
            address: str = stream.socket.getsockname()[0]
            upgraded = await self._serve_http(HttpConnection(stream, address, self.settings.max_payload))
            if upgraded is not None:
                await self._serve_websocket(*upgraded, address)
        except* (trio.TooSlowError, trio.BrokenResourceError, Closed):
            pass
        except* Exception:
            log.exception("a connection broke at the front door")
        finally:
            await close_stream(stream)

    async def _serve_http(self, connection: HttpConnection) -> tuple[WebSocket, str | None] | None:
        """Requests one after another; the WebSocket that the connection becomes, and the session that it is for."""
        try:
            goes_on = True
            while goes_on:
                with trio.fail_after(PATIENCE):
                    request = await connection.receive()
                if request is None:
                    return None
                if not request.is_upgrade and request.path != self.path:
                    goes_on = await connection.send(self.respond(request))
                elif (refusal := self.refuses(request)) is not None:
                    goes_on = await connection.send(refusal)
                elif request.is_upgrade:
                    websocket = await accept(connection, request, self.settings.max_payload)
                    return None if websocket is None else (websocket, request.query.get("sid"))
                elif request.method == "OPTIONS":
                    goes_on = await connection.send(cross_origin(request).on(preflight("GET, POST")))
                else:
                    goes_on = await self.polling.serve(connection, request, cross_origin(request))
        except h11.RemoteProtocolError as broken:
            with suppress(h11.LocalProtocolError, trio.BrokenResourceError):
                await connection.send(in_json(broken.error_status_hint, {"error": str(broken)}))
        return None

    async def _serve_websocket(self, websocket: WebSocket, sid: str | None, address: str) -> None:
        """A WebSocket, which is a link, or takes over the one that has polled."""
        if sid is None:
            await self.on_link(WebSocketLink(self.settings, secrets.token_urlsafe(15), websocket), address)
        elif link := self.polling.links.get(sid):
            await link.upgrade(websocket)

    def respond(self, request: Request) -> Response:
        """The answer to a plain request."""
        if request.path == "/healthz":
            is_get = request.method in ("GET", "HEAD")
            return in_json(200, self.health()) if is_get else in_json(405, {"error": "only GET"})
        if self.api is not None and request.path.startswith("/api/"):
            is_allowed = self.may_ask(request) and self.is_known(request.headers.get("host", ""))
            response = self.api(request, is_allowed)
            return cross_origin(request).on(response) if is_allowed else response
        return in_json(404, {"error": "not found", "hint": f"clients connect to {self.path}, see also /healthz"})

    def refuses(self, request: Request) -> Response | None:
        """Why a client is not let in, if it is not."""
        if request.path != self.path:
            return in_json(404, {"error": "not found"})
        if not self.may_ask(request):
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

    def may_ask(self, request: Request) -> bool:
        """Whether this comes from no web page, or from one that is allowed to."""
        origin = request.headers.get("origin")
        return origin is None or self.is_allowed(origin, request.headers.get("host", ""))

    def is_known(self, host: str) -> bool:
        """Whether a request for pages may name this host: on loopback only this machine, or where a listed page is.

        A page whose own domain was made to point here (DNS rebinding) asks without an Origin, and could read them.
        """
        listed = {hostname(origin) for origin in self.allowed_origins}
        return not self.is_local or "*" in self.allowed_origins or hostname("//" + host) in LOOPBACK | listed

    def is_allowed(self, origin: str, host: str) -> bool:
        """Whether a web page of this origin may connect: a listed one, or on loopback one of this machine.

        Browsers let any page open a WebSocket to this machine, so the rest are kept out. That the page's host is the
        one it connects to says nothing: whoever owns a domain can let it point here.
        """
        if "*" in self.allowed_origins or origin in self.allowed_origins:
            return True
        from_host, to_host = hostname(origin), hostname("//" + host)
        return from_host in LOOPBACK and to_host in LOOPBACK


def preflight(methods: str) -> Response:
    """What lets a page that may ask use these methods (Fetch, CORS-preflight)."""
    return Response(
        204,
        headers=(
            ("access-control-allow-methods", methods),
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
