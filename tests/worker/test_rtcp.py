"""RTCP: one odd packet costs only itself; feedback both ways; what a receiver counts."""

import struct

import pytest
from aiortc import rtp as aiortc_rtp
from aiortc.rtp import RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from media_peer import write_nack
from palaver_media import rtcp
from palaver_media.rtcp import MOST_LOST, KeyframeRequest, Nack, Reception, Remb

INFO = RtcpSenderInfo(ntp_timestamp=0x83AA7E8012345678, rtp_timestamp=5, packet_count=6, octet_count=7)
BLOCK = RtcpReceiverInfo(ssrc=9, fraction_lost=1, packets_lost=-2, highest_sequence=3, jitter=4, lsr=5, dlsr=6)
FIR = aiortc_rtp.pack_rtcp_packet(206, 4, struct.pack("!IIIBxxxIBxxx", 1, 0, 8, 1, 9, 1))
TRANSPORT_CC = aiortc_rtp.pack_rtcp_packet(205, 15, bytes(20))
UNKNOWN = aiortc_rtp.pack_rtcp_packet(207, 0, bytes(8))
ODD_RR = aiortc_rtp.pack_rtcp_packet(201, 5, bytes(4))
EVERYTHING = [
    (rtcp.write_sender_report(8, INFO, [BLOCK]), [RtcpSrPacket(8, INFO, [BLOCK])]),
    (rtcp.write_receiver_report(1, [BLOCK, BLOCK]), [RtcpRrPacket(1, [BLOCK, BLOCK])]),
    (rtcp.write_cname(8, "someone"), [RtcpSdesPacket([aiortc_rtp.RtcpSourceInfo(8, [(1, b"someone")])])]),
    (bytes(RtcpByePacket([8])), [RtcpByePacket([8])]),
    (write_nack(8, [65534, 65535, 0, 40]), [Nack(8, (65534, 65535, 0, 40))]),
    (rtcp.write_pli(1, 8), [KeyframeRequest(8)]),
    (FIR, [KeyframeRequest(8), KeyframeRequest(9)]),
    (rtcp.write_remb(1, 250_000, [8, 9]), [Remb(250_000, (8, 9))]),
    (rtcp.write_remb(1, 1 << 70, [8]), [Remb(1 << 40, (8,))]),
    (TRANSPORT_CC, []),
    (UNKNOWN, []),
    (ODD_RR, []),
]


def test_every_packet_is_read_and_odd_ones_are_skipped_one_by_one():
    compound = b"".join(data for data, _ in EVERYTHING)
    assert rtcp.parse(compound) == [packet for _, packets in EVERYTHING for packet in packets]


@pytest.mark.parametrize(("data", "packets"), EVERYTHING)
def test_a_truncated_packet_costs_only_itself(data, packets):
    assert rtcp.parse(rtcp.write_pli(1, 8) + data[:-1]) == [KeyframeRequest(8)]


@pytest.mark.parametrize("data", [b"", b"\x80\xc8", bytes(8)])
def test_no_rtcp_at_all(data):
    with pytest.raises(ValueError, match="RTCP"):
        rtcp.parse(data)


@given(st.binary(max_size=100))
def test_any_bytes_raise_only_value_errors(data):
    try:
        rtcp.parse(data)
    except ValueError:
        return


@given(st.lists(st.sampled_from(EVERYTHING), min_size=1, max_size=4), st.data())
def test_mutations_raise_only_value_errors(packets, data):
    compound = bytearray(b"".join(each for each, _ in packets))
    for _ in range(data.draw(st.integers(1, 4))):
        compound[data.draw(st.integers(0, len(compound) - 1))] = data.draw(st.integers(0, 255))
    try:
        rtcp.parse(bytes(compound))
    except ValueError:
        return


def test_of_all_that_the_nacks_of_a_compound_name_the_first_are_read():
    every = write_nack(8, range(1000))
    assert rtcp.parse(every) == [Nack(8, tuple(range(MOST_LOST)))]
    [*nacks, request] = rtcp.parse(every + write_nack(9, [5]) + write_nack(8, range(100)) + rtcp.write_pli(1, 2))
    assert sum(len(each.lost) for each in nacks) == MOST_LOST
    assert request == KeyframeRequest(2)


@pytest.mark.parametrize("data", [bytes.fromhex("81cd0001"), bytes.fromhex("81cd0002") + bytes(5)])
def test_a_nack_that_is_cut_off_is_none(data):
    assert rtcp.parse(data + bytes(2)) == []


@given(st.integers(0, 0xFFFF), st.lists(st.integers(1, 40), max_size=30))
def test_a_nack_names_exactly_what_is_lost(first, gaps):
    lost = [first]
    for gap in gaps:
        lost.append((lost[-1] + gap) & 0xFFFF)
    [nack] = rtcp.parse(write_nack(8, lost))
    assert nack == Nack(8, tuple(lost))


def test_ntp_and_round_trip():
    then = rtcp.to_ntp(1_000_000_000.5)
    assert then >> 32 == 1_000_000_000 + rtcp.NTP_EPOCH
    assert then & 0xFFFFFFFF == 1 << 31
    report = RtcpReceiverInfo(8, 0, 0, 0, 0, lsr=rtcp.to_short_ntp(then), dlsr=32768)
    assert rtcp.round_trip(report, rtcp.to_ntp(1_000_000_001.25)) == pytest.approx(0.25)
    assert rtcp.round_trip(report, then) == 0.0
    assert rtcp.round_trip(BLOCK.__class__(8, 0, 0, 0, 0, 0, 0), then) is None


def test_a_receiver_counts_loss_per_report_and_in_all():
    reception = Reception(8, 48000)
    for sequence in (65534, 65535, 1, 2):
        reception.count(sequence, 0, 0.0)
    assert reception.highest == 0x10002
    report = reception.report(0.0)
    assert (report.fraction_lost, report.packets_lost, report.highest_sequence) == (256 // 5, 1, 0x10002)
    reception.count(3, 0, 0.0)
    report = reception.report(0.0)
    assert (report.fraction_lost, report.packets_lost) == (0, 1)
    assert reception.report(0.0).fraction_lost == 0


def test_reordering_keeps_the_extended_number():
    reception = Reception(8, 48000)
    assert [reception.count(each, 0, 0.0) for each in (0, 65535, 1, 0)] == [0, -1, 1, 0]
    assert reception.expected == 3


def test_a_report_before_any_packet():
    report = Reception(8, 48000).report(1.0)
    assert (report.fraction_lost, report.packets_lost, report.highest_sequence) == (0, 0, 0)
    assert bytes(report)


def test_jitter_is_that_of_rfc_3550():
    reception = Reception(8, 48000)
    for number in range(200):  # every other packet 10 ms late
        reception.count(number, 960 * number, 0.02 * number + 0.01 * (number % 2))
    assert reception.jitter == pytest.approx(0.01, rel=0.01)
    assert reception.report(0.0).jitter == pytest.approx(480, rel=0.01)


def test_jitter_survives_the_timestamp_wrapping():
    reception = Reception(8, 48000)
    for number in range(10):
        reception.count(number, (0xFFFFFFFF - 960 + 960 * number) & 0xFFFFFFFF, 0.02 * number)
    assert reception.jitter == pytest.approx(0, abs=1e-9)


def test_lsr_and_dlsr_of_the_senders_report():
    reception = Reception(8, 48000)
    reception.note_sender_report(INFO.ntp_timestamp, 10.0)
    report = reception.report(10.25)
    assert (report.lsr, report.dlsr) == (0x7E801234, 16384)
