"""Structs that differ in nothing but the size of their last field, a payload."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, Literal, TypeAlias

from .datagrams import SLOT

MOST_STRUCTS: Final = 256  # made of one kind: a voice's packets are of some 100 sizes


Call: TypeAlias = Callable[..., Any]


class Structs:
    """Those that begin with a format, each as the one method of it that is wanted: it is looked up once.

    `by_size` has the ones that were made, at most `MOST_STRUCTS`.
    """

    __slots__ = ("_format", "_made", "_method", "by_size")

    def __init__(self, format: str, method: Literal["pack_into", "unpack_from"]) -> None:
        self.by_size: list[Call | None] = [None] * (SLOT + 1)
        self._format, self._method, self._made = format, method, 0

    def make(self, size: int) -> Call:
        """The one for so many bytes."""
        if self._made == MOST_STRUCTS:
            self.by_size[:] = [None] * len(self.by_size)
            self._made = 0
        made: Call = getattr(struct.Struct(f"{self._format}{size}s"), self._method)
        self.by_size[size] = made
        self._made += 1
        return made


structs_for: Final = lru_cache(64)(Structs)
