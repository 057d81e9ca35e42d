"""A room's media as a pure machine: every name is made here, so each request is answered at once.

What the workers must do becomes an effect, in order; the room tells them before the answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from uuid import uuid4

from attrs import define, field

from palaver_media import worker_messages as worker
from palaver_protocol.models import ConsumerId, Direction, ProducerId, RoomId, TransportId, UserId
from palaver_protocol.negotiate import consumer_parameters, plan_producer
from palaver_protocol.requests import ConnectTransport, Consume, Produce
from palaver_protocol.rtp_models import (
    ConsumerParams,
    DtlsParameters,
    DtlsSide,
    Fingerprint,
    IceCandidate,
    IceParameters,
    Kind,
    TransportParams,
)
from palaver_protocol.table import Code, refusal

from .room_effects import Effect
from .room_parts import RoomParts
from .seat import Seat, Slot, Transport

MAX_PRODUCERS: Final = 8  # of one seat
MAX_CONSUMERS: Final = 1024  # of one seat
MAX_PRODUCED: Final = 1024  # over one transport's life; SRTP keeps some 300 bytes for each
MAX_CONSUMED: Final = 16_384  # likewise; some 100 bytes
HOST_PREFERENCE, LOCAL_PREFERENCE, COMPONENT = 126, 65535, 1  # what a candidate's priority is made of
HASHES: Final = frozenset({"sha-256", "sha-384", "sha-512"})


@define
class RoomMedia:
    """Transports, producers and consumers of all seats of one room."""

    router: RoomId
    seats: dict[UserId, Seat]
    effect: Callable[[Effect], None]
    spread_above: int
    parts: RoomParts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.parts = RoomParts(self.seats, self.effect, self.spread_above)

    def open_transport(self, seat: Seat, direction: Direction, to_hear: Callable[[], int]) -> TransportParams:
        """A new transport of a seat. Close the seat's older one of that direction first."""
        if not self.parts.places:
            raise unavailable()
        place = self.parts.place(seat, to_hear)
        transport = TransportId(str(uuid4()))
        ice = new_credentials()
        seat.transports[transport] = Transport(direction)
        self.parts.tell(
            seat, worker.OpenTransport(self.router, seat.user_id, transport, ice.username_fragment, ice.password)
        )
        candidates = make_candidates(place.announce or (seat.address,), place.port)
        dtls = DtlsParameters((Fingerprint("sha-256", place.fingerprint),))
        return TransportParams(transport, ice, candidates, dtls)

    def close_transport(self, seat: Seat, transport: TransportId) -> list[ProducerId]:
        """Forget a transport; the producers that went with it."""
        direction = seat.transports.pop(transport).direction
        self.parts.tell(seat, worker.CloseTransport(transport))
        return self.lose_transport(seat, direction)

    def lose_transport(self, seat: Seat, direction: Direction) -> list[ProducerId]:
        """Forget what a dead transport carried; the producers that went with it."""
        if direction is Direction.RECEIVE:
            seat.consumers.clear()
            return []
        gone = list(seat.producers)
        self.parts.drop(seat, gone)
        seat.producers.clear()
        return gone

    def connect(self, seat: Seat, asked: ConnectTransport) -> None:
        """Tell the worker whose certificate to expect. `role` is the client's; ours is the other one."""
        transport = seat.transports.get(asked.transport_id)
        if transport is None:
            raise refusal(Code.NOT_FOUND, "you have no such transport")
        if transport.is_connected:
            raise refusal(Code.DUPLICATE, "this transport was connected before")
        prints = tuple(
            worker.Fingerprint(f.algorithm.lower(), f.value.upper())
            for f in asked.dtls_parameters.fingerprints
            if f.algorithm.lower() in HASHES
        )
        if not prints:
            raise refusal(Code.UNSUPPORTED, f"expected a fingerprint in one of {', '.join(sorted(HASHES))}")
        is_server = asked.dtls_parameters.role is DtlsSide.SERVER
        role = worker.DtlsRole.CLIENT if is_server else worker.DtlsRole.SERVER
        transport.is_connected = True
        self.parts.tell(seat, worker.ConnectTransport(asked.transport_id, role, prints))

    def restart_ice(self, seat: Seat, transport: TransportId) -> IceParameters:
        """New credentials for a transport; the old ones hold until the client has come with these."""
        if transport not in seat.transports:
            raise refusal(Code.NOT_FOUND, "you have no such transport")
        ice = new_credentials()
        self.parts.tell(seat, worker.RestartIce(transport, ice.username_fragment, ice.password))
        return ice

    def produce(self, seat: Seat, asked: Produce) -> ProducerId:
        """A new producer on the seat's send transport."""
        transport = seat.transports.get(asked.transport_id)
        if transport is None or transport.direction is not Direction.SEND:
            raise refusal(Code.NOT_FOUND, "you have no such transport for sending")
        if len(seat.producers) >= MAX_PRODUCERS:
            raise refusal(Code.FULL, f"you already send {MAX_PRODUCERS} tracks")
        if transport.tracks >= MAX_PRODUCED:
            raise used_up()
        plan = plan_producer(asked.kind, asked.rtp_parameters)
        if any(plan.ssrcs & other.ssrcs for other in seat.producers.values()):
            raise refusal(Code.DUPLICATE, "you already send a track with this ssrc")
        producer = ProducerId(str(uuid4()))
        transport.tracks += 1
        seat.producers[producer] = plan
        self.parts.tell(
            seat,
            worker.AddProducer(
                asked.transport_id,
                producer,
                worker.MediaKind(plan.kind.value),
                plan.codec.clock_rate,
                plan.ssrc,
                plan.payload_types,
                plan.extensions,
                plan.rtx_ssrc,
                plan.rtx_payload_types,
            ),
        )
        if seat.is_muted and plan.kind is Kind.AUDIO:  # a picture is not held: some never tell that there is one
            self.parts.tell(seat, worker.PauseProducer(producer))
        self.parts.carry(seat, producer)
        return producer

    def hold(self, seat: Seat, kind: Kind, *, is_held: bool) -> None:
        """Forward a seat's sound, or its picture, to nobody for now; or forward it again."""
        command = worker.PauseProducer if is_held else worker.ResumeProducer
        for producer, plan in seat.producers.items():
            if plan.kind is kind:
                self.parts.tell(seat, command(producer))

    def close_producer(self, seat: Seat, producer: ProducerId) -> None:
        """End one of the seat's own producers."""
        if producer not in seat.producers:
            raise refusal(Code.NOT_FOUND, "you have no such producer")
        del seat.producers[producer]
        self.parts.tell(seat, worker.CloseProducer(producer))
        self.parts.drop(seat, [producer])

    def consume(self, seat: Seat, talker: Seat | Slot, asked: Consume) -> ConsumerParams:
        """A new, paused consumer of somebody's producer; it takes the place of an older one of the same."""
        transport = seat.transport(Direction.RECEIVE)
        if transport is None:
            raise refusal(Code.NOT_FOUND, "open a transport for receiving first")
        older = [key for key, of in seat.consumers.items() if of == asked.producer_id]
        if len(seat.consumers) - len(older) >= MAX_CONSUMERS:
            raise refusal(Code.FULL, f"you already get {MAX_CONSUMERS} tracks")
        if seat.transports[transport].tracks >= MAX_CONSUMED:
            raise used_up()
        plan = talker.producers[asked.producer_id]
        mid = str(seat.consumed)
        ssrc = seat.first_ssrc + 2 * seat.consumed
        parameters = consumer_parameters(
            plan, asked.rtp_capabilities, ssrc=ssrc, rtx_ssrc=ssrc + 1, mid=mid, cname=talker.cname
        )
        for each in older:
            del seat.consumers[each]
            self.parts.tell(seat, worker.CloseConsumer(each))
        seat.consumed += 1
        seat.transports[transport].tracks += 1
        consumer = ConsumerId(str(uuid4()))
        seat.consumers[consumer] = asked.producer_id
        extensions = tuple(x.id for x in parameters.header_extensions)
        further = {codec.mime_type: codec.payload_type for codec in parameters.codecs[1:]}
        rtx = worker.Rtx(ssrc + 1, further["video/rtx"]) if "video/rtx" in further else None
        red = (further["audio/red"],) if "audio/red" in further else ()
        self.parts.tell(
            seat,
            worker.AddConsumer(transport, consumer, asked.producer_id, ssrc, mid, talker.cname, extensions, rtx, red),
        )
        return ConsumerParams(consumer, asked.producer_id, plan.kind, parameters)

    def resume(self, seat: Seat, consumer: ConsumerId) -> None:
        """Let a consumer's packets come."""
        if consumer not in seat.consumers:
            raise refusal(Code.NOT_FOUND, "you have no such consumer")
        self.parts.tell(seat, worker.ResumeConsumer(consumer))

    def pause(self, seat: Seat, consumer: ConsumerId) -> None:
        """Let a consumer's packets come no more until it is resumed."""
        if consumer not in seat.consumers:
            raise refusal(Code.NOT_FOUND, "you have no such consumer")
        self.parts.tell(seat, worker.PauseConsumer(consumer))

    def forget_producer(self, seats: Iterable[Seat], *producers: ProducerId) -> None:
        """A producer, or several, are gone, and with them their consumers."""
        gone = set(producers)
        for seat in seats:
            for consumer in [key for key, of in seat.consumers.items() if of in gone]:
                del seat.consumers[consumer]

    def close_seat(self, seat: Seat) -> list[ProducerId]:
        """Close all media of a seat; its producers."""
        gone = list(seat.producers)
        if seat.transports:
            self.parts.tell(seat, worker.CloseSeat(self.router, seat.user_id))
            self.parts.drop(seat, gone)
        self.forget_seat(seat)
        return gone

    def forget_seat(self, seat: Seat) -> None:
        """The workers hold nothing of this seat any more."""
        seat.expected = max(seat.expected, len(seat.consumers))
        seat.transports.clear()
        seat.producers.clear()
        seat.consumers.clear()


