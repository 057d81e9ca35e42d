"""Engine.IO over HTTP long-polling without I/O: payloads of several packets, and the server's side of an upgrade.

A payload is packets joined by the record separator; bytes travel as ``b`` and Base64. A client takes what waits
with GET, gives with POST, and moves to a WebSocket by a probe: ``2probe``, ``3probe``, ``5``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Final

from attrs import define

from . import engineio
from .engineio import Packet, PacketType, RemoteProtocolError

SEPARATOR: Final = "\x1e"
BYTES: Final = "b"
NOOP: Final = PacketType.NOOP.value  # ends a poll that has nothing to say
CLOSE: Final = PacketType.CLOSE.value


def encode_payload(messages: Iterable[str | bytes]) -> bytes:
    """The payload of packets that are given as their WebSocket messages."""
    return SEPARATOR.join(_to_text(message) for message in messages).encode()


def _to_text(message: str | bytes) -> str:
    return BYTES + base64.b64encode(message).decode() if isinstance(message, bytes) else message


def decode_payload(payload: bytes) -> list[Packet]:
    """The packets in a payload.

    Raises:
        RemoteProtocolError: it is none; then none of its packets counts.
    """
    try:
        return [_to_packet(text) for text in payload.decode().split(SEPARATOR)]
    except ValueError:  # neither UTF-8 nor Base64
        raise RemoteProtocolError("no Engine.IO payload") from None


def _to_packet(text: str) -> Packet:
    if text.startswith(BYTES):
        return Packet(PacketType.MESSAGE, base64.b64decode(text[1:], validate=True))
    return engineio.decode(text)


@define
class ServerProbe:
    """A WebSocket that wants to take over from polling: it proves that it works, then says when."""

    is_proved: bool = False
    is_done: bool = False

    def feed(self, message: str | bytes) -> str | None:
        """What to answer.

        Raises:
            RemoteProtocolError: the client says something else, and polling goes on.
        """
        match engineio.decode(message):
            case Packet(type=PacketType.PING, data="probe") if not self.is_proved:
                self.is_proved = True
                return PacketType.PONG.value + "probe"
            case Packet(type=PacketType.UPGRADE) if self.is_proved:
                self.is_done = True
                return None
            case _:
                raise RemoteProtocolError("no probe")
