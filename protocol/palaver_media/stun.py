"""STUN binding requests and answers for ICE (RFC 8489, RFC 8445).

The engine asks (controlling, nominating at once, for every server of ours is ICE-lite); the worker answers. It does so
for each of its clients every few seconds, with cold caches, so a message is read in few steps: attributes stay bytes
until somebody wants one.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import struct
import zlib
from typing import Final, TypeAlias

from attrs import frozen

Address: TypeAlias = tuple[str, int]

PRIORITY: Final = 110 << 24 | 65535 << 8 | 255  # what a peer-reflexive candidate would have (RFC 8445, 7.1.1)
REQUEST: Final = 0x0001  # binding
RESPONSE: Final = 0x0101  # to it, successful
USERNAME: Final = 0x0006
INTEGRITY: Final = 0x0008
MAPPED_ADDRESS: Final = 0x0020  # XOR-MAPPED-ADDRESS
_PRIORITY: Final = 0x0024
_USE_CANDIDATE: Final = 0x0025
_FINGERPRINT: Final = 0x8028
_CONTROLLING: Final = 0x802A
_HEADER: Final = 20  # bytes
TRANSACTION: Final = slice(8, _HEADER)
_COOKIE: Final = b"\x21\x12\xa4\x42"
_ATTRIBUTE: Final = struct.Struct("!HH")
_INTEGRITY_SIZE: Final = 4 + 20  # bytes, with its head
_FINGERPRINT_SIZE: Final = 4 + 4
_IPV4_RESULT_SIZE: Final = 4 + 8  # of a mapped address
_FINGERPRINT_XOR: Final = 0x5354554E
_FAMILIES: Final = {socket.AF_INET: 1, socket.AF_INET6: 2}


@frozen
class Message:
    """A STUN message: its type, its attributes by theirs, and where in `data` its integrity begins, 0 for nowhere.

    What follows MESSAGE-INTEGRITY is not signed, and not among the attributes (RFC 8489, section 14.5).
    """

    data: bytes
    type: int
    attributes: dict[int, bytes]
    signed: int

    @property
    def transaction(self) -> bytes:
        """The id that an answer has in common with its request."""
        return self.data[TRANSACTION]

    @property
    def username(self) -> str:
        """What tells whose password it is signed with.

        Raises:
            ValueError: there is none.
        """
        if USERNAME not in self.attributes:
            raise ValueError("STUN: no USERNAME")
        return self.attributes[USERNAME].decode()

    @property
    def nominates(self) -> bool:
        """Whether it carries USE-CANDIDATE."""
        return _USE_CANDIDATE in self.attributes

    def is_request(self, password: str) -> bool:
        """Whether this is a binding request made by someone who knows our password."""
        return self.type == REQUEST and self.is_signed(password.encode())

    def is_answer(self, transaction: bytes, password: str) -> bool:
        """Whether this is the success response to our request, made by someone who knows the server's password."""
        return self.type == RESPONSE and self.transaction == transaction and self.is_signed(password.encode())

    def is_signed(self, key: bytes) -> bool:
        """Whether MESSAGE-INTEGRITY is there, and made with this key."""
        if not self.signed:
            return False
        size = self.signed - _HEADER + _INTEGRITY_SIZE  # as if nothing followed
        signed = self.data[:2] + size.to_bytes(2, "big") + self.data[4 : self.signed]
        return hmac.compare_digest(hmac.digest(key, signed, "sha1"), self.attributes[INTEGRITY])


def parse(data: bytes) -> Message:
    """A STUN message whose FINGERPRINT, if there is one, is right. Its integrity is not checked yet.

    Raises:
        ValueError: it is not one.
    """
    if len(data) < _HEADER or data[4:8] != _COOKIE:
        raise ValueError("no STUN")
    type_, size = _ATTRIBUTE.unpack_from(data)
    if size & 3 or len(data) != _HEADER + size:
        raise ValueError("STUN: not as long as it says")
    attributes: dict[int, bytes] = {}
    at, signed = _HEADER, 0
    while at < len(data):
        kind, size = _ATTRIBUTE.unpack_from(data, at)
        value = data[at + 4 : at + 4 + size]
        if len(value) != size:
            raise ValueError("STUN: an attribute reaches beyond the end")
        if kind == _FINGERPRINT:
            if value != _fingerprint(data[:at]) or at + _FINGERPRINT_SIZE != len(data):
                raise ValueError("STUN: the fingerprint is wrong, or not at the end")
        elif not signed:
            attributes.setdefault(kind, value)  # of several the first counts
            if kind == INTEGRITY:
                signed = at
        at += 4 + size + (-size & 3)
    return Message(data, type_, attributes, signed)


