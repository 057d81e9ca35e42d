"""A server that says what a test tells it to, over streams in memory."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import trio
import trio.testing
from attrs import define
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from palaver_client.errors import LinkLost
from palaver_client.url import ServerUrl

OPEN = '0{"sid":"e","upgrades":[],"pingInterval":10000,"pingTimeout":10000,"maxPayload":131072}'


@define
class Server:
    """One connection, seen from the server."""

    socket: WebSocketConnection

    async def send(self, *messages: str) -> None:
        for message in messages:
            await self.socket.send_message(message)

    async def receive(self) -> str:
        message = await self.socket.get_message()
        assert isinstance(message, str)
        return message

    async def welcome(self, **fields: Any) -> dict[str, Any]:
        """Let the client in, with these fields more; what it said about itself."""
        await self.send(OPEN)
        connect = await self.receive()
        assert connect.startswith("40")
        await self.send("40" + orjson.dumps({"sid": "s", **fields}).decode())
        auth: dict[str, Any] = orjson.loads(connect[2:])
        return auth

    async def asked(self) -> tuple[int, str, dict[str, Any]]:
        """The next request: its ack id, its name, its payload."""
        while (message := await self.receive()) == "3":
            pass
        assert message.startswith("42")
        head, bracket, body = message[2:].partition("[")
        event, payload = orjson.loads(bracket + body)
        return int(head), event, payload

    async def answer(self, ack_id: int, **fields: Any) -> None:
        await self.send(f"43{ack_id}" + orjson.dumps([{"success": True, **fields}]).decode())

    async def refuse(self, ack_id: int, code: str, **fields: Any) -> None:
        no = {"success": False, "error": "no", "code": code, "canRetry": False, **fields}
        await self.send(f"43{ack_id}" + orjson.dumps([no]).decode())

    async def tell(self, event: str, **payload: Any) -> None:
        await self.send("42" + orjson.dumps([event, payload]).decode())


Script = Callable[[Server], Awaitable[None]]


async def serve_stream(script: Script, stream: trio.abc.Stream) -> None:
    """Accept one WebSocket, follow the script, hang up."""
    async with trio.open_nursery() as nursery:
        request = await wrap_server_stream(nursery, stream)  # type: ignore[arg-type] # any stream will do
        socket = await request.accept()
        try:
            await script(Server(socket))
        except* ConnectionClosed:
            pass
        finally:
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await trio.aclose_forcefully(stream)
        nursery.cancel_scope.cancel()


class MemoryNetwork:
    """Opens connections in memory: the first to the first script, and so on; None refuses one, like all later ones."""

    def __init__(self, nursery: trio.Nursery, *scripts: Script | None) -> None:
        self._nursery = nursery
        self._left = list(scripts)
        self.opened: list[float] = []

    async def open(self, url: ServerUrl) -> trio.abc.Stream:
        self.opened.append(trio.current_time())
        script = self._left.pop(0) if self._left else None
        if script is None:
            raise LinkLost(f"cannot reach {url}")
        ours, theirs = trio.testing.memory_stream_pair()
        self._nursery.start_soon(serve_stream, script, theirs)
        return ours
