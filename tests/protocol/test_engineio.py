"""Engine.IO v4: packets, the handshake and the heartbeat, restated from the official protocol's test cases."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_protocol.engineio import (
    ClientHeartbeat,
    Handshake,
    Packet,
    PacketType,
    RemoteProtocolError,
    ServerHeartbeat,
    Settings,
    decode,
    encode,
    open_packet,
    read_open,
)

SUITE = Settings(0.3, 0.2, 1_000_000)  # what the official suite asks of a server


@pytest.mark.parametrize(
    ("wire", "packet"),
    [
        ("0{}", Packet(PacketType.OPEN, "{}")),
        ("1", Packet(PacketType.CLOSE)),
        ("2", Packet(PacketType.PING)),
        ("2probe", Packet(PacketType.PING, "probe")),
        ("3", Packet(PacketType.PONG)),
        ("4hello", Packet(PacketType.MESSAGE, "hello")),
        ("4", Packet(PacketType.MESSAGE)),
        ("4\u20ac", Packet(PacketType.MESSAGE, "\u20ac")),
        (b"\1\2\3", Packet(PacketType.MESSAGE, b"\1\2\3")),
        (b"", Packet(PacketType.MESSAGE, b"")),
        ("5", Packet(PacketType.UPGRADE)),
        ("6", Packet(PacketType.NOOP)),
    ],
)
def test_packets(wire, packet):
    assert decode(wire) == packet
    assert encode(packet) == wire


@pytest.mark.parametrize("wire", ["", "7", "abc", "-1", " 4", "\u0664", "\x00"])
def test_what_is_no_packet(wire):
    with pytest.raises(RemoteProtocolError):
        decode(wire)


def test_the_open_packet_names_all_five():
    wire = encode(open_packet(Handshake("abc", (), SUITE)))
    assert wire == '0{"sid":"abc","upgrades":[],"pingInterval":300,"pingTimeout":200,"maxPayload":1000000}'
    assert read_open(decode(wire)) == Handshake("abc", (), SUITE)
    with_upgrade = open_packet(Handshake("abc", ("websocket",), Settings()))
    assert read_open(with_upgrade).upgrades == ("websocket",)


@pytest.mark.parametrize(
    "packet",
    [
        Packet(PacketType.MESSAGE, "{}"),
        Packet(PacketType.OPEN, ""),
        Packet(PacketType.OPEN, "[]"),
        Packet(PacketType.OPEN, "null"),
        Packet(PacketType.OPEN, "{}"),
        Packet(PacketType.OPEN, '{"sid":"a","upgrades":[],"pingInterval":1,"pingTimeout":1}'),
        Packet(PacketType.OPEN, '{"sid":"a","upgrades":5,"pingInterval":1,"pingTimeout":1,"maxPayload":1}'),
        Packet(PacketType.OPEN, '{"sid":"a","upgrades":[],"pingInterval":"x","pingTimeout":1,"maxPayload":1}'),
    ],
)
def test_what_is_no_handshake(packet):
    with pytest.raises(RemoteProtocolError):
        read_open(packet)


@given(st.one_of(st.text(), st.binary()))
def test_any_message_is_a_packet_or_an_error(wire):
    try:
        packet = decode(wire)
    except RemoteProtocolError:
        return
    assert encode(packet) == wire
    try:
        read_open(packet)
    except RemoteProtocolError:
        return


def test_a_server_pings_after_each_interval_and_waits_for_the_pong():
    beat = ServerHeartbeat(SUITE, opened=100.0)
    assert beat.deadline == pytest.approx(100.3)
    assert beat.expire(100.2999) is False
    assert beat.expire(100.3) is True
    assert beat.deadline == pytest.approx(100.5)
    assert beat.expire(100.4) is False  # one ping at a time
    beat.pong(100.45)
    assert beat.deadline == pytest.approx(100.75)
    assert beat.expire(100.75) is True


def test_a_client_that_does_not_answer_in_time_is_gone():
    beat = ServerHeartbeat(SUITE, opened=0.0)
    assert beat.expire(0.3)
    with pytest.raises(RemoteProtocolError, match="ping timeout"):
        beat.expire(0.5)


def test_a_pong_that_nobody_asked_for_changes_nothing():
    beat = ServerHeartbeat(SUITE, opened=0.0)
    beat.pong(0.2)
    assert beat.deadline == pytest.approx(0.3)
    assert beat.expire(0.3)
    beat.pong(0.31)
    beat.pong(0.4)
    assert beat.deadline == pytest.approx(0.61)


def test_a_client_gives_a_server_interval_and_timeout_together():
    assert ClientHeartbeat(SUITE, heard=7.0).deadline == pytest.approx(7.5)
    assert math.isfinite(ClientHeartbeat(Settings(), heard=0.0).deadline)
