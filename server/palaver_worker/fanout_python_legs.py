"""Listeners of the core in Python: where their packets go, and how they are numbered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from palaver_media.srtp import Session

from .fanout import FARTHEST
from .sockaddr import Sockaddr

if TYPE_CHECKING:
    from .fanout_python_groups import Unison


class PythonPath:
    """Where a listener's packets go. Unisons that go there end when that changes."""

    __slots__ = ("destination", "keys", "pointer", "unisons")

    def __init__(self) -> None:
        self.keys: Session | None = None
        self.pointer: Any = None
        self.destination: Sockaddr = b""
        self.unisons: set[Unison] = set()

    def set_keys(self, keys: Session | None) -> None:
        """Protect with these keys."""
        self._end_unisons()
        self.keys = keys  # lives as long as the pointer is used
        self.pointer = None if keys is None else keys.pointer

    def set_destination(self, destination: Sockaddr) -> None:
        """Send there."""
        if destination != self.destination:  # each consent tells it anew
            self._end_unisons()
            self.destination = destination

    def _end_unisons(self) -> None:
        for unison in list(self.unisons):
            unison.end()


class PythonLeg:
    """One listener's numbering and counters. `top` is the highest number used, as far as it was counted here."""

    __slots__ = (
        "first", "is_marked", "mid", "offset", "path", "sent_octets", "sent_packets", "shift", "ssrc", "takes_red",
        "top", "unison", "wanted",
    )  # fmt: skip

    def __init__(self, path: PythonPath, ssrc: int, mid: bytes, wanted: int, takes_red: bool) -> None:
        self.path, self.mid, self.wanted, self.takes_red = path, mid, wanted, takes_red
        self.ssrc = ssrc.to_bytes(4, "big")
        self.offset = 0
        self.first = -1
        self.shift = 0
        self.is_marked = False  # the packet with which it begins
        self.unison: Unison | None = None  # which counts for it
        self.top = -1  # these three are up to date when that has been settled
        self.sent_packets = self.sent_octets = 0

    @property
    def highest(self) -> int:
        """The highest number used."""
        self.settle()
        return self.top

    @property
    def packets(self) -> int:
        """How many were sent."""
        self.settle()
        return self.sent_packets

    @property
    def octets(self) -> int:
        """Bytes of payload in them."""
        self.settle()
        return self.sent_octets

    def settle(self) -> None:
        """Have what was counted for all in unison counted here."""
        if self.unison is not None:
            self.unison.settle()

    def leave(self) -> None:
        """Be in unison with nobody."""
        if self.unison is not None:
            self.unison.end()

    def pause(self) -> None:
        """Begin anew with the next packet."""
        self.leave()
        self.first = -1

    def shift_by(self, shift: int) -> None:
        """Begin anew, with later timestamps."""
        self.leave()
        self.first, self.shift, self.is_marked = -1, shift, True

    def number_of(self, index: int) -> int | None:
        """The number of any packet; None if it is late, from before a pause: for then its number is another's."""
        number = index - self.offset
        if self.first < 0 or number > self.top + FARTHEST:
            # A stream starts below 2^15, or a listener that misses its first packets takes the wrap for a loss of sync.
            self.leave()
            number = self.top + 1 if self.top >= 0 else index & 0x7FFF
            self.first, self.offset = index, index - number
        elif index < self.first:
            return None
        return number

    def use(self, number: int) -> None:
        """A packet gets this number: it is no other's from now on."""
        if number > self.top:
            self.top = number

    def count(self, octets: int, packets: int = 1) -> None:
        """So much payload was sent."""
        self.sent_packets += packets
        self.sent_octets += octets
