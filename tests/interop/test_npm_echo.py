"""npm's socket.io-client and engine.io-client, unmodified, against the echo scripts, over each way to be carried."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from interop.nodejs import node
from running import ROOT
from standing import standing

CARRIED = (("polling", "websocket"), ("websocket",), ("polling",))


@pytest.fixture(scope="module")
def socketio() -> Iterator[str]:
    with standing(str(ROOT / "scripts/socketio_echo.py"), "--port", "0") as url:
        yield url


@pytest.fixture(scope="module")
def engineio() -> Iterator[str]:
    with standing(str(ROOT / "scripts/engineio_echo.py"), "--port", "0") as url:
        yield url


@pytest.mark.trio
@pytest.mark.parametrize("transports", CARRIED, ids="-".join)
async def test_socketio(socketio: str, transports: tuple[str, ...]) -> None:
    async with node("echo_socketio.js", socketio, *transports) as cases:
        assert await cases.wait(40) == 0, "\n".join(cases.lines)


@pytest.mark.trio
@pytest.mark.parametrize("transports", CARRIED, ids="-".join)
async def test_engineio(engineio: str, transports: tuple[str, ...]) -> None:
    async with node("echo_engineio.js", engineio, *transports) as cases:
        assert await cases.wait(40) == 0, "\n".join(cases.lines)
