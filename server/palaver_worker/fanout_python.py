"""The core in Python: libsrtp is called on the slots of the outgoing block, so nothing is copied twice."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver_media.srtp import FFI, LIBRARY, OK, TRAILER, Session

from .datagrams import SLOT, Incoming, Outgoing
from .fanout import FARTHEST, Client, Fanout, mid_element
from .packet import MARKER, RTP_HEADER, Packet
from .sockaddr import Sockaddr

_HEADER: Final = struct.Struct("!BBHII")
_EXTENSION: Final = struct.Struct("!HH")
_HAS_EXTENSION: Final = 0x10
_ONE_BYTE: Final = 0xBEDE


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
        "first",
        "highest",
        "is_marked",
        "mid",
        "octets",
        "offset",
        "packets",
        "path",
        "shift",
        "ssrc",
        "wanted",
    )

    def __init__(self, path: PythonPath, ssrc: int, mid: bytes, wanted: int) -> None:
        self.path, self.ssrc, self.mid, self.wanted = path, ssrc, mid, wanted
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

    def begin(self, index: int) -> None:
        """Number this packet and those after it."""
        # A stream starts below 2^15, or a listener that misses its first packets takes the wrap for a loss of sync.
        number = self.highest + 1 if self.highest >= 0 else index & 0x7FFF
        self.first, self.offset = index, index - number


class PythonFanout(Fanout):
    """Forwarding by Python and libsrtp."""

    name = "python"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self._size: Any = FFI.new("int *")

    def admit(self, address: Sockaddr, client: Client) -> None:
        """Nothing to do: the port knows who is where."""

    def dismiss(self, address: Sockaddr) -> None:
        """Likewise."""

    def path(self) -> PythonPath:
        """A new listener's path."""
        return PythonPath()

    def leg(self, path: PythonPath, ssrc: int, mid: str, extensions: Iterable[int]) -> PythonLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return PythonLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted))

    def group(self, legs: Sequence[PythonLeg]) -> tuple[PythonLeg, ...]:
        """The legs."""
        return tuple(legs)

    def forward(self, packet: Packet, group: tuple[PythonLeg, ...]) -> None:
        """Send a packet on all these legs."""
        tails: dict[tuple[bytes, int], tuple[int, bytes]] = {}
        index = packet.index
        for leg in group:
            if leg.first < 0 or index - leg.offset > leg.highest + FARTHEST:
                leg.begin(index)
            elif index < leg.first:  # late, from before a pause: its number is another's
                continue
            key = leg.mid, leg.wanted
            if (tail := tails.get(key)) is None:
                tail = tails[key] = _tail(packet, leg)
            self._send(packet, leg, tail)

    def _send(self, packet: Packet, leg: PythonLeg, tail: tuple[int, bytes]) -> None:
        first, rest = tail
        number = packet.index - leg.offset
        end = RTP_HEADER + len(rest)
        outgoing, size, pointer = self.outgoing, self._size, leg.path.pointer
        slot = outgoing.used
        if pointer is None or end + TRAILER > SLOT:
            self.failures += 1
            return
        if number > leg.highest:
            leg.highest = number
        view = outgoing.views[slot]
        second, timestamp = packet.second, packet.timestamp
        if leg.is_marked:  # the same whenever a packet is sent, for it may be sent again
            second |= MARKER if packet.index == leg.first else 0
            timestamp = (timestamp + leg.shift) & 0xFFFF_FFFF
        _HEADER.pack_into(view, 0, first, second, number & 0xFFFF, timestamp, leg.ssrc)
        view[RTP_HEADER:end] = rest
        size[0] = end
        if LIBRARY.srtp_protect(pointer, outgoing.pointers[slot], size) != OK:
            self.failures += 1
            return
        outgoing.commit(size[0], leg.path.destination)
        leg.packets += 1
        leg.octets += len(packet.body) - packet.padding


def _tail(packet: Packet, leg: PythonLeg) -> tuple[int, bytes]:
    """The header's first byte, and what follows the fixed header, for all legs with this mid and these extensions."""
    elements = leg.mid + _filtered(packet.elements, leg.wanted)
    if not elements:
        return packet.first, packet.csrcs + packet.body
    words = (len(elements) + 3) >> 2
    block = _EXTENSION.pack(_ONE_BYTE, words) + elements.ljust(words << 2, b"\0")
    return packet.first | _HAS_EXTENSION, packet.csrcs + block + packet.body


def _filtered(elements: bytes, wanted: int) -> bytes:
    kept = b""
    position = 0
    while position < len(elements):
        end = position + 2 + (elements[position] & 0x0F)
        if wanted >> (elements[position] >> 4) & 1:
            kept += elements[position:end]
        position = end
    return kept
