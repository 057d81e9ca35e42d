"""What a big room does instead of sending everybody's voice to everybody: a few speakers carry whoever speaks loudest.

So what there is to send grows with those who listen, and no longer with those who might speak, too. Clients need to
know nothing of it: to them, new tracks begin, and those which these stand for end.
"""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from palaver_media.worker_messages import AddSpeakers, CloseConsumers, CloseProducer
from palaver_protocol.models import ProducerId, UserId, speaker_id
from palaver_protocol.notices import NewProducer, ProducerClosed
from palaver_protocol.rtp_models import Kind

from .policy import Policy
from .room_effects import Effect, Tell, TellAll
from .room_media import RoomMedia
from .seat import SLOT, Seat, Slot


@define
class RoomSpeakers:
    """The slots of one room, while it is big: while more microphones are open than the policy says, or nearly as many.

    A microphone is open when its owner is not muted. A seat is counted again whenever something of it changes, so that
    a change costs the same in a room of three and of five hundred.
    """

    media: RoomMedia
    seats: dict[UserId, Seat]
    tell: TellAll
    effect: Callable[[Effect], None]
    policy: Policy
    slots: dict[ProducerId, Slot] = field(factory=dict[ProducerId, Slot])  # none in a small room
    microphones: int = 0  # open ones

    def count(self, seat: Seat, untold: ProducerId | None = None) -> None:
        """A seat's tracks or its mute state have changed; of its track `untold` the others do not know yet."""
        now = 0 if seat.is_muted else len(seat.voices)
        self.microphones += now - seat.microphones
        seat.microphones = now
        if self.policy.speakers is None:
            return
        if not self.slots and self.microphones > self.policy.speakers_above:
            self.begin(self.policy.speakers, untold)
        elif self.slots and self.microphones <= self.policy.speakers_above * 3 // 4:  # not at once, lest it flap
            self.end()

    def begin(self, number: int, untold: ProducerId | None) -> None:
        """Have slots, and only then close what they stand for, so that nobody misses a word."""
        made = [Slot(speaker_id(index)) for index in range(1, number + 1)]
        self.slots = {slot.producer: slot for slot in made}
        self.media.parts.tell_all(AddSpeakers(self.media.router, tuple(self.slots), SLOT.codec.clock_rate))
        for slot in made:
            self.tell(NewProducer(slot.producer, slot.user_id, Kind.AUDIO))
        voices = {voice: seat.user_id for seat in self.seats.values() for voice in seat.voices if voice != untold}
        for voice, owner in voices.items():
            self.tell(ProducerClosed(voice, owner), but=owner)
            self.media.parts.tell_all(CloseConsumers(voice))
        self.media.forget_producer(self.seats.values(), *voices)

    def end(self) -> None:
        """Let everybody hear everybody again, and only then close the slots."""
        slots, self.slots = self.slots, {}
        for seat in self.seats.values():
            for voice in seat.voices:
                self.tell(NewProducer(voice, seat.user_id, Kind.AUDIO), but=seat.user_id)
        for slot in slots.values():
            self.tell(ProducerClosed(slot.producer, slot.user_id))
            self.media.parts.tell_all(CloseProducer(slot.producer))
        self.media.forget_producer(self.seats.values(), *slots)

    def tell_slots(self, seat: Seat) -> None:
        """Tell one who has just come of the slots; the others know."""
        for slot in self.slots.values():
            self.effect(Tell((seat.connection,), NewProducer(slot.producer, slot.user_id, Kind.AUDIO)))

    def forget(self) -> None:
        """The router died, and everything it carried."""
        self.slots, self.microphones = {}, 0
        for seat in self.seats.values():
            seat.microphones = 0
