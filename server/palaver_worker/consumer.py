"""A track as one listener gets it: its own SSRC, mid and gapless numbering, protected with its own keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from palaver_media.worker_messages import AddConsumer, Rtx

from . import rtx
from .packet import Packet
from .statistics import Hearing
from .video_producer import RING

if TYPE_CHECKING:
    from .source import Source
    from .transport import Transport

RESENDS: Final = 100  # packets for one NACK


class Retransmissions:
    """A listener's stream of retransmissions (RFC 4588), with numbers of its own."""

    def __init__(self, transport: Transport, stream: Rtx, command: AddConsumer) -> None:
        self.ssrc, self._payload_type = stream.ssrc, stream.payload_type
        self._fanout = transport.port.fanout
        leg = self._fanout.leg(transport.path, stream.ssrc, command.mid, command.extensions)
        self._alone = self._fanout.group([leg])
        self._next = 0

    def send(self, packet: Packet, sequence: int, now: float) -> None:
        """Send a packet that the listener misses under this sequence number."""
        wrapped = rtx.wrap(packet, sequence, self._payload_type, self._next, now)
        self._next += 1
        self._fanout.forward(wrapped, self._alone)


class Consumer:
    """One producer, or speaker, forwarded to one transport; its `leg` does the numbering."""

    def __init__(self, transport: Transport, producer: Source, command: AddConsumer) -> None:
        self.id, self.ssrc, self.cname = command.consumer, command.ssrc, command.cname
        self.transport, self.producer = transport, producer
        self.is_paused = True
        self.resends = 0
        self.hearing = Hearing()
        self.fanout = transport.port.fanout
        self.leg = self.fanout.leg(transport.path, command.ssrc, command.mid, command.extensions, command.payload_types)
        self._alone = self.fanout.group([self.leg])
        self.retransmissions = None if command.rtx is None else Retransmissions(transport, command.rtx, command)
        self._allowed = 0  # packets that may be sent again
        self._counted = 0  # packets sent for the first time, when that was last made up

    @property
    def is_active(self) -> bool:
        """Whether packets go there."""
        return not self.is_paused and self.transport.is_connected

    def resend(self, lost: Iterable[int], now: float) -> None:
        """Send again what the listener misses and the producer still keeps.

        In all no more than was sent for the first time: a NACK is small, and what it asks for may be much.
        """
        leg = self.leg
        if leg.first < 0 or not self.is_active:
            return
        self._allow()
        highest, offset = leg.highest, leg.offset
        for sequence in lost:
            index = highest - ((highest - sequence) & 0xFFFF) + offset
            if index >= leg.first and self._allowed > 0 and self._send_again(index, sequence, now):
                self._allowed -= 1
                self.resends += 1

    def index_of(self, sequence: int) -> int | None:
        """The producer's index of what was sent under this number; None if nothing was, since forwarding began."""
        index = self.leg.highest - (self.leg.highest - sequence & 0xFFFF) + self.leg.offset
        return index if 0 <= self.leg.first <= index else None

    def _allow(self) -> None:
        sent = self.leg.packets - (self.resends if self.retransmissions is None else 0)
        self._allowed = min(RING, self._allowed + sent - self._counted)
        self._counted = sent

    def _send_again(self, index: int, sequence: int, now: float) -> bool:
        if self.retransmissions is None:  # byte for byte as it was
            return self.producer.resend(index, self._alone)
        if (packet := self.producer.find(index)) is not None:
            self.retransmissions.send(packet, sequence, now)
        return packet is not None

    def resume(self) -> None:
        """Forward from the next packet on; a video's picture begins with a keyframe."""
        if self.is_paused:
            self.is_paused = False
            self.transport.due = 0
            self.producer.regroup()
            self.ask_keyframe()

    def pause(self) -> None:
        """Forward no more for now."""
        self.is_paused = True
        self.leg.pause()
        self.producer.regroup()

    def ask_keyframe(self) -> None:
        """Have the producer asked for a keyframe, if this listener would get it."""
        if not self.is_paused:
            self.producer.request_keyframe()
