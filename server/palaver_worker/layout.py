"""How a voice's packets are laid out: from one to the next all is the same but the values."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Final, TypeAlias
from weakref import WeakValueDictionary

from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, ONE_BYTE, RED, walk_extensions, write_send_time

from .packet import HEADS, MARKER, RTP_HEADER, goes_on
from .structs import structs_for

_BARE: Final = 0x80  # a first byte: version 2, and neither header extensions nor padding nor CSRCs
_EXTENDED: Final = 0x90  # the same with header extensions
LONGEST: Final = 64  # bytes of header extensions in a usual packet
MOST_LAYOUTS: Final = 16  # of one kind of sender: a voice has two or three
MOST_PREFIXES: Final = 512  # of one kind of sender: a voice has one for each loudness, twice if it tells what is speech


class Layout:
    """Of a packet without padding and CSRCs, and with header extensions in one-byte form if any.

    `first` is its first byte, and `end` where the payload begins; `readers`, by the payload's size, part it there.
    `fields` are what is between header and payload: what is the same in all packets, `heads`, at even places, and
    values at odd ones. `parts` are the elements that go on: their heads under the router's ids, and which field is the
    value (0: the time of sending, which is ours). `level_at` is the field with the loudness, 0 where none is told. It
    `recurs` if nothing else differs from packet to packet, so that the same bytes come again.
    """

    __slots__ = ("end", "fields", "first", "heads", "level_at", "parts", "readers", "recurs")

    def __init__(self, data: bytes, ids: Mapping[int, int]) -> None:
        """Learn it from a packet.

        Raises:
            ValueError: that is broken.
        """
        self.first, self.end = data[0], RTP_HEADER
        self.parts: list[tuple[bytes, int]] = []
        self.level_at, self.recurs = 0, True
        if data[0] == _EXTENDED:
            self.end += 4 + 4 * int.from_bytes(data[RTP_HEADER + 2 : RTP_HEADER + 4], "big")
        if len(data) < self.end:
            raise ValueError("RTP header extension is truncated")
        block, ends = RTP_HEADER + 4, [RTP_HEADER]  # of the fields
        for id, begin, stop in walk_extensions(ONE_BYTE, data[block : self.end]):
            ends += block + begin, block + stop
            self.recurs &= ids.get(id) in (MID, AUDIO_LEVEL)
            if goes_on(number := ids.get(id, MID), stop - begin):
                self._add(number, stop - begin, len(ends) - 2)
        self.fields = struct.Struct("".join([f"{end - start}s" for start, end in pairwise((*ends, self.end))]))
        self.heads = self.fields.unpack_from(data, RTP_HEADER)[::2]
        self.readers = structs_for(f"{RTP_HEADER}x{self.end - RTP_HEADER}s", "unpack_from")

    def _add(self, number: int, size: int, field: int) -> None:
        self.parts.append((HEADS[number << 4 | size - 1], 0 if number == ABS_SEND_TIME else field))
        if number == AUDIO_LEVEL:
            self.level_at = field

    def read(self, data: bytes, now: float) -> Prefix | None:
        """What a packet says before its payload, if it is laid out so; the time of sending is `now` (s)."""
        if len(data) < self.end or data[0] != self.first:
            return None
        fields = self.fields.unpack_from(data, RTP_HEADER)
        if fields[::2] != self.heads:
            return None
        elements = [head + (fields[at] if at else write_send_time(now)) for head, at in self.parts]
        level = fields[self.level_at][0] & 0x7F if self.level_at else None
        return self, data[RTP_HEADER : self.end], b"".join(elements), level


UNKNOWN: Final = Layout(bytes(RTP_HEADER), {})  # no packet is laid out so
# The layout; the bytes themselves; the elements that go on; and the loudness, if it is told, in -dBov.
Prefix: TypeAlias = tuple[Layout, bytes, bytes, int | None]


class Prefixes(dict[bytes, Prefix]):
    """What was read before, by its bytes, of all senders whose ids of header extensions stand for the same.

    None but they keep it, and none can have it grow: neither layouts nor prefixes are many or long.
    """

    def __init__(self, ids: Mapping[int, int]) -> None:
        self._ids = ids
        self._layouts: dict[tuple[str, tuple[bytes, ...]], Layout] = {}

    def read(self, data: bytes, now: float, usual: Layout) -> Prefix | None:
        """What a packet says before its payload, if it is a usual one, probably of this layout; it is sent `now` (s).

        Raises:
            ValueError: it is broken.
        """
        prefix = usual.read(data, now)
        if prefix is None and (layout := layout_of(data, self._ids)) is not None:
            if len(self._layouts) >= MOST_LAYOUTS:
                self._layouts.clear()
                self.clear()  # or listeners would go to and fro between two layouts that are the same
            prefix = self._layouts.setdefault((layout.fields.format, layout.heads), layout).read(data, now)
        if prefix is not None and prefix[0].recurs:
            if len(self) >= MOST_PREFIXES:
                self.clear()
            self[prefix[1]] = prefix
        return prefix


_kinds: Final[WeakValueDictionary[frozenset[tuple[int, int]], Prefixes]] = WeakValueDictionary()


def prefixes_for(ids: Mapping[int, int]) -> Prefixes:
    """Those of all senders with such ids, for as long as there is one."""
    return _kinds.setdefault(frozenset(ids.items()), Prefixes(ids))


def layout_of(data: bytes, ids: Mapping[int, int]) -> Layout | None:
    """The layout of a packet, if it is a usual one.

    Raises:
        ValueError: it is broken.
    """
    is_short = data[RTP_HEADER : RTP_HEADER + 2] == ONE_BYTE.to_bytes(2, "big")
    is_short &= int.from_bytes(data[RTP_HEADER + 2 : RTP_HEADER + 4], "big") <= LONGEST >> 2
    is_usual = len(data) >= RTP_HEADER and (data[0] == _BARE or (data[0] == _EXTENDED and is_short))
    return Layout(data, ids) if is_usual else None


@lru_cache(64)
def seconds_of(payload_types: frozenset[tuple[int, int]]) -> list[int | None]:
    """What becomes of a header's second byte; None: it is not negotiated, or the packet has copies of earlier ones."""
    types = {own: router for own, router in payload_types if router != RED}
    return [second & MARKER | types[second & ~MARKER] if second & ~MARKER in types else None for second in range(256)]
