"""The core in Python: libsrtp is called on the slots of the blocks, so nothing is copied twice."""

from __future__ import annotations

import math
import select
import struct
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver_media.rtp import OPUS, RED
from palaver_media.srtp import LIBRARY, TRAILER

from .datagrams import SLOT, Incoming, Outgoing
from .fanout import FARTHEST, Client, Fanout, mid_element
from .fanout_python_clients import PythonClient
from .fanout_python_groups import START, Alike, Group, Unison, group_of
from .fanout_python_legs import PythonLeg, PythonPath
from .fanout_python_tracks import PythonTrack
from .packet import MARKER, RTP_HEADER, Packet
from .sockaddr import Sockaddr

_HEADER: Final = struct.Struct("!BBHII")
_protect: Final[Any] = LIBRARY.srtp_protect


class PythonFanout(Fanout):
    """Forwarding by Python and libsrtp. `begun` are tracks on which somebody began to speak."""

    name = "python"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self.begun: list[PythonTrack] = []
        self._doors: dict[Sockaddr, PythonClient] = {}
        self._received = 0  # datagrams in the incoming block that were not looked at yet
        self._left: list[int] = []  # slots that are the caller's
        self._others = -1
        self._sources: Any = None  # made when there is something to wait for, which is only on Linux
        self._commands: Any = None

    def client(self) -> PythonClient:
        """A new client, who is not heard yet."""
        return PythonClient(self)

    def admit(self, address: Sockaddr, client: Client) -> None:
        """Hear this client, and no other, at an address."""
        assert isinstance(client, PythonClient)
        self.dismiss(address)
        self._doors[address] = client

    def dismiss(self, address: Sockaddr) -> None:
        """Hear nobody there."""
        if (client := self._doors.pop(address, None)) is not None:
            client.forget(address)

    def receive(self, dropped: Counter[str]) -> None:
        """Take what has arrived."""
        self._received, self._left = self.incoming.receive(dropped), []

    def process(self, now: float, dropped: Counter[str]) -> list[int]:
        """Act on what was received, and tell who begins to speak; the slots of what is not a voice's."""
        received, self._received = self._received, 0
        self._take(received, now)
        begun, self.begun = self.begun, []
        left, self._left = self._left, []
        for track in begun:
            track.begin()
        return left

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward voices until something else is to be done."""
        self.outgoing.flush()
        self._received, self._left = 0, []  # a batch that was not acted on is lost
        if others != self._others:
            self._watch(others)
        now = 0.0 if timeout is None else time.monotonic()
        deadline = math.inf if timeout is None else now + max(0.0, timeout)
        while True:
            found = self._sources.poll(None if timeout is None else math.ceil((deadline - now) * 1000))
            if not found or found[0][0] == others:
                return False, bool(found)
            # Our socket is looked at first, so what was sent before the first datagram was seen. The others are newer.
            received = self.incoming.receive(self.outgoing.dropped)
            if len(found) == 2 or (received > 1 and self._commands.poll(0)):
                self._received = received
                return received > 0, True
            now = time.monotonic()
            self._take(received, now)
            self.outgoing.flush()
            if self._left or self.begun:
                return True, False
            if now >= deadline:
                return False, False

    def _watch(self, others: int) -> None:
        self._sources, self._commands = select.poll(), select.poll()
        for source in (self.incoming.fileno, others):
            self._sources.register(source, select.POLLIN)
        self._commands.register(others, select.POLLIN)
        self._others = others

    def _take(self, received: int, now: float) -> None:
        """Take voices from the incoming block; what is not one is left."""
        incoming = self.incoming
        for slot in range(received):
            client = self._doors.get(address := incoming.sources[slot].tobytes())
            if client is not None and incoming.arrived[slot] >= RTP_HEADER:
                head = _HEADER.unpack_from(incoming.views[slot])
                if head[0] >> 6 == 2 and not 192 <= head[1] <= 223:
                    track = client.tracks.get(head[4])
                    if track is not None and client.pointer is not None:
                        track.take(slot, head, now)
                        continue
                elif head[0] == 0 and client.answer(incoming.data(slot), address, now):
                    continue
            self._left.append(slot)

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

    def send(self, unison: Unison, index: int, second: int, timestamp: int, rest: bytes, octets: int) -> None:
        """Send a packet of the layout that they know on all these legs: `rest` follows the mid."""
        if index > unison.last + FARTHEST:  # each begins anew
            unison.end()
            return
        if index <= unison.first:  # late, and for some of them too late
            alike = unison.alike
            self._send_each(unison.legs, index, timestamp, (alike.flags, second), alike.frame, rest, octets)
            return
        outgoing, size = self.outgoing, unison.size + len(rest)
        if size + TRAILER > SLOT:
            self.failures += len(unison.legs)
            return
        if outgoing.used + len(unison.legs) >= outgoing.count:
            outgoing.flush()
        memory, pointers, lengths, sizes = outgoing.bytes, outgoing.pointers, outgoing.lengths, outgoing.sizes
        write = unison.writers[len(rest)]
        number, later = index - unison.offset & 0xFFFF, timestamp + unison.shift & 0xFFFF_FFFF
        start = START.pack(unison.alike.flags, second, number, later)
        slot = begin = outgoing.used
        for keys, own in unison.rows:  # the innermost loop
            write(memory, slot * SLOT, start, own, rest)
            lengths[slot] = size
            if _protect(keys, pointers[slot], sizes[slot]):
                break
            slot += 1
        else:
            outgoing.names[begin * outgoing.name_size : slot * outgoing.name_size] = unison.destinations
            outgoing.used = slot
            unison.packets += 1
            unison.octets += octets
            if index > unison.last:
                unison.last = index
            return
        self._go_on(unison, slot - begin, index, octets)
        legs, alike = unison.legs[slot - begin + 1 :], unison.alike
        self._send_each(legs, index, timestamp, (alike.flags, second), alike.frame, rest, octets)

    def _go_on(self, unison: Unison, done: int, index: int, octets: int) -> None:
        """After a leg whose packet could not be protected: those before it have theirs."""
        self.failures += 1
        for at, leg in enumerate(unison.legs[: done + 1]):
            leg.use(index - leg.offset)
            if at < done:
                leg.count(octets)
                self.outgoing.commit(leg.path.destination)

    def send_alone(self, alike: Alike, index: int, second: int, timestamp: int, rest: bytes, octets: int) -> None:
        """The same for those who are in unison with nobody; they are from now on, if that can be."""
        self._send_each(alike.alone, index, timestamp, (alike.flags, second), alike.frame, rest, octets)
        alike.join()

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
        if size + TRAILER > SLOT:
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
            start = START.pack(flags, marked, number & 0xFFFF, timestamp + leg.shift & 0xFFFF_FFFF)
            views[slot][:size] = b"".join((start, leg.ssrc, before, leg.mid, rest))
            lengths[slot] = size
            if _protect(path.pointer, pointers[slot], sizes[slot]):
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
