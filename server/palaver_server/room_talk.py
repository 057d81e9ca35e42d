"""The media requests of a room: what each does to a seat's media, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never

from attrs import define, field

from palaver_media.worker_messages import Speaking
from palaver_protocol.models import ConsumerId, ProducerId, Reason, Speaker, TransportId, UserId
from palaver_protocol.negotiate import ROUTER
from palaver_protocol.notices import (
    ActiveSpeakers,
    NewProducer,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RecordingStateChanged,
    TransportFailed,
)
from palaver_protocol.requests import (
    CapabilitiesAck,
    CloseProducer,
    ConnectTransport,
    Consume,
    ConsumerAck,
    CreateTransport,
    Done,
    GetRouterRtpCapabilities,
    IceAck,
    MediaRequest,
    MediaStateChanged,
    PauseConsumer,
    Produce,
    ProducerAck,
    RestartIce,
    ResumeConsumer,
    SetRecording,
    TransportAck,
)
from palaver_protocol.rtp_models import Kind
from palaver_protocol.table import Ack, answer

from .policy import Policy
from .room_effects import Effect, Tell, TellAll
from .room_media import RoomMedia, owner_of
from .room_speakers import RoomSpeakers
from .seat import By, Seat, is_voice


@define
class RoomTalk:
    """A room's talk: the seats' transports, producers and consumers, and what the others are told of them."""

    media: RoomMedia
    seats: dict[UserId, Seat]
    tell: TellAll
    effect: Callable[[Effect], None]
    policy: Policy
    now: Callable[[], float]  # s, monotonic
    speakers: tuple[Speaker, ...] = ()  # who speaks, as it was told
    big: RoomSpeakers = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.big = RoomSpeakers(self.media, self.seats, self.tell, self.effect, self.policy, self.now)

    def apply(self, by: By, asked: MediaRequest) -> Ack:
        """The answer to a permitted request. Raises Refusal."""
        seat = self.seats[by.user_id]
        match asked:
            case MediaStateChanged():
                return answer(asked, self.change_state(seat, by, asked))
            case GetRouterRtpCapabilities():
                return answer(asked, CapabilitiesAck(ROUTER))
            case CreateTransport():
                return answer(asked, self.create_transport(seat, asked))
            case ConnectTransport():
                self.media.connect(seat, asked)
                return answer(asked, Done())
            case RestartIce():
                return answer(asked, IceAck(self.media.restart_ice(seat, asked.transport_id)))
            case Produce():
                return answer(asked, self.produce(seat, asked))
            case CloseProducer():
                self.media.close_producer(seat, asked.producer_id)
                self.lose_producers(seat, [asked.producer_id])
                return answer(asked, Done())
            case Consume():
                talker = self.big.find(asked.producer_id) or owner_of(self.seats, asked.producer_id)
                is_another = asked.producer_id in seat.consumers.values()
                params = self.media.consume(seat, talker, asked)
                self.big.consumed(seat, ConsumerId(params.id), is_another=is_another)
                return answer(asked, ConsumerAck(params))
            case ResumeConsumer():
                self.media.resume(seat, asked.consumer_id)
                return answer(asked, Done())
            case PauseConsumer():
                self.media.pause(seat, asked.consumer_id)
                return answer(asked, Done())
            case SetRecording():
                self.set_recording(seat, is_recording=asked.is_recording)
                return answer(asked, Done())
            case _:
                assert_never(asked)

    def change_state(self, seat: Seat, by: By, asked: MediaStateChanged) -> Done:
        """Note what a person's microphone and camera do, and tell the others."""
        if seat.is_muted != asked.is_muted:
            self.media.hold(seat, Kind.AUDIO, is_held=asked.is_muted)
        if seat.is_video_enabled != asked.is_video_enabled:
            self.media.hold(seat, Kind.VIDEO, is_held=not asked.is_video_enabled)
        seat.is_muted, seat.is_video_enabled = asked.is_muted, asked.is_video_enabled
        seat.media_state_updated_at = by.wall
        self.tell_state(seat)
        self.big.count(seat)
        return Done()

    def forget_state(self, seat: Seat, by: By) -> None:
        """A new connection has the seat: until it says something else it neither is muted nor records."""
        self.set_recording(seat, is_recording=False)
        if seat.is_muted or seat.is_video_enabled:
            seat.is_muted = seat.is_video_enabled = False
            seat.media_state_updated_at = by.wall
            self.tell_state(seat)

    def tell_state(self, seat: Seat) -> None:
        """Tell the others how somebody is: muted, in the picture, away."""
        state = ParticipantMediaStateUpdated(
            seat.user_id, seat.name, seat.is_muted, seat.is_video_enabled, seat.is_away
        )
        self.tell(state, but=seat.user_id)

    def set_recording(self, seat: Seat, *, is_recording: bool) -> None:
        """Note that somebody records, or no longer does, and tell everybody when that is new."""
        if seat.is_recording != is_recording:
            seat.is_recording = is_recording
            self.tell(RecordingStateChanged(self.media.router, seat.user_id, is_recording))

    def create_transport(self, seat: Seat, asked: CreateTransport) -> TransportAck:
        """Open one direction; an older transport of the same direction makes way."""
        older = seat.transport(asked.direction)
        params = self.media.open_transport(seat, asked.direction, self.to_hear)
        if older is not None:
            self.lose_producers(seat, self.media.close_transport(seat, older))
        return TransportAck(params)

    def to_hear(self) -> int:
        """How many tracks somebody who comes is about to consume."""
        tracks = [plan for seat in self.seats.values() for plan in seat.producers.values()]
        if slots := len(self.big.slots):
            return slots + sum(not is_voice(plan) for plan in tracks)
        return len(tracks)

    def produce(self, seat: Seat, asked: Produce) -> ProducerAck:
        """A new track, for everybody to consume, unless slots stand for it."""
        producer = self.media.produce(seat, asked)
        self.big.count(seat, untold=producer)
        if not (self.big.slots and is_voice(seat.producers[producer])):
            self.tell(NewProducer(producer, seat.user_id, asked.kind), but=seat.user_id)
        return ProducerAck(producer)

    def lose_producers(self, seat: Seat, producers: list[ProducerId]) -> None:
        """These tracks are gone: so are their consumers, and the others hear of it."""
        for producer in producers:
            self.media.forget_producer(self.seats.values(), producer)
            self.tell(ProducerClosed(producer, seat.user_id), but=seat.user_id)
        self.big.count(seat)

    def close_seat(self, seat: Seat) -> None:
        """Close all that a seat has sent and received."""
        self.lose_producers(seat, self.media.close_seat(seat))

    def transport_failed(self, transport: TransportId, reason: str) -> None:
        """The worker gave a transport up."""
        for seat in self.seats.values():
            if (gone := seat.transports.pop(transport, None)) is not None:
                self.lose_producers(seat, self.media.lose_transport(seat, gone.direction))
                self.effect(Tell((seat.connection,), TransportFailed(transport, Reason(reason))))

    def tell_speakers(self, seat: Seat) -> None:
        """Tell one who has just come who speaks, and what carries it in a big room; the others know."""
        self.big.tell_slots(seat)
        if self.speakers:
            self.effect(Tell((seat.connection,), ActiveSpeakers(self.media.router, self.speakers)))

    def speakers_changed(self, heard: tuple[Speaking, ...]) -> None:
        """Tell everybody who speaks; a track that is gone meanwhile is left out."""
        owners = {producer: seat.user_id for seat in self.seats.values() for producer in seat.producers}
        tracks = [(ProducerId(each.producer), each.level) for each in heard]
        speakers = tuple(Speaker(owners[track], track, level) for track, level in tracks if track in owners)
        if speakers != self.speakers:
            self.speakers = speakers
            self.tell(ActiveSpeakers(self.media.router, speakers))

    def forget_all(self) -> None:
        """The router died, and everything it carried."""
        self.media.parts.lose()
        self.speakers_changed(())
        for seat in self.seats.values():
            self.media.forget_seat(seat)
        self.big.forget()
