"""A deliberately faulty server: a proxy before a real one, which spoils what the server says to its clients."""

from __future__ import annotations

import itertools
import re
import struct
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import trio
from attrs import define, field

from conformance.faults import Fault
from palaver_protocol import engineio, socketio
from palaver_protocol.engineio import RemoteProtocolError
from palaver_protocol.polling import SEPARATOR

TEXT, CLOSE = 1, 8
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@define
class Frames:
    """WebSocket frames (RFC 6455) out of bytes; nobody here fragments."""

    held: bytearray = field(factory=bytearray)

    def feed(self, data: bytes | bytearray) -> Iterator[tuple[int, bytes]]:
        """Each frame's opcode and payload, unmasked."""
        self.held += data
        while len(self.held) >= 2:
            place, length = 2, self.held[1] & 127
            if length > 125:
                size = 2 if length == 126 else 8
                place, length = place + size, int.from_bytes(self.held[2 : 2 + size], "big")
            mask = bytes(self.held[place : place + 4]) if self.held[1] & 128 else b""
            place += len(mask)
            if len(self.held) < place + length:
                return
            payload = bytes(self.held[place : place + length])
            opcode = self.held[0] & 15
            del self.held[: place + length]
            yield (
                opcode,
                bytes(a ^ b for a, b in zip(payload, itertools.cycle(mask), strict=False)) if mask else payload,
            )


def frame(opcode: int, payload: bytes) -> bytes:
    """A frame from a server."""
    head = bytes([128 | opcode])
    if len(payload) < 126:
        return head + bytes([len(payload)]) + payload
    return (
        head + b"\x7e" + struct.pack("!H", len(payload)) + payload
        if len(payload) < 65536
        else (head + b"\x7f" + struct.pack("!Q", len(payload)) + payload)
    )


