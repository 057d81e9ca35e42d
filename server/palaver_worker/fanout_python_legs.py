"""Listeners of the core in Python: where their packets go, how they are numbered, and which of them get the same."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from palaver_media.rtp import ONE_BYTE
from palaver_media.srtp import Session

from .fanout import FARTHEST
from .layout import Layout
from .packet import Packet
from .sockaddr import Sockaddr

BARE: Final = 0x80  # a header's first byte: version 2
HAS_EXTENSION: Final = 0x10  # in a header's first byte
_EXTENSION: Final = struct.Struct("!HH")


class PythonPath:
    """Where a listener's packets go."""

    __slots__ = ("destination", "keys", "pointer")

    def __init__(self) -> None:
        self.keys: Session | None = None
        self.pointer: Any = None
        self.destination: Sockaddr = b""

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys."""
        self.keys = keys  # lives as long as the pointer is used
        self.pointer = None if keys is None else keys.pointer

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there."""
        self.destination = destination


class PythonLeg:
    """One listener's numbering and counters."""

    __slots__ = (
        "first", "highest", "is_marked", "mid", "octets", "offset", "packets", "path", "shift", "ssrc", "takes_red",
        "wanted",
    )  # fmt: skip

    def __init__(self, path: PythonPath, ssrc: int, mid: bytes, wanted: int, takes_red: bool) -> None:
        self.path, self.ssrc, self.mid, self.wanted, self.takes_red = path, ssrc, mid, wanted, takes_red
        self.offset = 0
        self.first = self.highest = -1
        self.packets = self.octets = 0
        self.shift = 0
        self.is_marked = False  # the packet with which it begins

    def pause(self) -> None:
        """Begin anew with the next packet."""
        self.first = -1

    def shift_by(self, shift: int) -> None:
        """Begin anew, with later timestamps."""
        self.first, self.shift, self.is_marked = -1, shift, True

    def number_of(self, index: int) -> int | None:
        """The number of any packet; None if it is late, from before a pause: for then its number is another's."""
        number = index - self.offset
        if self.first < 0 or number > self.highest + FARTHEST:
            # A stream starts below 2^15, or a listener that misses its first packets takes the wrap for a loss of sync.
            number = self.highest + 1 if self.highest >= 0 else index & 0x7FFF
            self.first, self.offset = index, index - number
        elif index < self.first:
            return None
        self.highest = max(self.highest, number)
        return number


class Alike:
    """Legs that differ in nothing but number and SSRC, so that all of a packet after the fixed header is the same.

    Of the packets of one `layout` it is told once what goes before and after the elements, and, where a listener does
    not understand all of them, which `spans` of them go on.
    """

    __slots__ = ("after", "before", "first", "layout", "legs", "mid", "spans", "takes_red", "wanted")

    def __init__(self, mid: bytes, wanted: int, takes_red: bool, legs: list[PythonLeg]) -> None:
        self.mid, self.wanted, self.takes_red, self.legs = mid, wanted, takes_red, legs
        self.layout: Layout | None = None
        self.first = BARE
        self.before = self.after = b""
        self.spans: list[slice] | None = None

    def learn(self, layout: Layout) -> None:
        """Take packets of this layout from now on."""
        self.layout, self.spans = layout, []
        at = kept = 0
        for head, _ in layout.parts:
            size = 2 + (head[0] & 0x0F)
            if self.wanted >> (head[0] >> 4) & 1:
                self.spans.append(slice(at, at + size))
                kept += size
            at += size
        if kept == at:
            self.spans = None
        self.before, self.after = self._frame(kept)
        self.first = BARE | HAS_EXTENSION if self.before else BARE

    def write(self, packet: Packet, body: bytes) -> tuple[int, bytes]:
        """The header's first byte, and what follows the fixed header, of a packet of any layout with this body."""
        elements = _filtered(packet.elements, self.wanted)
        before, after = self._frame(len(elements))
        first = packet.first | HAS_EXTENSION if before else packet.first
        return first, packet.csrcs + before + elements + after + body

    def _frame(self, size: int) -> tuple[bytes, bytes]:
        """What goes before and after so many bytes of elements: the block's head and the mid, and what fills it up."""
        size += len(self.mid)
        if size == 0:
            return b"", b""
        words = (size + 3) >> 2
        return _EXTENSION.pack(ONE_BYTE, words) + self.mid, bytes((words << 2) - size)


Group: TypeAlias = list[Alike]


def group_of(legs: Sequence[PythonLeg]) -> Group:
    """Legs, sorted by what they get."""
    alike: defaultdict[tuple[bytes, int, bool], list[PythonLeg]] = defaultdict(list)
    for leg in legs:
        alike[leg.mid, leg.wanted, leg.takes_red].append(leg)
    return [Alike(*same, each) for same, each in alike.items()]


def _filtered(elements: bytes, wanted: int) -> bytes:
    kept = b""
    position = 0
    while position < len(elements):
        end = position + 2 + (elements[position] & 0x0F)
        if wanted >> (elements[position] >> 4) & 1:
            kept += elements[position:end]
        position = end
    return kept
