"""A track as one listener gets it: its own SSRC, mid and gapless numbering, protected with its own keys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from palaver_media.rtp import Listener, RtpPacket
from palaver_media.worker_messages import AddConsumer

from .producer import RING

if TYPE_CHECKING:
    from .producer import Producer
    from .transport import Transport

RESENDS: Final = 100  # packets for one NACK


class Consumer:
    """One producer forwarded to one transport.

    Packets are numbered `index - _offset`, where `index` is the producer's extended sequence number. The offset
    changes only when forwarding begins again, and then numbering goes on after the highest number ever used; so a
    number, and with it an SRTP packet index, never stands for two different packets.
    """

    def __init__(self, transport: Transport, producer: Producer, command: AddConsumer) -> None:
        self.id, self.ssrc, self.cname = command.consumer, command.ssrc, command.cname
        self.transport, self.producer = transport, producer
        self.is_paused = True
        self.packets = self.octets = 0  # sent, for the sender report; octets of payload
        self.bitrate: int | None = None  # bit/s this listener can take (REMB)
        self._listener = Listener(command.ssrc, command.mid, command.extensions)
        self._first: int | None = None  # the producer's number with which forwarding began
        self._offset = 0
        self._highest: int | None = None  # the highest number used
        self._resends = 0  # packets that may be sent again
        self._counted = 0  # `packets` when that was last made up

    def forward(self, index: int, packet: RtpPacket) -> None:
        """Send the producer's packet `index` to the listener."""
        if self.is_paused or not self.transport.is_connected:
            return
        if self._first is None:
            self._begin(index)
        elif index < self._first:  # late, from before the pause: its number is another's
            return
        number = index - self._offset
        if self._highest is not None and number - self._highest > 0x7FFF:  # SRTP would count it to the cycle before
            self._begin(index)
            number = index - self._offset
        self._highest = number if self._highest is None else max(number, self._highest)
        self.transport.send_rtp(self._listener.rewrite(packet, number & 0xFFFF))
        self.packets += 1
        self.octets += len(packet.body) - packet.padding

    def resend(self, lost: Iterable[int]) -> None:
        """Send again, byte for byte, what the listener misses and the producer still keeps.

        In all no more than was sent for the first time: a NACK is small, and what it asks for may be much.
        """
        if self._highest is None or self._first is None:
            return
        self._resends = min(RING, self._resends + self.packets - self._counted)
        self._counted = self.packets
        for sequence in lost:
            index = self._highest - ((self._highest - sequence) & 0xFFFF) + self._offset
            packet = self.producer.find(index) if index >= self._first else None
            if packet is not None and self._resends > 0:
                self._resends -= 1
                self.transport.send_rtp(self._listener.rewrite(packet, sequence))

    def resume(self) -> None:
        """Forward from the next packet on; a video's picture begins with a keyframe."""
        if self.is_paused:
            self.is_paused = False
            self.ask_keyframe()

    def pause(self) -> None:
        """Forward no more for now."""
        self.is_paused, self._first = True, None

    def ask_keyframe(self) -> None:
        """Have the producer asked for a keyframe, if this listener would get it."""
        if not self.is_paused:
            self.producer.request_keyframe()

    def _begin(self, index: int) -> None:
        # A stream starts below 2^15, or a listener that misses its first packets takes the wrap for a loss of sync.
        number = index & 0x7FFF if self._highest is None else self._highest + 1
        self._first, self._offset = index, index - number
