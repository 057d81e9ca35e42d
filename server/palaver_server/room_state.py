"""A room as a pure machine: a request in, an answer and effects out. No clock, no I/O; every rule of a room is here."""

from __future__ import annotations

import math
from typing import Final, TypeAlias, assert_never

from attrs import define, field, frozen

from palaver_media.worker_messages import WorkerCommand
from palaver_protocol.models import (
    EndReason,
    HostChange,
    Name,
    NoticeLevel,
    ProducerId,
    Reason,
    RoomId,
    RoomStatus,
    RoomSummary,
    RoomType,
    RoomView,
    TransportId,
    UserId,
)
from palaver_protocol.negotiate import ROUTER
from palaver_protocol.notices import (
    SEAT_MOVED,
    AnyNotice,
    CallEnded,
    HostChanged,
    MediaReset,
    NewProducer,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RoomHostless,
    ServerNotice,
    TransportFailed,
    UserJoined,
    UserLeft,
)
from palaver_protocol.requests import (
    CapabilitiesAck,
    CloseProducer,
    ConnectTransport,
    Consume,
    ConsumerAck,
    CreateTransport,
    DeleteMessage,
    Done,
    EditMessage,
    EndCall,
    GetMessages,
    GetRouterRtpCapabilities,
    JoinRoom,
    LeaveRoom,
    MediaStateChanged,
    Produce,
    ProducerAck,
    ReactToMessage,
    ResumeConsumer,
    RoomAck,
    RoomRequest,
    SendMessage,
    TransferHost,
    TransportAck,
)
from palaver_protocol.table import Ack, Code, Standing, answer, refusal

from .room_chat import RoomChat
from .room_media import Place, RoomMedia, owner_of
from .seat import By, Seat

HOST_GRACE: Final = 30.0  # s that the role waits for a host who was cut off


@frozen
class Tell:
    """Give a notice to these connections."""

    to: tuple[int, ...]
    notice: AnyNotice


@frozen
class Moved:
    """A user took a seat, or lost it."""

    user_id: UserId
    is_seated: bool


@frozen
class Listed:
    """What lists show of the room has changed."""


Effect: TypeAlias = Tell | Moved | Listed | WorkerCommand


