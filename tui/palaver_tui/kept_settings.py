"""What the person at the screen chose, kept for the next time."""

from __future__ import annotations

from collections.abc import Callable

import trio
from attrs import define, field
from textual.message import Message

from palaver_client import Settings

from . import labels
from .messages import Trouble


@define(eq=False)
class KeptSettings:
    """The settings as they are now; `save` writes them to their file whenever they have changed."""

    now: Settings
    tell: Callable[[Message], object]
    _changed: trio.Event = field(factory=trio.Event, init=False)

    def keep(self, settings: Settings) -> None:
        """Have these from now on."""
        self.now = settings
        self._changed.set()

    async def save(self) -> None:
        """Write the settings whenever they have changed, for ever."""
        while True:
            await self._changed.wait()
            self._changed = trio.Event()
            try:
                await trio.to_thread.run_sync(self.now.save)
            except OSError as why:
                self.tell(Trouble(labels.not_kept(why)))
