"""A room as a pure machine: a request in, an answer and effects out. No clock, no I/O; every rule of a room is here."""

from __future__ import annotations

import math
from typing import Final

from attrs import define, field

from palaver_media.worker_messages import Speaking
from palaver_protocol.models import (
    EndReason,
    HostChange,
    Name,
    NoticeLevel,
    ProducerRef,
    Reason,
    RoomId,
    RoomStatus,
    RoomSummary,
    RoomType,
    RoomView,
    TransportId,
    UserId,
)
from palaver_protocol.notices import (
    SEAT_MOVED,
    AnyNotice,
    CallAccepted,
    CallEnded,
    CallRejected,
    MediaReset,
    ServerNotice,
    UserJoined,
    UserLeft,
)
from palaver_protocol.requests import (
    DeleteMessage,
    Done,
    EditMessage,
    EndCall,
    GetMessages,
    JoinRoom,
    LeaveRoom,
    ReactToMessage,
    RoomAck,
    RoomRequest,
    SendMessage,
    TransferHost,
)
from palaver_protocol.rtp_models import Kind
from palaver_protocol.table import Ack, Code, Standing, answer, refusal

from .policy import DEFAULT, Policy
from .room_chat import RoomChat
from .room_effects import Effect, Kept, Listed, Moved, Tell
from .room_host import RoomHost
from .room_media import RoomMedia
from .room_parts import Place
from .room_talk import RoomTalk
from .seat import By, Seat

PLACING: Final = 10.0  # s until a room made by a call has its media, or is given up


