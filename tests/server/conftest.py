"""The server that strangers meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from standing import standing


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """One server for all tests of a module: what harms it shows in a later test, and in what it says."""
    with standing("-m", "palaver_server", "--port", "0", "--workers", "1", "--allow-origin", "http://friend") as url:
        yield url
