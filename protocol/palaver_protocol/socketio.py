"""Socket.IO v5 without I/O: packets with their binary attachments, and one link's namespaces, for either role.

A packet is ``<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]``; binary parts follow as messages of their own,
which no other packet's may interleave.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeAlias, cast

import orjson
from attrs import define, evolve, field, frozen

from .engineio import RemoteProtocolError

MAX_ATTACHMENTS: Final = 16
MAX_ACK_ID: Final = 2**53 - 1  # what every client can count to


class PacketType(enum.Enum):
    """What a Socket.IO packet is; the value is its first character."""

    CONNECT = "0"
    DISCONNECT = "1"
    EVENT = "2"
    ACK = "3"
    CONNECT_ERROR = "4"
    BINARY_EVENT = "5"
    BINARY_ACK = "6"


@frozen
class Packet:
    """One Socket.IO packet; its data may hold bytes."""

    type: PacketType
    data: Any = None
    namespace: str = "/"
    ack_id: int | None = None


_TYPES: Final = {kind.value: kind for kind in PacketType}
_PLAIN: Final = {PacketType.BINARY_EVENT: PacketType.EVENT, PacketType.BINARY_ACK: PacketType.ACK}
_BINARY: Final = {plain: binary for binary, plain in _PLAIN.items()}


# -- writing -----------------------------------------------------------------------------------------------------------
def encode(packet: Packet) -> list[str | bytes]:
    """The messages of a packet: its text, then its attachments."""
    attachments: list[bytes] = []
    data = packet.data
    kind = packet.type
    if kind in _BINARY and _has_bytes(data):
        data = _take_out(data, attachments)
        kind = _BINARY[kind]
    head = kind.value
    if attachments:
        head += f"{len(attachments)}-"
    if packet.namespace != "/":
        head += packet.namespace + ","
    if packet.ack_id is not None:
        head += str(packet.ack_id)
    body = "" if data is None else orjson.dumps(data).decode()
    return [head + body, *attachments]


def encode_event(event: str, payload: object) -> str:
    """The text of an event with one argument, without bytes, in the root namespace: what a broadcast sends."""
    return "2" + orjson.dumps((event, payload)).decode()


def encode_ack(ack_id: int, answer: object) -> str:
    """The text of an ack with one argument, without bytes, in the root namespace."""
    return f"3{ack_id}" + orjson.dumps((answer,)).decode()


def _has_bytes(data: object) -> bool:
    match data:
        case bytes():
            return True
        case list() | tuple():
            return any(_has_bytes(item) for item in data)
        case dict():
            return any(_has_bytes(item) for item in data.values())
        case _:
            return False


def _take_out(data: object, attachments: list[bytes]) -> object:
    match data:
        case bytes():
            attachments.append(data)
            return {"_placeholder": True, "num": len(attachments) - 1}
        case list() | tuple():
            return [_take_out(item, attachments) for item in data]
        case dict():
            return {key: _take_out(item, attachments) for key, item in data.items()}
        case _:
            return data


# -- reading -----------------------------------------------------------------------------------------------------------
@define
class Decoder:
    """Packets out of messages, for one link."""

    _waiting: tuple[Packet, int] | None = None
    _attachments: list[bytes] = field(factory=list[bytes])

    def feed(self, message: str | bytes) -> Packet | None:
        """The packet that this message completes.

        Raises:
            RemoteProtocolError: the message is no part of a packet.
        """
        if isinstance(message, bytes):
            return self._attach(message)
        if self._waiting is not None:
            raise RemoteProtocolError("a packet inside another one's attachments")
        packet, count = _parse(message)
        if count == 0:
            return packet
        self._waiting, self._attachments = (packet, count), []
        return None

    def _attach(self, attachment: bytes) -> Packet | None:
        if self._waiting is None:
            raise RemoteProtocolError("an attachment of no packet")
        packet, count = self._waiting
        self._attachments.append(attachment)
        if len(self._attachments) < count:
            return None
        self._waiting = None
        try:
            data = _put_back(packet.data, self._attachments)
        except RecursionError:
            raise RemoteProtocolError("nested too deeply") from None
        return evolve(packet, type=_PLAIN[packet.type], data=data)


def _parse(text: str) -> tuple[Packet, int]:
    """A packet's text, and how many attachments follow."""
    kind = _TYPES.get(text[:1])
    if kind is None:
        raise RemoteProtocolError("no Socket.IO packet")
    place, count = 1, 0
    if kind in _PLAIN:
        end = text.find("-", 1, 8)
        digits = text[1:end]
        if end < 0 or not _is_number(digits) or not 1 <= (count := int(digits)) <= MAX_ATTACHMENTS:
            raise RemoteProtocolError("a wrong number of attachments")
        place = end + 1
    namespace = "/"
    if text[place : place + 1] == "/":
        end = text.find(",", place)
        end = len(text) if end < 0 else end
        namespace, place = text[place:end].partition("?")[0], end + 1
    end = place
    while end < len(text) and text[end] in "0123456789":
        end += 1
    ack_id = int(text[place:end]) if place < end <= place + 16 else None
    if end > place + 16 or (ack_id or 0) > MAX_ACK_ID:
        raise RemoteProtocolError("a wrong ack id")
    packet = Packet(kind, _load(text[end:]), namespace, ack_id)
    if not _is_valid(packet):
        raise RemoteProtocolError(f"a wrong {kind.name} packet")
    return packet, count


