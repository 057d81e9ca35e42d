"""An HTTP client over one TCP connection each: what long-polling is told with, byte for byte."""

from __future__ import annotations

from contextlib import asynccontextmanager
from urllib.parse import urlencode

import h11
import orjson
import trio
from attrs import frozen
from trio_websocket import wrap_client_stream

PATIENCE = 20.0  # s for an answer, on a loaded machine
HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


@frozen
class Answer:
    """What an HTTP request was answered."""

    status: int
    headers: dict[str, str]
    text: str


async def exchange(stream, method, target, body=b"", **headers):
    """One request and its answer on a connection that stays open."""
    http = h11.Connection(h11.CLIENT)
    lines = list({"Host": "127.0.0.1", "Content-Length": str(len(body)), **headers}.items())
    events = [h11.Request(method=method, target=target, headers=lines), h11.Data(data=body), h11.EndOfMessage()]
    await stream.send_all(b"".join(http.send(event) for event in events))
    status, found, text = 0, {}, b""
    with trio.fail_after(PATIENCE):
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                status = event.status_code
                found = {name.decode(): value.decode() for name, value in event.headers}
            elif isinstance(event, h11.Data):
                text += event.data
            else:
                assert isinstance(event, h11.EndOfMessage)
                return Answer(status, found, text.decode())


@frozen
class Peer:
    """A client of one server path, with or without a session."""

    url: str
    path: str
    sid: str | None = None

    @property
    def address(self):
        """Host and port."""
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def target(self, transport="polling", **query):
        """The path and query of a request."""
        fields = {"EIO": 4, "transport": transport, **({"sid": self.sid} if self.sid else {}), **query}
        return f"{self.path}?{urlencode(fields)}"

    async def request(self, method, target=None, body=b"", **headers):
        """A request on a connection of its own."""
        async with await trio.open_tcp_stream(*self.address) as stream:
            return await exchange(stream, method, target or self.target(), body, **headers)

    async def get(self):
        """Poll; what was said."""
        answer = await self.request("GET")
        assert answer.status == 200, answer
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        return answer.text

    async def post(self, text):
        """Push something that is taken."""
        answer = await self.request("POST", body=text.encode())
        assert (answer.status, answer.text) == (200, "ok")

    async def open(self):
        """The same client with a session, and the session's open packet."""
        text = await self.get()
        assert text[0] == "0"
        opened = orjson.loads(text[1:])
        return Peer(self.url, self.path, opened["sid"]), opened

    async def is_gone(self):
        """Whether the session has ended."""
        return (await self.request("POST", body=b"3")).status == 400

    @asynccontextmanager
    async def websocket(self):
        """A WebSocket for the length of the block, in the session if there is one."""
        async with await trio.open_tcp_stream(*self.address) as stream, trio.open_nursery() as nursery:
            yield await wrap_client_stream(nursery, stream, "palaver", self.target("websocket"))
            nursery.cancel_scope.cancel()

    async def handshake(self, target=None):
        """The status with which a WebSocket is answered."""
        return (await self.request("GET", target or self.target("websocket"), **HANDSHAKE)).status

    @asynccontextmanager
    async def upgraded(self):
        """The WebSocket to which the session has moved, by a client that has no poll under way."""
        async with self.websocket() as websocket:
            await websocket.send_message("2probe")
            assert await hear(websocket) == "3probe"
            await websocket.send_message("5")
            yield websocket


async def hear(websocket):
    """The next message that is no ping."""
    with trio.fail_after(PATIENCE):
        while (message := await websocket.get_message()) == "2":
            pass
        return message
