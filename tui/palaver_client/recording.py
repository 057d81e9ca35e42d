"""Telling a room that we record it, where what we hear goes into a file; and the folder of recordings."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import trio

from palaver_media.paths import expanded
from palaver_protocol.table import Code, Refusal, refusal

from .client import Client
from .errors import Disconnected
from .scopes import helpers

STOP: Final = 1.0  # s to say that we record no longer
PAUSE: Final = 1.0  # s until it is told again where it was refused for now


@asynccontextmanager
async def announced(client: Client, sink: str) -> AsyncIterator[None]:
    """Let each room in which we sit know that we record it, if the sink is a file; and at the end that we stop."""
    if not sink.startswith("file:"):
        yield
        return
    async with helpers() as nursery:
        nursery.start_soon(_begin, client)
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(STOP, shield=True), contextlib.suppress(Refusal, Disconnected):
                await client.set_recording(False)


async def _begin(client: Client) -> None:
    with contextlib.suppress(Disconnected, Refusal):  # the next connection tells it
        await insisted(partial(client.set_recording, True))


async def insisted(begin: Callable[[], Awaitable[None]]) -> None:
    """Tell it, and where the server has no time for that now, as in a large room that we have just joined, again.

    Raises Disconnected, or Refusal where the server says no for good.
    """
    while True:
        try:
            return await begin()
        except Refusal as no:
            if not no.can_retry:
                raise
            await trio.sleep(no.retry_after or PAUSE)


def usable_folder(written: str) -> str:
    """The folder of that name, which is made: during a call it is late to learn that it cannot be. Raises Refusal."""
    try:
        folder = expanded(written).absolute()
        if os.path.exists(folder) and not os.path.isdir(folder):
            raise refusal(Code.INVALID_PAYLOAD, f"{folder} is no folder; name one, or write /recordings default")
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as why:
        reason = (why.strerror or str(why)).lower().rstrip(".")
        raise refusal(Code.INVALID_PAYLOAD, f"you cannot record into {written} ({reason}); name another one") from None
    return str(folder)
