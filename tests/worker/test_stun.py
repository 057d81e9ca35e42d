"""STUN: the vectors of RFC 5769, both sides of a check, and bytes that are none of it."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_media import stun

PASSWORD = "VOkJxbRl1RmTxUk/WvJxBt"  # RFC 5769, section 2
REQUEST = bytes.fromhex(
    "000100582112a442b7e7a701bc34d686fa87dfae8022001053"
    "54554e207465737420636c69656e74002400046e0001ff80290008932ff9b151263b36"
    "00060009"
    "6576746a3a68367659202020"
    "00080014"
    "9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"
    "80280004"
    "e57a3bcf"
)
RESPONSE_4 = bytes.fromhex(
    "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000080001a147e112a643"
    "00080014"
    "2b91f599fd9e90c38c7489f92af9ba53f06be7d7"
    "80280004"
    "c07d4c96"
)
RESPONSE_6 = bytes.fromhex(
    "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220"
    "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"
    "00080014"
    "a382954e4be67bf11784c97c8292c275bfe3ed41"
    "80280004"
    "c8fb0b4c"
)


def test_the_request_of_rfc_5769():
    assert stun.peek_username(REQUEST) == "evtj:h6vY"
    message = stun.parse(REQUEST)
    assert message.attributes["USERNAME"] == "evtj:h6vY"
    assert stun.is_request(message, PASSWORD)
    assert not stun.is_request(message, PASSWORD[:-1])
    assert not stun.nominates(message)


@pytest.mark.parametrize(
    ("data", "address"),
    [(RESPONSE_4, ("192.0.2.1", 32853)), (RESPONSE_6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_the_responses_of_rfc_5769(data, address):
    message = stun.parse(data)
    assert message.attributes["XOR-MAPPED-ADDRESS"] == address
    assert stun.is_answer(message, REQUEST[8:20], PASSWORD)
    assert not stun.is_answer(message, REQUEST[8:20], "another")
    assert not stun.is_answer(message, bytes(12), PASSWORD)


@pytest.mark.parametrize("source", [("192.0.2.1", 5), ("2001:db8::1", 65535, 0, 0)])
def test_a_check_and_its_answer(source):
    data, transaction = stun.make_request("worker:client", "secret", 2**64 - 1)
    request = stun.parse(data)
    assert stun.peek_username(data) == "worker:client"
    assert stun.is_request(request, "secret")
    assert stun.nominates(request)
    answer = stun.parse(stun.make_answer(request, source, "secret"))
    assert stun.is_answer(answer, transaction, "secret")
    assert not stun.is_request(answer, "secret")
    assert not stun.is_answer(request, transaction, "secret")
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == source[:2]
    assert "FINGERPRINT" in answer.attributes


def test_a_request_without_integrity_is_nobodys():
    head = struct.pack("!HHI12s", 1, 8, 0x2112A442, bytes(12))
    message = stun.parse(head + struct.pack("!HH4s", 6, 3, b"a:b"))
    assert not stun.is_request(message, "")


@pytest.mark.parametrize(
    "data", [b"", b"\0\1", bytes(20), REQUEST[:-1], REQUEST[:-1] + b"\0", REQUEST[:4] + bytes(200)]
)
def test_broken_messages(data):
    with pytest.raises(ValueError, match=r".+"):
        stun.parse(data)


@given(st.sampled_from([REQUEST, RESPONSE_4, RESPONSE_6]), st.data())
def test_mutations_raise_only_value_errors(genuine, data):
    mutated = bytearray(genuine)
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    mutated[4:8] = genuine[4:8]  # past the first check, where aioice reads on
    for read in (stun.parse, stun.peek_username):
        try:
            read(bytes(mutated[: data.draw(st.integers(0, len(mutated)))]))
        except ValueError:
            continue


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_attributes_of_any_shape_raise_only_value_errors(kind, value):
    body = struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) & 3)
    try:
        stun.parse(struct.pack("!HHI12s", 1, len(body), 0x2112A442, bytes(12)) + body)
    except ValueError:
        return
