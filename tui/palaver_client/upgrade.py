"""The way to a server up to an open WebSocket."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable
from typing import Final, cast

import trio
from attrs import define, evolve
from trio_websocket import ConnectionRejected, HandshakeError, WebSocketConnection, wrap_client_stream

from palaver_protocol import engineio, text

from .errors import LinkLost, NotSecure
from .url import ServerUrl

CONNECT: Final = 10.0  # s to reach the server, and again to be let in
MAX_MESSAGE: Final = 8 * 1024 * 1024  # bytes: a room's last messages, 50 times 64 KiB, and its people
NO_TLS: Final = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "UNKNOWN_PROTOCOL", "RECORD_LAYER_FAILURE")
RESOURCE: Final = f"/socket.io/?EIO={engineio.PROTOCOL}&transport=websocket"


async def open_stream(url: ServerUrl) -> trio.abc.Stream:
    """A stream to the server.

    Raises:
        LinkLost: it cannot be reached.
    """
    try:
        with trio.fail_after(CONNECT):
            stream = await trio.open_tcp_stream(url.host, url.port)
            if not url.is_secure:
                return stream
            return await _secure(stream, url)
    except trio.TooSlowError:
        raise LinkLost(f"the server at {url} does not answer within {CONNECT:g} s") from None
    except (OSError, trio.BrokenResourceError, UnicodeError) as why:  # the last: a host name that DNS cannot carry
        if isinstance(why.__cause__, ssl.SSLError):
            raise _not_secure(why.__cause__, url) from why
        raise LinkLost(f"cannot reach {url} ({_in_words(why)})") from why


async def _secure(stream: trio.SocketStream, url: ServerUrl) -> trio.abc.Stream:
    secure = trio.SSLStream(stream, ssl.create_default_context(), server_hostname=url.host)
    try:
        await secure.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return secure


def _not_secure(why: ssl.SSLError, url: ServerUrl) -> NotSecure:
    """What is wrong where TLS does not come about, and what helps."""
    if isinstance(why, ssl.SSLCertVerificationError):
        problem = f"the certificate of {url} is not to be trusted ({_in_words(why)})"
        return NotSecure(problem, "ask whoever runs the server, or check the address")
    if why.reason in NO_TLS:
        plain = evolve(url, is_secure=False)
        return NotSecure(f"there is no TLS at {url}", f"write {plain} if the server is to be reached without it")
    return NotSecure(f"TLS with {url} fails ({_in_words(why)})", "check the address")


def _in_words(why: BaseException) -> str:
    """What the system says, in one line: of several attempts the first, of a wrapped error the one inside."""
    while why.__cause__ is not None:
        why = why.__cause__
    if isinstance(why, BaseExceptionGroup):
        return _in_words(why.exceptions[0])
    if isinstance(why, ssl.SSLError):  # whose errno is none of the system's
        return text.one_line(getattr(why, "verify_message", "") or why.reason or str(why)).lower()
    if isinstance(why, OSError) and why.errno is not None and why.errno > 0:
        return os.strerror(why.errno).lower()
    said = getattr(why, "strerror", None) or str(why) or type(why).__name__
    return text.one_line(str(said)).lower()


async def upgrade(stream: trio.abc.Stream, nursery: trio.Nursery, url: ServerUrl) -> WebSocketConnection:
    """Turn HTTP into a WebSocket. The library would wait for ever where the server hangs up instead.

    Raises:
        LinkLost: the server hung up. Where it answers otherwise, `nursery` raises HandshakeError.
    """
    watched = _Watched(stream)
    with trio.CancelScope() as scope:
        watched.on_end = scope.cancel
        return await wrap_client_stream(
            nursery,
            cast(trio.SocketStream, watched),
            url.authority,
            RESOURCE,
            max_message_size=MAX_MESSAGE,
            message_queue_size=16,
        )
    raise LinkLost(f"the server at {url} is no Palaver server (it hung up)")


def not_upgraded(url: ServerUrl, group: BaseExceptionGroup[HandshakeError]) -> LinkLost:
    """What a server's refusal to become a WebSocket means."""
    why = group.exceptions[0]
    answer = f"it answers {why.status_code}" if isinstance(why, ConnectionRejected) else "it does not take WebSockets"
    return LinkLost(f"the server at {url} is no Palaver server ({answer})")


@define(eq=False)
class _Watched(trio.abc.Stream):
    """A stream that tells when it ends."""

    _stream: trio.abc.Stream
    on_end: Callable[[], None] = lambda: None

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        except trio.BrokenResourceError:
            self.on_end()
            raise
        if not data:
            self.on_end()
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        self.on_end()
        await self._stream.aclose()