@define
class RoomState:
    """One room. A `direct` one admits its two people only, and is pending until the second one sits."""

    room_id: RoomId
    name: Name
    first_host: UserId
    first_host_name: Name
    created_at: int
    policy: Policy = DEFAULT
    kind: RoomType = RoomType.GROUP
    admits: tuple[UserId, ...] = ()  # a direct room's two people
    is_pending: bool = False
    invited: dict[UserId, Name] = field(factory=dict[UserId, Name])  # who have not answered yet
    seats: dict[UserId, Seat] = field(factory=dict[UserId, Seat])
    placing_ends: float = math.inf  # s, monotonic: a call without media ends then
    has_lost_media: bool = False
    is_ended: bool = False
    now: float = 0.0  # s, monotonic: when what happens happens; whoever makes a change says so
    effects: list[Effect] = field(factory=list[Effect])
    host: RoomHost = field(init=False)
    chat: RoomChat = field(init=False)
    media: RoomMedia = field(init=False)
    talk: RoomTalk = field(init=False)

    def __attrs_post_init__(self) -> None:
        who = self.first_host, self.first_host_name
        self.host = RoomHost(self.room_id, *who, self.policy, self.tell, self.effect, self.end)
        self.chat = RoomChat(self.tell, lambda message_id: self.effect(Kept(message_id)))
        self.media = RoomMedia(self.room_id, self.seats, self.effect, self.policy.spread_above)
        self.talk = RoomTalk(self.media, self.seats, self.tell, self.effect, self.policy, lambda: self.now)

    # -- what may be asked ---------------------------------------------------------------------------------------------
    def standing(self, by: By) -> Standing:
        """What the asker is to this room. A seat belongs to one connection, not to all of its user's."""
        is_invited = self.kind is RoomType.GROUP or by.user_id in self.admits
        seat = self.seats.get(by.user_id)
        if seat is None or seat.connection != by.connection:
            return Standing.INVITED if is_invited else Standing.STRANGER
        return Standing.MEMBER | Standing.HOST if self.host.is_his(by.user_id) else Standing.MEMBER

    def apply(self, by: By, asked: RoomRequest) -> Ack:
        """The answer to a permitted request.

        Raises:
            Refusal: it cannot be done.
        """
        match asked:
            case JoinRoom():
                return answer(asked, self.join(by))
            case LeaveRoom():
                return answer(asked, self.leave(by))
            case EndCall():
                return answer(asked, self.end(by.user_id, EndReason.ENDED))
            case TransferHost():
                return answer(asked, self.transfer_host(asked.user_id))
            case SendMessage() | ReactToMessage() | EditMessage() | DeleteMessage() | GetMessages():
                return self.chat.apply(by, asked)
            case _:
                return self.talk.apply(by, asked)

    # -- people --------------------------------------------------------------------------------------------------------
    def join(self, by: By) -> RoomAck:
        """Take a seat, or take it along to another connection."""
        seat = self.seats.get(by.user_id)
        if seat is None:
            self.sit(by)
        elif seat.connection != by.connection:
            self.take_along(seat, by)
        if by.user_id == self.host.user_id and self.host.lost_at is not None:
            self.host.give(by.user_id, self.host.name, HostChange.RETURNED)
        return RoomAck(self.view())

    def sit(self, by: By) -> None:
        """Take a new seat. The second one in a direct room is the yes that it waited for."""
        self.tell(UserJoined(by.user_id, by.name, by.socket_id))
        if self.invited.pop(by.user_id, None) is not None:
            self.tell(CallAccepted(by.user_id, self.room_id))
        seat = Seat(by.user_id, by.name, by.connection, by.socket_id, by.address, by.wall)
        self.seats[by.user_id] = seat
        self.talk.tell_speakers(seat)
        self.is_pending = self.is_pending and len(self.seats) < 2
        self.effects += Moved(by.user_id, is_seated=True), Listed()

    def take_along(self, seat: Seat, by: By) -> None:
        """The same person came over another connection: the seat follows, its media does not."""
        self.tell_moved(seat)
        self.talk.close_seat(seat)
        seat.connection, seat.socket_id, seat.address, seat.name = by.connection, by.socket_id, by.address, by.name
        self.talk.tell_speakers(seat)
        self.talk.forget_state(seat, by)
        self.set_away(seat, is_away=False)

    def tell_moved(self, seat: Seat) -> None:
        """Tell a connection that it has the seat no longer."""
        moved = Reason("You joined a room over another connection.")
        self.effect(Tell((seat.connection,), ServerNotice(NoticeLevel.INFO, SEAT_MOVED, moved)))

    def leave(self, by: By) -> Done:
        """Give up the seat. A host who leaves on purpose gives up the role too."""
        seat = self.seats[by.user_id]
        if seat.connection != by.connection:
            self.tell_moved(seat)
        self.unseat(seat)
        if by.user_id == self.host.user_id and not self.is_ended:
            self.host.vacate(f"{by.name} left; everybody may end the call now.")
        return Done("left")

    def invite(self, people: dict[UserId, Name]) -> None:
        """Note who is invited and has not answered."""
        self.invited |= {user_id: name for user_id, name in people.items() if user_id not in self.seats}

    def decline(self, user_id: UserId, why: Reason, end: EndReason) -> None:
        """An invitation came to nothing. With it ends a direct room that waited for it."""
        if (name := self.invited.pop(user_id, None)) is not None:
            self.tell(CallRejected(user_id, name, self.room_id, why))
            if self.is_pending:
                self.end(user_id if end is EndReason.REJECTED else None, end)

    # -- connections that break ----------------------------------------------------------------------------------------
    def away(self, by: By) -> None:
        """A connection broke and is waited for: the seat is held, and a host's grace begins."""
        if (seat := self.seat_of(by)) is None:
            return
        self.set_away(seat, is_away=True)
        if by.user_id == self.host.user_id:
            self.host.wait(by)

    def back(self, by: By) -> None:
        """It came back in time, and with it the host's role."""
        if (seat := self.seat_of(by)) is None:
            return
        self.set_away(seat, is_away=False)
        seat.address = by.address
        if by.user_id == self.host.user_id:
            self.host.wait_no_longer()

    def lost(self, by: By) -> None:
        """A connection is gone. If the seat was its own, it goes with it, but a host's role waits."""
        if (seat := self.seat_of(by)) is None:
            return
        self.unseat(seat)
        if by.user_id == self.host.user_id and not self.is_ended:
            self.host.wait(by)

    def seat_of(self, by: By) -> Seat | None:
        """The seat of this very connection."""
        seat = self.seats.get(by.user_id)
        return seat if seat is not None and seat.connection == by.connection else None

    def tell_speakers(self, by: By) -> None:
        """Tell one who has come back who speaks."""
        if (seat := self.seat_of(by)) is not None:
            self.talk.tell_speakers(seat)

    def set_away(self, seat: Seat, *, is_away: bool) -> None:
        """Note whether somebody is waited for, and tell the others when that is new."""
        if seat.is_away != is_away:
            seat.is_away = is_away
            self.talk.tell_state(seat)

    def transfer_host(self, user_id: UserId) -> RoomAck:
        """Hand the role to a member. Raises Refusal."""
        if (seat := self.seats.get(user_id)) is None:
            raise refusal(Code.NOT_FOUND, "nobody of that id is in this room")
        if user_id == self.host.user_id and not self.host.is_vacant:
            raise refusal(Code.SELF, "you are the host already")
        self.host.give(user_id, seat.name, HostChange.TRANSFER)
        return RoomAck(self.view())

    # -- media ---------------------------------------------------------------------------------------------------------
    def transport_failed(self, transport: TransportId, reason: str) -> None:
        """The worker gave a transport up."""
        self.talk.transport_failed(transport, reason)

    def speakers_changed(self, speakers: tuple[Speaking, ...]) -> None:
        """The worker hears others speak than before."""
        self.talk.speakers_changed(speakers)

    def place_media(self, place: Place) -> None:
        """The room has a router. If it is not the first one, everybody must negotiate again."""
        self.media.parts.add(0, place)
        self.placing_ends = math.inf
        if self.has_lost_media:
            self.tell(MediaReset(self.room_id, Reason("the media worker was replaced")))

    def spread_media(self, part: int, place: Place) -> None:
        """The room's router has another part."""
        self.media.parts.add(part, place)

    def lose_media(self) -> None:
        """The router died, or a part of it that was in use, and everything it carried."""
        self.has_lost_media = True
        self.talk.forget_all()

    # -- time ----------------------------------------------------------------------------------------------------------
    def deadline(self) -> float:
        """When `expire` is to be called: the earliest of what the room waits for."""
        return min(self.host.waits_until, self.placing_ends, self.talk.big.deadline())

    def expire(self, now: float) -> None:
        """Do what is due."""
        if now >= self.placing_ends:
            self.end(None, EndReason.ERROR)
        if now >= self.host.waits_until:
            self.host.vacate(f"{self.host.name} did not come back; everybody may end the call now.")
        if not self.is_ended:
            self.talk.big.expire(now)

    # -- the end -------------------------------------------------------------------------------------------------------
    def unseat(self, seat: Seat) -> None:
        """Take somebody out, with all that was his."""
        self.media.forget_producer(self.seats.values(), *self.media.close_seat(seat))
        del self.seats[seat.user_id]
        self.effects += Moved(seat.user_id, is_seated=False), Listed()
        self.talk.set_recording(seat, is_recording=False)  # clients need not know that leaving ends it
        self.tell(UserLeft(seat.user_id, self.room_id))
        self.talk.big.count(seat)
        if not self.seats:
            self.finish()

    def end(self, by: UserId | None, reason: EndReason) -> Done:
        """The room is over for everyone."""
        if not self.is_ended:
            self.tell(CallEnded(self.room_id, by, reason))
            for seat in self.seats.values():
                self.effect(Moved(seat.user_id, is_seated=False))
            self.seats.clear()
            self.finish()
        return Done("ended")

    def finish(self) -> None:
        """Nothing can happen here any more."""
        self.is_ended = True
        self.placing_ends = math.inf
        self.host.wait_no_longer()
        self.talk.big.forget()
        self.invited.clear()
        self.chat.history.clear()
        self.effect(Listed())

    # -- how it looks --------------------------------------------------------------------------------------------------
    def tell(self, notice: AnyNotice, but: UserId | None = None) -> None:
        """Give a notice to everybody in the room."""
        to = tuple(seat.connection for seat in self.seats.values() if seat.user_id != but)
        if to:
            self.effect(Tell(to, notice))

    def effect(self, effect: Effect) -> None:
        """Have this carried out when the change is made."""
        self.effects.append(effect)

    @property
    def status(self) -> RoomStatus:
        """Where the room is in its life."""
        if self.is_ended:
            return RoomStatus.ENDED
        return RoomStatus.PENDING if self.is_pending else RoomStatus.ACTIVE

    def view(self) -> RoomView:
        """The room, as its members see it."""
        host, slots = None if self.host.is_vacant else self.host.user_id, self.talk.big.slots
        return RoomView(
            self.room_id,
            self.kind,
            self.name,
            self.host.user_id,
            self.host.name,
            self.status,
            self.created_at,
            self.host.is_vacant,
            host_disconnected_at=self.host.lost_at,
            participants=tuple(seat.participant(host, has_slots=bool(slots)) for seat in self.seats.values()),
            invited_user_ids=tuple(self.invited),
            messages=self.chat.history.last(),
            speaker_ids=tuple(ProducerRef(slot, Kind.AUDIO) for slot in slots),
        )

    def summary(self) -> RoomSummary:
        """The room, as lists show it."""
        return RoomSummary(
            self.room_id,
            self.kind,
            self.name,
            self.host.user_id,
            self.host.name,
            self.status,
            self.created_at,
            self.host.is_vacant,
            len(self.seats),
            tuple(seat.name for seat in self.seats.values()),
        )
