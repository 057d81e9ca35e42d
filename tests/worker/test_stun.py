"""STUN: the vectors of RFC 5769, both sides of a check as aioice has them, and bytes that are none of it."""

import binascii
import struct
import zlib

import pytest
from aioice import stun as aioice
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
    message = stun.parse(REQUEST)
    assert message.username == "evtj:h6vY"
    assert message.is_request(PASSWORD)
    assert not message.is_request(PASSWORD[:-1])
    assert not message.nominates


@pytest.mark.parametrize("data", [RESPONSE_4, RESPONSE_6])
def test_the_responses_of_rfc_5769(data):
    message = stun.parse(data)
    assert message.is_answer(REQUEST[8:20], PASSWORD)
    assert not message.is_answer(REQUEST[8:20], "another")
    assert not message.is_answer(bytes(12), PASSWORD)


@pytest.mark.parametrize(
    ("data", "address"),
    [(RESPONSE_4, ("192.0.2.1", 32853)), (RESPONSE_6, ("2001:db8:1234:5678:11:2233:4455:6677", 32853))],
)
def test_an_answer_tells_the_address_as_the_responses_of_rfc_5769_do(data, address):
    answer = stun.parse(stun.make_answer(stun.parse(REQUEST), address, PASSWORD))
    assert answer.attributes[stun.MAPPED_ADDRESS] == stun.parse(data).attributes[stun.MAPPED_ADDRESS]
    assert answer.is_answer(REQUEST[8:20], PASSWORD)


@pytest.mark.parametrize("source", [("192.0.2.1", 5), ("2001:db8::1", 65535), ("::1", 1)])
def test_a_check_and_its_answer_as_aioice_reads_them(source):
    data, transaction = stun.make_request("worker:client", "secret", 2**64 - 1)
    request = aioice.parse_message(data)
    assert (request.message_method, request.message_class) == (aioice.Method.BINDING, aioice.Class.REQUEST)
    assert request.transaction_id == transaction
    assert request.check_message_integrity(b"secret")
    attributes = {name: request.attributes[name] for name in ("USERNAME", "PRIORITY", "ICE-CONTROLLING")}
    assert attributes == {"USERNAME": "worker:client", "PRIORITY": stun.PRIORITY, "ICE-CONTROLLING": 2**64 - 1}
    assert {"USE-CANDIDATE", "FINGERPRINT"} < request.attributes.keys()
    answer = aioice.parse_message(stun.make_answer(stun.parse(data), source, "secret"))
    assert (answer.message_method, answer.message_class) == (aioice.Method.BINDING, aioice.Class.RESPONSE)
    assert answer.transaction_id == transaction
    assert answer.check_message_integrity(b"secret")
    assert answer.attributes["XOR-MAPPED-ADDRESS"] == source
    assert "FINGERPRINT" in answer.attributes


def test_what_aioice_writes_is_read():
    theirs = aioice.Message(aioice.Method.BINDING, aioice.Class.REQUEST)
    theirs.attributes |= {"SOFTWARE": "somebody's", "USERNAME": "worker:client", "PRIORITY": 1}
    theirs.add_message_integrity(b"secret")
    request = stun.parse(bytes(theirs))
    assert (request.username, request.transaction, request.nominates) == ("worker:client", theirs.transaction_id, False)
    assert request.is_request("secret")
    assert not request.is_answer(theirs.transaction_id, "secret")
    theirs.attributes["USE-CANDIDATE"] = None
    theirs.add_message_integrity(b"secret")
    assert stun.parse(bytes(theirs)).nominates


def test_what_follows_the_integrity_does_not_count():
    request, _ = stun.make_request("worker:client", "secret", 1)
    unsigned = request[:-8]  # without the fingerprint
    more = struct.pack("!HH", 0x0009, 0) + struct.pack("!HH3sx", stun.USERNAME, 3, b"b:c")
    longer = unsigned[:2] + (len(unsigned) - 20 + len(more)).to_bytes(2, "big") + unsigned[4:] + more
    message = stun.parse(longer)
    assert message.is_request("secret")
    assert message.username == "worker:client"
    assert message.attributes.keys() == stun.parse(request).attributes.keys()


def test_a_request_without_integrity_or_user_is_nobodys():
    head = struct.pack("!HHI12s", 1, 8, 0x2112A442, bytes(12))
    message = stun.parse(head + struct.pack("!HH4s", stun.USERNAME, 3, b"a:b"))
    assert message.username == "a:b"
    assert not message.is_request("")
    short = stun.parse(head + struct.pack("!HH4s", stun.INTEGRITY, 4, b"abcd"))
    assert not short.is_request("")
    with pytest.raises(ValueError, match="USERNAME"):
        assert short.username


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1",
        bytes(20),
        REQUEST[:-1],
        REQUEST[:-1] + b"\0",
        REQUEST[:4] + bytes(200),
        REQUEST + b"\0" * 4,
        struct.pack("!HHI12sI", 1, 4, 0x2112A442, bytes(12), 8),  # an attribute that reaches beyond the end
        struct.pack("!HHI12sHHHH", 1, 8, 0x2112A442, bytes(12), 6, 0, 6, 1),
    ],
)
def test_broken_messages(data):
    with pytest.raises(ValueError, match=r"STUN"):
        stun.parse(data)


