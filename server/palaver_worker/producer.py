"""A track that arrives: counted, given the router's numbers, kept for resends, handed to its listeners."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiortc.rtp import RtcpSenderInfo

from palaver_media import rtcp
from palaver_media.keyframes import starts_keyframe
from palaver_media.rtcp import FEEDBACK_SSRC, Reception
from palaver_media.worker_messages import AddProducer, MediaKind

from . import rtx
from .nack import Missing
from .packet import MARKER, Packet
from .source import Source
from .speakers import Voice

if TYPE_CHECKING:
    from aiortc.rtp import RtcpReceiverInfo

    from .sfu import Sfu
    from .stage import Slot
    from .transport import Transport

RING: Final = 600  # packets kept for resends
KEYFRAME_THROTTLE: Final = 0.5  # s between requests to one sender, whoever asks
KEYFRAME_PATIENCE: Final = 1.0  # s until a request that brought nothing is repeated


class Producer(Source):
    """One incoming track and the consumers it is forwarded to; `slot` is the speaker's place that it has, if any."""

    def __init__(self, sfu: Sfu, transport: Transport, command: AddProducer) -> None:
        super().__init__(command.producer, command.clock_rate)
        self.ssrc, self.media = command.ssrc, command.media
        self.rtx_ssrc = command.rtx_ssrc
        self.transport = transport
        self.router, self.seat = command.router or transport.router, command.seat or transport.seat
        self._reception = Reception(command.ssrc, command.clock_rate)
        self.retransmissions = None if self.rtx_ssrc is None else Reception(self.rtx_ssrc, command.clock_rate)
        self._octets = 0
        self._level: int | None = None
        self.keyframe_requests = 0
        self.told: RtcpReceiverInfo | None = None  # to the sender, in our last report
        self.is_paused = False
        self.slot: Slot | None = None
        self.carried = -1  # the highest index that no slot is to bring along
        self.sender_info: tuple[RtcpSenderInfo, float] | None = None  # and when it arrived
        self.voice = Voice(sfu, self.router, command.producer) if command.media is MediaKind.AUDIO else None
        self._track = None if self.voice is None else transport.client.track(command, self.voice.begin)
        if self.voice is not None:
            self.voice.track = self._track
        self._payload_types = command.payload_types
        self._rtx_payload_types = command.rtx_payload_types
        self._extensions = command.extensions
        self._ring: list[Packet | None] = [None] * RING
        self._fanout = sfu.port.fanout
        self._group = self._fanout.group([])  # the legs of all active consumers
        self._now = sfu.port.now
        self._wants_keyframe = False
        self._keyframe_asked = -KEYFRAME_THROTTLE
        self._keyframe = sfu.alarm(self._send_keyframe_request)
        self._missing = Missing()
        self._request = sfu.alarm(self._request_missing)

    @property
    def reception(self) -> Reception:
        """What was counted, up to now."""
        if self._track is not None:
            self._track.fill(self._reception)
        return self._reception

    @property
    def octets(self) -> int:
        """Bytes of payload received."""
        return self._octets if self._track is None else self._track.octets

    @property
    def level(self) -> int | None:
        """The loudness (dBov) of the last packet that tells it."""
        return self._level if self._track is None else self._track.level

    @property
    def ssrcs(self) -> tuple[int, ...]:
        """All that its packets carry."""
        return (self.ssrc,) if self.rtx_ssrc is None else (self.ssrc, self.rtx_ssrc)

    def take(self, data: memoryview, now: float) -> None:
        """A packet of this track, authentic and in the clear: on to everyone who listens.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = Packet(data, self._extensions, now)
        packet.index = self._reception.count(packet.sequence, packet.timestamp, now)
        self._forward(packet, now)

    def take_retransmission(self, data: memoryview, now: float) -> None:
        """A packet of the stream of retransmissions, authentic and in the clear: what it restores goes on like others.

        It does not count as received but by itself: the sender is to know what its path loses.

        Raises:
            ValueError: it is broken, or of a payload type that was not negotiated.
        """
        packet = Packet(data, self._extensions, now)
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
        if self.voice is None:
            self._note(packet, payload_type, now)
        elif packet.level is not None and not self.is_paused:
            self._level = packet.level
            self.voice.hear(packet.level, now)

    def _note(self, packet: Packet, payload_type: int, now: float) -> None:
        """See what is missing of a video, and whether its picture can begin here."""
        if self._missing.note(packet.index, now):
            self._request.set(self._missing.deadline())
        if self._wants_keyframe and starts_keyframe(payload_type, packet.payload):
            self._wants_keyframe = False

    def find(self, index: int) -> Packet | None:
        """The packet with this extended sequence number, if Python still keeps it."""
        kept = self._ring[index % RING]
        return kept if kept is not None and kept.index == index else None

    def timestamp_of(self, index: int) -> int | None:
        """A packet's, if it is still kept."""
        if self._track is not None:
            return self._track.timestamp_of(index)
        return None if (packet := self.find(index)) is None else packet.timestamp

    @property
    def transit(self) -> int:
        """What to add to a timestamp of the sender's for the time of its arrival, in units of the former."""
        return int((self._reception.transit or 0.0) if self._track is None else self._track.transit)

    def recent(self, count: int) -> list[int]:
        """The indices of the last packets, at most `count`, that are kept and were on no slot."""
        highest = self.reception.highest
        lately = range(max(highest - count, self.carried) + 1, highest + 1)
        return [index for index in lately if self.timestamp_of(index) is not None]

    def resend(self, index: int, group: Any) -> bool:
        """Send a packet again on these legs, if it is still kept; whether it is."""
        if self._track is not None:
            return self._track.resend(index, group)
        if (packet := self.find(index)) is not None:
            self._fanout.forward(packet, group)
        return packet is not None

    def pause(self) -> None:
        """Forward nothing for now; the numbers of all who listen go on where they are."""
        if not self.is_paused:
            self.is_paused = True
            if self.slot is not None:
                self.slot.vacate()
            if self.voice is not None:
                self.voice.end()
            for consumer in self.consumers:
                consumer.leg.pause()
            self._hush()

    def resume(self) -> None:
        """Forward from the next packet on; a picture begins with a keyframe."""
        if self.is_paused:
            self.is_paused = False
            self.carried = self.reception.highest  # what came meanwhile is for nobody
            self._hush()
            self.request_keyframe()

    def _hush(self) -> None:
        if self._track is not None:
            self._track.set_paused(self.is_paused)
        self.regroup()

    def regroup(self) -> None:
        """Who listens has changed."""
        listeners = [each for each in self.consumers if each.is_active]
        if self.slot is not None:
            listeners += self.slot.listeners(self)
        legs = [] if self.is_paused else [each.leg for each in listeners]
        self._group = self._fanout.group(legs)
        if self._track is not None:
            self._track.set_group(self._group)

    def request_keyframe(self) -> None:
        """Ask the sender for a keyframe, soon, and again each second until one comes or nobody listens."""
        if self.media is MediaKind.VIDEO and not self._wants_keyframe:
            self._wants_keyframe = True
            self._keyframe.set(max(self._now(), self._keyframe_asked + KEYFRAME_THROTTLE))

    def close(self) -> None:
        """Ask for nothing more, and be silent."""
        self._keyframe.set(None)
        self._request.set(None)
        if self.slot is not None:
            self.slot.vacate()
        if self.voice is not None:
            self.voice.end()
        if self._track is not None:
            self._track.close()

    def clock(self, now: float) -> RtcpSenderInfo | None:
        """The sender's last report, carried on to `now`; None before there was one."""
        if self.sender_info is None:
            return None
        info, arrival = self.sender_info
        elapsed = now - arrival
        return RtcpSenderInfo(
            ntp_timestamp=(info.ntp_timestamp + int(elapsed * (1 << 32))) & 0xFFFF_FFFF_FFFF_FFFF,
            rtp_timestamp=(info.rtp_timestamp + int(elapsed * self.clock_rate)) & 0xFFFF_FFFF,
            packet_count=0,
            octet_count=0,
        )

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
