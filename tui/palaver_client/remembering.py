"""Keeping what was chosen during a call, for the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import define, evolve

from .client import Client
from .settings import Settings
from .sound_choices import carried_over
from .state import ClientState


async def keep(
    client: Client,
    settings: Settings,
    complain: Callable[[str], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write the settings whenever something is chosen, and what is not yet written when it is cancelled.

    What the command line chose for this run is not kept.
    """
    keeping = Keeping(settings, client.state)
    async with client.changes() as changes:
        task_status.started()
        try:
            async for _ in changes:
                if (problem := await keeping.catch_up(client.state)) is not None:
                    await complain(problem)
        finally:  # one may choose something and quit at once
            with trio.CancelScope(shield=True):
                await keeping.catch_up(client.state)


@define
class Keeping:
    """What a profile's file has, and the state that it was brought up to."""

    settings: Settings
    seen: ClientState

    async def catch_up(self, new: ClientState) -> str | None:
        """Write what was chosen since; the answer says why it cannot be written."""
        newer = between(self.settings, self.seen, new)
        problem = None
        if newer != self.settings:
            try:
                await trio.to_thread.run_sync(newer.save)
            except OSError as why:
                problem = f"cannot keep your settings ({why.strerror}); they hold for this run only"
        self.settings, self.seen = newer, new  # not before: where it is cancelled, it is still to be written
        return problem


def between(settings: Settings, old: ClientState, new: ClientState) -> Settings:
    """The settings when the old state has become the new one. A source or sink that is named at first is not chosen."""
    if old.choices != new.choices:
        settings = evolve(settings, sound=carried_over(settings.sound, old.choices, new.choices))
    source, sink = new.sound.source.spec, new.sound.sink.spec
    if old.sound.source.spec not in ("", source):
        settings = evolve(settings, source=source)
    if old.sound.sink.spec not in ("", sink):
        settings = evolve(settings, sink=sink)
    return settings
