"""A queue that one reader follows at his own pace: bounded, and never in the way of whoever fills it."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

import trio
from attrs import define, field

T = TypeVar("T")


@define(eq=False)
class Feed(Generic[T]):
    """An iterator over what is put in; where more than `limit` wait, the oldest are dropped."""

    limit: int
    _queue: deque[T] = field(factory=deque[T])
    _more: trio.Event = field(factory=trio.Event)
    _taken: trio.Event = field(factory=trio.Event)
    _is_closed: bool = False

    @property
    def newest(self) -> T | None:
        """The last that was put in, if nobody has read it yet."""
        return self._queue[-1] if self._queue else None

    def put(self, item: T) -> None:
        """Add something."""
        if len(self._queue) >= self.limit:
            self._queue.popleft()
        self._queue.append(item)
        self._more.set()

    def replace(self, item: T) -> None:
        """Put something in the place of the newest."""
        self._queue[-1] = item

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._is_closed = True
        self._more.set()

    async def wait_read(self) -> None:
        """Wait until the reader has taken all that is queued."""
        while self._queue:
            self._taken = trio.Event()
            await self._taken.wait()

    def __aiter__(self) -> Feed[T]:
        return self

    async def __anext__(self) -> T:
        while not self._queue:
            if self._is_closed:
                raise StopAsyncIteration
            self._more = trio.Event()
            await self._more.wait()
        self._taken.set()
        return self._queue.popleft()
