"""Copies of earlier frames beside a frame (RFC 2198): written by who sends, read by who plays, cut off by the worker.

A payload is a head of four bytes for each copy (a set bit, payload type, timestamp offset of 14 bits, length of 10
bits), one of a single byte for the frame itself, then the copies and the frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

MOST: Final = 8  # copies in one packet; what has more is nobody's honest redundancy
FARTHEST: Final = (1 << 14) - 1  # samples that a copy can lie back
LARGEST: Final = (1 << 10) - 1  # bytes of a copy
_MORE: Final = 0x80  # in a head's first byte: it is a copy's
_HEAD: Final = 4  # bytes of a copy's head


@frozen
class Redundant:
    """A frame with the copies of earlier ones, each with its timestamp (32 bits)."""

    primary: bytes
    copies: tuple[tuple[int, bytes], ...]


def write(payload_type: int, timestamp: int, primary: bytes, copies: Sequence[tuple[int, bytes]]) -> bytes:
    """A payload; of the `copies` (timestamp and bytes, oldest first) those that it cannot say are left out."""
    heads, bodies = bytearray(), bytearray()
    for when, body in copies:
        offset = (timestamp - when) & 0xFFFF_FFFF
        if 0 < offset <= FARTHEST and 0 < len(body) <= LARGEST:
            head = (_MORE | payload_type) << 24 | offset << 10 | len(body)
            heads += head.to_bytes(_HEAD, "big")
            bodies += body
    return bytes(heads) + bytes([payload_type]) + bytes(bodies) + primary


def parse(payload_type: int, timestamp: int, payload: bytes) -> Redundant:
    """Read a payload of frames of one payload type.

    Raises:
        ValueError: it is none, or what it carries is of another type.
    """
    places, at, end = [], 0, primary_at(payload_type, payload)
    while payload[at] & _MORE:
        head = int.from_bytes(payload[at : at + _HEAD], "big")
        places.append((head >> 10 & FARTHEST, head & LARGEST))
        at += _HEAD
    at += 1
    copies = []
    for offset, size in places:
        if offset and size:
            copies.append(((timestamp - offset) & 0xFFFF_FFFF, payload[at : at + size]))
        at += size
    assert at == end
    return Redundant(payload[end:], tuple(copies))


def renumber(payload: bytes, payload_types: Mapping[int, int], wanted: int) -> tuple[bytes, int]:
    """A payload whose payload types were mapped, and all became `wanted`; where the frame itself begins.

    Raises as `parse`.
    """
    at, renumbered = 0, bytearray(payload)
    while at < min(len(payload), MOST * _HEAD + 1) and payload[at] & _MORE:
        _map(renumbered, at, payload_types, wanted)
        at += _HEAD
    if at < len(payload):
        _map(renumbered, at, payload_types, wanted)
    mapped = bytes(renumbered)
    return mapped, primary_at(wanted, mapped)


def _map(payload: bytearray, at: int, payload_types: Mapping[int, int], wanted: int) -> None:
    if payload_types.get(payload[at] & 0x7F) != wanted:
        raise ValueError("RFC 2198 payload carries another codec")
    payload[at] = payload[at] & _MORE | wanted


def primary_at(payload_type: int, payload: bytes) -> int:
    """Where the frame itself begins. Raises as `parse`."""
    at = copied = 0
    while at < len(payload) and payload[at] & _MORE:
        if at == MOST * _HEAD or len(payload) < at + _HEAD:
            raise ValueError("RFC 2198 payload has too many copies, or is truncated")
        if payload[at] & 0x7F != payload_type:
            raise ValueError("RFC 2198 payload carries another codec")
        copied += int.from_bytes(payload[at + 2 : at + _HEAD], "big") & LARGEST
        at += _HEAD
    if at >= len(payload) or payload[at] != payload_type:
        raise ValueError("RFC 2198 payload carries another codec, or nothing")
    start = at + 1 + copied
    if start >= len(payload):
        raise ValueError("RFC 2198 payload is truncated")
    return start
