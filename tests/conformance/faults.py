"""What a faulty server may do, made from the event table: each fault is one thing, done to one event."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from typing import Any

from attrs import field, frozen

from palaver_conformance.generated import VALUES
from palaver_conformance.shape import is_valid, protocol
from palaver_protocol.socketio import Packet, PacketType
from palaver_protocol.table import NOTICES, REQUESTS

STRANGE = (None, 7, "x", {}, [], True)
ANY = "*"
NEVER_THERE = {"newMessage.reactions", "newMessage.editedAt"}  # of a message that is new
TIMED = {"callTimeout", "callRejected", "roomHostless", "userLeft"}


class On(enum.Enum):
    """Which packets a fault spoils."""

    NOTICE = "notice"
    SUCCESS = "success"
    REFUSAL = "refusal"
    CONNECT = "answer to CONNECT"
    LINK = "link"  # nothing of Socket.IO


@frozen
class Fault:
    """One thing that a faulty server does. `spoil` gives the packets in the place of one."""

    name: str
    event: str
    on: On
    spoil: Callable[[Packet], list[Packet]] = lambda packet: [packet]
    is_stray: bool = False  # others get it, too
    delay: float = 0.0  # s
    link: frozenset[str] = field(default=frozenset(), converter=frozenset)  # what is wrong below Socket.IO

    def is_about(self, packet: Packet, asked: dict[int, str]) -> bool:
        """Whether this packet is spoilt."""
        match packet.type, self.on:
            case PacketType.EVENT, On.NOTICE:
                return self.event in (ANY, packet.data[0])
            case PacketType.ACK, On.SUCCESS | On.REFUSAL:
                is_success = packet.data[0]["success"]
                return is_success is (self.on is On.SUCCESS) and self.event in (ANY, asked.get(packet.ack_id or 0))
            case ((PacketType.CONNECT | PacketType.CONNECT_ERROR), On.CONNECT):
                return True
            case _:
                return False


def replaced(packet: Packet, payload: Any) -> Packet:
    """A packet with another payload."""
    if packet.type is PacketType.EVENT:
        return Packet(packet.type, [packet.data[0], payload], packet.namespace)
    if packet.type is PacketType.ACK:
        return Packet(packet.type, [payload], packet.namespace, packet.ack_id)
    return Packet(packet.type, payload, packet.namespace)


def payload_of(packet: Packet) -> Any:
    """The one argument of a packet."""
    return packet.data if packet.type is PacketType.CONNECT else packet.data[-1]


def changed(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Packet], list[Packet]]:
    """Spoil the payload."""
    return lambda packet: [replaced(packet, change(payload_of(packet)))]


def without(name: str) -> Callable[[Packet], list[Packet]]:
    """A field is missing."""
    return changed(lambda payload: {key: value for key, value in payload.items() if key != name})


def with_value(name: str, value: Any) -> Callable[[Packet], list[Packet]]:
    """A field has this value."""
    return changed(lambda payload: payload | {name: value})


def altered(name: str) -> Callable[[Packet], list[Packet]]:
    """A field has the right type and not the right value."""
    return changed(lambda payload: payload | ({name: other(payload[name])} if name in payload else {}))


def other(value: Any) -> Any:
    """Something else of the same kind."""
    match value:
        case bool():
            return not value
        case int():
            return value + 100_000
        case str():
            return value[1:] + "z" if len(value) > 1 else "z"
        case [_, *_]:
            return []
        case {**fields} if fields:
            key = next((key for key in fields if isinstance(fields[key], str)), next(iter(fields)))
            return fields | {key: other(fields[key])}
        case _:
            return value


def definition(reference: dict[str, Any]) -> dict[str, Any]:
    """The object that a reference means."""
    found: dict[str, Any] = protocol()["$defs"][reference["$ref"].removeprefix("#/$defs/")]
    return found


def field_faults(event: str, on: On, reference: dict[str, Any]) -> Iterator[Fault]:
    """Each field missing, of a wrong type, or of a wrong value."""
    shape = definition(reference)
    for name, kind in shape["properties"].items():
        if name == "success":
            continue
        if name in shape["required"]:
            yield Fault(f"{event}: {on.value} without {name}", event, on, without(name))
        wrong = next(value for value in STRANGE if not is_valid(kind, value))
        yield Fault(f"{event}: {on.value} with {name} {wrong!r}", event, on, with_value(name, wrong))
        if not (name == "message" and is_valid(kind, "")) and f"{event}.{name}" not in NEVER_THERE:
            yield Fault(f"{event}: {on.value} with another {name}", event, on, altered(name))


def notice_faults(event: str) -> Iterator[Fault]:
    """What can be wrong with a notice."""
    yield Fault(f"{event}: never told", event, On.NOTICE, lambda _: [])
    if not NOTICES[event].latest_only:  # which may come at any time
        yield Fault(f"{event}: told twice", event, On.NOTICE, lambda packet: [packet, packet])
        yield Fault(f"{event}: told to others", event, On.NOTICE, is_stray=True)
    if event in TIMED:
        yield Fault(f"{event}: told late", event, On.NOTICE, delay=1.5)
    yield from field_faults(event, On.NOTICE, protocol()["notices"][event]["payload"])


def request_faults(event: str) -> Iterator[Fault]:
    """What can be wrong with the answers to a request."""
    row = protocol()["requests"][event]
    yes = {name: sample(name, definition(row["ack"])) for name in definition(row["ack"])["required"]}
    codes = row["refusals"]

    def another_code(no: dict[str, Any]) -> dict[str, Any]:
        return no | {"code": next(code for code in codes if code != no["code"])}

    refused = {"success": False, "error": "no", "code": "overloaded", "canRetry": False}
    yield Fault(f"{event}: not answered", event, On.SUCCESS, lambda _: [])
    yield Fault(f"{event}: answered twice", event, On.SUCCESS, lambda packet: [packet, packet])
    yield Fault(f"{event}: refused instead", event, On.SUCCESS, changed(lambda _: refused))
    yield Fault(f"{event}: a refusal is not answered", event, On.REFUSAL, lambda _: [])
    yield Fault(f"{event}: permitted instead", event, On.REFUSAL, changed(lambda _: yes))
    yield Fault(f"{event}: refused with another code", event, On.REFUSAL, changed(another_code))
    yield from field_faults(event, On.SUCCESS, row["ack"])


def sample(name: str, shape: dict[str, Any]) -> Any:
    """A field of an answer that is right by the schema, as far as that is easy."""
    if name == "success":
        return True
    kind = shape["properties"][name]
    return next((value for value in ("x", 7, True, [], VALUES.get(name)) if is_valid(kind, value)), {})


def general_faults() -> Iterator[Fault]:
    """What belongs to no event."""
    for name in ("error", "code", "canRetry"):
        yield Fault(f"refusals: without {name}", ANY, On.REFUSAL, without(name))
    yield Fault("refusals: without retryAfter", ANY, On.REFUSAL, without("retryAfter"))
    yield Fault("refusals: of an unknown event permitted", ANY, On.REFUSAL, changed(lambda _: {"success": True}))
    two = Fault("answers: with two arguments", ANY, On.SUCCESS, lambda p: [Packet(p.type, p.data * 2, "/", p.ack_id)])
    yield two
    yield Fault("answers: under another number", ANY, On.SUCCESS, renumbered)
    yield Fault("notices: with two arguments", ANY, On.NOTICE, lambda p: [Packet(p.type, [*p.data, 7])])
    yield Fault("CONNECT: not answered", ANY, On.CONNECT, lambda _: [])
    yield Fault("CONNECT: permitted instead", ANY, On.CONNECT, lambda p: [Packet(PacketType.CONNECT, {"sid": "x"})])
    yield Fault("CONNECT: everybody gets the same id", ANY, On.CONNECT, with_sid("x"))
    yield Fault("CONNECT: resumed is wrong", ANY, On.CONNECT, only_welcome(altered("resumed")))
    yield Fault("CONNECT: without sid", ANY, On.CONNECT, only_welcome(without("sid")))
    yield Fault("CONNECT: without a message", ANY, On.CONNECT, unexplained)
    for event in ("onlineUsersUpdated", "roomListUpdated"):
        yield Fault(f"{event}: told again and again", event, On.NOTICE, lambda packet: [packet] * 50)
    for name in ("sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"):
        yield Fault(f"open packet: without {name}", ANY, On.LINK, link={f"open-{name}"})
    for name in ("stays-open", "no-pings", "hangs-up", "http-200", "http-500", "loses-polls", "no-probe"):
        yield Fault(f"link: {name}", ANY, On.LINK, link={name})


def renumbered(packet: Packet) -> list[Packet]:
    """An answer to something else."""
    return [Packet(packet.type, packet.data, packet.namespace, (packet.ack_id or 0) + 1)]


def only_welcome(spoil: Callable[[Packet], list[Packet]]) -> Callable[[Packet], list[Packet]]:
    """Leave refusals as they are."""
    return lambda packet: spoil(packet) if packet.type is PacketType.CONNECT else [packet]


def with_sid(sid: str) -> Callable[[Packet], list[Packet]]:
    """The same id for all."""
    return only_welcome(with_value("sid", sid))


def unexplained(packet: Packet) -> list[Packet]:
    """A CONNECT_ERROR that says nothing."""
    return [Packet(packet.type, {}, packet.namespace)] if packet.type is PacketType.CONNECT_ERROR else [packet]


def all_faults() -> list[Fault]:
    """Every fault."""
    found = [fault for event in NOTICES for fault in notice_faults(event)]
    found += [fault for event in REQUESTS for fault in request_faults(event)]
    return [*found, *general_faults()]
