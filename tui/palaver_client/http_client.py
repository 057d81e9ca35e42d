"""HTTP/1.1 requests to one server, one after the other, by h11."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import h11
import trio
from attrs import define, field, frozen

from .errors import LinkLost
from .upgrade import MAX_MESSAGE
from .url import ServerUrl

KEEP: Final = 2.0  # s that a connection may have been idle, to be used once more: a proxy may close it then
CHUNK: Final = 64 * 1024  # bytes read at once

Open: TypeAlias = Callable[[ServerUrl], Awaitable[trio.abc.Stream]]


@frozen
class Answer:
    """What an HTTP server answered."""

    status: int
    body: bytes


@define(eq=False)
class HttpClient:
    """Makes one request at a time, over one connection as long as that stays open."""

    url: ServerUrl
    _open: Open
    _stream: trio.abc.Stream | None = None
    _http: h11.Connection = field(factory=lambda: h11.Connection(h11.CLIENT))
    _used: float = 0.0  # when, on Trio's clock

    async def request(self, method: str, target: str, body: bytes = b"") -> Answer:
        """Ask, and wait for the whole answer.

        Raises:
            LinkLost: the server cannot be reached, hung up, or does not speak HTTP.
        """
        stream = await self._connection()
        headers = [("host", self.url.authority)]
        if method == "POST":
            headers += [("content-type", "text/plain;charset=UTF-8"), ("content-length", str(len(body)))]
        asked = [h11.Request(method=method, target=target, headers=headers), h11.EndOfMessage()]
        if body:
            asked.insert(1, h11.Data(data=body))
        try:
            await stream.send_all(b"".join(self._http.send(event) or b"" for event in asked))
            answer = await self._answer(stream)
        except trio.BrokenResourceError:
            raise LinkLost(f"the server at {self.url} hung up") from None
        except h11.RemoteProtocolError:
            _, has_ended = self._http.trailing_data
            raise LinkLost(f"the server at {self.url} {'hung up' if has_ended else 'does not speak HTTP'}") from None
        await self._finish()
        return answer

    async def close(self) -> None:
        """Give up the connection, without a word."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await trio.aclose_forcefully(stream)

    async def _connection(self) -> trio.abc.Stream:
        if self._stream is not None and trio.current_time() - self._used > KEEP:
            await self.close()
        if self._stream is None:
            self._stream, self._http = await self._open(self.url), h11.Connection(h11.CLIENT)
        return self._stream

    async def _answer(self, stream: trio.abc.Stream) -> Answer:
        status, body = 0, bytearray()
        while True:
            match event := self._http.next_event():
                case h11.NEED_DATA:
                    self._http.receive_data(bytes(await stream.receive_some(CHUNK)))
                case h11.Response():
                    status = event.status_code
                case h11.Data():
                    body += event.data
                    if len(body) > MAX_MESSAGE:
                        raise LinkLost(f"the server at {self.url} says too much")
                case h11.EndOfMessage():
                    return Answer(status, bytes(body))
                case h11.ConnectionClosed():
                    raise LinkLost(f"the server at {self.url} hung up")
                case _:
                    continue  # 1xx: the answer is still to come

    async def _finish(self) -> None:
        """Keep the connection for the next request, if it can be kept."""
        if self._http.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
            self._http.start_next_cycle()
            self._used = trio.current_time()
        else:
            await self.close()
