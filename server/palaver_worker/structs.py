"""Structs that differ in nothing but the size of their last field, a payload."""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Final

from .datagrams import SLOT

MOST_STRUCTS: Final = 256  # made of one kind: a voice's packets are of some 100 sizes


class Structs:
    """Those that begin with a format; `by_size` has the ones that were made, at most `MOST_STRUCTS`."""

    __slots__ = ("_format", "_made", "by_size")

    def __init__(self, format: str) -> None:
        self.by_size: list[struct.Struct | None] = [None] * (SLOT + 1)
        self._format, self._made = format, 0

    def make(self, size: int) -> struct.Struct:
        """The one for so many bytes."""
        if self._made == MOST_STRUCTS:
            self.by_size[:] = [None] * len(self.by_size)
            self._made = 0
        made = self.by_size[size] = struct.Struct(f"{self._format}{size}s")
        self._made += 1
        return made


structs_for: Final = lru_cache(64)(Structs)
