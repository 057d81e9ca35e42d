"""Payloads of long-polling, and the probe of an upgrade."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_protocol import engineio
from palaver_protocol.engineio import Packet, PacketType, RemoteProtocolError
from palaver_protocol.polling import ServerProbe, decode_payload, encode_payload

TEXT = st.text(st.characters(exclude_characters="\x1e", exclude_categories=["Cs"]))
PACKETS = st.builds(Packet, st.sampled_from(PacketType), TEXT) | st.builds(
    Packet, st.just(PacketType.MESSAGE), st.binary()
)


@given(st.lists(PACKETS, min_size=1))
def test_what_is_written_is_read(packets):
    assert decode_payload(encode_payload([engineio.encode(packet) for packet in packets])) == packets


@given(st.binary())
def test_no_bytes_break_the_reader(payload):
    with suppress(RemoteProtocolError):
        assert decode_payload(payload)


@pytest.mark.parametrize("payload", [b"", b"\x1e", b"4a\x1e", b"7", b"bA", b"b AQI", b"b\xc3\xa9", b"4\xff"])
def test_what_is_no_payload(payload):
    with pytest.raises(RemoteProtocolError):
        decode_payload(payload)


def test_a_probe():
    probe = ServerProbe()
    assert probe.feed("2probe") == "3probe"
    assert not probe.is_done
    assert probe.feed("5") is None
    assert probe.is_done


@pytest.mark.parametrize("messages", [["5"], ["2"], ["4x"], [b"5"], ["2probe", "2probe"], ["2probe", "1"], [""]])
def test_what_is_no_probe(messages):
    probe = ServerProbe()
    *first, last = messages
    for message in first:
        probe.feed(message)
    with pytest.raises(RemoteProtocolError):
        probe.feed(last)
    assert not probe.is_done
