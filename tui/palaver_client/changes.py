"""Changes of the state, for those who follow them each at their own pace."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import define, field, frozen

from palaver_protocol.notices import AnyNotice

from .events import LevelsChanged, LocalEvent, StatsChanged
from .feed import Feed
from .state import ClientState

AnyEvent: TypeAlias = AnyNotice | LocalEvent

MAX_QUEUED: Final = 1_000  # events that wait for a slow reader; beyond that the oldest are dropped


@frozen
class Change:
    """A change of the state and what caused it; `old` is the `new` of the change that was read before."""

    old: ClientState
    new: ClientState
    event: AnyEvent


def _make_feed() -> Feed[tuple[AnyEvent, ClientState]]:
    return Feed(MAX_QUEUED)


@define(eq=False)
class Changes:
    """An iterator over changes. A slow reader misses no state, and no event until a thousand wait for him."""

    _seen: ClientState
    _feed: Feed[tuple[AnyEvent, ClientState]] = field(factory=_make_feed)

    def put(self, event: AnyEvent, new: ClientState) -> None:
        """Queue a change. Of levels and figures that nobody has read yet only the newest are kept."""
        newest = self._feed.newest
        is_newer = isinstance(event, LevelsChanged | StatsChanged) and newest and type(newest[0]) is type(event)
        (self._feed.replace if is_newer else self._feed.put)((event, new))

    def close(self) -> None:
        """End the iteration after what is queued."""
        self._feed.close()

    def __aiter__(self) -> Changes:
        return self

    async def __anext__(self) -> Change:
        event, new = await anext(self._feed)
        change, self._seen = Change(self._seen, new, event), new
        return change
