"""The core in Python, the way out: libsrtp is called on the slots of the block, so nothing is copied twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver_media.rtp import OPUS, RED
from palaver_media.srtp import LIBRARY, OK, TRAILER

from .datagrams import SLOT
from .fanout import FARTHEST, Fanout, mid_element
from .fanout_python_groups import Alike, Group, Unison, group_of, write_start
from .fanout_python_legs import PythonLeg, PythonPath
from .layout import Layout
from .packet import MARKER, RTP_HEADER, Packet

_protect: Final[Any] = LIBRARY.srtp_protect
MOST_CLEAR: Final = SLOT - TRAILER  # bytes of a packet before it is protected


class Sending(Fanout):
    """What all who send with Python and libsrtp do."""

    def path(self) -> PythonPath:
        """A new listener's path."""
        return PythonPath()

    def leg(
        self, path: PythonPath, ssrc: int, mid: str, extensions: Iterable[int], payload_types: Iterable[int] = ()
    ) -> PythonLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return PythonLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted), RED in payload_types)

    def group(self, legs: Sequence[PythonLeg]) -> Group:
        """The legs, those together that differ in nothing but number and SSRC."""
        return group_of(legs)

    def forward(self, packet: Packet, group: Group) -> None:
        """Send a packet on all these legs."""
        for alike in group:
            second, body = packet.second, packet.body
            if packet.primary and not alike.takes_red:
                second, body = second & MARKER | OPUS, body[packet.primary :]
            flags, before, rest = alike.write(packet, body)
            octets = len(body) - packet.padding
            self._send_each(alike.legs, packet.index, packet.timestamp, (flags, second), before, rest, octets)

    def send(
        self, alike: Alike, layout: Layout, index: int, second: int, timestamp: int, elements: bytes, payload: bytes
    ) -> None:
        """Send a packet of this layout, with these elements, on all these legs."""
        if alike.layout is not layout:
            alike.learn(layout)
        if alike.spans is not None:
            elements = alike.pick(elements)
        octets = len(payload)
        size = alike.size + octets
        if size > MOST_CLEAR:
            self.failures += len(alike.legs)
            return
        outgoing = self.outgoing
        memory, pointers, lengths, sizes, names, name_size, room = outgoing.parts
        write = alike.writers.by_size[octets] or alike.writers.make(octets)
        for unison in alike.unisons:
            if index != unison.last + 1 and not self._goes_on(unison, index, second, timestamp, elements, payload):
                continue
            rows, direct, destinations, count, offset, shift = unison.plan
            if outgoing.used + count >= room:
                outgoing.flush()
            later = timestamp + shift & 0xFFFF_FFFF if shift else timestamp
            start = write_start(alike.flags, second, index - offset & 0xFFFF, later)
            slot = begin = outgoing.used
            for keys, own in rows:  # the innermost loop
                write(memory, slot * SLOT, start, own, elements, payload)
                lengths[slot] = size
                if _protect(keys, pointers[slot], sizes[slot]) != OK:
                    self._fail_at(unison, slot - begin, index, octets)
                    rest = unison.legs[slot - begin + 1 :]
                    self._send_alike(alike, rest, index, second, timestamp, elements, payload)
                    break
                slot += 1
            else:
                direct(names, begin * name_size, destinations)
                outgoing.used = slot
                unison.last = index
                unison.octets += octets
        if alike.alone:
            self._send_alike(alike, alike.alone, index, second, timestamp, elements, payload)
            alike.join()  # those for whom that can be are in unison from now on

    def _goes_on(
        self, unison: Unison, index: int, second: int, timestamp: int, elements: bytes, payload: bytes
    ) -> bool:
        """Whether legs may go on with this packet after a gap. If not, it is late, or from then on they begin anew."""
        if index > unison.last + FARTHEST:
            unison.end()
            return False
        if index <= unison.last:  # for some of them it may be too late
            self._send_alike(unison.alike, unison.legs, index, second, timestamp, elements, payload)
            return False
        unison.skip_to(index)
        return True

    def _fail_at(self, unison: Unison, done: int, index: int, octets: int) -> None:
        """After a leg whose packet could not be protected: those before it have theirs."""
        self.failures += 1
        for at, leg in enumerate(unison.legs[: done + 1]):
            leg.use(index - leg.offset)
            if at < done:
                leg.count(octets)
                self.outgoing.commit(leg.path.destination)

    def _send_alike(
        self,
        alike: Alike,
        legs: list[PythonLeg],
        index: int,
        second: int,
        timestamp: int,
        elements: bytes,
        payload: bytes,
    ) -> None:
        rest = elements + alike.after + payload
        self._send_each(legs, index, timestamp, (alike.flags, second), alike.frame, rest, len(payload))

    def _send_each(
        self,
        legs: list[PythonLeg],
        index: int,
        timestamp: int,
        head: tuple[int, int],
        before: bytes,
        rest: bytes,
        octets: int,
    ) -> None:
        """Send any packet: `head` are the header's first two bytes; `before` follows the SSRC, and `rest` the mid."""
        if not legs:
            return
        outgoing, (flags, second) = self.outgoing, head
        size = RTP_HEADER + len(before) + len(legs[0].mid) + len(rest)
        if size > MOST_CLEAR:
            self.failures += len(legs)
            return
        views, lengths, pointers, sizes, names, places = (
            outgoing.views, outgoing.lengths, outgoing.pointers, outgoing.sizes, outgoing.names, outgoing.places,
        )  # fmt: skip
        slot = outgoing.used
        for leg in legs:
            if leg.unison is not None:
                leg.unison.settle()
            number, path = index - leg.offset, leg.path
            if not (0 <= leg.first <= index and 0 < number - leg.top <= FARTHEST):
                if (found := leg.number_of(index)) is None:
                    continue
                number = found
            if path.pointer is None:
                self.failures += 1
                continue
            if number > leg.top:
                leg.top = number
            # The same whenever a packet is sent, for it may be sent again:
            marked = second | MARKER if leg.is_marked and index == leg.first else second
            start = write_start(flags, marked, number & 0xFFFF, timestamp + leg.shift & 0xFFFF_FFFF)
            views[slot][:size] = b"".join((start, leg.ssrc, before, leg.mid, rest))
            lengths[slot] = size
            if _protect(path.pointer, pointers[slot], sizes[slot]) != OK:
                self.failures += 1
                continue
            names[places[slot]] = path.destination
            leg.sent_packets += 1
            leg.sent_octets += octets
            slot += 1
            if slot == outgoing.count:
                outgoing.used = slot
                outgoing.flush()
                slot = 0
        outgoing.used = slot
