"""Those who are heard by the core in Python: voices from their slot to all who listen, in few words."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from palaver_media import redundancy
from palaver_media.rtcp import Reception
from palaver_media.rtp import OPUS, RED, write_send_time
from palaver_media.srtp import LIBRARY
from palaver_media.worker_messages import AddProducer

from .fanout import KEPT
from .fanout_python_groups import Group
from .layout import Layout, layout_of
from .packet import MARKER, Packet
from .speakers import LOUD, ONSET, SMOOTHING

if TYPE_CHECKING:
    from .fanout_python import PythonFanout
    from .fanout_python_clients import PythonClient

_unprotect: Final[Any] = LIBRARY.srtp_unprotect
Head: TypeAlias = tuple[int, int, int, int, int]  # first byte, second, sequence number, timestamp, SSRC


class PythonTrack:
    """A producer whose packets the core takes from the socket to the listeners by itself."""

    __slots__ = (
        "_by_second", "_client", "_extensions", "_fanout", "_group", "_heard", "_is_paused", "_is_speaking",
        "_layout", "_loudness", "_payload_types", "_reception", "_ring", "_run", "begin", "level", "octets", "ssrc",
    )  # fmt: skip

    def __init__(
        self, fanout: PythonFanout, client: PythonClient, command: AddProducer, begin: Callable[[], None]
    ) -> None:
        self.ssrc, self.begin = command.ssrc, begin
        self.octets = 0
        self.level: int | None = None
        self._loudness = self._heard = 0.0
        self._fanout, self._client = fanout, client
        self._payload_types, self._extensions = command.payload_types, command.extensions
        self._by_second = [command.payload_types.get(second & ~MARKER) for second in range(256)]  # byte of a header
        self._reception = Reception(command.ssrc, command.clock_rate)
        # Index, packet in the clear, arrival, and where the frame is in its body, as `Packet` has it.
        self._ring: list[tuple[int, bytes, float, int] | None] = [None] * KEPT
        self._group: Group = []
        self._layout: Layout | None = None  # of the last usual packet
        self._is_paused = self._is_speaking = False
        self._run = 0  # loud packets in a row

    def take(self, slot: int, head: Head, now: float) -> None:
        """A packet of this track, in its slot, with what its header says.

        Whatever is wrong with it is counted, and costs only itself. The core spends its time here: the calls are few.
        """
        fanout, client = self._fanout, self._client
        incoming = fanout.incoming
        if _unprotect(client.pointer, incoming.pointers[slot], incoming.sizes[slot]):
            fanout.outgoing.dropped["SrtpError"] += 1
            return
        size = incoming.arrived[slot]
        due = client.due if client.due > now - 1 else now - 1
        if due > now:
            fanout.outgoing.dropped["excess"] += 1
            return
        client.due = due + client.per_packet + size * client.per_byte
        data = incoming.views[slot][:size].tobytes()
        layout, packet = self._layout, None
        if layout is None or int.from_bytes(data[: layout.end], "big") & layout.mask != layout.heads:
            try:
                layout = layout_of(data, self._extensions)
                if layout is None:
                    packet = Packet(data, self._extensions, now)
                else:
                    self._layout = layout
            except ValueError:
                fanout.outgoing.dropped["ValueError"] += 1
                return
        _, second, sequence, timestamp, _ = head
        highest = self._reception.highest
        index = self._reception.count(sequence, timestamp, now)
        payload_type, primary = self._by_second[second], 0
        if payload_type is None or (index <= highest and self._was_here(index)):
            fanout.outgoing.dropped["ValueError"] += 1  # or not negotiated
            return
        if payload_type == RED:
            try:
                data, primary = self._read_red(data, layout, packet)
            except ValueError:
                fanout.outgoing.dropped["ValueError"] += 1
                return
        self._ring[index % KEPT] = index, data, now, primary
        second, level = second & MARKER | payload_type, None
        if layout is not None:
            self._spread(layout, data, index, second, timestamp, now, primary)
            level = -(data[layout.level_at] & 0x7F) if layout.level_at else None
        elif packet is not None:
            packet.index, packet.second = index, second
            fanout.forward(packet, self._group)
            self.octets += len(packet.payload)
            level = packet.level
        if level is not None and not self._is_paused:
            self.level = level
            if level < LOUD:
                self._run = 0
            else:
                self._hear(level, now)

    def _was_here(self, index: int) -> bool:
        """Whether a packet was here before, or is too late: SRTP may count its cycles otherwise, and let it through."""
        kept = self._ring[index % KEPT]
        return index <= self._reception.highest - KEPT or (kept is not None and kept[0] >= index)

    def _read_red(self, data: bytes, layout: Layout | None, packet: Packet | None) -> tuple[bytes, int]:
        """A packet with copies of earlier frames, in whose body the payload types are the router's; where its frame is.

        Raises:
            ValueError: it is broken.
        """
        padding = 0 if packet is None else packet.padding
        start = layout.end if layout is not None else len(data) - (0 if packet is None else len(packet.body))
        stop = len(data) - padding
        body, primary = redundancy.renumber(data[start:stop], self._payload_types, OPUS)
        data = data[:start] + body + data[stop:]
        if packet is not None:
            packet.body, packet.primary = data[start:], primary
        return data, primary

    def _spread(
        self, layout: Layout, data: bytes, index: int, second: int, timestamp: int, now: float, primary: int
    ) -> None:
        """Send a usual packet to all."""
        elements = b""
        for head, value in layout.parts:
            elements += head + (write_send_time(now) if value is None else data[value])
        whole = body = data[layout.end :]
        octets, sent = len(body), second
        self.octets += octets
        for alike in self._group:
            if primary:
                body, sent = (whole, second) if alike.takes_red else (whole[primary:], second & MARKER | OPUS)
                octets = len(body)
            if alike.layout is not layout:
                alike.learn(layout)
            wanted = elements if alike.spans is None else b"".join([elements[span] for span in alike.spans])
            rest = wanted + alike.after + body
            for unison in alike.unisons:
                self._fanout.send(unison, index, sent, timestamp, rest, octets)
            if alike.alone:
                self._fanout.send_alone(alike, index, sent, timestamp, rest, octets)

    def _hear(self, level: int, now: float) -> None:
        """Somebody is loud; see `speakers.Voice`."""
        if self._run == 0 and not self._is_speaking:
            self._loudness = level
        self._run += 1
        self._loudness += (level - self._loudness) * SMOOTHING
        self._heard = now
        if not self._is_speaking and self._run >= ONSET:
            self._is_speaking = True
            self._fanout.begun.append(self)

    @property
    def loudness(self) -> tuple[float, float]:
        """The smoothed level of what was loud, and when that was."""
        return self._loudness, self._heard

    def fill(self, reception: Reception) -> None:
        """Tell what was counted."""
        reception.take_over(self._reception)

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        return None if (packet := self._find(index)) is None else packet.timestamp

    @property
    def transit(self) -> float:
        """The last packet's arrival less its timestamp."""
        return self._reception.transit or 0.0

    def fall_silent(self) -> None:
        """Say it when somebody begins to speak again."""
        self._is_speaking, self._run = False, 0

    def set_paused(self, is_paused: bool) -> None:
        """Whether to hear nobody on it."""
        self._is_paused = is_paused

    def set_group(self, group: Group) -> None:
        """Forward to these legs."""
        for alike in self._group:
            alike.part()
        self._group = group

    def resend(self, index: int, group: Group) -> bool:
        """Send a packet again, byte for byte as it was, if it is still kept; whether it is."""
        if (packet := self._find(index)) is not None:
            self._fanout.forward(packet, group)
        return packet is not None

    def close(self) -> None:
        """Take no more."""
        self.set_group([])
        self._client.remove(self)

    def _find(self, index: int) -> Packet | None:
        kept = self._ring[index % KEPT]
        if kept is None or kept[0] != index or index <= self._reception.highest - KEPT:
            return None  # or from before a leap: SRTP may count its number to another cycle by now
        packet = Packet(kept[1], self._extensions, kept[2])
        packet.index, packet.primary = index, kept[3]
        packet.second = packet.second & MARKER | self._payload_types[packet.second & ~MARKER]
        return packet
