"""How sources and sinks are written: `device`, `device:NAME`, `file:PATH.wav`, `tone:HZ`, `pcm`, `null`."""

from __future__ import annotations

import enum
from typing import Final

from attrs import frozen

from palaver_media.engine_messages import Side


class SoundError(Exception):
    """A source or sink does not work: what is wrong, and what would mend it."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Kind(enum.Enum):
    """What a source or sink is."""

    DEVICE = "device"
    FILE = "file"
    TONE = "tone"
    PCM = "pcm"
    NULL = "null"


@frozen
class Spec:
    """A parsed spec; `value` is what follows the colon, empty if there is none."""

    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.value}" if self.value else self.kind.value


NOTHING: Final = Spec(Kind.NULL, "")
_SOURCES: Final = "device, device:NAME, file:PATH.wav, tone:HZ, pcm or null"
_SINKS: Final = "device, device:NAME, file:PATH.wav, pcm or null"
_VALUED: Final = {Kind.FILE: True, Kind.TONE: True, Kind.PCM: False, Kind.NULL: False}


def parse(text: str, side: Side) -> Spec:
    """Read a spec.

    Raises:
        SoundError: it is not one, or not one for this side.
    """
    name, _, value = text.partition(":")
    forms = _SOURCES if side is Side.SOURCE else _SINKS
    try:
        kind = Kind(name)
    except ValueError:
        raise SoundError(f"{text!r} is no {side.value}", f"write {forms}") from None
    if kind is Kind.TONE and side is Side.SINK:
        raise SoundError("a tone cannot be a sink", f"write {forms}")
    if kind in _VALUED and _VALUED[kind] != bool(value):
        raise SoundError(f"{text!r} is no {side.value}", f"write {forms}")
    return Spec(kind, value)
