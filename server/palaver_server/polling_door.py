"""Long-polling at the front door: which link an HTTP request belongs to, and what it is answered."""

from __future__ import annotations

import logging
import secrets
from typing import Final

import trio
from attrs import define, field, frozen

from palaver_protocol.engineio import RemoteProtocolError, Settings

from .http_connection import HttpConnection, Request, Response, in_json, in_text
from .links import OnLink
from .polling_link import Poll, PollingLink

log = logging.getLogger(__name__)

MAX_LINKS: Final = 4096  # links without a connection of their own, which the system would count for us


@define(eq=False)
class PollingDoor:
    """The links that began with polling. Each lives in a task of its own, which owns its line in the table."""

    nursery: trio.Nursery
    settings: Settings
    on_link: OnLink
    links: dict[str, PollingLink] = field(factory=dict[str, PollingLink])

    async def serve(self, connection: HttpConnection, request: Request, headers: Headers) -> bool:
        """Answer a request, with these headers more; whether the connection can go on."""
        sid = request.query.get("sid")
        match request.method:
            case "GET":
                link = self._open(connection) if sid is None else self.links[sid]
                if link is None:
                    return await connection.send(headers.on(in_json(503, error(3, "Too many long-polling clients"))))
                return await self._poll(connection, link, headers)
            case "POST" if sid is not None:
                return await connection.send(headers.on(await self._push(self.links[sid], request.body)))
            case _:
                return await connection.send(headers.on(in_json(400, error(2, "Bad handshake method"))))

    def refuses(self, request: Request) -> Response | None:
        """Why a request with a session id is not let in, if it is not."""
        sid = request.query.get("sid")
        if sid is None:
            return None
        link = self.links.get(sid)
        if link is None:
            return in_json(400, error(1, "Session ID unknown"))
        if link.can_upgrade if request.is_upgrade else link.is_polling:
            return None
        return in_json(400, error(3, "Bad request: this session has ended, or moved to a WebSocket"))

    def _open(self, connection: HttpConnection) -> PollingLink | None:
        if len(self.links) >= MAX_LINKS:
            return None
        link = PollingLink(self.settings, secrets.token_urlsafe(15))
        self.links[link.sid] = link
        self.nursery.start_soon(self._live, link, connection.address)
        return link

    async def _live(self, link: PollingLink, address: str) -> None:
        """A link's life, behind a crash barrier."""
        try:
            await self.on_link(link, address)
        except* Exception:
            log.exception("link %s broke", link.sid)
        finally:
            link.end()
            del self.links[link.sid]

    async def _poll(self, connection: HttpConnection, link: PollingLink, headers: Headers) -> bool:
        try:
            async with link.polling() as poll:
                payload = await wait_unless_gone(connection, poll)
                return await connection.send(headers.on(in_text(200, payload)))
        except RemoteProtocolError as why:
            return await connection.send(headers.on(in_json(400, error(3, f"Bad request: {why}"))))

    async def _push(self, link: PollingLink, body: bytes) -> Response:
        try:
            await link.push(body)
        except RemoteProtocolError as why:
            return in_json(400, error(3, f"Bad request: {why}"))
        return in_text(200, b"ok")


async def wait_unless_gone(connection: HttpConnection, poll: Poll) -> bytes:
    """A poll's payload. A client that hangs up instead of waiting for it ends its link."""

    async def watch() -> None:
        await connection.wait_gone()
        poll.link.end()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch)
        payload = await poll.wait()
        nursery.cancel_scope.cancel()
    return payload


@frozen
class Headers:
    """Headers that every answer to a client gets: which web page may read it."""

    lines: tuple[tuple[str, str], ...] = ()

    def on(self, response: Response) -> Response:
        """The answer with them."""
        return response.with_headers(*self.lines)


def error(code: int, message: str) -> dict[str, object]:
    """An Engine.IO refusal, whose codes clients know."""
    return {"code": code, "message": message}
