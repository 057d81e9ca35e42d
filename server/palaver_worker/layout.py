"""How a voice's packets are laid out: from one to the next all is the same but the values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, ONE_BYTE, walk_extensions

from .packet import HEADS, RTP_HEADER, goes_on

_BARE: Final = 0x80  # a first byte: version 2, and neither header extensions nor padding nor CSRCs
_EXTENDED: Final = 0x90  # the same with header extensions


class Layout:
    """Of a packet without padding and CSRCs, and with header extensions in one-byte form if any.

    `end` is where the payload begins. A packet whose bytes before it, as a number and masked by `mask`, are `heads`, is
    laid out so. `parts` are the elements that go on: their heads under the router's ids, and where their values are
    (None: the time of sending, which is ours). `level_at` is the place of the loudness, 0 where none is told.
    """

    __slots__ = ("end", "heads", "level_at", "mask", "parts")

    def __init__(self, data: bytes, ids: Mapping[int, int]) -> None:
        """Learn it from a packet.

        Raises:
            ValueError: that is broken.
        """
        self.end = RTP_HEADER
        self.parts: list[tuple[bytes, slice | None]] = []
        self.level_at = 0
        if data[0] == _EXTENDED:
            self.end += 4 + 4 * int.from_bytes(data[RTP_HEADER + 2 : RTP_HEADER + 4], "big")
        if len(data) < self.end:
            raise ValueError("RTP header extension is truncated")
        fixed = bytearray(b"\xff" + bytes(RTP_HEADER - 1) + b"\xff" * (self.end - RTP_HEADER))
        block = RTP_HEADER + 4
        for id, begin, stop in walk_extensions(ONE_BYTE, data[block : self.end]):
            value = slice(block + begin, block + stop)
            fixed[value] = bytes(stop - begin)
            if goes_on(number := ids.get(id, MID), stop - begin):
                self._add(number, value)
        self.mask = int.from_bytes(fixed, "big")
        self.heads = int.from_bytes(data[: self.end], "big") & self.mask

    def _add(self, number: int, value: slice) -> None:
        head = HEADS[number << 4 | value.stop - value.start - 1]
        self.parts.append((head, None if number == ABS_SEND_TIME else value))
        if number == AUDIO_LEVEL:
            self.level_at = value.start


def layout_of(data: bytes, ids: Mapping[int, int]) -> Layout | None:
    """The layout of a packet, if it is a usual one.

    Raises:
        ValueError: it is broken.
    """
    is_short = data[RTP_HEADER : RTP_HEADER + 2] == ONE_BYTE.to_bytes(2, "big")
    is_usual = len(data) >= RTP_HEADER and (data[0] == _BARE or (data[0] == _EXTENDED and is_short))
    return Layout(data, ids) if is_usual else None
