"""RFC 2198: what is written is read again, and nothing hostile is read."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from palaver_media.redundancy import FARTHEST, LARGEST, MOST, Redundant, parse, primary_at, write

OPUS = 100
copies = st.lists(st.tuples(st.integers(1, FARTHEST), st.binary(min_size=1, max_size=40)), max_size=MOST)


@given(timestamp=st.integers(0, 2**32 - 1), primary=st.binary(min_size=1, max_size=60), earlier=copies)
def test_what_is_written_is_read(timestamp: int, primary: bytes, earlier: list[tuple[int, bytes]]) -> None:
    told = tuple(((timestamp - offset) & 0xFFFF_FFFF, body) for offset, body in earlier)
    payload = write(OPUS, timestamp, primary, told)
    assert parse(OPUS, timestamp, payload) == Redundant(primary, told)
    assert payload[primary_at(OPUS, payload) :] == primary


def test_the_bytes_are_those_of_the_rfc():
    payload = write(OPUS, 10_000, b"now", [(10_000 - 1920, b"before"), (10_000 - 960, b"just")])
    heads = [0x80 | OPUS, 1920 >> 6, (1920 & 0x3F) << 2, 6, 0x80 | OPUS, 960 >> 6, (960 & 0x3F) << 2, 4, OPUS]
    assert payload == bytes(heads) + b"beforejustnow"


def test_copies_that_cannot_be_said_are_left_out():
    far, large, empty, itself = (1, b"x"), (50_000, bytes(LARGEST + 1)), (50_000, b""), (50_960, b"x")
    payload = write(OPUS, 50_960, b"now", [far, large, empty, itself])
    assert payload == bytes([OPUS]) + b"now"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        bytes([OPUS]),  # nothing in it
        bytes([OPUS + 1]) + b"other",
        bytes([0x80 | OPUS, 0, 4]),  # half a head
        bytes([0x80 | OPUS, 0, 4, 1]),  # no frame
        bytes([0x80 | OPUS, 0, 4, 3, OPUS]) + b"abc",  # the copy takes all
        bytes([0x80 | OPUS, 0, 7, 255, OPUS]) + b"abc",  # and more than there is
        bytes([0x80 | 99, 0, 4, 1, OPUS]) + b"ab",  # a copy of another codec
        bytes([0x80 | OPUS, 0, 4, 1]) * (MOST + 1) + bytes([OPUS]) + b"abcdefghijkl",
        bytes([0x80 | OPUS, 0, 4, 0]) * 300,
    ],
)
def test_what_is_none_is_refused(payload):
    with pytest.raises(ValueError, match="RFC 2198"):
        parse(OPUS, 0, payload)


def test_copies_of_nothing_and_of_now_are_no_copies():
    nothing, now = bytes([0x80 | OPUS, 0, 4, 0]), bytes([0x80 | OPUS, 0, 0, 1])
    assert parse(OPUS, 5, nothing + now + bytes([OPUS]) + b"cp") == Redundant(b"p", ())


@given(payload=st.binary(max_size=80), heads=st.integers(0, MOST + 2), timestamp=st.integers(0, 2**32 - 1))
@example(payload=b"", heads=MOST, timestamp=0)
def test_hostile_bytes_give_copies_of_themselves_or_a_value_error(payload: bytes, heads: int, timestamp: int) -> None:
    hostile = b"".join(bytes([0x80 | OPUS]) + payload[at : at + 3].ljust(3, b"\1") for at in range(heads)) + payload
    for data in (payload, hostile, hostile + bytes([OPUS]) + payload):
        with contextlib.suppress(ValueError):
            read = parse(OPUS, timestamp, data)
            assert len(read.primary) > 0
            assert len(read.copies) <= MOST
            assert len(read.primary) + sum(len(copy) for _, copy in read.copies) < len(data)