def _is_number(digits: str) -> bool:
    return digits.isascii() and digits.isdigit()


def _load(text: str) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except ValueError:  # also a lone surrogate, NaN, and nesting too deep
        raise RemoteProtocolError("no JSON") from None


def _is_valid(packet: Packet) -> bool:
    data = packet.data
    match packet.type:
        case PacketType.CONNECT:
            return data is None or isinstance(data, dict)
        case PacketType.DISCONNECT:
            return data is None
        case PacketType.CONNECT_ERROR:
            return isinstance(data, dict | str)
        case PacketType.EVENT | PacketType.BINARY_EVENT:
            return isinstance(data, list) and len(data) > 0 and isinstance(data[0], str)
        case PacketType.ACK | PacketType.BINARY_ACK:
            return isinstance(data, list) and packet.ack_id is not None


def _put_back(data: object, attachments: list[bytes]) -> object:
    match data:
        case {"_placeholder": True, "num": int(number)}:
            if not 0 <= number < len(attachments):
                raise RemoteProtocolError("an attachment that is not there")
            return attachments[number]
        case list():
            return [_put_back(item, attachments) for item in data]
        case dict():
            return {key: _put_back(item, attachments) for key, item in data.items()}
        case _:
            return data


# -- one link, as the server sees it -----------------------------------------------------------------------------------
@frozen
class Connecting:
    """A client asks for a namespace; answer with `accept` or `refuse`."""

    namespace: str
    auth: dict[str, Any]


@frozen
class Disconnected:
    """A client left a namespace."""

    namespace: str


@frozen
class Event:
    """A client sent an event; with an `ack_id` it wants an answer."""

    namespace: str
    name: str
    arguments: list[Any]
    ack_id: int | None


@frozen
class Acknowledged:
    """A client answered an event of ours."""

    namespace: str
    ack_id: int
    arguments: list[Any]


ServerEvent: TypeAlias = Connecting | Disconnected | Event | Acknowledged