@define(eq=False)
class Faulty:
    """A server with one fault. `asked` knows, per session, which request an answer is for."""

    fault: Fault | None
    upstream: tuple[str, int]
    nursery: trio.Nursery
    asked: dict[str, dict[int, str]] = field(factory=lambda: defaultdict(dict))
    channels: list[trio.MemorySendChannel[bytes]] = field(factory=list)
    _numbers: Any = field(factory=itertools.count)

    def has(self, what: str) -> bool:
        """Whether this is wrong below Socket.IO."""
        return self.fault is not None and what in self.fault.link

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection of a client."""
        with suppress(*GONE):
            async with stream, await trio.open_tcp_stream(*self.upstream) as server:
                head = await read_head(stream)
                if b"upgrade: websocket" in head.lower():
                    await self.relay_frames(stream, server, head)
                else:
                    await self.relay_http(stream, server, head)

    # -- long-polling --------------------------------------------------------------------------------------------------
    async def relay_http(self, stream: trio.abc.Stream, server: trio.abc.Stream, request: bytes) -> None:
        """One request and its answer; our client asks for one per connection."""
        head, _, body = request.partition(b"\r\n\r\n")
        while len(body) < int(header(head, b"content-length") or 0):
            body += await stream.receive_some()
        sid = session_in(head)
        for message in body.decode().split(SEPARATOR):
            self.note(sid, message)
        await server.send_all(head + b"\r\n\r\n" + body)
        answer = b""
        while data := await server.receive_some():
            answer += data
        await stream.send_all(self.spoil_answer(sid, answer))

    def spoil_answer(self, sid: str, answer: bytes) -> bytes:
        """An HTTP answer of the server."""
        head, _, body = answer.partition(b"\r\n\r\n")
        if self.has("http-500") or self.has("http-200"):
            head = re.sub(rb"^HTTP/1.1 \d+", b"HTTP/1.1 200" if self.has("http-200") else b"HTTP/1.1 500", head)
        if head.startswith(b"HTTP/1.1 200") and body != b"ok" and not body.startswith(b"{"):
            said = [m for message in body.decode().split(SEPARATOR) for m in self.spoil(sid, message, None)]
            body = SEPARATOR.join(said or ["6"]).encode()
            body = b"6" if self.has("loses-polls") and not body.startswith(b"0") else body
        head = re.sub(rb"(?i)(content-length: )\d+", rb"\g<1>%d" % len(body), head)
        return head + b"\r\n\r\n" + body

    # -- WebSocket -----------------------------------------------------------------------------------------------------
    async def relay_frames(self, stream: trio.abc.Stream, server: trio.abc.Stream, request: bytes) -> None:
        """A WebSocket, until one side ends it."""
        sid = session_in(request) or f"connection {next(self._numbers)}"
        sending, waiting = trio.open_memory_channel[bytes](10_000)
        await server.send_all(request)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.write, stream, waiting, nursery.cancel_scope)
            nursery.start_soon(self.relay_down, sid, server, sending)
            with suppress(*GONE):
                frames = Frames()
                while data := await stream.receive_some():
                    if self.hears(sid, frames, data):
                        break
                    await server.send_all(data)
            nursery.cancel_scope.cancel()
        if sending in self.channels:
            self.channels.remove(sending)

    def hears(self, sid: str, frames: Frames, data: bytes | bytearray) -> bool:
        """Note what the client asks; whether we hang up at that."""
        asks = [payload.decode() for opcode, payload in frames.feed(data) if opcode == TEXT]
        for message in asks:
            self.note(sid, message)
        return self.has("hangs-up") and any(message.startswith("42") for message in asks)

    async def write(
        self, stream: trio.abc.Stream, waiting: trio.MemoryReceiveChannel[bytes], scope: trio.CancelScope
    ) -> None:
        """The one writer to a client; when all is said, the connection ends."""
        with suppress(*GONE):
            async for data in waiting:
                await stream.send_all(data)
        scope.cancel()

    async def relay_down(self, sid: str, server: trio.abc.Stream, sending: trio.MemorySendChannel[bytes]) -> None:
        """What the server says, spoilt."""
        with suppress(*GONE):
            head, _, rest = (await read_head(server)).partition(b"\r\n\r\n")
            await sending.send(head + b"\r\n\r\n")
            self.channels.append(sending)
            frames = Frames()
            data: bytes | bytearray = rest
            while True:
                for opcode, payload in frames.feed(data):
                    self.pass_on(sid, opcode, payload, sending)
                data = await server.receive_some()
                if not data:
                    break
        if not self.has("stays-open"):
            sending.close()

    def pass_on(self, sid: str, opcode: int, payload: bytes, sending: trio.MemorySendChannel[bytes]) -> None:
        """A frame of the server."""
        if opcode == CLOSE and self.has("stays-open"):
            return
        if opcode != TEXT:
            sending.send_nowait(frame(opcode, payload))
            return
        put(sending, self.spoil(sid, payload.decode(), sending))

    # -- the fault -----------------------------------------------------------------------------------------------------
    def note(self, sid: str, message: str) -> None:
        """Remember which request an answer will be for."""
        if message.startswith("42"):
            with suppress(RemoteProtocolError):
                packet = socketio.Decoder().feed(message[1:])
                if packet is not None and packet.ack_id is not None:
                    self.asked[sid][packet.ack_id] = packet.data[0]

    def spoil(self, sid: str, message: str, sending: Any) -> list[str]:
        """An Engine.IO packet of the server: what the client gets in its place."""
        if self.fault is None:
            return [message]
        if message.startswith("0"):
            opened = orjson.loads(message[1:])
            return ["0" + orjson.dumps({k: v for k, v in opened.items() if not self.has(f"open-{k}")}).decode()]
        if (message == "2" and self.has("no-pings")) or (message == "3probe" and self.has("no-probe")):
            return []
        if not message.startswith("4"):
            return [message]
        packet = socketio.Decoder().feed(message[1:])
        assert packet is not None
        if not self.fault.is_about(packet, self.asked[sid]):
            return [message]
        said = [
            engineio.encode(engineio.Packet(engineio.PacketType.MESSAGE, encoded(one)))
            for one in self.fault.spoil(packet)
        ]
        texts = [str(text) for text in said]
        if self.fault.is_stray:
            self.tell_others(texts, sending)
        if self.fault.delay and sending is not None:
            self.nursery.start_soon(self.tell_later, texts, sending)
            return []
        return texts

    def tell_others(self, texts: list[str], sending: Any) -> None:
        """Give it to whom it does not concern."""
        for channel in self.channels:
            if channel is not sending:
                put(channel, texts)

    async def tell_later(self, texts: list[str], sending: trio.MemorySendChannel[bytes]) -> None:
        """Be late."""
        assert self.fault is not None
        await trio.sleep(self.fault.delay)
        put(sending, texts)


def put(channel: trio.MemorySendChannel[bytes], texts: list[str]) -> None:
    """Send packets to a client, if it is still there."""
    with suppress(*GONE):
        for text in texts:
            channel.send_nowait(frame(TEXT, text.encode()))


def encoded(packet: socketio.Packet) -> str:
    """A packet without bytes."""
    (text,) = socketio.encode(packet)
    assert isinstance(text, str)
    return text


async def read_head(stream: trio.abc.Stream) -> bytes:
    """The bytes up to the end of an HTTP head, and what came with it."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = await stream.receive_some()
        if not data:
            raise trio.BrokenResourceError
        received += data
    return received


def header(head: bytes, name: bytes) -> bytes:
    """A header of an HTTP head."""
    found = re.search(rb"(?im)^%s: *([^\r\n]*)" % name, head)
    return found[1] if found else b""


def session_in(head: bytes) -> str:
    """The session that a request names."""
    found = re.search(rb"sid=([\w-]+)", head.partition(b"\r\n")[0])
    return found[1].decode() if found else ""


@asynccontextmanager
async def faulty(upstream: tuple[str, int], fault: Fault | None) -> AsyncIterator[int]:
    """The port of a server with this fault."""
    async with trio.open_nursery() as nursery:
        server = Faulty(fault, upstream, nursery)
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, server.serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
