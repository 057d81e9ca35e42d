"""A participant's place in a room: who sits there, over which connection, and the media that belongs to it.

And a slot, which is nobody's place: a track that carries whoever speaks.
"""

from __future__ import annotations

import secrets
from typing import Final
from uuid import uuid4

from attrs import define, field, frozen

from palaver_media.worker_messages import TransportStatistics
from palaver_protocol.models import (
    ConsumerId,
    Direction,
    Name,
    Participant,
    ProducerId,
    ProducerRef,
    TransportId,
    UserId,
)
from palaver_protocol.negotiate import (
    AUDIO_LEVEL,
    EXTENSION_IDS,
    OPUS_PAYLOAD_TYPE,
    RED_PAYLOAD_TYPE,
    ProducerPlan,
    plan_producer,
)
from palaver_protocol.rtp_models import Codec, Encoding, Kind, RtpParameters

LEVEL: Final = EXTENSION_IDS[AUDIO_LEVEL]
OPUS: Final = Codec("audio/opus", OPUS_PAYLOAD_TYPE, 48_000, 2, {"minptime": 10, "useinbandfec": 1})
RED: Final = Codec("audio/red", RED_PAYLOAD_TYPE, 48_000, 2)
SLOT: Final = plan_producer(Kind.AUDIO, RtpParameters((OPUS, RED), encodings=(Encoding(1),)))  # nobody has this SSRC


@frozen
class By:
    """Who asks, over which connection, and when."""

    user_id: UserId
    name: Name
    connection: int
    socket_id: str
    address: str
    now: float  # s, monotonic
    wall: int  # ms since the epoch


@define
class Transport:
    """One direction of a seat's media."""

    direction: Direction
    is_connected: bool = False
    statistics: TransportStatistics | None = None  # the latest
    tracks: int = 0  # ever carried: for each the worker remembers that its SSRC is spent


@frozen
class Slot:
    """A track that nobody sends: the worker puts one of those who speak loudest onto it, now this one, now that."""

    user_id: UserId
    producer: ProducerId = field(factory=lambda: ProducerId(str(uuid4())))
    cname: str = field(factory=lambda: secrets.token_hex(8))

    @property
    def producers(self) -> dict[ProducerId, ProducerPlan]:
        """What can be consumed of it, as a seat has it."""
        return {self.producer: SLOT}


@define
class Seat:
    """One participant. What a seat has sent and received ends with it."""

    user_id: UserId
    name: Name
    connection: int
    socket_id: str
    address: str
    joined_at: int
    is_muted: bool = False
    is_video_enabled: bool = False
    media_state_updated_at: int = 0
    is_away: bool = False  # its connection broke, and is waited for
    is_recording: bool = False
    transports: dict[TransportId, Transport] = field(factory=dict[TransportId, Transport])
    producers: dict[ProducerId, ProducerPlan] = field(factory=dict[ProducerId, ProducerPlan])
    consumers: dict[ConsumerId, ProducerId] = field(factory=dict[ConsumerId, ProducerId])
    cname: str = field(factory=lambda: secrets.token_hex(8))
    first_ssrc: int = field(factory=lambda: 2 + secrets.randbelow(2**31))  # 1 is the worker's, for its own reports
    consumed: int = 0  # consumers ever made, so that no SSRC and mid is used twice
    has_open_microphone: bool = False  # as the room's speakers have counted it
    knows_voices: bool = False  # was told of those that the room's speakers take the place of
    part: int = 0  # of the room, where its transports are
    expected: int = 0  # consumers that it had when it last lost its media

    def transport(self, direction: Direction) -> TransportId | None:
        """The seat's transport of that direction."""
        return next((key for key, t in self.transports.items() if t.direction is direction), None)

    @property
    def voices(self) -> list[ProducerId]:
        """The tracks that slots can stand for."""
        return [key for key, plan in self.producers.items() if is_voice(plan)]

    def participant(self, host: UserId | None, *, has_slots: bool = False) -> Participant:
        """How the others see this seat, in a room whose slots stand for all voices or in another one."""
        return Participant(
            self.user_id,
            self.name,
            self.socket_id,
            self.joined_at,
            is_host=self.user_id == host,
            is_muted=self.is_muted,
            is_video_enabled=self.is_video_enabled,
            media_state_updated_at=self.media_state_updated_at,
            producer_ids=tuple(
                ProducerRef(key, plan.kind)
                for key, plan in self.producers.items()
                if not (has_slots and is_voice(plan))
            ),
            is_away=self.is_away,
            is_recording=self.is_recording,
        )


def is_voice(plan: ProducerPlan) -> bool:
    """Whether a track is of sound and says how loud it is (RFC 6464)."""
    return plan.kind is Kind.AUDIO and LEVEL in plan.extensions.values()
