"""A track that arrives, for those who listen: what is the same for a voice and for a picture."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from aiortc.rtp import RtcpSenderInfo

from palaver_media.rtcp import Reception
from palaver_media.rtp import RED
from palaver_media.worker_messages import AddProducer

from .source import Source

if TYPE_CHECKING:
    from aiortc.rtp import RtcpReceiverInfo

    from .consumer import Consumer
    from .sfu import Sfu
    from .transport import Transport


Taker: TypeAlias = Callable[[memoryview, float], None]  # of a packet in the clear, and when it came (s)


class Producer(Source):
    """One incoming track and the consumers it is forwarded to.

    With `has_red` its sender can do something about what its listeners lose: send copies of earlier frames.
    `ssrcs` are all that its packets carry; `takers` take those of them that the core leaves, by SSRC.
    """

    keyframe_requests = 0
    retransmissions: Reception | None = None  # what was counted of the stream of them, if there is one

    def __init__(self, sfu: Sfu, transport: Transport, command: AddProducer) -> None:
        super().__init__(command.producer, command.clock_rate)
        self.ssrc, self.media = command.ssrc, command.media
        self.has_red = RED in command.payload_types.values()
        self.ssrcs: tuple[int, ...] = (command.ssrc,)
        self.takers: dict[int, Taker] = {}
        self.transport = transport
        self.router, self.seat = command.router or transport.router, command.seat or transport.seat
        self.told: RtcpReceiverInfo | None = None  # to the sender, in our last report
        self.is_paused = False
        self.sender_info: tuple[RtcpSenderInfo, float] | None = None  # and when it arrived
        self._fanout = sfu.port.fanout

    @property
    @abc.abstractmethod
    def reception(self) -> Reception:
        """What was counted, up to now."""

    @property
    @abc.abstractmethod
    def octets(self) -> int:
        """Bytes of payload received."""

    @property
    def level(self) -> int | None:
        """The loudness (dBov) of the last packet that tells it."""
        return None

    def note_sender_report(self, info: RtcpSenderInfo, now: float) -> None:
        """Remember the sender's word on his clock. With the first one, those who listen are soon told, too."""
        if self.sender_info is None:
            for consumer in self.consumers:
                consumer.transport.due = 0
        self.sender_info = info, now
        self.reception.note_sender_report(info.ntp_timestamp, now)

    def pause(self) -> None:
        """Forward nothing for now; the numbers of all who listen go on where they are."""
        if not self.is_paused:
            self.is_paused = True
            for consumer in self.consumers:
                consumer.leg.pause()
            self.regroup()

    def resume(self) -> None:
        """Forward from the next packet on; a picture begins with a keyframe."""
        if self.is_paused:
            self.is_paused = False
            self.regroup()
            self.request_keyframe()

    def regroup(self) -> None:
        """Who listens has changed."""
        listeners = [] if self.is_paused else self.listeners()
        self.set_group(self._fanout.group([each.leg for each in listeners]))

    @property
    def audience(self) -> list[Consumer]:
        """Whoever may hear this track, whether it goes to him just now or not."""
        return self.consumers

    def listeners(self) -> list[Consumer]:
        """Whom this track goes to while it is not paused."""
        return [each for each in self.consumers if each.is_active]

    @abc.abstractmethod
    def set_group(self, group: Any) -> None:
        """Forward to these legs from now on."""

    @abc.abstractmethod
    def close(self) -> None:
        """Be silent, and ask for nothing more."""

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
