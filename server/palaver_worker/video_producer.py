"""A picture that arrives: packet by packet through Python, kept for resends, with keyframes and losses asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from palaver_media import rtcp
from palaver_media.keyframes import starts_keyframe
from palaver_media.rtcp import FEEDBACK_SSRC, Reception
from palaver_media.worker_messages import AddProducer

from . import rtx
from .nack import Missing
from .packet import MARKER, Packet
from .producer import Producer

if TYPE_CHECKING:
    from .sfu import Sfu
    from .transport import Transport

RING: Final = 600  # packets kept for resends
KEYFRAME_THROTTLE: Final = 0.5  # s between requests to one sender, whoever asks
KEYFRAME_PATIENCE: Final = 1.0  # s until a request that brought nothing is repeated


class VideoProducer(Producer):
    """A camera or a screen, perhaps with a stream of retransmissions beside it."""

    reach = RING

    def __init__(self, sfu: Sfu, transport: Transport, command: AddProducer) -> None:
        super().__init__(sfu, transport, command)
        self._reception = Reception(command.ssrc, command.clock_rate)
        self.takers[command.ssrc] = self.take
        if command.rtx_ssrc is not None:
            self.takers[command.rtx_ssrc] = self.take_retransmission
            self.ssrcs += (command.rtx_ssrc,)
            self.retransmissions = Reception(command.rtx_ssrc, command.clock_rate)
        self._octets = 0
        self._payload_types, self._rtx_payload_types = command.payload_types, command.rtx_payload_types
        self._extensions = command.extensions
        self._ring: list[Packet | None] = [None] * RING
        self._group = self._fanout.group([])  # the legs of all active consumers
        self._now = sfu.port.now
        self._wants_keyframe = False
        self._keyframe_asked = -KEYFRAME_THROTTLE
        self._keyframe = sfu.alarm(self._send_keyframe_request)
        self._missing = Missing()
        self._request = sfu.alarm(self._request_missing)

    @property
    def reception(self) -> Reception:
        """What was counted."""
        return self._reception

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        return self._octets

    def take(self, data: memoryview, now: float) -> None:
        """A packet of this track, authentic and in the clear: on to everyone who listens.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = Packet(data.tobytes(), self._extensions, now)
        packet.index = self._reception.count(packet.sequence, packet.timestamp, now)
        self._forward(packet, now)

    def take_retransmission(self, data: memoryview, now: float) -> None:
        """A packet of the stream of retransmissions, authentic and in the clear: what it restores goes on like others.

        It does not count as received but by itself: the sender is to know what its path loses.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = Packet(data.tobytes(), self._extensions, now)
        if self.retransmissions is not None:
            self.retransmissions.count(packet.sequence, packet.timestamp, now)
        original = self._rtx_payload_types.get(packet.second & ~MARKER)
        if original is None:
            raise ValueError("payload type not negotiated")
        restored = rtx.restore(packet, original)
        if restored is None:
            return
        restored.index = self._reception.extend(restored.sequence)
        if restored.index <= self._reception.highest:  # only what was skipped can have been missed
            self._forward(restored, now)

    def _forward(self, packet: Packet, now: float) -> None:
        payload_type = self._payload_types.get(packet.second & ~MARKER)
        if payload_type is None:
            raise ValueError("payload type not negotiated")
        kept = self._ring[packet.index % RING]
        if packet.index <= self._reception.highest - RING or (kept is not None and kept.index >= packet.index):
            raise ValueError("too late, or here before")  # SRTP may count its cycles otherwise, and let it through
        self._octets += len(packet.body) - packet.padding
        packet.second = packet.second & MARKER | payload_type
        self._ring[packet.index % RING] = packet
        self._fanout.forward(packet, self._group)
        if self._missing.note(packet.index, now):
            self._request.set(self._missing.deadline())
        if self._wants_keyframe and starts_keyframe(payload_type, packet.payload):
            self._wants_keyframe = False

    def find(self, index: int) -> Packet | None:
        """The packet with this extended sequence number, if it is still kept."""
        kept = self._ring[index % RING]
        if kept is None or kept.index != index or index <= self._reception.highest - RING:
            return None  # or from before a leap: SRTP may count its number to another cycle by now
        return kept

    def resend(self, index: int, group: Any) -> bool:
        """Send a packet again on these legs, if it is still kept; whether it is."""
        if (packet := self.find(index)) is not None:
            self._fanout.forward(packet, group)
        return packet is not None

    def set_group(self, group: Any) -> None:
        """Forward to these legs from now on."""
        self._group = group

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe, soon, and again each second until one comes or nobody listens."""
        if not self._wants_keyframe:
            self._wants_keyframe = True
            self._keyframe.set(max(self._now(), self._keyframe_asked + KEYFRAME_THROTTLE))

    def close(self) -> None:
        """Ask for nothing more."""
        self._keyframe.set(None)
        self._request.set(None)

    @property
    def _has_listener(self) -> bool:
        return not self.is_paused and any(not each.is_paused for each in self.consumers)

    def _send_keyframe_request(self) -> None:
        if self._wants_keyframe and self._has_listener:
            self._keyframe_asked = self._now()
            self.keyframe_requests += 1
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
