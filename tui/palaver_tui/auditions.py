"""The microphone, open while somebody wants to see its level and there is no call."""

from __future__ import annotations

import trio
from attrs import define, field

from palaver_client import Client


@define(eq=False)
class Auditions:
    """Knows whether the level is looked at, and lets one client after the other have it."""

    _is_wanted: bool = False
    _changed: trio.Event = field(factory=trio.Event)

    def want(self, is_wanted: bool) -> None:
        """Show the level from now on, or no longer."""
        self._is_wanted = is_wanted
        self._changed.set()

    async def keep(self, client: Client) -> None:
        """Have the microphone open while that is wanted, until a call takes it over."""
        while True:
            self._changed = trio.Event()
            if self._is_wanted:
                async with client.auditioning():
                    await self._changed.wait()
            else:
                await self._changed.wait()
