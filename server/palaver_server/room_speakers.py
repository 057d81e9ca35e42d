"""What a big room does instead of sending everybody's voice to everybody: a few speakers carry whoever speaks loudest.

So what there is to send grows with those who listen, and no longer with those who might speak, too. Clients need to
know nothing of it: to them, new tracks begin, and a little later those which these stand for end.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from attrs import define, field

from palaver_media.worker_messages import AddSpeakers, CloseConsumer, CloseConsumers, CloseProducer
from palaver_protocol.models import ConsumerId, ProducerId, UserId, speaker_id
from palaver_protocol.notices import NewProducer, ProducerClosed
from palaver_protocol.rtp_models import Kind

from .policy import Policy
from .room_effects import Effect, Tell, TellAll
from .room_media import RoomMedia
from .seat import SLOT, Seat, Slot

LINGER: Final = 10.0  # s that few microphones are open, without a break, until a room is big no longer
OVERLAP: Final = 2.0  # s that tracks go on after the announcement of those that replace them; a client needs two rounds


@define
class RoomSpeakers:
    """The slots of one room, while it is big: since more microphones were open than the policy says.

    A microphone is open when its owner is not muted and sends a voice. A seat is counted again whenever something of it
    changes, so that a change costs the same in a room of three and of five hundred.
    """

    media: RoomMedia
    seats: dict[UserId, Seat]
    tell: TellAll
    effect: Callable[[Effect], None]
    policy: Policy
    now: Callable[[], float]  # s, monotonic
    slots: dict[ProducerId, Slot] = field(factory=dict[ProducerId, Slot])  # none in a small room
    microphones: int = 0  # open ones
    lingers_until: float = math.inf  # s: few microphones are open, and then the room is small again
    overlaps_until: float = math.inf  # s: then what was replaced ends, either the next two or the third
    old_voices: set[ProducerId] = field(factory=set[ProducerId])
    old_consumers: set[ConsumerId] = field(factory=set[ConsumerId])  # others are somebody's wish
    old_slots: dict[ProducerId, Slot] = field(factory=dict[ProducerId, Slot])

    def count(self, seat: Seat, untold: ProducerId | None = None) -> None:
        """A seat's tracks or its mute state have changed; of its track `untold` the others do not know yet."""
        is_open = not seat.is_muted and bool(seat.voices)
        self.microphones += is_open - seat.has_open_microphone
        seat.has_open_microphone = is_open
        if self.policy.speakers is None:
            return
        if not self.slots:
            if self.microphones > self.policy.speakers_above:
                self.begin(self.policy.speakers, untold)
        elif self.microphones > self.policy.speakers_above * 3 // 4:
            self.lingers_until = math.inf
        elif self.lingers_until == math.inf:
            self.lingers_until = self.now() + LINGER

    def begin(self, number: int, untold: ProducerId | None) -> None:
        """Announce slots. What they stand for ends when everybody has had the time to consume them."""
        made = [Slot(speaker_id(index)) for index in range(1, number + 1)]
        for slot in made:
            self.tell(NewProducer(slot.producer, slot.user_id, Kind.AUDIO))
        self.end_slots()  # if it was big a moment ago; a router has slots once
        self.slots = {slot.producer: slot for slot in made}
        self.media.parts.tell_all(AddSpeakers(self.media.router, tuple(self.slots), SLOT.codec.clock_rate))
        self.old_voices = {voice for seat in self.seats.values() for voice in seat.voices if voice != untold}
        for seat in self.seats.values():
            seat.knows_voices = True
            self.old_consumers.update(key for key, of in seat.consumers.items() if of in self.old_voices)
        self.overlaps_until = self.now() + OVERLAP

    def consumed(self, seat: Seat, consumer: ConsumerId, *, is_another: bool) -> None:
        """A seat has a new consumer, and maybe had one of the same track.

        Who was told of an old voice, and has none of it, answers the announcement, however late: it is no wish.
        """
        voice = seat.consumers[consumer]
        if voice in self.old_voices and seat.knows_voices and not is_another and voice not in seat.producers:
            self.old_consumers.add(consumer)

    def end(self) -> None:
        """Announce everybody's voices again. The slots end when everybody has had the time to consume those."""
        self.old_slots, self.slots = self.slots, {}
        self.lingers_until = math.inf
        for seat in self.seats.values():
            for voice in seat.voices:
                self.tell(NewProducer(voice, seat.user_id, Kind.AUDIO), but=seat.user_id)
        self.overlaps_until = self.now() + OVERLAP

    def end_voices(self) -> None:
        """Close what slots stand for, but not to those who have asked for it by name since there are slots."""
        wishes: dict[ProducerId, set[UserId]] = {}
        for seat in self.seats.values():
            for consumer, producer in seat.consumers.items():
                if producer in self.old_voices and consumer not in self.old_consumers:
                    wishes.setdefault(producer, set()).add(seat.user_id)
        for owner in self.seats.values():
            for voice in owner.voices:
                if voice in self.old_voices:
                    self.end_voice(owner, voice, wishes.get(voice, set()))
        for seat in self.seats.values():
            for consumer in [key for key in seat.consumers if key in self.old_consumers]:
                if seat.consumers[consumer] in wishes:
                    self.media.parts.tell(seat, CloseConsumer(consumer))
                del seat.consumers[consumer]
        self.forget_old()

    def end_voice(self, owner: Seat, voice: ProducerId, wishes: set[UserId]) -> None:
        """Close one voice to all but its owner and those."""
        to = [seat.connection for seat in self.seats.values() if seat is not owner and seat.user_id not in wishes]
        if to:
            self.effect(Tell(tuple(to), ProducerClosed(voice, owner.user_id)))
        if not wishes:  # else one by one
            self.media.parts.tell_all(CloseConsumers(voice))

    def end_slots(self) -> None:
        """Close slots that voices have replaced."""
        slots, self.old_slots = self.old_slots, {}
        for slot in slots.values():
            self.tell(ProducerClosed(slot.producer, slot.user_id))
            self.media.parts.tell_all(CloseProducer(slot.producer))
        if slots:
            self.media.forget_producer(self.seats.values(), *slots)

    def find(self, producer: ProducerId) -> Slot | None:
        """The slot of that id, also one that is about to end."""
        return self.slots.get(producer) or self.old_slots.get(producer)

    def deadline(self) -> float:
        """When `expire` is to be called."""
        return min(self.lingers_until, self.overlaps_until)

    def expire(self, now: float) -> None:
        """Do what is due."""
        if now >= self.overlaps_until:
            self.overlaps_until = math.inf
            self.end_voices()
            self.end_slots()
        if now >= self.lingers_until:
            self.end()

    def tell_slots(self, seat: Seat) -> None:
        """Tell one who has just come of the slots, which he hears of only; the others know."""
        seat.knows_voices = False
        for slot in self.slots.values():
            self.effect(Tell((seat.connection,), NewProducer(slot.producer, slot.user_id, Kind.AUDIO)))

    def forget_old(self) -> None:
        """What slots stand for is closed."""
        self.old_voices, self.old_consumers = set(), set()

    def forget(self) -> None:
        """The router is gone, and everything it carried."""
        self.slots, self.old_slots, self.microphones = {}, {}, 0
        self.forget_old()
        self.lingers_until = self.overlaps_until = math.inf
        for seat in self.seats.values():
            seat.has_open_microphone = False
