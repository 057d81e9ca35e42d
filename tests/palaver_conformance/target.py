"""The server that is tried, and the ways to it."""

from __future__ import annotations

import math
import ssl
from typing import Final
from urllib.parse import urlsplit

import h11
import trio
from attrs import frozen

WEBSOCKET: Final = "/socket.io/?EIO=4&transport=websocket"
POLLING: Final = "/socket.io/?EIO=4&transport=polling"


@frozen
class Target:
    """A server, and what it is expected to do when. All times in s."""

    host: str
    port: int
    is_secure: bool = False
    patience: float = 5.0  # for whatever should come at once
    ring: float = 30.0
    host_grace: float = 30.0
    resume_grace: float = 15.0
    tries_slow: bool = False

    @property
    def authority(self) -> str:
        """Host and port, as HTTP writes them."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def longest(self) -> float:
        """What no case takes, whatever the server does."""
        return 60 + 10 * self.patience + 2 * max(self.ring, self.host_grace, self.resume_grace)

    def __str__(self) -> str:
        return f"{'https' if self.is_secure else 'http'}://{self.authority}"

    async def dial(self) -> trio.abc.Stream:
        """A connection. Raises OSError."""
        stream = await trio.open_tcp_stream(self.host, self.port)
        if not self.is_secure:
            return stream
        secure = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=self.host)
        try:
            await secure.do_handshake()
        except BaseException:
            await trio.aclose_forcefully(stream)
            raise
        return secure


def read_url(url: str) -> tuple[str, int, bool]:
    """Host, port, and whether by TLS.

    Raises:
        ValueError: it is no http or https URL.
    """
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https", "ws", "wss") or not parts.hostname:
        raise ValueError(f"expected a URL such as http://127.0.0.1:8440, not {url!r}")
    is_secure = parts.scheme in ("https", "wss")
    return parts.hostname, parts.port or (443 if is_secure else 80), is_secure


async def http(
    target: Target, method: str, path: str, body: bytes = b"", patience: float = math.inf
) -> tuple[int, bytes]:
    """The status and body of the answer to one HTTP request.

    Raises:
        OSError, h11.RemoteProtocolError, trio.BrokenResourceError: there is no HTTP to be had.
        trio.TooSlowError: not within `patience` s.
    """
    headers = [("Host", target.authority), ("Connection", "close"), ("Content-Length", str(len(body)))]
    request = h11.Request(method=method, target=path, headers=headers)
    with trio.fail_after(patience):
        async with await target.dial() as stream:
            client = h11.Connection(h11.CLIENT)
            await stream.send_all((client.send(request) or b"") + (client.send(h11.Data(body)) or b""))
            client.send(h11.EndOfMessage())
            return await _read_answer(client, stream)


async def _read_answer(client: h11.Connection, stream: trio.abc.Stream) -> tuple[int, bytes]:
    status, received = 0, b""
    while True:
        event = client.next_event()
        if event is h11.NEED_DATA:
            client.receive_data(bytes(await stream.receive_some()))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            received += event.data
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, received
