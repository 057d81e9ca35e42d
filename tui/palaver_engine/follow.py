"""Following what happens to the devices: another default, a device that came, one that is back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Final

from . import devices
from .census import Census
from .sound import Sound
from .specs import SoundError
from .streams import Stream, within

PERIOD: Final = 1.0  # s between two looks

log = logging.getLogger(__name__)


def follow(census: Census, sounds: Sequence[Sound]) -> None:
    """Open the devices of all calls anew if something has changed that one of them minds.

    All of them, since PortAudio sees a change only when it is started anew, and then all of its streams end.
    """
    sounds = [sound for sound in sounds if sound.uses_devices]
    if not sounds:
        return
    try:
        change = within(census.look)
    except SoundError:
        return
    if change is None or not any(sound.minds(change) for sound in sounds):
        return
    for sound in sounds:
        sound.pause()
    try:
        if not Stream.open_streams:
            within(devices.refresh)
    except SoundError as why:
        log.warning("%s", why)
    for sound in sounds:
        sound.resume(change)
