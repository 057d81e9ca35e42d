"""Where a picture begins that needs no earlier one, in the payloads of the codecs that the router forwards."""

from __future__ import annotations

from typing import Final

# The router's payload types (WIRE, getRouterRtpCapabilities).
VP8: Final = 101
H264: Final = 103

_IDR, _SPS, _STAP_A, _FU_A = 5, 7, 24, 28  # types of NAL units (RFC 6184, section 5.2)
_STARTS: Final = frozenset({_IDR, _SPS})
_NAL_TYPE: Final = 0x1F


def starts_keyframe(payload_type: int, payload: bytes) -> bool:
    """Whether a payload of the router's payload type is the first of a keyframe; never of an unknown codec."""
    if payload_type == VP8:
        return starts_vp8_keyframe(payload)
    return payload_type == H264 and starts_h264_keyframe(payload)


def starts_vp8_keyframe(payload: bytes) -> bool:
    """Whether a VP8 payload is the first of a keyframe (RFC 7741, sections 4.2 and 4.3)."""
    if not payload or payload[0] & 0x17 != 0x10:  # the start of the first partition
        return False
    head = payload[1:4]
    size = 1
    if payload[0] & 0x80 and head:
        has_picture, has_level, has_layers = head[0] & 0x80, head[0] & 0x40, head[0] & 0x30
        is_long = has_picture and len(head) > 1 and head[1] & 0x80
        size += 1 + bool(has_picture) + bool(is_long) + bool(has_level) + bool(has_layers)
    return len(payload) > size and payload[size] & 1 == 0


def starts_h264_keyframe(payload: bytes) -> bool:
    """Whether an H.264 payload starts an IDR picture, or has the parameter set that goes before one (RFC 6184, 5.4)."""
    kind = payload[0] & _NAL_TYPE if payload else 0
    if kind == _STAP_A:
        return _has_start(payload)
    if kind == _FU_A:  # only the first fragment counts
        return len(payload) > 1 and payload[1] & 0x80 != 0 and payload[1] & _NAL_TYPE in _STARTS
    return kind in _STARTS


def _has_start(aggregate: bytes) -> bool:
    """Whether one of the units of a STAP-A is what a keyframe starts with (RFC 6184, 5.7.1)."""
    position = 1
    while position + 2 < len(aggregate):
        if aggregate[position + 2] & _NAL_TYPE in _STARTS:
            return True
        position += 2 + int.from_bytes(aggregate[position : position + 2], "big")
    return False