def make_request(username: str, password: str, tie_breaker: int) -> tuple[bytes, bytes]:
    """A nominating binding request to a server, and the transaction id by which its answer is known.

    `username` is ``theirs:ours``, `password` theirs, `tie_breaker` 64 random bits.
    """
    transaction = secrets.token_bytes(12)
    body = (
        _attribute(USERNAME, username.encode())
        + _attribute(_PRIORITY, PRIORITY.to_bytes(4, "big"))
        + _attribute(_CONTROLLING, tie_breaker.to_bytes(8, "big"))
        + _attribute(_USE_CANDIDATE, b"")
    )
    return _signed(REQUEST, transaction, body, password.encode()), transaction


def make_answer(request: Message, source: Address, password: str) -> bytes:
    """The success response to a request from `source`."""
    transaction = request.transaction
    family = socket.AF_INET6 if ":" in source[0] else socket.AF_INET
    address = source[1].to_bytes(2, "big") + socket.inet_pton(family, source[0])
    mask = _COOKIE[:2] + (_COOKIE + transaction)[: len(address) - 2]  # of the port, and of the address
    hidden = (int.from_bytes(address, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(address), "big")
    body = _attribute(MAPPED_ADDRESS, bytes([0, _FAMILIES[family]]) + hidden)
    return _signed(RESPONSE, transaction, body, password.encode())


class Repeated:
    """A request that comes again and again, with nothing new but its transaction, and the answer to it.

    Such are the checks of a client who has found his way. To read one takes a few comparisons, and its signature.
    """

    __slots__ = ("_at", "_begin", "_end", "_key", "_middle", "_result", "_signed_begin", "nominates")

    def __init__(self, request: Message, answer: bytes, password: str) -> None:
        """`answer` is that to `request`, which is signed with `password` and has a fingerprint."""
        data, self._at = request.data, request.signed + 4  # where the signature is
        self._key, self.nominates = password.encode(), request.nominates
        self._begin, self._middle, self._end = data[:8], data[_HEADER : self._at], data[self._at + 20 : -4]
        self._signed_begin = data[:2] + (request.signed - _HEADER + _INTEGRITY_SIZE).to_bytes(2, "big") + _COOKIE
        self._result = answer[_HEADER : -_INTEGRITY_SIZE - _FINGERPRINT_SIZE]

    @classmethod
    def of(cls, request: Message, answer: bytes, password: str) -> Repeated | None:
        """What to know a request by; None if it has no fingerprint, or its next answer will differ in more.

        That is so where the address is of IPv6: the transaction hides it (RFC 8489, section 14.2).
        """
        has_fingerprint = request.data[-_FINGERPRINT_SIZE:-4] == _ATTRIBUTE.pack(_FINGERPRINT, 4)
        is_short = len(answer) == _HEADER + _IPV4_RESULT_SIZE + _INTEGRITY_SIZE + _FINGERPRINT_SIZE
        return cls(request, answer, password) if request.signed and has_fingerprint and is_short else None

    def is_this(self, data: bytes) -> bool:
        """Whether it is the same request in whatever transaction, and signed as it should be."""
        at = self._at
        if data[:8] != self._begin or data[_HEADER:at] != self._middle or data[at + 20 : -4] != self._end:
            return False
        signed = self._signed_begin + data[TRANSACTION] + self._middle[:-4]
        is_signed = hmac.compare_digest(hmac.digest(self._key, signed, "sha1"), data[at : at + 20])
        return is_signed and data[-4:] == _fingerprint(data[:-_FINGERPRINT_SIZE])

    def answer(self, transaction: bytes) -> bytes:
        """The answer to it in this transaction."""
        return _signed(RESPONSE, transaction, self._result, self._key)


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(kind, len(value)) + value + bytes(-len(value) & 3)


def _signed(type_: int, transaction: bytes, body: bytes, key: bytes) -> bytes:
    """A message with MESSAGE-INTEGRITY and FINGERPRINT, each over a header that says as much as is there by then."""
    rest = _COOKIE + transaction + body
    size = len(body) + _INTEGRITY_SIZE
    signature = hmac.digest(key, _ATTRIBUTE.pack(type_, size) + rest, "sha1")
    whole = _ATTRIBUTE.pack(type_, size + _FINGERPRINT_SIZE) + rest + _attribute(INTEGRITY, signature)
    return whole + _attribute(_FINGERPRINT, _fingerprint(whole))


def _fingerprint(data: bytes) -> bytes:
    return (zlib.crc32(data) ^ _FINGERPRINT_XOR).to_bytes(4, "big")
