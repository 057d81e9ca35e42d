"""Changes of the state, for those who follow them each at their own pace."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio
from attrs import define, field, frozen

from palaver_protocol.notices import AnyNotice

from .events import LevelsChanged, LocalEvent, StatsChanged
from .state import ClientState

MAX_QUEUED: Final = 1_000  # events that wait for a slow reader; beyond that the oldest are dropped


@frozen
class Change:
    """A change of the state and what caused it; `old` is the `new` of the change that was read before."""

    old: ClientState
    new: ClientState
    event: AnyNotice | LocalEvent


@define(eq=False)
class Changes:
    """An iterator over changes. A slow reader misses no state, and no event until a thousand wait for him."""

    _seen: ClientState
    _queue: deque[tuple[AnyNotice | LocalEvent, ClientState]] = field(factory=lambda: deque(maxlen=MAX_QUEUED))
    _more: trio.Event = field(factory=trio.Event)
    _is_closed: bool = False

    def put(self, event: AnyNotice | LocalEvent, new: ClientState) -> None:
        """Queue a change. Of levels and figures that nobody has read yet only the newest are kept."""
        if self._queue and isinstance(event, LevelsChanged | StatsChanged) and type(self._queue[-1][0]) is type(event):
            self._queue.pop()
        self._queue.append((event, new))
        self._more.set()

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._is_closed = True
        self._more.set()

    def __aiter__(self) -> Changes:
        return self

    async def __anext__(self) -> Change:
        while not self._queue:
            if self._is_closed:
                raise StopAsyncIteration
            self._more = trio.Event()
            await self._more.wait()
        event, new = self._queue.popleft()
        change, self._seen = Change(self._seen, new, event), new
        return change
