"""STUN binding requests and answers for ICE (RFC 8489, RFC 8445), on aioice's messages.

The engine asks (controlling, nominating at once, for every server of ours is ICE-lite); the worker answers.
"""

from __future__ import annotations

import struct
from typing import Final, TypeAlias

from aioice import stun
from aioice.stun import Class, Message, Method

Address: TypeAlias = tuple[str, int]

PRIORITY: Final = 110 << 24 | 65535 << 8 | 255  # what a peer-reflexive candidate would have (RFC 8445, 7.1.1)
_HEADER: Final = 20
_COOKIE: Final = b"\x21\x12\xa4\x42"
_USERNAME: Final = 0x0006
_ATTRIBUTE: Final = struct.Struct("!HH")


def parse(data: bytes) -> Message:
    """A STUN message whose FINGERPRINT, if there is one, is right. Its integrity is not checked yet.

    Raises:
        ValueError: it is not one.
    """
    if data[4:8] != _COOKIE:
        raise ValueError("no STUN magic cookie")
    try:
        return stun.parse_message(data)
    except (struct.error, IndexError, OverflowError) as why:
        raise ValueError(f"STUN: {why}") from why


def peek_username(data: bytes) -> str:
    """The USERNAME of a message, found without decoding or checking anything else.

    Raises:
        ValueError: there is none.
    """
    position = _HEADER
    while position + 4 <= len(data):
        kind, size = _ATTRIBUTE.unpack_from(data, position)
        if kind == _USERNAME:
            return data[position + 4 : position + 4 + size].decode()
        position += 4 + size + (-size & 3)
    raise ValueError("no USERNAME")


def make_request(username: str, password: str, tie_breaker: int) -> tuple[bytes, bytes]:
    """A nominating binding request to a server, and the transaction id by which its answer is known.

    `username` is ``theirs:ours``, `password` theirs, `tie_breaker` 64 random bits.
    """
    request = Message(Method.BINDING, Class.REQUEST)
    request.attributes["USERNAME"] = username
    request.attributes["PRIORITY"] = PRIORITY
    request.attributes["ICE-CONTROLLING"] = tie_breaker
    request.attributes["USE-CANDIDATE"] = None
    request.add_message_integrity(password.encode())
    return bytes(request), request.transaction_id


def make_answer(request: Message, source: Address, password: str) -> bytes:
    """The success response to a request from `source`."""
    answer = Message(Method.BINDING, Class.RESPONSE, transaction_id=request.transaction_id)
    answer.attributes["XOR-MAPPED-ADDRESS"] = source[:2]
    answer.add_message_integrity(password.encode())
    return bytes(answer)


def is_request(message: Message, password: str) -> bool:
    """Whether this is a binding request made by someone who knows our password."""
    return (
        message.message_method is Method.BINDING
        and message.message_class is Class.REQUEST
        and message.check_message_integrity(password.encode())
    )


def is_answer(message: Message, transaction_id: bytes, password: str) -> bool:
    """Whether this is the success response to our request, made by someone who knows the server's password."""
    return (
        message.message_method is Method.BINDING
        and message.message_class is Class.RESPONSE
        and message.transaction_id == transaction_id
        and message.check_message_integrity(password.encode())
    )


def nominates(request: Message) -> bool:
    """Whether the request carries USE-CANDIDATE."""
    return "USE-CANDIDATE" in request.attributes