@define
class ServerLink:
    """One link's namespaces: messages in, events out; what is to be sent comes from `accept` and its like."""

    namespaces: frozenset[str] = frozenset({"/"})
    connected: set[str] = field(factory=set[str])
    _decoder: Decoder = field(factory=Decoder)
    _refusals: list[str | bytes] = field(factory=list[str | bytes])

    def feed(self, message: str | bytes) -> Iterator[ServerEvent]:
        """What a message means.

        Raises:
            RemoteProtocolError: the client broke the protocol.
        """
        packet = self._decoder.feed(message)
        if packet is None:
            return
        namespace = packet.namespace
        match packet.type:
            case PacketType.CONNECT:
                if namespace in self.connected:
                    raise RemoteProtocolError("connected twice")
                if namespace in self.namespaces:
                    yield Connecting(namespace, packet.data or {})
                else:
                    self._refusals += self.refuse(namespace, "Invalid namespace")
            case PacketType.CONNECT_ERROR:
                raise RemoteProtocolError("a client does not refuse")
            case _ if namespace not in self.connected:
                raise RemoteProtocolError("not connected to that namespace")
            case PacketType.DISCONNECT:
                self.connected.discard(namespace)
                yield Disconnected(namespace)
            case PacketType.EVENT | PacketType.BINARY_EVENT:
                yield Event(namespace, packet.data[0], packet.data[1:], packet.ack_id)
            case PacketType.ACK | PacketType.BINARY_ACK:
                yield Acknowledged(namespace, cast(int, packet.ack_id), packet.data)

    def take_refusals(self) -> list[str | bytes]:
        """Messages for the client about namespaces that do not exist."""
        refusals, self._refusals = self._refusals, []
        return refusals

    def accept(self, namespace: str, sid: str, more: Mapping[str, Any] | None = None) -> list[str | bytes]:
        """Let the client into a namespace; `more` is told beside the sid."""
        self.connected.add(namespace)
        return encode(Packet(PacketType.CONNECT, {"sid": sid, **(more or {})}, namespace))

    def refuse(self, namespace: str, message: str) -> list[str | bytes]:
        """Refuse a namespace; the client shows the message as its connect_error."""
        return encode(Packet(PacketType.CONNECT_ERROR, {"message": message}, namespace))


# -- one link, as a client sees it -------------------------------------------------------------------------------------
@frozen
class Welcomed:
    """The server let us in; `data` is what it says about that."""

    data: dict[str, Any]


@frozen
class Refused:
    """The server does not let us in."""

    message: str


ClientEvent: TypeAlias = Welcomed | Refused | Event | Acknowledged | Disconnected


@define
class ClientLink:
    """One link's root namespace: messages in, events out; what is to be sent comes from `connect` and its like."""

    is_connected: bool = False
    _asked: int = 0
    _decoder: Decoder = field(factory=Decoder)

    def connect(self, auth: dict[str, Any]) -> list[str | bytes]:
        """Ask to be let in."""
        return encode(Packet(PacketType.CONNECT, auth))

    def ask(self, event: str, payload: object) -> tuple[int, list[str | bytes]]:
        """Send an event; what answers it will carry this id."""
        self._asked += 1
        return self._asked, encode(Packet(PacketType.EVENT, [event, payload], ack_id=self._asked))

    def leave(self) -> list[str | bytes]:
        """Go, on purpose."""
        self.is_connected = False
        return encode(Packet(PacketType.DISCONNECT))

    def feed(self, message: str | bytes) -> ClientEvent | None:
        """What a message means; None for a part of a packet.

        Raises:
            RemoteProtocolError: the server broke the protocol.
        """
        packet = self._decoder.feed(message)
        if packet is None:
            return None
        if packet.namespace != "/":
            raise RemoteProtocolError("a namespace that we did not ask for")
        match packet.type:
            case PacketType.CONNECT if not self.is_connected:
                self.is_connected = True
                return Welcomed(packet.data or {})
            case PacketType.CONNECT_ERROR if not self.is_connected:
                refused = packet.data if isinstance(packet.data, dict) else {"message": packet.data}
                return Refused(str(refused.get("message", "")))
            case PacketType.CONNECT | PacketType.CONNECT_ERROR:
                raise RemoteProtocolError("connected twice")
            case _ if not self.is_connected:
                raise RemoteProtocolError("not connected yet")
            case PacketType.DISCONNECT:
                self.is_connected = False
                return Disconnected(packet.namespace)
            case PacketType.EVENT | PacketType.BINARY_EVENT:
                return Event(packet.namespace, packet.data[0], packet.data[1:], packet.ack_id)
            case PacketType.ACK | PacketType.BINARY_ACK:
                return Acknowledged(packet.namespace, cast(int, packet.ack_id), packet.data)
