"""What has changed among the devices, seen beside the streams that run.

PortAudio's list is frozen, and to make it anew would end its streams; so another library is asked (miniaudio: 0.2 ms a
look), and PortAudio starts anew only when there is a reason. Where miniaudio is missing nothing seems to change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from attrs import define, field, frozen

from palaver_media.engine_messages import Side

from .backends import Found
from .miniaudio_backend import Miniaudio
from .specs import SoundError

Seen: TypeAlias = Mapping[Side, Sequence[Found]]  # what a look finds


@frozen
class Change:
    """`devices` are names and identifiers of those that came or went; `defaults` the sides with a new default."""

    devices: tuple[str, ...]
    defaults: frozenset[Side]

    def concerns(self, name: str) -> bool:
        """Whether a device that is called by this name, or a part of it, came or went."""
        return any(name.casefold() in device.casefold() for device in self.devices)


@define(eq=False)
class Census:
    """Compares the devices of this machine with those of the last look."""

    _library: Miniaudio = field(factory=Miniaudio)
    _known: Seen | None = None

    def look(self) -> Change | None:
        """What has changed; None if nothing has, or if this is the first look. It may hang with the sound server."""
        try:
            found: Seen = {side: self._library.find_all(side) for side in Side}
        except SoundError:
            return None
        known, self._known = self._known, found
        return None if known is None else compare(known, found)


def compare(before: Seen, after: Seen) -> Change | None:
    """What has changed between two looks; None if nothing has."""
    moved = {each for side in Side for each in _who(after[side]) ^ _who(before[side])}
    defaults = frozenset(side for side in Side if _default(before[side]) != _default(after[side]))
    return Change(tuple(sorted(moved)), defaults) if moved or defaults else None


def _who(found: Sequence[Found]) -> set[str]:
    return {f"{each.name} {_text(each)}" for each in found}


def _default(found: Sequence[Found]) -> str:
    return next((_text(each) for each in found if each.is_default), "")


def _text(found: Found) -> str:
    return found.key.decode(errors="replace") if isinstance(found.key, bytes) else str(found.key)
