"""HTTP/1.1 on one TCP connection, by h11: whole requests in, answers out."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

import h11
import orjson
import trio
from attrs import define, field, frozen

PATIENCE: Final = 5.0  # s for a request to arrive whole, and for an answer to be taken
MAX_HEAD: Final = 16 * 1024  # bytes of a request's line and headers


@frozen
class Request:
    """An HTTP request; one for an upgrade is given without a body."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes = b""

    @property
    def is_upgrade(self) -> bool:
        """Whether it asks for a WebSocket."""
        return self.headers.get("upgrade", "").lower() == "websocket"


@frozen
class Response:
    """An HTTP answer."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()

    def with_headers(self, *headers: tuple[str, str]) -> Response:
        """The answer with these headers more."""
        return Response(self.status, self.body, self.headers + headers)

    def events(self, *, is_last: bool, is_head: bool) -> list[h11.Event]:
        """The answer, for h11; to a HEAD request without its body."""
        headers = list(self.headers)
        if self.status != 204:  # which has no length (RFC 9110 section 8.6)
            headers.append(("content-length", str(len(self.body))))
        if is_last:
            headers.append(("connection", "close"))
        head = h11.Response(status_code=self.status, headers=headers)
        has_body = self.body and not is_head
        return [head, *([h11.Data(data=self.body)] if has_body else []), h11.EndOfMessage()]


def in_json(status: int, content: object) -> Response:
    """An answer in JSON."""
    return Response(status, orjson.dumps(content), (("content-type", "application/json"),))


def in_text(status: int, content: bytes) -> Response:
    """An answer in plain text."""
    return Response(status, content, (("content-type", "text/plain; charset=UTF-8"),))


@define(eq=False)
class HttpConnection:
    """A client's requests, one after another. `address` is where it reached us; `max_body` is in bytes."""

    stream: trio.abc.Stream
    address: str
    max_body: int
    _http: h11.Connection = field(factory=lambda: h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD))
    _is_head: bool = False  # whether it wants no body

    async def receive(self) -> Request | None:
        """The next request; None when the client is gone.

        Raises:
            h11.RemoteProtocolError: there is none, or it is too large.
        """
        self._is_head = False
        body = b""
        request: Request | None = None
        while True:
            event = self._http.next_event()
            match event:
                case h11.NEED_DATA:
                    self._http.receive_data(bytes(await self.stream.receive_some(MAX_HEAD)))
                case h11.Request():
                    request = to_request(event)
                    self._is_head = request.method == "HEAD"
                    if request.is_upgrade:
                        return request
                case h11.Data():
                    body += event.data
                    if len(body) > self.max_body:
                        raise h11.RemoteProtocolError("the body is too large", error_status_hint=413)
                case h11.EndOfMessage() if request is not None:
                    return Request(request.method, request.path, request.query, request.headers, body)
                case _:
                    return None

    async def wait_gone(self) -> None:
        """Until the client hangs up. What it sends meanwhile is kept, and then nobody looks any more."""
        try:
            data = await self.stream.receive_some(MAX_HEAD)
        except trio.BrokenResourceError:
            return
        self._http.receive_data(bytes(data))
        if data:
            await trio.sleep_forever()

    async def send(self, response: Response) -> bool:
        """Answer; whether the connection can go on.

        Raises:
            TooSlowError: the client does not take it.
        """
        is_last = self._http.their_state is not h11.DONE
        data = [self._http.send(event) or b"" for event in response.events(is_last=is_last, is_head=self._is_head)]
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(b"".join(data))
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def switch(self, *headers: tuple[str, str]) -> bytes:
        """Agree to the upgrade that the present request asks for; what came after the request.

        Raises:
            h11.RemoteProtocolError: it has a body.
            TooSlowError: the client does not take the answer.
        """
        if not isinstance(self._http.next_event(), h11.EndOfMessage):
            raise h11.RemoteProtocolError("an upgrade without a body is expected")
        data = self._http.send(h11.InformationalResponse(status_code=101, headers=list(headers)))
        with trio.fail_after(PATIENCE):
            await self.stream.send_all(data or b"")
        return self._http.trailing_data[0]


def to_request(event: h11.Request) -> Request:
    """h11's request, decoded."""
    path, _, fields = event.target.decode("ascii", "replace").partition("?")
    query = {key: values[-1] for key, values in parse_qs(fields).items()}
    headers = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
    return Request(event.method.decode("ascii"), path, query, headers)