@define
class RoomState:
    """One room."""

    room_id: RoomId
    name: Name
    host: UserId
    host_name: Name
    created_at: int
    kind: RoomType = RoomType.GROUP
    seats: dict[UserId, Seat] = field(factory=dict[UserId, Seat])
    is_hostless: bool = False
    grace_ends: float = math.inf  # s, monotonic: the role of a lost host waits until then
    host_lost_at: int | None = None
    has_lost_media: bool = False
    is_ended: bool = False
    effects: list[Effect] = field(factory=list[Effect])
    chat: RoomChat = field(init=False)
    media: RoomMedia = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.chat = RoomChat(self.tell)
        self.media = RoomMedia(self.room_id, lambda command: self.effects.append(command))

    # -- what may be asked ---------------------------------------------------------------------------------------------
    def standing(self, by: By) -> Standing:
        """What the asker is to this room. A seat belongs to one connection, not to all of its user's."""
        seat = self.seats.get(by.user_id)
        if seat is None or seat.connection != by.connection:
            return Standing.STRANGER
        is_host = self.is_hostless or by.user_id == self.host
        return Standing.MEMBER | Standing.HOST if is_host else Standing.MEMBER

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
            case MediaStateChanged():
                return answer(asked, self.change_media_state(by, asked))
            case GetRouterRtpCapabilities():
                return answer(asked, CapabilitiesAck(ROUTER))
            case CreateTransport():
                return answer(asked, self.create_transport(by, asked))
            case ConnectTransport():
                self.media.connect(self.seats[by.user_id], asked)
                return answer(asked, Done())
            case Produce():
                return answer(asked, self.produce(by, asked))
            case CloseProducer():
                return answer(asked, self.close_producer(by, asked))
            case Consume():
                seat, talker = self.seats[by.user_id], owner_of(self.seats, asked.producer_id)
                return answer(asked, ConsumerAck(self.media.consume(seat, talker, asked)))
            case ResumeConsumer():
                self.media.resume(self.seats[by.user_id], asked.consumer_id)
                return answer(asked, Done())
            case _:
                assert_never(asked)

    # -- people --------------------------------------------------------------------------------------------------------
    def join(self, by: By) -> RoomAck:
        """Take a seat, or take it along to another connection."""
        seat = self.seats.get(by.user_id)
        if seat is None:
            self.tell(UserJoined(by.user_id, by.name, by.socket_id))
            self.seats[by.user_id] = Seat(by.user_id, by.name, by.connection, by.socket_id, by.address, by.wall)
            self.effects += Moved(by.user_id, is_seated=True), Listed()
        elif seat.connection != by.connection:
            self.take_along(seat, by)
        if by.user_id == self.host and self.host_lost_at is not None:
            self.give_role(self.host, self.host_name, HostChange.RETURNED)
        return RoomAck(self.view())

    def take_along(self, seat: Seat, by: By) -> None:
        """The same person came over another connection: the seat follows, its media does not."""
        self.tell_moved(seat)
        self.lose_producers(seat, self.media.close_seat(seat))
        seat.connection, seat.socket_id, seat.address, seat.name = by.connection, by.socket_id, by.address, by.name

    def tell_moved(self, seat: Seat) -> None:
        """Tell a connection that it has the seat no longer."""
        moved = Reason("You joined a room over another connection.")
        self.effects.append(Tell((seat.connection,), ServerNotice(NoticeLevel.INFO, SEAT_MOVED, moved)))

    def leave(self, by: By) -> Done:
        """Give up the seat. A host who leaves on purpose gives up the role too."""
        seat = self.seats[by.user_id]
        if seat.connection != by.connection:
            self.tell_moved(seat)
        self.unseat(seat)
        if by.user_id == self.host:
            self.go_hostless(f"{by.name} left; everybody may end the call now.")
        return Done("left")

    def lost(self, by: By) -> None:
        """A connection is gone. If the seat was its own, it goes with it, but a host's role waits."""
        seat = self.seats.get(by.user_id)
        if seat is None or seat.connection != by.connection:
            return
        self.unseat(seat)
        if by.user_id == self.host and not self.is_hostless and not self.is_ended:
            self.grace_ends, self.host_lost_at = by.now + HOST_GRACE, by.wall

    def end(self, by: UserId | None, reason: EndReason) -> Done:
        """The room is over for everyone."""
        if not self.is_ended:
            self.tell(CallEnded(self.room_id, by, reason))
            for seat in self.seats.values():
                self.effects.append(Moved(seat.user_id, is_seated=False))
            self.seats.clear()
            self.finish()
        return Done("ended")

    def transfer_host(self, user_id: UserId) -> RoomAck:
        """Hand the role to a member. Raises Refusal."""
        if (seat := self.seats.get(user_id)) is None:
            raise refusal(Code.NOT_FOUND, "nobody of that id is in this room")
        if user_id == self.host and not self.is_hostless:
            raise refusal(Code.SELF, "you are the host already")
        self.give_role(user_id, seat.name, HostChange.TRANSFER)
        return RoomAck(self.view())

    def give_role(self, host: UserId, name: Name, why: HostChange) -> None:
        """The room has this host; no other is waited for."""
        self.host, self.host_name, self.is_hostless = host, name, False
        self.grace_ends, self.host_lost_at = math.inf, None
        self.effects.append(Listed())
        self.tell(HostChanged(self.room_id, host, name, why))

    # -- media ---------------------------------------------------------------------------------------------------------
    def change_media_state(self, by: By, asked: MediaStateChanged) -> Done:
        """Note what a person's microphone and camera do, and tell the others."""
        seat = self.seats[by.user_id]
        seat.is_muted, seat.is_video_enabled = asked.is_muted, asked.is_video_enabled
        seat.media_state_updated_at = by.wall
        changed = ParticipantMediaStateUpdated(by.user_id, by.name, asked.is_muted, asked.is_video_enabled)
        self.tell(changed, but=by.user_id)
        return Done()

    def create_transport(self, by: By, asked: CreateTransport) -> TransportAck:
        """Open one direction; an older transport of the same direction makes way."""
        seat = self.seats[by.user_id]
        older = seat.transport(asked.direction)
        params = self.media.open_transport(seat, asked.direction)
        if older is not None:
            self.lose_producers(seat, self.media.close_transport(seat, older))
        return TransportAck(params)

    def produce(self, by: By, asked: Produce) -> ProducerAck:
        """A new track, for everybody to consume."""
        producer = self.media.produce(self.seats[by.user_id], asked)
        self.tell(NewProducer(producer, by.user_id, asked.kind), but=by.user_id)
        return ProducerAck(producer)

    def close_producer(self, by: By, asked: CloseProducer) -> Done:
        """End a track."""
        seat = self.seats[by.user_id]
        self.media.close_producer(seat, asked.producer_id)
        self.lose_producers(seat, [asked.producer_id])
        return Done()

    def lose_producers(self, seat: Seat, producers: list[ProducerId]) -> None:
        """These tracks are gone: so are their consumers, and the others hear of it."""
        for producer in producers:
            self.media.forget_producer(list(self.seats.values()), producer)
            self.tell(ProducerClosed(producer, seat.user_id), but=seat.user_id)

    def transport_failed(self, transport: TransportId, reason: str) -> None:
        """The worker gave a transport up."""
        for seat in self.seats.values():
            if (gone := seat.transports.pop(transport, None)) is not None:
                self.lose_producers(seat, self.media.lose_transport(seat, gone.direction))
                self.effects.append(Tell((seat.connection,), TransportFailed(transport, Reason(reason))))

    def place_media(self, place: Place) -> None:
        """The room has a router. If it is not the first one, everybody must negotiate again."""
        self.media.place = place
        if self.has_lost_media:
            self.tell(MediaReset(self.room_id, Reason("the media worker was replaced")))

    def lose_media(self) -> None:
        """The router died, and everything it carried."""
        self.media.place = None
        self.has_lost_media = True
        for seat in self.seats.values():
            self.media.forget_seat(seat)

    # -- time ----------------------------------------------------------------------------------------------------------
    def deadline(self) -> float:
        """When `expire` is to be called: the earliest of what the room waits for."""
        return self.grace_ends

    def expire(self, now: float) -> None:
        """Do what is due."""
        if now >= self.grace_ends:
            self.go_hostless(f"{self.host_name} did not come back; everybody may end the call now.")

    # -- helpers -------------------------------------------------------------------------------------------------------
    def unseat(self, seat: Seat) -> None:
        """Take somebody out, with all that was his."""
        for producer in self.media.close_seat(seat):
            self.media.forget_producer(list(self.seats.values()), producer)
        del self.seats[seat.user_id]
        self.effects += Moved(seat.user_id, is_seated=False), Listed()
        self.tell(UserLeft(seat.user_id, self.room_id))
        if not self.seats:
            self.finish()

    def go_hostless(self, message: str) -> None:
        """Nobody is the host any more."""
        self.grace_ends, self.host_lost_at = math.inf, None
        if not self.is_ended and not self.is_hostless:
            self.is_hostless = True
            self.effects.append(Listed())
            self.tell(RoomHostless(self.room_id, Reason(message)))

    def finish(self) -> None:
        """Nothing can happen here any more."""
        self.is_ended, self.grace_ends = True, math.inf
        self.effects.append(Listed())

    def tell(self, notice: AnyNotice, but: UserId | None = None) -> None:
        """Give a notice to everybody in the room."""
        to = tuple(seat.connection for seat in self.seats.values() if seat.user_id != but)
        if to:
            self.effects.append(Tell(to, notice))

    def view(self) -> RoomView:
        """The room, as its members see it."""
        host = None if self.is_hostless else self.host
        return RoomView(
            self.room_id,
            self.kind,
            self.name,
            self.host,
            self.host_name,
            RoomStatus.ENDED if self.is_ended else RoomStatus.ACTIVE,
            self.created_at,
            self.is_hostless,
            host_disconnected_at=self.host_lost_at,
            participants=tuple(seat.participant(host) for seat in self.seats.values()),
            messages=self.chat.history.last(),
        )

    def summary(self) -> RoomSummary:
        """The room, as lists show it."""
        return RoomSummary(
            self.room_id,
            self.kind,
            self.name,
            self.host,
            self.host_name,
            RoomStatus.ENDED if self.is_ended else RoomStatus.ACTIVE,
            self.created_at,
            self.is_hostless,
            len(self.seats),
            tuple(seat.name for seat in self.seats.values()),
        )
