"""A server's WebSocket (RFC 6455) over any Trio stream: whole messages in, ready frames out.

A whole text or binary frame, which is what clients send, is read here; wsproto gets whatever else there is (fragments,
control frames, frames that break the rules), frame by whole frame, so that neither has to know what the other has read.
Only one task may `send`, and `send_now` only while it does not.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from typing import Any, Final

import trio
from attrs import define, field
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from palaver_protocol.engineio import RemoteProtocolError

TEXT: Final = 0x81  # a final frame without extensions, and its opcode (section 5.2)
BINARY: Final = 0x82
WHOLE: Final = (TEXT, BINARY)
MASKED: Final = 0x80
NORMAL: Final = 1000  # section 7.4.1
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
NO_STATUS: Final = 1005  # never on the wire: the client gave none
NO_TEXT: Final = 1007
TOO_BIG: Final = 1009
MAX_REASON: Final = 123  # bytes, section 5.5.1
AT_ONCE: Final = 32  # messages of one client before others have their turn
CHUNK: Final = 16 * 1024  # bytes read at once


class Closed(Exception):
    """The client closed the WebSocket, with this code; without one, the connection broke."""

    def __init__(self, code: int | None = None) -> None:
        super().__init__(f"closed with {code}" if code else "the connection broke")
        self.code = code


class FrameError(RemoteProtocolError):
    """The client broke the WebSocket protocol; it is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class Frame(bytes):
    """A whole frame that is to be sent as it is."""


@lru_cache(maxsize=2)  # a broadcast's is made once
def text_frame(message: str) -> bytes:
    """The frame of a text message."""
    return frame(TEXT, message.encode())


def frame_of(message: str | bytes) -> bytes:
    """The frame of a message."""
    if isinstance(message, str):
        return text_frame(message)
    return message if isinstance(message, Frame) else frame(BINARY, message)


def frame(head: int, payload: bytes) -> bytes:
    """A frame from the server, hence unmasked."""
    length = len(payload)
    if length < 126:
        return bytes((head, length)) + payload
    if length < 65536:
        return bytes((head, 126, length >> 8, length & 255)) + payload
    return bytes((head, 127)) + length.to_bytes(8, "big") + payload


def unmask(mask: bytes, payload: bytes) -> bytes:
    """What the client meant (section 5.3)."""
    length = len(payload)
    key = int.from_bytes((mask * (length // 4 + 1))[:length], "little")
    return (int.from_bytes(payload, "little") ^ key).to_bytes(length, "little")


@define(eq=False)
class WebSocket:
    """An open WebSocket. `max_message` is in bytes; `answer` is given what a ping of the client is to be answered."""

    stream: trio.abc.Stream
    max_message: int
    answer: Callable[[Frame], None] = lambda _: None
    held: bytes = b""  # received, and not looked at
    _handled: int = 0  # messages since the last pause
    _codec: Connection | None = None  # once there was a frame for it
    _parts: list[Any] = field(factory=list[Any])  # of a fragmented message, all str or all bytes
    _parts_size: int = 0  # with their heads, since fragments may be empty
    _in_parts: bool = False

    async def receive(self) -> str | bytes:
        """The next message.

        Raises:
            Closed: there is none.
            FrameError: it breaks the protocol, or is too long.
        """
        if self._handled == AT_ONCE:
            self._handled = 0
            await trio.lowlevel.checkpoint()
        while (message := self._next()) is None:
            if not (data := await self._read()):
                raise Closed
            self.held += data
            self._handled = 0
        self._handled += 1
        return message

    async def _read(self) -> bytes | bytearray:
        """What comes next; nothing when the connection has ended.

        A socket is read here, and not by Trio, which tries to read before it waits: in vain, with a client who waits
        for answers.
        """
        try:
            if not isinstance(self.stream, trio.SocketStream):
                return await self.stream.receive_some(CHUNK)
            while True:
                await trio.lowlevel.wait_readable(self.stream.socket.fileno())
                with suppress(BlockingIOError):
                    return os.read(self.stream.socket.fileno(), CHUNK)
        except (trio.BrokenResourceError, OSError):
            return b""

    async def wait_closed(self) -> None:
        """Read on without looking until the client closes too: else the system might tear the connection at once."""
        with suppress(Closed):
            try:
                while True:
                    await self.receive()
            except FrameError:
                while await self._read():
                    pass

    def _next(self) -> str | bytes | None:
        """The next message that is here already."""
        while (taken := self._take()) is not None:
            whole, start = taken
            if self._in_parts or whole[0] not in WHOLE or not whole[1] & MASKED:
                message = self._decode(whole)
                if message is not None:
                    return message
                continue
            payload = unmask(whole[start - 4 : start], whole[start:])
            if whole[0] == BINARY:
                return payload
            try:
                return payload.decode()
            except UnicodeDecodeError:
                raise FrameError(NO_TEXT, "no UTF-8") from None
        return None

    def _take(self) -> tuple[bytes, int] | None:
        """The next frame, and where in it the payload begins."""
        held = self.held
        if len(held) < 2:
            return None
        length, start = held[1] & 127, 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(held[2:start], "big")
            if len(held) < start:
                return None
        if held[1] & MASKED:
            start += 4
        if length > self.max_message:
            raise FrameError(TOO_BIG, "the message is too long")
        end = start + length
        if len(held) < end:
            return None
        self.held = held[end:]
        return held[:end], start

    def _decode(self, whole: bytes) -> str | bytes | None:
        """Give a frame to wsproto; the message that it completes."""
        if self._codec is None:
            self._codec = Connection(ConnectionType.SERVER)
        self._codec.receive_data(whole)
        message: str | bytes | None = None
        for event in self._codec.events():
            match event:
                case TextMessage() | BytesMessage():
                    message = self._piece(event, len(whole))
                case Ping():
                    self.answer(Frame(self._codec.send(event.response())))
                case Pong():
                    pass
                case CloseConnection() if self._codec.state is ConnectionState.OPEN:  # wsproto's word for an error
                    raise FrameError(int(event.code), event.reason or "a wrong frame")
                case CloseConnection():
                    raise Closed(int(event.code))
        return message

    def _piece(self, event: TextMessage | BytesMessage, size: int) -> str | bytes | None:
        """Put a fragment to the others of its message; the message, if it is the last one."""
        self._parts.append(event.data)
        self._parts_size += size
        self._in_parts = not event.message_finished
        if self._parts_size > self.max_message:
            raise FrameError(TOO_BIG, "the message is too long")
        if self._in_parts:
            return None
        parts, self._parts, self._parts_size = self._parts, [], 0
        return "".join(parts) if isinstance(event, TextMessage) else b"".join(parts)

    async def send(self, data: bytes | memoryview) -> None:
        """Send a frame, or the rest of one. After a cancelled send the stream is of no use.

        Raises:
            Closed: the connection is broken.
        """
        try:
            await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Closed from None

    def send_now(self, data: bytes) -> int:
        """Send what fits of a frame, without waiting; the number of bytes that did."""
        if not isinstance(self.stream, trio.SocketStream):
            return 0
        try:
            return os.write(self.stream.socket.fileno(), data)
        except OSError:  # full; or broken, and then whoever waits until it is not will see that
            return 0


def closing_frame(code: int, reason: str) -> Frame:
    """The last frame of a WebSocket."""
    return Frame(frame(0x88, code.to_bytes(2, "big") + reason.encode()[:MAX_REASON].decode(errors="ignore").encode()))
