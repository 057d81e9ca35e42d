"""A track that arrives: counted, given the router's numbers, kept for resends, handed to its listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver_media import rtcp, rtp
from palaver_media.rtcp import FEEDBACK_SSRC, Reception
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, RtpPacket
from palaver_media.worker_messages import AddProducer, MediaKind

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
        self._ring: list[tuple[int, bytes] | None] = [None] * RING
        self._now = sfu.port.now
        self._wants_keyframe = False
        self._keyframe_asked = -KEYFRAME_THROTTLE
        self._keyframe = sfu.alarm(self._send_keyframe_request)

    def take(self, data: bytes, now: float) -> None:
        """A packet of this track, authentic and in the clear: on to everyone who listens.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = rtp.parse(data)
        index = self.reception.count(packet.sequence, packet.timestamp, now)
        if packet.payload_type not in self._payload_types:
            raise ValueError("payload type not negotiated")
        kept = self._ring[index % RING]
        if index <= self.reception.highest - RING or (kept is not None and kept[0] == index):
            raise ValueError("too late, or here before")  # SRTP may count its cycles otherwise, and let it through
        packet.payload_type = self._payload_types[packet.payload_type]
        packet.extensions = rtp.map_extensions(packet.extensions, self._extensions)
        if ABS_SEND_TIME in packet.extensions:  # this hop's: the listener's estimate is about the path from here
            packet.extensions[ABS_SEND_TIME] = rtp.write_send_time(now)
        self._ring[index % RING] = index, packet.write()
        for consumer in self.consumers:
            consumer.forward(index, packet)
        if self._wants_keyframe and rtp.starts_vp8_keyframe(packet.payload):
            self._wants_keyframe = False
        if self._voice is not None and (level := packet.extensions.get(AUDIO_LEVEL)):
            self._voice.hear(rtp.read_audio_level(level)[0], now)

    def find(self, index: int) -> RtpPacket | None:
        """The packet with this extended sequence number, if it is still kept."""
        kept = self._ring[index % RING]
        return rtp.parse(kept[1]) if kept is not None and kept[0] == index else None

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
