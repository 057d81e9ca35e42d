"""The speakers of a big room: a few slots that all listen to, and that always carry those who speak loudest.

A slot is one stream to each listener, whoever speaks on it: its numbers go on by themselves, and its timestamps are put
on the worker's clock. A voice that takes a slot brings along its last packets, which made it count as speaking.
"""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from aiortc.clock import current_ntp_time
from aiortc.rtp import RtcpSenderInfo

from palaver_media.worker_messages import AddSpeakers

from .source import Source
from .speakers import LEAD, ONSET, Voice

if TYPE_CHECKING:
    from .audio_producer import AudioProducer
    from .consumer import Consumer
    from .packet import Packet
    from .sfu import Sfu

STAY: Final = 2.0  # s a voice has its slot before a louder one may take it
FATIGUE: Final = 0.2  # dB/s by which its claim falls, lest those who shout have the slots for ever
FRAME: Final = 0.02  # s by which two voices on one slot are apart at least
EARLIER: Final = ONSET + 2  # packets that a voice brings along: what made it count, and how the word began


class Slot(Source):
    """A virtual producer: the stream of whoever has it."""

    def __init__(self, sfu: Sfu, id: str, router: str, clock_rate: int) -> None:
        super().__init__(id, clock_rate)
        self.router = router
        self.holder: AudioProducer | None = None
        self.taken = 0.0  # when
        self.shift = 0  # from the holder's timestamps to ours
        self._fanout = sfu.port.fanout
        self._begin = secrets.randbits(32)  # our timestamp at the clock's 0
        self._free_from: int | None = None  # the first timestamp after those that were used

    def timestamp(self, now: float) -> int:
        """Ours at this time."""
        return (int(now * self.clock_rate) + self._begin) & 0xFFFF_FFFF

    def claim(self, now: float) -> float:
        """How loud (dBov) the holder counts for; of an empty slot, so little that anybody is louder."""
        if self.holder is None:
            return -math.inf
        return self.holder.voice.level - FATIGUE * (now - self.taken)

    def give(self, holder: AudioProducer, now: float) -> None:
        """Let everybody hear this voice from now on, with those of its last words that nothing else was heard over.

        Its packets are put when they arrive, or as soon after that as what was heard here ends; so the delay of whoever
        listens stays what it is, however often voices change.
        """
        self.vacate()
        self.holder, holder.slot, self.taken = holder, self, now
        shift = holder.transit + self._begin
        self.shift = (shift + self._wait_after(holder, shift)) & 0xFFFF_FFFF
        for consumer in self.consumers:
            consumer.leg.shift_by(self.shift)
        holder.regroup()
        group = self._fanout.group([each.leg for each in self.listeners(holder)])
        for index in holder.recent(EARLIER):
            timestamp = holder.timestamp_of(index)
            if timestamp is not None and self._after(timestamp + self.shift) <= 0:
                holder.resend(index, group)

    def vacate(self) -> None:
        """Carry nobody."""
        if (holder := self.holder) is not None:
            holder.carried = holder.reception.highest
            last = holder.timestamp_of(holder.carried)
            if last is not None:
                self._free_from = last + self.shift + int(FRAME * self.clock_rate)
            self.holder = holder.slot = None
            holder.regroup()

    def _wait_after(self, holder: AudioProducer, shift: int) -> int:
        """By how much the holder's next packet is put off, for the sake of what was heard here before."""
        last = holder.timestamp_of(holder.reception.highest)
        wait = 0 if last is None else self._after(last + int(FRAME * self.clock_rate) + shift)
        if wait > self.clock_rate:  # that one's timestamps had leapt: they are not to push aside whoever follows
            self._free_from = None
        return wait if 0 < wait <= self.clock_rate else 0

    def _after(self, timestamp: int) -> int:
        """By how much the first free timestamp is after this one; negative when it is before."""
        if self._free_from is None:
            return -1
        ahead = (self._free_from - timestamp) & 0xFFFF_FFFF
        return ahead - (1 << 32) if ahead >> 31 else ahead

    def listeners(self, holder: AudioProducer) -> list[Consumer]:
        """Who hears the holder here: not he himself, and nobody who consumes him by name. Those begin anew later."""
        named = {each.transport for each in holder.consumers if each.is_active}
        hearing: list[Consumer] = []
        for consumer in self.consumers:
            if consumer.transport in named or consumer.transport.seat == holder.seat:
                consumer.leg.pause()
            elif consumer.is_active:
                hearing.append(consumer)
        return hearing

    def add(self, consumer: Consumer) -> None:
        """One more listener, who is paused."""
        super().add(consumer)
        consumer.leg.shift_by(self.shift)

    def regroup(self) -> None:
        """Who listens has changed."""
        if self.holder is not None:
            self.holder.regroup()

    def resend(self, index: int, group: Any) -> bool:
        """Send a packet of the holder's again."""
        return self.holder is not None and self.holder.resend(index, group)

    def find(self, index: int) -> Packet | None:
        """A packet of the holder's."""
        return None if self.holder is None else self.holder.find(index)

    def request_keyframe(self) -> None:
        """There is no picture."""

    def clock(self, now: float) -> RtcpSenderInfo:
        """Our timestamp at `now`."""
        return RtcpSenderInfo(current_ntp_time(), self.timestamp(now), packet_count=0, octet_count=0)


class Stage:
    """A room's slots, and who has them: each of them somebody who speaks, or nobody."""

    def __init__(self, sfu: Sfu, command: AddSpeakers) -> None:
        self.router = command.router
        self.slots = [Slot(sfu, id, command.router, command.clock_rate) for id in command.producers]
        self._sfu = sfu

    def remove(self, slot: Slot) -> None:
        """One slot less."""
        slot.vacate()
        self.slots.remove(slot)

    def review(self) -> None:
        """Give the slots to those who should have them."""
        now = self._sfu.port.now()
        conversation = self._sfu.conversations.get(self.router)
        speaking = [] if conversation is None else conversation.voices
        for slot in self.slots:
            if slot.holder is not None and slot.holder.voice not in speaking:
                slot.vacate()
        self._seat(speaking, now)

    def _seat(self, speaking: Iterable[Voice], now: float) -> None:
        """A person with several tracks has one slot at most, for else one could have all of them."""
        for voice in sorted(speaking, key=lambda each: each.level, reverse=True):
            producer = voice.producer
            if producer.slot is not None or producer.is_paused:
                continue
            own = [slot for slot in self.slots if slot.holder is not None and slot.holder.seat == producer.seat]
            weakest = min(own or self.slots, key=lambda slot: slot.claim(now))
            may_go = weakest.holder is None or now - weakest.taken > STAY
            if may_go and voice.level > weakest.claim(now) + LEAD:
                weakest.give(producer, now)
            elif not own:  # nor may any quieter one
                return
