"""Those who are heard by the core in Python: voices from their slot to all who listen, in few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from palaver_media import redundancy
from palaver_media.rtcp import Reception
from palaver_media.rtp import OPUS, RED
from palaver_media.srtp import LIBRARY, OK
from palaver_media.worker_messages import AddProducer

from .datagrams import SLOT
from .fanout import KEPT
from .fanout_python_ear import Ear
from .fanout_python_groups import Group
from .layout import UNKNOWN, prefixes_for, seconds_of
from .packet import MARKER, RTP_HEADER, Head, Packet, read_header, write_header
from .speakers import LOUD

if TYPE_CHECKING:
    from .fanout_python import PythonFanout
    from .fanout_python_clients import PythonClient

_unprotect: Final[Any] = LIBRARY.srtp_unprotect
# Index, second byte as it is sent, timestamp, arrival (s), where the frame is in the body as `Packet` has it, first
# byte, what is between header and body, the body, and the loudness that is still to be noted, in -dBov.
Kept: TypeAlias = tuple[int, int, int, float, int, int, bytes, bytes, int | None]
_LAST: Final = KEPT - 1  # of the ring


class PythonTrack:
    """A producer whose packets the core takes from the socket to the listeners by itself.

    One that goes on as the last did is kept in the ring and sent, and that is all: it is counted with others when
    somebody asks, or the ring is full. For a packet that comes alone wakes up a process whose code and data have left
    the caches, and costs by how much of them it needs, not by how often.
    """

    __slots__ = (
        "_client", "_counted", "_ear", "_extensions", "_fanout", "_group", "_incoming", "_layout", "_next", "_octets",
        "_payload_types", "_prefixes", "_reception", "_ring", "_seconds", "begin", "ssrc",
    )  # fmt: skip

    def __init__(
        self, fanout: PythonFanout, client: PythonClient, command: AddProducer, begin: Callable[[], None]
    ) -> None:
        self.ssrc, self.begin = command.ssrc, begin
        self._octets = 0
        self._ear = Ear()
        self._fanout, self._client, self._incoming = fanout, client, fanout.incoming
        self._payload_types, self._extensions = command.payload_types, command.extensions
        self._seconds = seconds_of(frozenset(command.payload_types.items()))
        self._prefixes = prefixes_for(command.extensions)
        self._layout = UNKNOWN  # of the last usual packet
        self._reception = Reception(command.ssrc, command.clock_rate)
        self._ring: list[Kept | None] = [None] * KEPT
        self._next = 0  # the index of a packet that goes on as the last did
        self._counted = 0  # those from this one on are not counted yet
        self._group: Group = ()

    def take(self, client: PythonClient, slot: int, head: Head, now: float) -> None:
        """A packet of this track, in its slot, with what its header says, from its client.

        Whatever is wrong with it is counted, and costs only itself. The core spends its time here: the calls are few.
        """
        incoming = self._incoming
        if _unprotect(client.pointer, incoming.pointers[slot], incoming.sizes[slot]) != OK:
            self._fanout.outgoing.dropped["SrtpError"] += 1
            return
        size = incoming.arrived[slot]
        due = client.due if client.due > now - 1.0 else now - 1.0
        if due > now:
            self._fanout.outgoing.dropped["excess"] += 1
            return
        client.due = due + client.per_packet + client.per_octets[size]
        first, second, sequence, timestamp, _ = head
        index, layout, sent = self._next, self._layout, self._seconds[second]
        if sequence == index & 0xFFFF and sent is not None and first == layout.first and size >= layout.end:
            read = layout.readers.by_size[size - layout.end] or layout.readers.make(size - layout.end)
            before, body = read(incoming.memory, slot * SLOT)
            prefix = self._prefixes.get(before)
            if prefix is not None:
                at = index & _LAST
                if at == 0:
                    self._settle()
                layout, before, elements, level = prefix
                ring = self._ring
                ring[at] = None  # first, for what is made anew takes the place of what was freed last
                ring[at] = index, sent, timestamp, now, 0, first, before, body, level
                self._next = index + 1
                for alike in self._group:
                    self._fanout.send(alike, layout, index, sent, timestamp, elements, body)
                if level is not None and level <= -LOUD and not self._ear.is_speaking:
                    self._settle()
                return
        self._take_any(incoming.views[slot][:size].tobytes(), now)

    def _take_any(self, data: bytes, now: float) -> None:
        """Any other packet: the first, after a gap or late, or with a prefix that is new, or not a usual one."""
        self._settle()
        dropped, packet, elements = self._fanout.outgoing.dropped, None, b""
        is_red = self._payload_types.get(data[1] & ~MARKER) == RED
        try:
            prefix = None if is_red else self._prefixes.read(data, now, self._layout)
            if prefix is None:
                packet = Packet(data, self._extensions, now)
                body, level = packet.body, packet.level
                before = data[RTP_HEADER : len(data) - len(body)]
            else:
                self._layout, before, elements, told = prefix
                body, level = data[self._layout.end :], None if told is None else -told
        except ValueError:
            dropped["ValueError"] += 1
            return
        first, second, sequence, timestamp, _ = read_header(data)
        highest = self._reception.highest
        index = self._reception.count(sequence, timestamp, now)
        self._next = self._counted = self._reception.highest + 1
        payload_type = self._payload_types.get(second & ~MARKER)
        if payload_type is None or (index <= highest and self._was_here(index)):
            dropped["ValueError"] += 1  # or not negotiated
            return
        second, primary, octets = second & MARKER | payload_type, 0, len(body)
        if packet is not None:
            octets -= packet.padding
            if is_red:
                try:
                    body, primary = self._read_red(body, octets)
                except ValueError:
                    dropped["ValueError"] += 1
                    return
            packet.index, packet.second, packet.primary, packet.body = index, second, primary, body
        self._ring[index & _LAST] = index, second, timestamp, now, primary, first, before, body, None
        if packet is None:
            for alike in self._group:
                self._fanout.send(alike, self._layout, index, second, timestamp, elements, body)
        else:
            self._fanout.forward(packet, self._group)
        self._note(octets, level, now)

    def _was_here(self, index: int) -> bool:
        """Whether a packet was here before, or is too late: SRTP may count its cycles otherwise, and let it through."""
        kept = self._ring[index & _LAST]
        return index <= self._reception.highest - KEPT or (kept is not None and kept[0] >= index)

    def _read_red(self, body: bytes, octets: int) -> tuple[bytes, int]:
        """The body of a packet with copies of earlier frames, with the router's payload types; where its frame is.

        Raises:
            ValueError: it is broken.
        """
        renumbered, primary = redundancy.renumber(body[:octets], self._payload_types, OPUS)
        return renumbered + body[octets:], primary

    def _settle(self) -> None:
        """Count the packets that were not yet, and hear what they tell."""
        for index in range(self._counted, self._next):
            kept = self._ring[index & _LAST]
            assert kept is not None
            _, _, timestamp, now, _, _, _, body, level = kept
            self._reception.count(index & 0xFFFF, timestamp, now)
            self._note(len(body), None if level is None else -level, now)
        self._counted = self._next

    def _note(self, octets: int, level: int | None, now: float) -> None:
        """So much was received, and is so loud."""
        self._octets += octets
        if level is not None and self._ear.hear(level, now):
            self._fanout.begun.append(self)

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        self._settle()
        return self._octets

    @property
    def level(self) -> int | None:
        """The loudness (dBov) that the last packet told, if it did."""
        self._settle()
        return self._ear.level

    @property
    def loudness(self) -> tuple[float, float]:
        """The smoothed level of what was loud, and when that was."""
        self._settle()
        return self._ear.loudness, self._ear.heard

    def fill(self, reception: Reception) -> None:
        """Tell what was counted."""
        self._settle()
        reception.take_over(self._reception)

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        return None if (kept := self._find(index)) is None else kept[2]

    @property
    def transit(self) -> float:
        """The last packet's arrival less its timestamp."""
        self._settle()
        return self._reception.transit or 0.0

    def fall_silent(self) -> None:
        """Say it when somebody begins to speak again."""
        self._settle()
        self._ear.fall_silent()

    def set_paused(self, is_paused: bool) -> None:
        """Whether to hear nobody on it."""
        self._settle()
        self._ear.is_paused = is_paused

    def set_group(self, group: Group) -> None:
        """Forward to these legs."""
        for alike in self._group:
            alike.part()
        self._group = group

    def resend(self, index: int, group: Group) -> bool:
        """Send a packet again, byte for byte as it was, if it is still kept; whether it is."""
        kept = self._find(index)
        if kept is None:
            return False
        _, second, timestamp, now, primary, first, before, body, _ = kept
        data = write_header(first, second, index & 0xFFFF, timestamp, self.ssrc) + before + body
        packet = Packet(data, self._extensions, now)
        packet.index, packet.primary = index, primary
        self._fanout.forward(packet, group)
        return True

    def close(self) -> None:
        """Take no more."""
        self.set_group(())
        self._client.remove(self)

    def _find(self, index: int) -> Kept | None:
        kept = self._ring[index & _LAST]
        if kept is None or kept[0] != index or index < self._next - KEPT:
            return None  # or from before a leap: SRTP may count its number to another cycle by now
        return kept
