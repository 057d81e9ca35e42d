"""As much STUN (RFC 8489) as it takes to see that a server's ICE agent lives: one binding request, one answer."""

from __future__ import annotations

import binascii
import hmac
import ipaddress
import secrets
import socket
import struct
from typing import Any, Final

import trio

COOKIE: Final = 0x2112A442
REQUEST, SUCCESS = 0x0001, 0x0101
USERNAME, INTEGRITY, XOR_ADDRESS, PRIORITY, CONTROLLING, FINGERPRINT = 0x06, 0x08, 0x20, 0x24, 0x802A, 0x8028


def binding_request(username: str, password: str) -> bytes:
    """A connectivity check (RFC 8445) of a controlling agent."""
    attributes = _attribute(USERNAME, username.encode())
    attributes += _attribute(PRIORITY, struct.pack("!I", 1845501695)) + _attribute(CONTROLLING, secrets.token_bytes(8))
    head = struct.pack("!I", COOKIE) + secrets.token_bytes(12)
    attributes += _attribute(INTEGRITY, _sign(REQUEST, head, attributes, password))
    return _message(REQUEST, head, attributes + _attribute(FINGERPRINT, _crc(REQUEST, head, attributes)))


def answer_faults(answer: bytes, request: bytes, password: str, ours: tuple[str, int]) -> str:
    """What is wrong with the answer to a request; empty if nothing."""
    kind, length = struct.unpack("!HH", answer[:4]) if len(answer) >= 20 else (0, 0)
    if kind != SUCCESS or answer[4:20] != request[4:20] or length != len(answer) - 20:
        return f"no success answer, but {answer[:20].hex()}"
    values, places = _read(answer[20:])
    if INTEGRITY not in values or FINGERPRINT not in values or XOR_ADDRESS not in values:
        return f"MESSAGE-INTEGRITY, FINGERPRINT or XOR-MAPPED-ADDRESS is missing: {[hex(key) for key in values]}"
    head, attributes = answer[4:20], answer[20:]
    if values[INTEGRITY] != _sign(SUCCESS, head, attributes[: places[INTEGRITY]], password):
        return "MESSAGE-INTEGRITY is not made with the server's password"
    if values[FINGERPRINT] != _crc(SUCCESS, head, attributes[: places[FINGERPRINT]]):
        return "a wrong FINGERPRINT"
    mapped = _address(values[XOR_ADDRESS], head)
    return "" if mapped == ours else f"XOR-MAPPED-ADDRESS says {mapped}, we are {ours}"


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) % 4)


def _message(kind: int, head: bytes, attributes: bytes, more: int = 0) -> bytes:
    return struct.pack("!HH", kind, len(attributes) + more) + head + attributes


def _sign(kind: int, head: bytes, before: bytes, password: str) -> bytes:
    return hmac.digest(password.encode(), _message(kind, head, before, 24), "sha1")


def _crc(kind: int, head: bytes, before: bytes) -> bytes:
    return struct.pack("!I", binascii.crc32(_message(kind, head, before, 8)) ^ 0x5354554E)


def _read(attributes: bytes) -> tuple[dict[int, bytes], dict[int, int]]:
    values: dict[int, bytes] = {}
    places: dict[int, int] = {}
    place = 0
    while place + 4 <= len(attributes):
        kind, length = struct.unpack_from("!HH", attributes, place)
        values[kind], places[kind] = attributes[place + 4 : place + 4 + length], place
        place += 4 + length + -length % 4
    return values, places


def _address(value: bytes, head: bytes) -> tuple[str, int]:
    (port,) = struct.unpack("!H", value[2:4])
    packed = bytes(a ^ b for a, b in zip(value[4:], head, strict=False))
    return str(ipaddress.ip_address(packed)), port ^ (COOKIE >> 16)


async def check_connectivity(params: dict[str, Any], password: str, patience: float) -> str:
    """What is wrong with the answer to a binding request at a transport; empty if nothing, "silence" if none came."""
    candidate = params["iceCandidates"][0]
    family = socket.AF_INET6 if ":" in candidate["ip"] else socket.AF_INET
    request = binding_request(f"{params['iceParameters']['usernameFragment']}:conf", password)
    with trio.socket.socket(family, socket.SOCK_DGRAM) as channel:
        await channel.connect((candidate["ip"], candidate["port"]))
        await channel.send(request)
        with trio.move_on_after(patience):
            host, port = channel.getsockname()[:2]
            return answer_faults(await channel.recv(2048), request, password, (host, port))
    return "silence"
