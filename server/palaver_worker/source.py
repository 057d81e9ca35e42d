"""What a consumer consumes: a track that somebody sends, or a speaker's place that now this one has, now that."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

from .fanout import KEPT

if TYPE_CHECKING:
    from aiortc.rtp import RtcpSenderInfo

    from .consumer import Consumer
    from .packet import Packet


class Source(abc.ABC):
    """Packets for consumers. `clock_rate` is of their timestamps, in Hz.

    `reach` is how many packets behind the newest one may be when it is sent, late or again.
    """

    reach = KEPT

    def __init__(self, id: str, clock_rate: int) -> None:
        self.id, self.clock_rate = id, clock_rate
        self.consumers: list[Consumer] = []
        self.limiting: set[Consumer] = set()  # those who told how much they can take, which a producer's sender is told
        self.nacked = 0  # packets that listeners asked for again

    def add(self, consumer: Consumer) -> None:
        """One more listener, who is paused."""
        self.consumers.append(consumer)

    def remove(self, consumer: Consumer) -> None:
        """One less."""
        self.consumers.remove(consumer)
        self.limiting.discard(consumer)

    @abc.abstractmethod
    def regroup(self) -> None:
        """Who listens has changed."""

    @abc.abstractmethod
    def resend(self, index: int, group: Any) -> bool:
        """Send a packet again on these legs, if it is still kept; whether it is."""

    @abc.abstractmethod
    def find(self, index: int) -> Packet | None:
        """The packet with this extended sequence number, if Python still keeps it."""

    @abc.abstractmethod
    def request_keyframe(self) -> None:
        """Have the sender asked for a keyframe, if there is a picture."""

    @abc.abstractmethod
    def clock(self, now: float) -> RtcpSenderInfo | None:
        """What a sender report says of the source's clock at `now`; None while that is unknown."""
