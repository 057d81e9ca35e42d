"""The core in Python: libsrtp is called on the slots of the blocks, so nothing is copied twice."""

from __future__ import annotations

import math
import select
import struct
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from palaver_media.rtp import OPUS, RED
from palaver_media.srtp import FFI, LIBRARY, TRAILER

from .datagrams import SLOT, Incoming, Outgoing
from .fanout import FARTHEST, Client, Fanout, mid_element
from .fanout_python_clients import PythonClient
from .fanout_python_legs import Group, PythonLeg, PythonPath, group_of
from .fanout_python_tracks import PythonTrack
from .packet import MARKER, RTP_HEADER, Packet
from .sockaddr import Sockaddr

_HEADER: Final = struct.Struct("!BBHII")


class PythonFanout(Fanout):
    """Forwarding by Python and libsrtp. `size` is for libsrtp's answers, `begun` are tracks on which somebody began."""

    name = "python"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self.size: Any = FFI.new("int *")
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
        self._received = self.incoming.receive(dropped)

    def process(self, now: float, dropped: Counter[str]) -> list[int]:
        """Act on what was received, and tell who begins to speak; the slots of what is not a voice's."""
        self._take(now)
        begun, self.begun = self.begun, []
        for track in begun:
            track.begin()
        left, self._left = self._left, []
        return left

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward voices until something else is to be done."""
        self.outgoing.flush()
        if others != self._others:
            self._watch(others)
        now = 0.0 if timeout is None else time.monotonic()
        deadline = math.inf if timeout is None else now + max(0.0, timeout)
        while True:
            found = self._sources.poll(None if timeout is None else math.ceil(max(0.0, deadline - now) * 1000))
            are_others = len(found) == 2 or (len(found) == 1 and found[0][0] == others)
            if not found or found[0][0] == others:
                return False, are_others
            # Our socket is looked at first, so what was sent before the first datagram was seen. The others are newer.
            self.receive(self.outgoing.dropped)
            if are_others or (self._received > 1 and self._commands.poll(0)):
                return self._received > 0, True
            now = time.monotonic()
            self._take(now)
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

    def _take(self, now: float) -> None:
        """Take voices from the incoming block; what is not one is left."""
        incoming, unpack = self.incoming, _HEADER.unpack_from
        received, self._received = self._received, 0
        for slot in range(received):
            if incoming.arrived[slot] >= RTP_HEADER:
                head = unpack(incoming.views[slot])
                address = incoming.names[incoming.places[slot]].tobytes()
                client = self._doors.get(address)
                is_rtp = head[0] >> 6 == 2 and not 192 <= head[1] <= 223
                if is_rtp and client is not None and client.pointer is not None:
                    track = client.tracks.get(head[4])
                    if track is not None:
                        track.take(client.pointer, slot, head, now)
                        continue
                elif head[0] == 0 and client is not None and client.answer(incoming.data(slot), address, now):
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
            first, tail = alike.write(packet, body)
            octets = len(body) - packet.padding
            self.send(alike.legs, packet.index, first, second, packet.timestamp, tail, octets)

    def send(
        self, legs: list[PythonLeg], index: int, first: int, second: int, timestamp: int, tail: bytes, octets: int
    ) -> None:
        """The innermost loop: no call, tuple or look-up in it that can be outside. `tail` follows the fixed header."""
        outgoing, size, protect = self.outgoing, self.size, LIBRARY.srtp_protect
        memory, pointers, lengths, names, places = (
            outgoing.bytes, outgoing.pointers, outgoing.lengths, outgoing.names, outgoing.places,
        )  # fmt: skip
        write, length = writer(len(tail)), RTP_HEADER + len(tail)
        if length + TRAILER > SLOT:
            self.failures += len(legs)
            return
        slot = outgoing.used
        for leg in legs:
            number = index - leg.offset
            if leg.first >= 0 and 0 < number - leg.highest <= FARTHEST:
                leg.highest = number
            elif (found := leg.number_of(index)) is not None:
                number = found
            else:
                continue
            path = leg.path
            pointer = path.pointer
            if pointer is None:
                self.failures += 1
                continue
            if leg.is_marked:  # the same whenever a packet is sent, for it may be sent again
                marked = second | MARKER if index == leg.first else second
                later = (timestamp + leg.shift) & 0xFFFF_FFFF
                write(memory, slot * SLOT, first, marked, number & 0xFFFF, later, leg.ssrc, tail)
            else:
                write(memory, slot * SLOT, first, second, number & 0xFFFF, timestamp, leg.ssrc, tail)
            size[0] = length
            if protect(pointer, pointers[slot], size):
                self.failures += 1
                continue
            names[places[slot]] = path.destination
            lengths[slot] = size[0]
            leg.packets += 1
            leg.octets += octets
            slot += 1
            if slot == outgoing.count:
                outgoing.used = slot
                outgoing.flush()
                slot = 0
        outgoing.used = slot


@cache
def writer(size: int) -> Callable[..., None]:
    """What writes a packet with so many bytes after the fixed header: at most as many as a slot has are asked for."""
    return struct.Struct(f"!BBHII{size}s").pack_into
