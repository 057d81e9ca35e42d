"""A store that lasts as long as its process."""

from __future__ import annotations

from collections.abc import Mapping

import trio
from attrs import define, field

from .store import Group, Store


@define(eq=False)
class MemoryStore(Store):
    """Keeps everything for the next `run` of the same store, and for nobody else: there is no lease to take."""

    _kept: dict[str, bytes] = field(init=False, factory=dict[str, bytes])

    async def open(self, nursery: trio.Nursery) -> Mapping[str, bytes]:
        """What an earlier `run` has left."""
        await trio.lowlevel.checkpoint()
        return dict(self._kept)

    async def write(self, group: Group) -> None:
        """Take a group; never fails."""
        await trio.lowlevel.checkpoint()
        for key, value in group.items():
            if value is not None:
                self._kept[key] = value
            else:
                self._kept.pop(key, None)

    async def close(self) -> None:
        """Nothing to give back."""
        await trio.lowlevel.checkpoint()
