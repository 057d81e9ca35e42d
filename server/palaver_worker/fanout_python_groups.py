"""Listeners of the core in Python together: who gets the same packet, and who of them under the same number."""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from palaver_media.rtp import ONE_BYTE

from .fanout_python_legs import PythonLeg
from .layout import Layout
from .packet import RTP_HEADER, Packet
from .structs import structs_for

BARE: Final = 0x80  # a header's first byte: version 2
HAS_EXTENSION: Final = 0x10  # in a header's first byte
MOST: Final = 256  # legs in unison: their packets must have room in the outgoing block
START: Final = struct.Struct("!BBHI")  # a header up to the SSRC
write_start: Final = START.pack
Position: TypeAlias = tuple[int, int, int]  # offset, shift and the highest number
Rows: TypeAlias = tuple[tuple[Any, bytes], ...]  # keys, and a packet's bytes from the SSRC to the mid's end
# What differs between legs, what writes their addresses, these, how many, offset and shift.
Plan: TypeAlias = tuple[Rows, Callable[..., None], bytes, int, int, int]
_EXTENSION: Final = struct.Struct("!HH")


class Unison:
    """Legs under the same numbers, whose packets differ in nothing but SSRC and mid: what is looked up once for all.

    `last` is the last packet that they had; it is good for what may follow that, until one of the legs or paths
    changes: then they are alone. It counts for all of them, and adds that to their own counters when somebody asks. All
    that stays as it is, is in the `plan`, one tuple, which is cheaper to read than attributes.
    """

    __slots__ = ("_counted", "alike", "last", "legs", "octets", "offset", "plan", "shift")

    def __init__(self, alike: Alike, legs: list[PythonLeg]) -> None:
        self.alike, self.legs = alike, legs
        self.offset, self.shift, top = position(legs[0])
        self.last = self._counted = top + self.offset
        self.octets = 0
        destinations = b"".join([leg.path.destination for leg in legs])
        self.plan: Plan = (
            tuple([(leg.path.pointer, leg.ssrc + alike.frame + leg.mid) for leg in legs]),
            director(len(destinations)),
            destinations,
            len(legs),
            self.offset,
            self.shift,
        )
        for leg in legs:
            leg.unison = self
            leg.path.unisons.add(self)

    def settle(self) -> None:
        """Add what was counted to each leg's counters."""
        if packets := self.last - self._counted:
            top = self.last - self.offset
            for leg in self.legs:
                leg.use(top)
                leg.count(self.octets, packets)
            self._counted, self.octets = self.last, 0

    def skip_to(self, index: int) -> None:
        """What was between the last packet and this one has not come."""
        self.settle()
        self.last = self._counted = index - 1

    def end(self) -> None:
        """Be no more."""
        self.settle()
        alike = self.alike
        alike.unisons, alike.alone = tuple(each for each in alike.unisons if each is not self), alike.alone + self.legs
        for leg in self.legs:
            leg.unison = None
            leg.path.unisons.discard(self)


class Alike:
    """Legs that differ in nothing but number, SSRC and the letters of their mids, so that all else is the same.

    Each of them is in one of the `unisons`, or `alone`. Of the packets of one `layout` it is told once which `flags`
    they begin with, which `frame` goes between SSRC and mid, what goes `after` the elements, how many bytes are before
    the payload (`size`), and, where a listener does not understand all of the elements, which `spans` of them go on.
    The `writers`, by the payload's size, write a packet from its four parts: the header up to the SSRC, what follows up
    to the mid's end, the elements, and the payload.
    """

    __slots__ = (
        "after", "alone", "flags", "frame", "layout", "legs", "mid_size", "size", "spans", "takes_red", "unisons",
        "wanted", "writers",
    )  # fmt: skip

    def __init__(self, mid_size: int, wanted: int, takes_red: bool, legs: list[PythonLeg]) -> None:
        self.mid_size, self.wanted, self.takes_red, self.legs = mid_size, wanted, takes_red, legs
        self.layout: Layout | None = None
        self.flags = BARE
        self.frame = self.after = b""
        self.size, self.writers = RTP_HEADER, structs_for("", "pack_into")
        self.spans: list[slice] | None = None
        self.unisons: tuple[Unison, ...] = ()
        self.alone = legs

    def part(self) -> None:
        """Go on each by itself."""
        for unison in self.unisons:
            unison.end()

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
        frame, self.after = self._frame(kept)
        if frame != self.frame:
            self.part()
            self.frame = frame
        self.flags = BARE | HAS_EXTENSION if self.frame else BARE
        before, padding = len(self.frame) + self.mid_size, len(self.after)
        self.size = RTP_HEADER + before + kept + padding
        self.writers = structs_for(f"{START.size}s{RTP_HEADER - START.size + before}s{kept}s{padding}x", "pack_into")

    def pick(self, elements: bytes) -> bytes:
        """Those of the elements that they understand."""
        return elements if self.spans is None else b"".join([elements[span] for span in self.spans])

    def write(self, packet: Packet, body: bytes) -> tuple[int, bytes, bytes]:
        """Of a packet of any layout with this body: the first byte, and what goes before and after the mid."""
        elements = _filtered(packet.elements, self.wanted)
        before, after = self._frame(len(elements))
        flags = packet.first | HAS_EXTENSION if before else packet.first
        return flags, packet.csrcs + before, elements + after + body

    def join(self) -> None:
        """Have those who are alone, and can be sent to, go on in unison with whoever is under the same numbers.

        Whoever was sent nothing yet has begun somewhere, but has no highest number that the next one could follow.
        """
        alone: list[PythonLeg] = []
        together: defaultdict[Position, list[PythonLeg]] = defaultdict(list)
        for leg in self.alone:
            has_begun = leg.first >= 0 and leg.top >= 0
            can_be_sent_to = leg.path.pointer is not None and leg.path.destination != b""
            (together[position(leg)] if has_begun and can_be_sent_to else alone).append(leg)
        self.alone = alone
        self.unisons += tuple(Unison(self, legs) for legs in together.values())

    def _frame(self, size: int) -> tuple[bytes, bytes]:
        """What goes before the mid and so many bytes of elements: the block's head; and what fills it up."""
        size += self.mid_size
        if size == 0:
            return b"", b""
        words = (size + 3) >> 2
        return _EXTENSION.pack(ONE_BYTE, words), bytes((words << 2) - size)


def position(leg: PythonLeg) -> Position:
    """What legs in unison have in common."""
    return leg.offset, leg.shift, leg.top


Group: TypeAlias = tuple[Alike, ...]


def group_of(legs: Sequence[PythonLeg]) -> Group:
    """Legs, sorted by what they get."""
    alike: defaultdict[tuple[int, int, bool], list[PythonLeg]] = defaultdict(list)
    for leg in legs:
        alike[len(leg.mid), leg.wanted, leg.takes_red].append(leg)
    return tuple(
        [Alike(*same, each[at : at + MOST]) for same, each in alike.items() for at in range(0, len(each), MOST)]
    )


@lru_cache(MOST)
def director(size: int) -> Callable[..., None]:
    """What writes so many bytes of destinations; called with the memory, where to, and them."""
    return struct.Struct(f"{size}s").pack_into


def _filtered(elements: bytes, wanted: int) -> bytes:
    kept = b""
    position = 0
    while position < len(elements):
        end = position + 2 + (elements[position] & 0x0F)
        if wanted >> (elements[position] >> 4) & 1:
            kept += elements[position:end]
        position = end
    return kept
