"""What the media workers tell of how everything fares: kept where it belongs, and added up for the REST pages.

The pages are for whoever reaches the server's port, so nothing here tells an address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from attrs import frozen

from palaver_media.worker_messages import TransportStatistics
from palaver_protocol.models import RoomId, TransportId, UserId

from .room_state import RoomState
from .seat import Seat


@frozen
class MediaStats:
    """The media of several transports, added up over what is open now.

    `transports` are those that are connected. Bytes are of payload, and `packetsSent` is without resends. `packetsLost`
    did not reach the server. The rest are means, absent where nobody knows: `fractionLost` (0 to 1) on the way from the
    server to its listeners, `jitter` in ms on the way to the server, `roundTrip` in ms.
    """

    transports: int
    producers: int
    consumers: int
    packets_received: int
    bytes_received: int
    packets_lost: int
    packets_sent: int
    bytes_sent: int
    packets_resent: int
    fraction_lost: float | None = None
    jitter: float | None = None
    round_trip: float | None = None


@frozen
class RoomStats:
    """The media of one room."""

    room_id: RoomId
    media: MediaStats


@frozen
class SeatStats:
    """One person's media."""

    user_id: UserId
    transports: tuple[TransportStatistics, ...]


def keep(figures: Iterable[TransportStatistics], state: RoomState) -> None:
    """Keep a worker's figures of a room until the next ones; of what was closed meanwhile there are none."""
    known = {key: transport for seat in state.seats.values() for key, transport in seat.transports.items()}
    for each in figures:
        if (transport := known.get(TransportId(each.transport_id))) is not None:
            transport.statistics = each


def transports_of(state: RoomState, part: int | None = None) -> Iterator[TransportStatistics]:
    """All that is known of a room's transports, or of those on one part of it."""
    for seat in state.seats.values():
        if part in (None, seat.part):
            yield from seat_stats(seat).transports


def seat_stats(seat: Seat) -> SeatStats:
    """All that is known of a person's transports."""
    known = [transport.statistics for transport in seat.transports.values()]
    return SeatStats(seat.user_id, tuple(each for each in known if each is not None))


def add_up(transports: Iterable[TransportStatistics]) -> MediaStats:
    """The sums and means of these transports."""
    transports = list(transports)
    producers = [each for transport in transports for each in transport.producers]
    consumers = [each for transport in transports for each in transport.consumers]
    return MediaStats(
        transports=sum(each.connected_for is not None for each in transports),
        producers=len(producers),
        consumers=len(consumers),
        packets_received=sum(each.packets_received for each in transports),
        bytes_received=sum(each.bytes_received for each in transports),
        packets_lost=sum(each.packets_lost for each in producers),
        packets_sent=sum(each.packets_sent for each in transports),
        bytes_sent=sum(each.bytes_sent for each in transports),
        packets_resent=sum(each.packets_resent for each in consumers),
        fraction_lost=mean((each.fraction_lost for each in consumers), digits=3),
        jitter=mean((each.jitter for each in producers if each.packets_received), digits=1),
        round_trip=mean((each.round_trip for each in transports), digits=1),
    )


def mean(values: Iterable[float | None], digits: int) -> float | None:
    """The mean of the values that are known."""
    known = [each for each in values if each is not None]
    return round(fmean(known), digits) if known else None
