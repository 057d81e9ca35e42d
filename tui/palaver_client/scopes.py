"""Structured concurrency for people: a block with helpers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def helpers() -> AsyncIterator[trio.Nursery]:
    """A nursery for tasks that end with the block. What the block raises comes out as it is, not in a group."""
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            yield nursery
        except Exception as why:
            failure = why
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure
