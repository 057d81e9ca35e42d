"""What has changed among the devices, seen beside the streams that run.

PortAudio's list is frozen, and to make it anew would end its streams; so another library is asked (miniaudio: 0.2 ms a
look), and PortAudio starts anew only when there is a reason. Where miniaudio is missing nothing seems to change.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, frozen

from palaver_media.engine_messages import Side

from .backends import Backend, Found
from .miniaudio_backend import Miniaudio
from .specs import SoundError


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
    """Compares the devices with those of the last look."""

    _library: Backend
    _known: dict[Side, Sequence[Found]] | None = None

    @classmethod
    def of_system(cls) -> Census:
        """A census of this machine's devices."""
        return cls(Miniaudio())

    def look(self) -> Change | None:
        """What has changed; None if nothing has, or if this is the first look. It may hang with the sound server."""
        try:
            found: dict[Side, Sequence[Found]] = {side: self._library.find_all(side) for side in Side}
        except SoundError:
            return None
        known, self._known = self._known, found
        if known is None:
            return None
        moved = {each for side in Side for each in _who(found[side]) ^ _who(known[side])}
        defaults = frozenset(side for side in Side if _default(known[side]) != _default(found[side]))
        return Change(tuple(sorted(moved)), defaults) if moved or defaults else None


def _who(found: Sequence[Found]) -> set[str]:
    return {f"{each.name} {_text(each)}" for each in found}


def _default(found: Sequence[Found]) -> str:
    return next((_text(each) for each in found if each.is_default), "")


def _text(found: Found) -> str:
    return found.key.decode(errors="replace") if isinstance(found.key, bytes) else str(found.key)
