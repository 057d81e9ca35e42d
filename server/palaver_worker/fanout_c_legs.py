"""Listeners of the core in C: `fanout.c`'s path and leg, as Python holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from palaver_media.srtp import FFI, LIBRARY, Session

from . import _fanout  # type: ignore[attr-defined]  # built, where there is a compiler
from .sockaddr import Sockaddr

ffi: Final[Any] = _fanout.ffi
lib: Final[Any] = _fanout.lib


def address_of(pointer: Any) -> int:
    """Of a pointer of libsrtp's, as a number."""
    return int(FFI.cast("uintptr_t", pointer))


def function_of(name: str) -> Any:
    """One of libsrtp's, as C takes it."""
    return ffi.cast("int (*)(void *, void *, int *)", address_of(FFI.addressof(LIBRARY, name)))


class CPath:
    """Where a listener's packets go."""

    __slots__ = ("keys", "struct")

    def __init__(self) -> None:
        self.struct: Any = ffi.new("struct path *")
        self.keys: Session | None = None

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys."""
        self.keys = keys  # lives as long as the pointer is used
        self.struct.keys = ffi.NULL if keys is None else ffi.cast("void *", address_of(keys.pointer))

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there."""
        ffi.memmove(self.struct.destination, destination, len(destination))
        self.struct.destination_size = len(destination)


class CLeg:
    """One listener's numbering and counters."""

    __slots__ = ("path", "struct")

    def __init__(self, path: CPath, ssrc: int, mid: bytes, wanted: int, takes_red: bool) -> None:
        self.path = path  # lives as long as the pointer to it
        self.struct: Any = ffi.new("struct leg *")
        self.struct.path, self.struct.ssrc, self.struct.wanted = path.struct, ssrc, wanted
        ffi.memmove(self.struct.mid, mid, len(mid))
        self.struct.mid_size = len(mid)
        self.struct.takes_red = takes_red
        self.struct.first = self.struct.highest = -1

    @property
    def offset(self) -> int:
        """By which the listener's numbers differ from the producer's."""
        return int(self.struct.offset)

    @property
    def first(self) -> int:
        """The index with which forwarding began."""
        return int(self.struct.first)

    @property
    def highest(self) -> int:
        """The highest number used."""
        return int(self.struct.highest)

    @property
    def packets(self) -> int:
        """How many were sent."""
        return int(self.struct.packets)

    @property
    def octets(self) -> int:
        """Bytes of payload in them."""
        return int(self.struct.octets)

    def pause(self) -> None:
        """Begin anew with the next packet."""
        self.struct.first = -1

    def shift_by(self, shift: int) -> None:
        """Begin anew, with later timestamps."""
        self.struct.first, self.struct.shift, self.struct.is_marked = -1, shift, 1


Group: TypeAlias = tuple[Any, int, Sequence[CLeg]]  # an array of pointers, how many, and what they point to


def group_of(legs: Sequence[CLeg]) -> Group:
    """Legs as C takes them."""
    return ffi.new("struct leg *[]", [leg.struct for leg in legs]), len(legs), legs
