"""RTP: reading, the router's numbers, writing for a listener, and broken packets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_peer import read_audio_level
from palaver_media import rtp
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, VIDEO_ORIENTATION, RtpPacket
from palaver_protocol import negotiate

ONE_BYTE = bytes.fromhex("90ef1234000003e8cafebabebede000210aa41bbcc000000") + b"sound"


def test_a_packet_is_read():
    packet = rtp.parse(ONE_BYTE)
    assert (packet.payload_type, packet.sequence, packet.timestamp, packet.ssrc) == (111, 0x1234, 1000, 0xCAFEBABE)
    assert packet.is_marked
    assert packet.extensions == {1: b"\xaa", 4: b"\xbb\xcc"}
    assert packet.payload == packet.body == b"sound"
    assert rtp.peek_ssrc(ONE_BYTE) == 0xCAFEBABE
    assert not rtp.is_rtcp(ONE_BYTE)
    assert rtp.is_rtcp(b"\x80\xc8")


def test_two_byte_elements_are_read():
    block = bytes([1, 0, 0, 20, 3]) + b"abc" + bytes([200, 17]) + bytes(17) + b"\0"
    assert rtp.read_extensions(0x1005, block) == {1: b"", 20: b"abc", 200: bytes(17)}


def test_element_15_of_the_one_byte_form_ends_the_block():
    assert rtp.read_extensions(0xBEDE, bytes([0x10, 7, 0xF0, 1, 0x20, 8])) == {1: b"\7"}


def test_an_unknown_profile_holds_no_elements():
    assert rtp.read_extensions(0x1234, b"\x10\x07\0\0") == {}


@pytest.mark.parametrize("block", [bytes([0x13, 1, 2]), bytes([0x10])])
def test_an_element_beyond_its_block(block):
    with pytest.raises(ValueError, match="truncated"):
        rtp.read_extensions(0xBEDE, block)


@pytest.mark.parametrize("block", [bytes([1]), bytes([1, 4, 0])])
def test_a_two_byte_element_beyond_its_block(block):
    with pytest.raises(ValueError, match="truncated"):
        rtp.read_extensions(0x1000, block)


def test_csrcs_padding_and_marker_pass():
    data = bytes.fromhex("b2e40001000003e8cafebabe0000000100000002bede000110aa0000") + b"sound\0\0\3"
    packet = rtp.parse(data)
    assert (packet.csrcs.hex(), packet.padding, packet.payload) == ("0000000100000002", 3, b"sound")
    assert packet.write() == data


def test_a_packet_of_padding_only_is_read():
    data = bytes.fromhex("a0640001000003e8cafebabe") + bytes(254) + b"\xff"
    packet = rtp.parse(data)
    assert packet.payload == b""
    assert packet.write() == data


def test_what_has_no_one_byte_form_is_left_out():
    assert rtp.write_extensions({15: b"a", 1: b"", 2: bytes(17), 3: b"c"}) == b"\x30c"


@given(st.integers(-127, 0), st.booleans())
def test_audio_levels_come_back(level, is_voice):
    assert read_audio_level(rtp.write_audio_level(level, is_voice)) == (level, is_voice)


def test_audio_levels_are_clamped():
    assert read_audio_level(rtp.write_audio_level(-300, False)) == (-127, False)
    assert read_audio_level(rtp.write_audio_level(12, True)) == (0, True)


def test_send_time_wraps_every_64_seconds():
    assert rtp.write_send_time(1.5) == rtp.write_send_time(65.5) == bytes.fromhex("060000")


@pytest.mark.parametrize(
    "data",
    [b"", bytes(12), ONE_BYTE[:11], ONE_BYTE[:14], ONE_BYTE[:20], b"\xa0" + bytes(11), b"\xa0" + bytes(12) + b"\xff"],
)
def test_broken_packets(data):
    with pytest.raises(ValueError, match="RTP"):
        rtp.parse(data)


@given(st.binary(max_size=80))
def test_any_bytes_raise_only_value_errors(data):
    try:
        packet = rtp.parse(bytes([0x80 | data[0] & 0x3F]) + data[1:] if data else data)
    except ValueError:
        return
    assert rtp.parse(packet.write()).body == packet.body


@given(
    st.builds(
        RtpPacket,
        payload_type=st.integers(0, 127),
        sequence=st.integers(0, 0xFFFF),
        timestamp=st.integers(0, 0xFFFFFFFF),
        ssrc=st.integers(0, 0xFFFFFFFF),
        body=st.binary(max_size=50),
        is_marked=st.booleans(),
        extensions=st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16)),
    )
)
def test_what_is_written_is_read_again(packet):
    again = rtp.parse(packet.write())
    assert again.write() == packet.write()
    assert (again.extensions, again.body, again.is_marked) == (packet.extensions, packet.body, packet.is_marked)


def test_the_numbers_are_those_the_router_offers():
    assert set(negotiate.EXTENSION_IDS.values()) == {MID, ABS_SEND_TIME, AUDIO_LEVEL, VIDEO_ORIENTATION}
    assert negotiate.EXTENSION_IDS[negotiate.MID] == MID
    assert negotiate.EXTENSION_IDS[negotiate.ABS_SEND_TIME] == ABS_SEND_TIME
    assert negotiate.EXTENSION_IDS[negotiate.AUDIO_LEVEL] == AUDIO_LEVEL