def test_a_fingerprint_that_is_not_at_the_end_is_none():
    data = REQUEST[:2] + (len(REQUEST) - 20).to_bytes(2, "big") + REQUEST[4:-8]
    mark = (binascii.crc32(data) ^ 0x5354554E).to_bytes(4, "big")
    whole = data + b"\x80\x28\0\4" + mark
    assert stun.parse(whole).is_request(PASSWORD)
    longer = data[:2] + (len(data) - 20 + 12).to_bytes(2, "big") + data[4:]
    mark = (binascii.crc32(longer) ^ 0x5354554E).to_bytes(4, "big")
    with pytest.raises(ValueError, match="at the end"):
        stun.parse(longer + b"\x80\x28\0\4" + mark + b"\0\x25\0\0")


@given(st.sampled_from([REQUEST, RESPONSE_4, RESPONSE_6]), st.data())
def test_mutations_raise_only_value_errors(genuine, data):
    mutated = bytearray(genuine)
    for _ in range(data.draw(st.integers(1, 5))):
        mutated[data.draw(st.integers(0, len(mutated) - 1))] = data.draw(st.integers(0, 255))
    mutated[2:8] = genuine[2:8]  # past the first checks
    try:
        message = stun.parse(bytes(mutated[: data.draw(st.sampled_from([0, 19, len(mutated) - 1, len(mutated)]))]))
        assert message.username
    except ValueError:
        return
    assert message.is_request("") is message.is_answer(bytes(12), "") is False


@given(st.integers(0, 0xFFFF), st.binary(max_size=60))
def test_attributes_of_any_shape_are_read_as_they_are(kind, value):
    body = struct.pack("!HH", kind, len(value)) + value + bytes(-len(value) & 3)
    data = struct.pack("!HHI12s", 1, len(body), 0x2112A442, bytes(12)) + body
    if kind == 0x8028:  # a fingerprint, which is not right
        with pytest.raises(ValueError, match="fingerprint"):
            stun.parse(data)
    else:
        assert stun.parse(data).attributes == {kind: value}


def usual_check(source=("192.0.2.1", 5)):
    """A check that was answered, and the next one of the same client."""
    first, _ = stun.make_request("ours:theirs", PASSWORD, 1)
    second, _ = stun.make_request("ours:theirs", PASSWORD, 1)
    request = stun.parse(first)
    return stun.Repeated.of(request, stun.make_answer(request, source, PASSWORD), PASSWORD), second


def test_a_repeated_check_is_answered_as_if_it_was_read():
    usual, check = usual_check()
    assert usual.nominates
    assert usual.is_this(check)
    assert usual.answer(check[8:20]) == stun.make_answer(stun.parse(check), ("192.0.2.1", 5), PASSWORD)


@given(st.data())
def test_of_a_repeated_check_every_bit_counts(data):
    usual, check = usual_check()
    at = data.draw(st.integers(0, 8 * len(check) - 1))
    changed = (int.from_bytes(check, "big") ^ 1 << at).to_bytes(len(check), "big")
    assert not usual.is_this(changed)
    size = data.draw(st.integers(0, len(check) - 1))
    assert not usual.is_this(check[:size])
    assert not usual.is_this(check + bytes(4))


def test_what_is_not_the_same_again_is_not_recognised():
    usual, _ = usual_check()
    for other in (("ours:other", PASSWORD, 1), ("ours:theirs", "another", 1), ("ours:theirs", PASSWORD, 2)):
        assert not usual.is_this(stun.make_request(*other)[0])
    _, check = usual_check()
    indication = b"\x00\x11" + check[2:-8]  # no request, though its fingerprint is right, and nothing of it signed
    assert not usual.is_this(indication + check[-8:-4] + (zlib.crc32(indication) ^ 0x5354554E).to_bytes(4, "big"))
    assert usual_check(("2001:db8::1", 5))[0] is None  # its next answer differs in more
    request, _ = stun.make_request("ours:theirs", PASSWORD, 1)
    bare = stun.parse(request[:2] + (len(request) - 28).to_bytes(2, "big") + request[4:-8])
    assert stun.Repeated.of(bare, stun.make_answer(bare, ("192.0.2.1", 5), PASSWORD), PASSWORD) is None
