"""Changes of the state, for those who follow them each at their own pace."""

from __future__ import annotations

from typing import Final, TypeAlias

from attrs import define, field, frozen

from palaver_protocol.models import ChatMessage, UserId
from palaver_protocol.notices import AnyNotice, Snapshot

from .events import Joined, LevelsChanged, LocalEvent, StatsChanged
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

    @property
    def missed(self) -> tuple[ChatMessage, ...]:
        """What was said in our room while we had no connection, where this is our return to it."""
        is_return = isinstance(self.event, Snapshot) or (isinstance(self.event, Joined) and self.event.is_again)
        old, new = self.old.room, self.new.room
        if not is_return or old is None or new is None or old.room_id != new.room_id:
            return ()
        known = {said.message_id for said in old.messages}
        return tuple(said for said in new.messages if said.message_id not in known)

    @property
    def recorders(self) -> tuple[tuple[UserId, ...], tuple[UserId, ...]]:
        """Who records our room now and did not before, and who did and no longer does; of a new room, the former."""
        old, new = self.old.room, self.new.room
        is_same = old is not None and new is not None and old.room_id == new.room_id
        before, now = self.old.recorders if is_same else (), self.new.recorders
        return tuple(user for user in now if user not in before), tuple(user for user in before if user not in now)


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

    async def wait_read(self) -> None:
        """Wait until the reader has taken all that has happened."""
        await self._feed.wait_read()

    def __aiter__(self) -> Changes:
        return self

    async def __anext__(self) -> Change:
        event, new = await anext(self._feed)
        change, self._seen = Change(self._seen, new, event), new
        return change
