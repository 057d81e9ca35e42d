"""Telling a room that we record it, where what we hear goes into a file."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from palaver_protocol.notices import Snapshot
from palaver_protocol.table import Refusal

from .changes import Changes
from .client import Client
from .errors import Disconnected
from .events import Joined
from .scopes import helpers

STOP: Final = 1.0  # s to say that we record no longer


@asynccontextmanager
async def announced(client: Client, sink: str) -> AsyncIterator[None]:
    """Let each room in which we sit know that we record it, if the sink is a file; and at the end that we stop."""
    if not sink.startswith("file:"):
        yield
        return
    async with client.changes() as changes, helpers() as nursery:
        nursery.start_soon(_tell_each_room, client, changes)
        try:
            yield
        finally:
            nursery.cancel_scope.cancel()
            with trio.move_on_after(STOP, shield=True):
                await _tell(client, is_recording=False)


async def _tell_each_room(client: Client, changes: Changes) -> None:
    """Tell where we sit now, and again in each room and after each connection that takes our seat on."""
    await _tell(client, is_recording=True)
    async for change in changes:
        if isinstance(change.event, Joined | Snapshot):
            await _tell(client, is_recording=True)


async def _tell(client: Client, *, is_recording: bool) -> None:
    with contextlib.suppress(Refusal, Disconnected):  # there is no room, or the next connection tells it
        await client.set_recording(is_recording)