def new_credentials() -> IceParameters:
    """An ufrag and a password that nobody can guess (RFC 8445, section 5.3)."""
    return IceParameters(secrets.token_hex(4), secrets.token_hex(16))


def make_candidates(addresses: Sequence[str], port: int) -> tuple[IceCandidate, ...]:
    """A host candidate for each address, the first one preferred (RFC 8445, sections 5.1.1.3 and 5.1.2)."""
    return tuple(
        IceCandidate(
            f"palaver{index}",
            HOST_PREFERENCE << 24 | LOCAL_PREFERENCE - index << 8 | 256 - COMPONENT,
            address,
            address,
            port,
        )
        for index, address in enumerate(addresses)
    )


def owner_of(seats: dict[UserId, Seat], producer: ProducerId) -> Seat:
    """Whose producer it is."""
    for seat in seats.values():
        if producer in seat.producers:
            return seat
    raise refusal(Code.NOT_FOUND, "there is no such producer in this room")


def used_up() -> Exception:
    """The refusal of a transport that has carried as many tracks as its keys are good for."""
    return refusal(Code.FULL, "this transport has carried too many tracks: open a new one")


def unavailable() -> Exception:
    """The refusal while a room has no media worker."""
    return refusal(Code.MEDIA_UNAVAILABLE, "voice is not available right now: try again", retry_after=0.5)
