"""What a sound library must be able to do for us, and what it tells of a device.

All of it belongs to the control thread, since libraries are not thread-safe; only talk and hear are called in theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeAlias

from attrs import field, frozen

from palaver_media.engine_messages import Side

from .blocks import Samples

Talk: TypeAlias = Callable[[Samples, float], None]
"""Takes 10 ms from the microphone, and how long ago (s) its first sample was there. The samples are its own."""

Hear: TypeAlias = Callable[[float], Samples]
"""Gives 10 ms for the loudspeaker, which will be heard in so many s."""


class Running(Protocol):
    """A stream that a library runs; it calls until it is closed."""

    def close(self) -> None:
        """Call no more. It may hang when the sound server has died."""


class Backend(Protocol):
    """A sound library."""

    @property
    def name(self) -> str:
        """How `PALAVER_SOUND` calls it."""
        ...

    @property
    def sees_more(self) -> bool:
        """Whether it has devices that the libraries before it have not; known after `find_all`."""
        ...

    def find_all(self, side: Side) -> list[Found]:
        """The devices there are.

        Raises:
            SoundError: the library does not work here.
        """
        ...

    def capture(self, microphone: Found, talk: Talk) -> Running:
        """Call `talk` each 10 ms.

        Raises:
            SoundError: the device refuses.
        """
        ...

    def play(self, speaker: Found, hear: Hear, *, is_near: bool) -> Running:
        """Call `hear` each 10 ms; what it gives is heard as soon as is safe, or if `is_near` as soon as can be.

        Raises:
            SoundError: the device refuses.
        """
        ...

    def refresh(self) -> None:
        """See devices that came and went. No stream of the library may be open."""


@frozen
class Found:
    """A microphone or a loudspeaker."""

    backend: Backend = field(repr=lambda backend: backend.name)
    key: Hashable
    name: str
    is_default: bool
