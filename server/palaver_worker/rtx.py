"""Retransmissions in a stream of their own (RFC 4588): the original sequence number, then the original payload."""

from __future__ import annotations

from copy import copy
from typing import Final

from palaver_media.rtp import ABS_SEND_TIME, write_send_time

from .packet import MARKER, Packet

_NUMBER: Final = 2  # bytes of the original sequence number


def restore(packet: Packet, original_payload_type: int) -> Packet | None:
    """The packet that was sent again; None: this one holds nothing but padding, as browsers probe the path with."""
    if len(packet.payload) < _NUMBER:
        return None
    original = copy(packet)
    original.sequence = int.from_bytes(packet.body[:_NUMBER], "big")
    original.body = packet.body[_NUMBER:]
    original.second = packet.second & MARKER | original_payload_type
    return original


def wrap(packet: Packet, sequence: int, payload_type: int, index: int, now: float) -> Packet:
    """The retransmission of a packet that had this sequence number for its listener; `index` is its own number.

    It leaves at `now` (s), whenever the packet did, and says so to the listener's estimate of the bandwidth.
    """
    wrapped = copy(packet)
    wrapped.index = index
    wrapped.second = packet.second & MARKER | payload_type
    wrapped.body = (sequence & 0xFFFF).to_bytes(_NUMBER, "big") + packet.body
    wrapped.elements = _stamped(packet.elements, now)
    return wrapped


def _stamped(elements: bytes, now: float) -> bytes:
    at = 0
    while at < len(elements):
        end = at + 2 + (elements[at] & 0x0F)
        if elements[at] >> 4 == ABS_SEND_TIME:
            return elements[: at + 1] + write_send_time(now) + elements[end:]
        at = end
    return elements
