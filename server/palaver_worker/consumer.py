"""A track as one listener gets it: its own SSRC, mid and gapless numbering, protected with its own keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from palaver_media.worker_messages import AddConsumer

from .producer import RING

if TYPE_CHECKING:
    from .producer import Producer
    from .transport import Transport

RESENDS: Final = 100  # packets for one NACK


class Consumer:
    """One producer forwarded to one transport; its `leg` does the numbering."""

    def __init__(self, transport: Transport, producer: Producer, command: AddConsumer) -> None:
        self.id, self.ssrc, self.cname = command.consumer, command.ssrc, command.cname
        self.transport, self.producer = transport, producer
        self.is_paused = True
        self.bitrate: int | None = None  # bit/s this listener can take (REMB)
        self.fanout = transport.port.fanout
        self.leg = self.fanout.leg(transport.path, command.ssrc, command.mid, command.extensions)
        self._alone = self.fanout.group([self.leg])
        self._resends = 0  # packets that may be sent again
        self._counted = 0  # those sent when that was last made up

    @property
    def is_active(self) -> bool:
        """Whether packets go there."""
        return not self.is_paused and self.transport.is_connected

    def resend(self, lost: Iterable[int]) -> None:
        """Send again, byte for byte, what the listener misses and the producer still keeps.

        In all no more than was sent for the first time: a NACK is small, and what it asks for may be much.
        """
        leg = self.leg
        if leg.first < 0 or not self.is_active:
            return
        self._resends = min(RING, self._resends + leg.packets - self._counted)
        highest, offset = leg.highest, leg.offset
        for sequence in lost:
            index = highest - ((highest - sequence) & 0xFFFF) + offset
            packet = self.producer.find(index) if index >= leg.first else None
            if packet is not None and self._resends > 0:
                self._resends -= 1
                self.fanout.forward(packet, self._alone)
        self._counted = leg.packets

    def resume(self) -> None:
        """Forward from the next packet on; a video's picture begins with a keyframe."""
        if self.is_paused:
            self.is_paused = False
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
