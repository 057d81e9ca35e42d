"""Retransmissions: as packets, and over a real worker whose path loses some."""

import pytest
from aiortc import rtp as aiortc_rtp
from hypothesis import given
from hypothesis import strategies as st

from palaver_media import rtp, rtx
from palaver_media.rtp import RtpPacket

PACKETS = st.builds(
    RtpPacket,
    payload_type=st.just(101),
    sequence=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.just(11),
    body=st.binary(max_size=50),
    is_marked=st.booleans(),
    extensions=st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16)),
)


@given(PACKETS)
def test_what_is_wrapped_is_restored(packet):
    wrapped = rtp.parse(rtx.wrap(packet, 12, 102, 7).write())
    assert (wrapped.ssrc, wrapped.payload_type, wrapped.sequence) == (12, 102, 7)
    restored = rtx.restore(wrapped, 11, 101)
    assert restored is not None
    assert restored.write() == packet.write()


@given(PACKETS)
def test_aiortc_restores_what_we_wrap_and_wraps_what_we_restore(packet):
    packet.extensions = {}  # of which aiortc knows only those by their URIs
    theirs = aiortc_rtp.RtpPacket.parse(packet.write())
    wrapped = aiortc_rtp.RtpPacket.parse(rtx.wrap(packet, 12, 102, 7).write())
    assert aiortc_rtp.unwrap_rtx(wrapped, payload_type=101, ssrc=11).serialize() == packet.write()
    ours = rtp.parse(aiortc_rtp.wrap_rtx(theirs, payload_type=102, sequence_number=7, ssrc=12).serialize())
    restored = rtx.restore(ours, 11, 101)
    assert restored is not None
    assert restored.write() == packet.write()


@pytest.mark.parametrize("body", [b"", b"\1", b"\0\0\0\4", b"\1\0\0\3"])
def test_probes_hold_no_packet(body):
    padding = body[-1] if len(body) == 4 else 0
    assert rtx.restore(RtpPacket(97, 1, 2, 12, body, padding=padding), 11, 96) is None
