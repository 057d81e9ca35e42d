"""A Socket.IO server that says everything back, for the protocol's official test cases: `socketio_echo.py --port P`.

A client hears its own handshake as `auth`, each `message` as `message-back`, and a `message-with-ack` as its answer.
"""

from __future__ import annotations

import secrets
from typing import Final

import trio
from attrs import define, field

from engineio_echo import main
from palaver_protocol.socketio import (
    Acknowledged,
    Connecting,
    Disconnected,
    Event,
    Packet,
    PacketType,
    ServerLink,
    encode,
)
from palaver_server.links import Link, message

CONNECT_PATIENCE: Final = 1.0  # s from the link to the first namespace


@define(eq=False)
class Echo:
    """The Socket.IO side of one link."""

    link: Link
    packets: ServerLink = field(factory=lambda: ServerLink(frozenset({"/", "/custom"})))
    _connected: trio.Event = field(factory=trio.Event)

    async def serve(self) -> None:
        """Live as long as the link."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._expect_connect)
            await self.link.serve(self.receive)
            nursery.cancel_scope.cancel()

    async def _expect_connect(self) -> None:
        with trio.move_on_after(CONNECT_PATIENCE):
            await self._connected.wait()
            return
        self.link.outbox.close()

    def receive(self, data: str | bytes) -> None:
        """Do what a message says.

        Raises:
            RemoteProtocolError: it is none.
        """
        for event in self.packets.feed(data):
            match event:
                case Connecting(namespace, auth):
                    self._connected.set()
                    self.send(self.packets.accept(namespace, secrets.token_urlsafe(12)))
                    self.send(encode(Packet(PacketType.EVENT, ["auth", auth], namespace)))
                case Disconnected():
                    if not self.packets.connected:
                        self.link.outbox.close()
                case Event():
                    self.answer(event)
                case Acknowledged():
                    pass
        self.send(self.packets.take_refusals())

    def answer(self, event: Event) -> None:
        """Say an event back."""
        if event.name == "message":
            self.send(encode(Packet(PacketType.EVENT, ["message-back", *event.arguments], event.namespace)))
        elif event.name == "message-with-ack" and event.ack_id is not None:
            self.send(encode(Packet(PacketType.ACK, event.arguments, event.namespace, event.ack_id)))

    def send(self, messages: list[str | bytes]) -> None:
        """Put Socket.IO messages into the outbox, together."""
        for data in messages:
            self.link.outbox.put(message(data))


async def serve(link: Link, address: str) -> None:
    """Serve one link."""
    await Echo(link).serve()


if __name__ == "__main__":
    main("/socket.io/", serve)
