"""Keeping what was chosen during a call, for the next one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from attrs import evolve

from palaver_media.engine_messages import Side

from .changes import Change
from .client import Client
from .events import SoundChosen, SoundSettingsChanged
from .settings import Settings
from .sound_choices import carried_over


async def keep(
    client: Client,
    settings: Settings,
    complain: Callable[[str], Awaitable[None]],
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Write the settings whenever something is chosen; what the command line chose for this run is not."""
    async with client.changes() as changes:
        task_status.started()
        async for change in changes:
            newer = remembered(settings, change)
            if newer != settings:
                settings = newer
                try:
                    await trio.to_thread.run_sync(settings.save)
                except OSError as why:
                    await complain(f"cannot keep your settings ({why.strerror}); they hold for this run only")


def remembered(settings: Settings, change: Change) -> Settings:
    """The settings after a change, if it was one of what is remembered."""
    match change.event:
        case SoundSettingsChanged(settings=new):
            return evolve(settings, sound=carried_over(settings.sound, change.old.choices, new))
        case SoundChosen(side=Side.SOURCE, spec=spec) if change.old.sound.source.spec not in ("", spec):
            return evolve(settings, source=spec)
        case SoundChosen(side=Side.SINK, spec=spec) if change.old.sound.sink.spec not in ("", spec):
            return evolve(settings, sink=spec)
        case _:
            return settings
