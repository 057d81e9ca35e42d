"""Engine.IO v4 without I/O: packets, the handshake, and the heartbeat, for either role.

Over a WebSocket each text message is one packet, and a binary message is a message packet of bytes.
Times are in seconds on the caller's clock; on the wire they are milliseconds.
"""

from __future__ import annotations

import enum
import math
from typing import Any, Final

import orjson
from attrs import define, frozen

PROTOCOL: Final = 4


class RemoteProtocolError(Exception):
    """The other side broke the protocol; its link is to be closed."""


class PacketType(enum.Enum):
    """What an Engine.IO packet is; the value is its first character."""

    OPEN = "0"
    CLOSE = "1"
    PING = "2"
    PONG = "3"
    MESSAGE = "4"
    UPGRADE = "5"
    NOOP = "6"


@frozen
class Packet:
    """One Engine.IO packet; bytes only in a message."""

    type: PacketType
    data: str | bytes = ""


@frozen
class Settings:
    """What the server lays down in its open packet. Times in s, sizes in bytes."""

    ping_interval: float = 10.0
    ping_timeout: float = 10.0
    max_payload: int = 128 * 1024


@frozen
class Handshake:
    """An open packet's content."""

    sid: str
    upgrades: tuple[str, ...]
    settings: Settings


_TYPES: Final = {kind.value: kind for kind in PacketType}


def encode(packet: Packet) -> str | bytes:
    """The WebSocket message of a packet."""
    if isinstance(packet.data, bytes):
        return packet.data
    return packet.type.value + packet.data


def decode(message: str | bytes) -> Packet:
    """The packet in a WebSocket message.

    Raises:
        RemoteProtocolError: there is none.
    """
    if isinstance(message, bytes):
        return Packet(PacketType.MESSAGE, message)
    kind = _TYPES.get(message[:1])
    if kind is None:
        raise RemoteProtocolError("no Engine.IO packet")
    return Packet(kind, message[1:])


def open_packet(handshake: Handshake) -> Packet:
    """The server's first packet."""
    settings = handshake.settings
    content = {
        "sid": handshake.sid,
        "upgrades": handshake.upgrades,
        "pingInterval": round(settings.ping_interval * 1000),
        "pingTimeout": round(settings.ping_timeout * 1000),
        "maxPayload": settings.max_payload,
    }
    return Packet(PacketType.OPEN, orjson.dumps(content).decode())


def read_open(packet: Packet) -> Handshake:
    """What the server laid down.

    Raises:
        RemoteProtocolError: it is no open packet, or not a whole one.
    """
    try:
        if packet.type is not PacketType.OPEN:
            raise ValueError
        content: dict[str, Any] = orjson.loads(packet.data)
        settings = Settings(
            float(content["pingInterval"]) / 1000, float(content["pingTimeout"]) / 1000, int(content["maxPayload"])
        )
        return Handshake(str(content["sid"]), tuple(str(u) for u in content["upgrades"]), settings)
    except (ValueError, TypeError, KeyError):
        raise RemoteProtocolError("no Engine.IO handshake") from None


@define
class ServerHeartbeat:
    """The server's side of the heartbeat: it pings, and gives up where no pong comes."""

    settings: Settings
    opened: float
    _ping_at: float = 0.0
    _pong_by: float = math.inf

    def __attrs_post_init__(self) -> None:
        self._ping_at = self.opened + self.settings.ping_interval

    @property
    def deadline(self) -> float:
        """When `expire` is to be called."""
        return min(self._ping_at, self._pong_by)

    def expire(self, now: float) -> bool:
        """Whether to send a ping now.

        Raises:
            RemoteProtocolError: the last one was not answered in time.
        """
        if now >= self._pong_by:
            raise RemoteProtocolError("ping timeout")
        if now < self._ping_at:
            return False
        self._pong_by = now + self.settings.ping_timeout
        self._ping_at = math.inf
        return True

    def pong(self, now: float) -> None:
        """The client answered; the next ping is an interval away."""
        if self._pong_by < math.inf:
            self._pong_by = math.inf
            self._ping_at = now + self.settings.ping_interval


@define
class ClientHeartbeat:
    """The client's side: the server must ping within interval and timeout together."""

    settings: Settings
    heard: float

    @property
    def deadline(self) -> float:
        """When the server counts as gone."""
        return self.heard + self.settings.ping_interval + self.settings.ping_timeout
