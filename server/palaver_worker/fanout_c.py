"""The core in C: `fanout.c`, given libsrtp's own function, so that it needs no headers of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver_media.srtp import FFI, LIBRARY, Session

from . import _fanout  # type: ignore[attr-defined]  # built, where there is a compiler
from .datagrams import Outgoing
from .fanout import Fanout, mid_element
from .packet import Packet
from .sockaddr import Sockaddr

_ffi: Final[Any] = _fanout.ffi
_forward: Final[Any] = _fanout.lib.forward


def _address(pointer: Any) -> int:
    """Of a pointer of libsrtp's, as a number."""
    return int(FFI.cast("uintptr_t", pointer))


_PROTECT: Final[Any] = _address(FFI.addressof(LIBRARY, "srtp_protect"))


class CPath:
    """Where a listener's packets go."""

    __slots__ = ("keys", "struct")

    def __init__(self) -> None:
        self.struct: Any = _ffi.new("struct path *")
        self.keys: Session | None = None

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys."""
        self.keys = keys  # lives as long as the pointer is used
        self.struct.keys = _ffi.NULL if keys is None else _ffi.cast("void *", _address(keys.pointer))

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there."""
        _ffi.memmove(self.struct.destination, destination, len(destination))
        self.struct.destination_size = len(destination)


class CLeg:
    """One listener's numbering and counters."""

    __slots__ = ("path", "struct")

    def __init__(self, path: CPath, ssrc: int, mid: bytes, wanted: int) -> None:
        self.path = path  # lives as long as the pointer to it
        self.struct: Any = _ffi.new("struct leg *")
        self.struct.path, self.struct.ssrc, self.struct.wanted = path.struct, ssrc, wanted
        _ffi.memmove(self.struct.mid, mid, len(mid))
        self.struct.mid_size = len(mid)
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


class CFanout(Fanout):
    """Forwarding by one call into C for each packet."""

    name = "c"

    def __init__(self, outgoing: Outgoing) -> None:
        super().__init__(outgoing)
        self._block: Any = _ffi.new("struct block *")
        self._block.headers = _ffi.cast("struct mmsghdr *", outgoing.headers_address)
        self._block.slots = outgoing.count
        self._block.protect = _ffi.cast("int (*)(void *, void *, int *)", _PROTECT)

    def path(self) -> CPath:
        """A new listener's path."""
        return CPath()

    def leg(self, path: CPath, ssrc: int, mid: str, extensions: Iterable[int]) -> CLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return CLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted))

    def group(self, legs: Sequence[CLeg]) -> tuple[Any, int, Sequence[CLeg]]:
        """An array of pointers, and what it points to."""
        return _ffi.new("struct leg *[]", [leg.struct for leg in legs]), len(legs), legs

    def forward(self, packet: Packet, group: tuple[Any, int, Sequence[CLeg]]) -> None:
        """Send a packet on all these legs."""
        legs, count, _ = group
        outgoing, block, at = self.outgoing, self._block, 0
        elements, csrcs, body = packet.elements, packet.csrcs, packet.body
        while at < count:
            block.used = outgoing.used
            at = _forward(
                block, legs, at, count, packet.first, packet.second, packet.index, packet.timestamp,
                elements, len(elements), csrcs, len(csrcs), body, len(body), packet.padding,
            )  # fmt: skip
            outgoing.used = block.used
            if outgoing.used == outgoing.count:
                outgoing.flush()
        if block.failures:
            self.failures += block.failures
            block.failures = 0
