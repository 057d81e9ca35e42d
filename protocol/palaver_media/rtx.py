"""Retransmissions in a stream of their own (RFC 4588): the original sequence number, then the original payload."""

from __future__ import annotations

from typing import Final

from .rtp import RtpPacket

_NUMBER: Final = 2  # bytes of the original sequence number


def wrap(packet: RtpPacket, ssrc: int, payload_type: int, sequence: int) -> RtpPacket:
    """The retransmission of a packet: with an SSRC, payload type and sequence number of the other stream."""
    return RtpPacket(
        payload_type,
        sequence,
        packet.timestamp,
        ssrc,
        packet.sequence.to_bytes(_NUMBER, "big") + packet.body,
        packet.is_marked,
        packet.extensions,
        packet.csrcs,
        packet.padding,
    )


def restore(packet: RtpPacket, original_ssrc: int, original_payload_type: int) -> RtpPacket | None:
    """The packet that was sent again; None: this one holds nothing but padding, as browsers probe the path with."""
    if len(packet.payload) < _NUMBER:
        return None
    return RtpPacket(
        original_payload_type,
        int.from_bytes(packet.body[:_NUMBER], "big"),
        packet.timestamp,
        original_ssrc,
        packet.body[_NUMBER:],
        packet.is_marked,
        packet.extensions,
        packet.csrcs,
        packet.padding,
    )
