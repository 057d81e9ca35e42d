"""Keyframes, in payloads that aiortc's packetizers make, and in ones put together by hand."""

import pytest
from aiortc.codecs.h264 import H264Encoder
from aiortc.codecs.vpx import VpxPayloadDescriptor
from hypothesis import given
from hypothesis import strategies as st

from palaver_media import keyframes
from palaver_media.keyframes import H264, VP8, starts_h264_keyframe, starts_keyframe, starts_vp8_keyframe
from palaver_protocol import negotiate

IDR, SPS, PPS, SLICE, SEI = b"\x65idr", b"\x67sps", b"\x68pps", b"\x41slice", b"\x06sei"


@pytest.mark.parametrize(
    ("start", "partition", "frame", "is_keyframe"),
    [(1, 0, b"\x10", True), (1, 0, b"\x11", False), (0, 0, b"\x10", False), (1, 1, b"\x10", False), (1, 0, b"", False)],
)
@pytest.mark.parametrize(
    "extras",
    [
        {},
        {"picture_id": 30},
        {"picture_id": 300},
        {"tl0picidx": 1},
        {"tid": (1, 1)},
        {"picture_id": 300, "tl0picidx": 1, "tid": (1, 1), "keyidx": 3},
    ],
)
def test_vp8(start, partition, frame, is_keyframe, extras):
    payload = bytes(VpxPayloadDescriptor(start, partition, **extras)) + frame
    assert starts_vp8_keyframe(payload) is is_keyframe
    assert starts_keyframe(VP8, payload) is is_keyframe


def stap(*units: bytes) -> bytes:
    return b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in units)


def fu(unit: bytes, first: bool) -> bytes:
    return bytes([unit[0] & 0x60 | 28, (0x80 if first else 0) | unit[0] & 0x1F]) + unit[1:]


@pytest.mark.parametrize(
    ("payload", "is_keyframe"),
    [
        (IDR, True),
        (SPS, True),
        (PPS, False),
        (SLICE, False),
        (SEI, False),
        (stap(SPS, PPS), True),
        (stap(SEI, IDR), True),
        (stap(SEI, SLICE), False),
        (stap(SEI, SPS)[:-4], False),  # cut off before the unit
        (fu(IDR, first=True), True),
        (fu(IDR, first=False), False),
        (fu(SLICE, first=True), False),
        (b"\x78", False),
        (b"\x7c", False),
        (b"", False),
    ],
)
def test_h264(payload, is_keyframe):
    assert starts_h264_keyframe(payload) is is_keyframe
    assert starts_keyframe(H264, payload) is is_keyframe


@pytest.mark.parametrize("size", [100, 5000])  # in one packet, and in fragments
def test_h264_as_aiortc_packs_it(size):
    def packed(*units: bytes) -> list[bool]:
        return [starts_h264_keyframe(each) for each in H264Encoder._packetize(iter(units))]

    assert any(packed(SPS, PPS, b"\x65" + bytes(size)))
    assert packed(b"\x65" + bytes(size))[0]
    assert packed(b"\x65" + bytes(size)).count(True) == 1
    assert not any(packed(b"\x41" + bytes(size)))


@given(st.binary(max_size=40), st.integers(0, 127))
def test_any_bytes_are_no_exception(payload, payload_type):
    starts_vp8_keyframe(payload)
    starts_h264_keyframe(payload)
    assert starts_keyframe(payload_type, payload) is False or payload_type in (VP8, H264)


def test_the_payload_types_are_those_the_router_offers():
    assert (keyframes.VP8, keyframes.H264) == (negotiate.VP8_PAYLOAD_TYPE, negotiate.H264_PAYLOAD_TYPE)
