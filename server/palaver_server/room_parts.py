"""The parts of a room: the workers that share it, who is on which, and which track is where.

A room begins with one part. A seat is on one part with all its transports; each track is on its sender's part, and is
carried to each other one, where it has the same id. A part that dies takes the room's media with it, unless nobody is
on it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field, frozen

from palaver_media.worker_messages import AddSpeakers, CloseConsumer, CloseConsumers, CloseProducer, WorkerCommand
from palaver_protocol.models import ProducerId, UserId

from .room_effects import Carry, Effect, Order, Spread, carrier_id
from .seat import Seat


@frozen
class Place:
    """Where a part is. No `announce` stands for the address at which the client reached us."""

    announce: tuple[str, ...]
    port: int
    fingerprint: str


@define
class RoomParts:
    """All parts of a room, none while it waits for a worker."""

    seats: dict[UserId, Seat]
    effect: Callable[[Effect], None]
    spread_above: int  # consumers on each part: then newcomers are to have another one
    places: dict[int, Place] = field(factory=dict[int, Place])  # by part
    speakers: AddSpeakers | None = None  # what each part has in place of voices

    def place(self, seat: Seat, to_hear: Callable[[], int]) -> Place:
        """Where a seat's transports are: the emptiest part, unless it has some already."""
        if not seat.transports:
            load = self.load(to_hear())
            seat.part = min(load, key=load.__getitem__)
            if load[seat.part] > self.spread_above:
                self.effect(Spread())
        return self.places[seat.part]

    def load(self, to_hear: int) -> dict[int, int]:
        """The consumers on each part: those that there are, or those that are still to come.

        Soon a seat will hear what there is to hear, or, where all begin anew, as much as before.
        """
        load = dict.fromkeys(self.places, 0)
        for seat in self.seats.values():
            if seat.transports:
                load[seat.part] += max(len(seat.consumers), seat.expected, to_hear)
        return load

    @property
    def first(self) -> int:
        """The oldest part."""
        return min(self.places, default=0)

    def add(self, new: int, place: Place) -> None:
        """There is another part, on which everybody is to be heard, too."""
        self.places[new] = place
        if self.speakers is not None:
            self.effect(Order(new, self.speakers))
        for seat in self.seats.values():
            for producer in seat.producers:
                self._carry(seat, producer, new)

    def are_empty(self, parts: frozenset[int]) -> bool:
        """Whether everybody who has transports has them on other parts, of which there is one at least."""
        used = {seat.part for seat in self.seats.values() if seat.transports}
        return parts < self.places.keys() and not parts & used

    def leave(self, parts: frozenset[int]) -> None:
        """There is nobody on these parts, nor will be: nothing is carried there any more."""
        for part in parts:
            del self.places[part]
            for seat in self.seats.values():
                for producer in seat.producers:
                    self.tell(seat, CloseConsumer(carrier_id(producer, part)))

    def lose(self) -> None:
        """A worker died, and the others were told to forget us."""
        self.places.clear()
        self.speakers = None

    def tell(self, seat: Seat, command: WorkerCommand) -> None:
        """Have a seat's worker do something."""
        self.effect(Order(seat.part, command))

    def tell_all(self, command: AddSpeakers | CloseConsumers | CloseProducer) -> None:
        """Have all workers do something about the room's speakers, or about what they stand for.

        Speakers will be on the parts that come later, too.
        """
        for part in self.places:
            self.effect(Order(part, command))
        match command:
            case AddSpeakers():
                self.speakers = command
            case CloseProducer():  # of one, and the others follow
                self.speakers = None
            case CloseConsumers():
                pass

    def carry(self, seat: Seat, producer: ProducerId) -> None:
        """Have one of a seat's tracks on all other parts."""
        for part in self._others(seat):
            self._carry(seat, producer, part)

    def drop(self, seat: Seat, producers: Iterable[ProducerId]) -> None:
        """Close the copies of a seat's tracks; what is on its own part closes with them, or is closed already."""
        for producer in producers:
            for part in self._others(seat):
                self.effect(Order(part, CloseProducer(producer)))

    def _others(self, seat: Seat) -> list[int]:
        return [part for part in self.places if part != seat.part]

    def _carry(self, seat: Seat, producer: ProducerId, part: int) -> None:
        self.effect(Carry(seat.part, part, seat.user_id, producer, seat.producers[producer], seat.cname))
