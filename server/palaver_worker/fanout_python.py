"""The core in Python: who is heard where, and voices from the socket to their tracks. See `Sending` for the way out."""

from __future__ import annotations

import math
import time
from collections import Counter
from typing import Final

from .datagrams import BATCH, SLOT, Incoming, Outgoing
from .fanout import Client
from .fanout_python_clients import PythonClient
from .fanout_python_sending import Sending
from .fanout_python_tracks import PythonTrack
from .packet import RTP_HEADER, read_header
from .sockaddr import Sockaddr
from .sources import Sources

SLOTS: Final = [tuple(range(count)) for count in range(BATCH + 1)]  # of so many datagrams


class PythonFanout(Sending):
    """Forwarding by Python and libsrtp. `begun` are tracks on which somebody began to speak."""

    name = "python"

    def __init__(self, incoming: Incoming, outgoing: Outgoing) -> None:
        super().__init__(incoming, outgoing)
        self.begun: list[PythonTrack] = []
        self._doors: dict[Sockaddr, PythonClient] = {}
        self._received = 0  # datagrams in the incoming block that were not looked at yet
        self._left: list[int] = []  # slots that are the caller's
        self._sources: Sources | None = None  # made when there is something to wait for, which is only on Linux

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
        for slot in range(received):
            self._take(slot, now)
        begun, self.begun = self.begun, []
        left, self._left = self._left, []
        for track in begun:
            track.begin()
        return left

    def wait(self, others: int, timeout: float | None) -> tuple[bool, bool]:
        """Forward voices until something else is to be done."""
        self.outgoing.flush()
        self._received, self._left = 0, []  # a batch that was not acted on is lost
        sources = self._sources
        if sources is None or sources.second != others:
            sources = self._sources = Sources(self.incoming.fileno, others)
        # Looked up once: a packet that comes alone finds cold caches, and each look-up costs it part of a microsecond.
        incoming, flush, find, left = self.incoming, self.outgoing.flush, self._doors.get, self._left
        receive, ceil, monotonic = incoming.receive, math.ceil, time.monotonic
        read_name, names, name_size = incoming.read_name, incoming.names, incoming.name_size
        arrived, memory, dropped = incoming.arrived, incoming.memory, self.outgoing.dropped
        poll, poll_second, udp = sources.poll, sources.poll_second, incoming.fileno
        now = 0.0 if timeout is None else monotonic()
        deadline = math.inf if timeout is None else now + max(0.0, timeout)
        while True:
            found = poll(None if timeout is None else ceil((deadline - now) * 1000.0))
            if not found or found[0][0] != udp:
                return False, found != []
            # Our socket is looked at first, so what was sent before the first datagram was seen. The others are newer.
            received = receive(dropped)
            if len(found) > 1 or (received > 1 and poll_second(0)):
                self._received = received
                return received > 0, True
            if received == 0:
                return False, True
            now = monotonic()
            for slot in SLOTS[received]:  # as `_take`, which has all that is no voice
                (address,) = read_name(names, slot * name_size)
                client = find(address)
                if client is not None and arrived[slot] >= RTP_HEADER:
                    head = read_header(memory, slot * SLOT)
                    if 128 <= head[0] <= 191 and not 192 <= head[1] <= 223:
                        track = client.tracks.get(head[4])
                        if track is not None and client.pointer is not None:
                            track.take(client, slot, head, now)
                            continue
                self._take(slot, now)
            flush()
            if left or self.begun:
                return True, False
            if now >= deadline:
                return False, False

    def _take(self, slot: int, now: float) -> None:
        """Take a voice from the incoming block, or answer a check; what is neither is left."""
        incoming = self.incoming
        (address,) = incoming.read_name(incoming.names, slot * incoming.name_size)
        client = self._doors.get(address)
        if client is not None and incoming.arrived[slot] >= RTP_HEADER:
            head = read_header(incoming.memory, slot * SLOT)
            if 128 <= head[0] <= 191 and not 192 <= head[1] <= 223:
                track = client.tracks.get(head[4])
                if track is not None and client.pointer is not None:
                    track.take(client, slot, head, now)
                    return
            elif head[0] == 0 and client.answer(incoming.data(slot), address, now):
                return
        self._left.append(slot)
