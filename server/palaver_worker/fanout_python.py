"""The core in Python: libsrtp is called on the slots of the outgoing block, so nothing is copied twice."""

from __future__ import annotations

import math
import select
import struct
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, Final, TypeAlias

from palaver_media.srtp import FFI, LIBRARY, TRAILER, Session

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


Group: TypeAlias = list[list[PythonLeg]]


class PythonFanout(Fanout):
    """Forwarding by Python and libsrtp."""

    name = "python"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self._size: Any = FFI.new("int *")
        self._others = -1
        self._sources, self._commands = select.poll(), select.poll()

    def admit(self, address: Sockaddr, client: Client) -> None:
        """Nothing to do: the port knows who is where."""

    def dismiss(self, address: Sockaddr) -> None:
        """Likewise."""

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Wait for datagrams, and take them."""
        self.outgoing.flush()
        if others != self._others:
            self._watch(others)
        found = self._sources.poll(None if timeout is None else math.ceil(max(0.0, timeout) * 1000))
        are_others = len(found) == 2 or (len(found) == 1 and found[0][0] == others)
        if not found or found[0][0] == others:
            return False, are_others
        # Our socket is looked at first, so what was sent before the first datagram was seen. The others are newer.
        received = self.incoming.receive(self.outgoing.dropped)
        return received > 0, are_others or (received > 1 and bool(self._commands.poll(0)))

    def _watch(self, others: int) -> None:
        self._sources, self._commands = select.poll(), select.poll()
        for source in (self.incoming.fileno, others):
            self._sources.register(source, select.POLLIN)
        self._commands.register(others, select.POLLIN)
        self._others = others

    def path(self) -> PythonPath:
        """A new listener's path."""
        return PythonPath()

    def leg(self, path: PythonPath, ssrc: int, mid: str, extensions: Iterable[int]) -> PythonLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return PythonLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted))

    def group(self, legs: Sequence[PythonLeg]) -> Group:
        """The legs, those together that differ in nothing but number and SSRC."""
        alike: defaultdict[tuple[bytes, int], list[PythonLeg]] = defaultdict(list)
        for leg in legs:
            alike[leg.mid, leg.wanted].append(leg)
        return list(alike.values())

    def forward(self, packet: Packet, group: Group) -> None:
        """Send a packet on all these legs."""
        for legs in group:
            self._forward(packet, legs, *_tail(packet, legs[0]))

    def _forward(self, packet: Packet, legs: list[PythonLeg], first: int, tail: bytes) -> None:
        """The innermost loop: no call, tuple or look-up in it that can be outside."""
        index, second, timestamp = packet.index, packet.second, packet.timestamp
        octets = len(packet.body) - packet.padding
        rest = slice(RTP_HEADER, RTP_HEADER + len(tail))
        fits = rest.stop + TRAILER <= SLOT
        outgoing, size, protect, write = self.outgoing, self._size, LIBRARY.srtp_protect, _HEADER.pack_into
        views, pointers, lengths, names, places = (
            outgoing.views, outgoing.pointers, outgoing.lengths, outgoing.names, outgoing.places,
        )  # fmt: skip
        slot = outgoing.used
        for leg in legs:
            if leg.first < 0 or index - leg.offset > leg.highest + FARTHEST:
                leg.begin(index)
            elif index < leg.first:  # late, from before a pause: its number is another's
                continue
            path = leg.path
            pointer = path.pointer
            if pointer is None or not fits:
                self.failures += 1
                continue
            number = index - leg.offset
            if number > leg.highest:
                leg.highest = number
            view = views[slot]
            if leg.is_marked:  # the same whenever a packet is sent, for it may be sent again
                marked = second | MARKER if index == leg.first else second
                write(view, 0, first, marked, number & 0xFFFF, (timestamp + leg.shift) & 0xFFFF_FFFF, leg.ssrc)
            else:
                write(view, 0, first, second, number & 0xFFFF, timestamp, leg.ssrc)
            view[rest] = tail
            size[0] = rest.stop
            if protect(pointer, pointers[slot], size):
                self.failures += 1
                continue
            names[places[slot]], lengths[slot] = path.destination, size[0]
            leg.packets += 1
            leg.octets += octets
            slot += 1
            if slot == outgoing.count:
                outgoing.used = slot
                outgoing.flush()
                slot = 0
        outgoing.used = slot


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
