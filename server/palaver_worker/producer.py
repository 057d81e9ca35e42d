"""A track that arrives: counted, given the router's numbers, kept for resends, handed to its listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver_media import rtcp, rtp
from palaver_media.rtcp import FEEDBACK_SSRC, Reception
from palaver_media.worker_messages import AddProducer, MediaKind

from .packet import MARKER, Packet
from .speakers import Voice

if TYPE_CHECKING:
    from aiortc.rtp import RtcpSenderInfo

    from .consumer import Consumer
    from .sfu import Sfu
    from .transport import Transport

RING: Final = 600  # packets kept for resends
KEYFRAME_THROTTLE: Final = 0.5  # s between requests to one sender, whoever asks
KEYFRAME_PATIENCE: Final = 1.0  # s until a request that brought nothing is repeated


class Producer:
    """One incoming track and the consumers it is forwarded to."""

    def __init__(self, sfu: Sfu, transport: Transport, command: AddProducer) -> None:
        self.id, self.ssrc, self.media = command.producer, command.ssrc, command.media
        self.transport = transport
        self.clock_rate = command.clock_rate
        self.reception = Reception(command.ssrc, command.clock_rate)
        self.consumers: list[Consumer] = []
        self.sender_info: tuple[RtcpSenderInfo, float] | None = None  # and when it arrived
        self._voice = Voice(sfu, transport.router, command.producer) if command.media is MediaKind.AUDIO else None
        self._payload_types = command.payload_types
        self._extensions = command.extensions
        self._ring: list[Packet | None] = [None] * RING
        self._fanout = sfu.port.fanout
        self._group = self._fanout.group([])  # the legs of all active consumers
        self._now = sfu.port.now
        self._wants_keyframe = False
        self._keyframe_asked = -KEYFRAME_THROTTLE
        self._keyframe = sfu.alarm(self._send_keyframe_request)

    def take(self, data: memoryview, now: float) -> None:
        """A packet of this track, authentic and in the clear: on to everyone who listens.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = Packet(data, self._extensions, now)
        packet.index = self.reception.count(packet.sequence, packet.timestamp, now)
        payload_type = self._payload_types.get(packet.second & ~MARKER)
        if payload_type is None:
            raise ValueError("payload type not negotiated")
        kept = self._ring[packet.index % RING]
        if packet.index <= self.reception.highest - RING or (kept is not None and kept.index == packet.index):
            raise ValueError("too late, or here before")  # SRTP may count its cycles otherwise, and let it through
        packet.second = packet.second & MARKER | payload_type
        self._ring[packet.index % RING] = packet
        self._fanout.forward(packet, self._group)
        if self._wants_keyframe and rtp.starts_vp8_keyframe(packet.payload):
            self._wants_keyframe = False
        if self._voice is not None and packet.level is not None:
            self._voice.hear(packet.level, now)

    def find(self, index: int) -> Packet | None:
        """The packet with this extended sequence number, if it is still kept."""
        kept = self._ring[index % RING]
        return kept if kept is not None and kept.index == index else None

    def regroup(self) -> None:
        """Who listens has changed."""
        self._group = self._fanout.group([each.leg for each in self.consumers if each.is_active])

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe, soon, and again each second until one comes or nobody listens."""
        if self.media is MediaKind.VIDEO and not self._wants_keyframe:
            self._wants_keyframe = True
            self._keyframe.set(max(self._now(), self._keyframe_asked + KEYFRAME_THROTTLE))

    def close(self) -> None:
        """Ask for nothing more, and be silent."""
        self._keyframe.set(None)
        if self._voice is not None:
            self._voice.end()

    def _send_keyframe_request(self) -> None:
        if self._wants_keyframe and any(not each.is_paused for each in self.consumers):
            self._keyframe_asked = self._now()
            self._keyframe.set(self._keyframe_asked + KEYFRAME_PATIENCE)
            self.transport.send_rtcp(rtcp.write_pli(FEEDBACK_SSRC, self.ssrc))
        else:
            self._wants_keyframe = False
