"""A track that arrives: counted, given the router's numbers, kept for resends, handed to its listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from palaver_media import rtcp, rtp, rtx
from palaver_media.keyframes import starts_keyframe
from palaver_media.rtcp import FEEDBACK_SSRC, Reception
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, RtpPacket
from palaver_media.worker_messages import AddProducer, MediaKind

from .nack import Missing
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
        self.rtx_ssrc = command.rtx_ssrc
        self.transport = transport
        self.clock_rate = command.clock_rate
        self.reception = Reception(command.ssrc, command.clock_rate)
        self.consumers: list[Consumer] = []
        self.sender_info: tuple[RtcpSenderInfo, float] | None = None  # and when it arrived
        self._voice = Voice(sfu, transport.router, command.producer) if command.media is MediaKind.AUDIO else None
        self._payload_types = command.payload_types
        self._rtx_payload_types = command.rtx_payload_types
        self._extensions = command.extensions
        self._ring: list[tuple[int, bytes] | None] = [None] * RING
        self._now = sfu.port.now
        self._wants_keyframe = False
        self._keyframe_asked = -KEYFRAME_THROTTLE
        self._keyframe = sfu.alarm(self._send_keyframe_request)
        self._missing = Missing()
        self._request = sfu.alarm(self._request_missing)

    def take(self, data: bytes, now: float) -> None:
        """A packet of this track, authentic and in the clear: on to everyone who listens.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = rtp.parse(data)
        index = self.reception.count(packet.sequence, packet.timestamp, now)
        self._forward(index, packet, now)

    def take_retransmission(self, data: bytes, now: float) -> None:
        """A packet of the stream of retransmissions, authentic and in the clear: what it restores goes on like others.

        It does not count as received: the sender is to know what its path loses.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = rtp.parse(data)
        if packet.payload_type not in self._rtx_payload_types:
            raise ValueError("payload type not negotiated")
        restored = rtx.restore(packet, self.ssrc, self._rtx_payload_types[packet.payload_type])
        if restored is None:
            return
        index = self.reception.extend(restored.sequence)
        if index <= self.reception.highest:  # only what was skipped can have been missed
            self._forward(index, restored, now)

    def _forward(self, index: int, packet: RtpPacket, now: float) -> None:
        if packet.payload_type not in self._payload_types:
            raise ValueError("payload type not negotiated")
        kept = self._ring[index % RING]
        if kept is not None and kept[0] >= index:  # it was here before, or comes too late
            return
        packet.payload_type = self._payload_types[packet.payload_type]
        packet.extensions = rtp.map_extensions(packet.extensions, self._extensions)
        if ABS_SEND_TIME in packet.extensions:  # this hop's: the listener's estimate is about the path from here
            packet.extensions[ABS_SEND_TIME] = rtp.write_send_time(now)
        self._ring[index % RING] = index, packet.write()
        for consumer in self.consumers:
            consumer.forward(index, packet)
        if self.media is MediaKind.VIDEO:
            self._note(index, packet, now)
        if self._voice is not None and (level := packet.extensions.get(AUDIO_LEVEL)):
            self._voice.hear(rtp.read_audio_level(level)[0], now)

    def _note(self, index: int, packet: RtpPacket, now: float) -> None:
        """See what is missing of a video, and whether its picture can begin here."""
        if self._missing.note(index, now):
            self._request.set(self._missing.deadline())
        if self._wants_keyframe and starts_keyframe(packet.payload_type, packet.payload):
            self._wants_keyframe = False

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
        self._request.set(None)
        if self._voice is not None:
            self._voice.end()

    @property
    def _has_listener(self) -> bool:
        return any(not each.is_paused for each in self.consumers)

    def _send_keyframe_request(self) -> None:
        if self._wants_keyframe and self._has_listener:
            self._keyframe_asked = self._now()
            self._keyframe.set(self._keyframe_asked + KEYFRAME_PATIENCE)
            self.transport.send_rtcp(rtcp.write_pli(FEEDBACK_SSRC, self.ssrc))
        else:
            self._wants_keyframe = False

    def _request_missing(self) -> None:
        if not self._has_listener:
            self._missing.clear()
        if lost := self._missing.due(self._now()):
            self.transport.send_rtcp(rtcp.write_nack(FEEDBACK_SSRC, self.ssrc, lost))
        self._request.set(self._missing.deadline())
