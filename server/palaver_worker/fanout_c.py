"""The core in C (`fanout_build.SOURCES`), given libsrtp's own functions, so that it needs no headers of it."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from palaver_media.rtp import RED

from .datagrams import Incoming, Outgoing
from .fanout import Client, Fanout, mid_element
from .fanout_c_legs import CLeg, CPath, Group, ffi, function_of, group_of, lib
from .fanout_c_tracks import CClient
from .packet import Packet
from .sockaddr import Sockaddr
from .speakers import LOUD, ONSET, SMOOTHING


class CFanout(Fanout):
    """Forwarding in C: of voices all the way, of other packets by one call for each."""

    name = "c"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self._block: Any = ffi.new("struct block *")
        self._block.headers = ffi.cast("struct mmsghdr *", outgoing.headers_address)
        self._block.slots = outgoing.count
        self._block.protect = function_of("srtp_protect")
        self.pump: Any = ffi.new("struct pump *")
        self.pump.udp, self.pump.others, self.pump.name_size = incoming.fileno, -1, incoming.name_size
        self.pump.seed = secrets.randbits(32)
        self.pump.incoming = ffi.cast("struct mmsghdr *", incoming.headers_address)
        self.pump.outgoing, self.pump.unprotect = self._block, function_of("srtp_unprotect")
        self.pump.loud, self.pump.onset, self.pump.smoothing = LOUD, ONSET, SMOOTHING
        self._begins: dict[int, Callable[[], None]] = {}  # by the number of a track
        self._numbers = itertools.count()
        self._doors: dict[Sockaddr, tuple[Any, CClient]] = {}

    def client(self) -> CClient:
        """A new client, who is not heard yet."""
        return CClient(self)

    def admit(self, address: Sockaddr, client: Client) -> None:
        """Hear this client, and no other, at an address."""
        assert isinstance(client, CClient)
        self.dismiss(address)
        door = ffi.new("struct door *")
        ffi.memmove(door.name, address, len(address))
        door.client = client.struct
        self._doors[address] = door, client  # which live as long as the pointers
        lib.admit(self.pump, door)

    def dismiss(self, address: Sockaddr) -> None:
        """Hear nobody there."""
        if (found := self._doors.pop(address, None)) is not None:
            door, client = found
            lib.dismiss(self.pump, door)
            if client.struct.selected == door:
                client.struct.selected = ffi.NULL

    def door(self, address: Sockaddr) -> Any:
        """C's door of an address; NULL where nobody is heard."""
        return self._doors[address][0] if address in self._doors else ffi.NULL

    def remember(self, begin: Callable[[], None]) -> int:
        """The number of a track, by which C tells that somebody began to speak."""
        number = next(self._numbers)
        self._begins[number] = begin
        return number

    def forget(self, number: int) -> None:
        """This track is gone."""
        del self._begins[number]

    def receive(self, dropped: Counter[str]) -> None:
        """Take what has arrived."""
        failure = -lib.receive(self.pump)
        if failure > 0 and failure not in (errno.EAGAIN, errno.EINTR):
            dropped[f"receive: {os.strerror(failure)}"] += 1

    def process(self, now: float, dropped: Counter[str]) -> list[int]:
        """Act on what was received; the slots of what is not a voice's."""
        with self.filling():
            lib.process(self.pump, now)
        return self.finish(dropped)

    def finish(self, dropped: Counter[str]) -> list[int]:
        """After C has acted: count, and tell who begins to speak; the slots that are left."""
        pump = self.pump
        slots = list(pump.leftovers[0 : pump.left])
        begun, pump.begun, pump.left = list(pump.onsets[0 : pump.begun]), 0, 0
        for number in begun:
            if (begin := self._begins.get(number)) is not None:
                begin()
        for reason, count in (("ValueError", pump.broken), ("SrtpError", pump.forged), ("excess", pump.excess)):
            if count:
                dropped[reason] += count
        if pump.refused:
            dropped[f"send: {os.strerror(pump.refusal)}"] += pump.refused
        pump.broken = pump.forged = pump.excess = pump.refused = 0
        self._count_failures()
        return slots

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward voices until something else is to be done."""
        self.outgoing.flush()
        self._block.used = 0
        pump = self.pump
        pump.others = others
        deadline = -1.0 if timeout is None else time.monotonic() + max(0.0, timeout)
        are_others = bool(lib.wait_and_forward(pump, deadline))
        return bool(pump.received or pump.left or pump.begun), are_others

    @contextmanager
    def filling(self) -> Iterator[None]:
        """While C fills the outgoing block."""
        self._block.used = self.outgoing.used
        yield
        self.outgoing.used = self._block.used
        self._count_failures()

    def _count_failures(self) -> None:
        self.failures += self._block.failures
        self._block.failures = 0

    def path(self) -> CPath:
        """A new listener's path."""
        return CPath()

    def leg(
        self, path: CPath, ssrc: int, mid: str, extensions: Iterable[int], payload_types: Iterable[int] = ()
    ) -> CLeg:
        """A new leg."""
        wanted = frozenset(extensions)
        return CLeg(path, ssrc, mid_element(mid, wanted), sum(1 << each for each in wanted), RED in payload_types)

    def group(self, legs: Sequence[CLeg]) -> Group:
        """Legs, as C takes them."""
        return group_of(legs)

    def forward(self, packet: Packet, group: Group) -> None:
        """Send a packet on all these legs."""
        legs, count, _ = group
        outgoing, block, at = self.outgoing, self._block, 0
        elements, csrcs, body = packet.elements, packet.csrcs, packet.body
        while at < count:
            block.used = outgoing.used
            at = lib.forward(
                block, legs, at, count, packet.first, packet.second, packet.index, packet.timestamp,
                elements, len(elements), csrcs, len(csrcs), body, len(body), packet.padding,
            )  # fmt: skip
            outgoing.used = block.used
            if outgoing.used == outgoing.count:
                outgoing.flush()
        if block.failures:
            self._count_failures()
