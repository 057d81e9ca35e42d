"""A server's address, as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from palaver_client.url import ServerUrl, parse_url


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("http://127.0.0.1:9000", ServerUrl("127.0.0.1", 9000, False)),
        ("http://127.0.0.1:9000/", ServerUrl("127.0.0.1", 9000, False)),
        ("https://example.org:9000", ServerUrl("example.org", 9000, True)),
        ("https://example.org", ServerUrl("example.org", 443, True)),
        ("ws://example.org:1", ServerUrl("example.org", 1, False)),
        ("wss://example.org", ServerUrl("example.org", 443, True)),
        ("example.org:9000", ServerUrl("example.org", 9000, False)),
        ("example.org", ServerUrl("example.org", 8440, False)),
        ("localhost", ServerUrl("localhost", 8440, False)),
        ("[::1]:9000", ServerUrl("::1", 9000, False)),
        ("HTTP://Example.org", ServerUrl("example.org", 8440, False)),
    ],
)
def test_addresses(written: str, meant: ServerUrl) -> None:
    assert parse_url(written) == meant


@pytest.mark.parametrize(
    "written",
    [
        "",
        "ftp://x",
        "http://",
        "http://x:99999",
        "http://x:y",
        "http://x/room",
        "http://x?a",
        "http://u@x",
        "a b",
        "[::1",
    ],
)
def test_what_is_no_address_says_how_to_write_one(written: str) -> None:
    with pytest.raises(ValueError, match="write it like http"):
        parse_url(written)


@given(st.text(max_size=30))
def test_no_text_crashes(written: str) -> None:
    try:
        url = parse_url(written)
    except ValueError:
        return
    assert parse_url(str(url)) == url
