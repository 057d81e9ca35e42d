"""Things both sides name (reference section 5). Times are integers, ms since the epoch."""

from __future__ import annotations

import enum
import re
from typing import Final, NewType

from attrs import frozen

from .rtp_models import Kind

UserId = NewType("UserId", str)
RoomId = NewType("RoomId", str)
CallId = NewType("CallId", str)
MessageId = NewType("MessageId", str)
TransportId = NewType("TransportId", str)
ProducerId = NewType("ProducerId", str)
ConsumerId = NewType("ConsumerId", str)
Name = NewType("Name", str)  # of a person or room: 1 to 32 graphemes on one line, sanitised
Text = NewType("Text", str)  # of a message: 1 to 20,000 code points, at most 64 KiB of UTF-8, sanitised
Emoji = NewType("Emoji", str)  # one grapheme, an emoji, at most 64 bytes of UTF-8
Reason = NewType("Reason", str)  # a short remark: at most 200 code points on one line, sanitised


_SPEAKER: Final = re.compile("speaker-[0-9]+")


def speaker_id(number: int) -> UserId:
    """The user id of one of a room's speakers, from 1 on; no person can have it."""
    return UserId(f"speaker-{number}")


def is_speaker(user_id: UserId) -> bool:
    """Whether it is the id of a speaker."""
    return _SPEAKER.fullmatch(user_id) is not None


class Direction(enum.Enum):
    """Which way a transport carries media, seen from the client."""

    SEND = "send"
    RECEIVE = "receive"


class RoomType(enum.Enum):
    """Whether a room is open to all or belongs to the two people of a call."""

    GROUP = "group"
    DIRECT = "direct"


class RoomStatus(enum.Enum):
    """Where a room is in its life."""

    PENDING = "pending"
    ACTIVE = "active"
    ENDED = "ended"


class UserStatus(enum.Enum):
    """Whether a user sits in a room."""

    IDLE = "idle"
    IN_CALL = "in_call"


class ParticipantStatus(enum.Enum):
    """Whether a participant has answered."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    REJECTED = "rejected"


class EndReason(enum.Enum):
    """Why a room is over."""

    ENDED = "ended"
    HOST_LEFT = "hostLeft"
    EMPTY = "empty"
    REJECTED = "rejected"
    TIMEOUT = "timeout"
    SHUTDOWN = "shutdown"
    ERROR = "error"


class HostChange(enum.Enum):
    """Why a room has this host."""

    TRANSFER = "transfer"
    RETURNED = "returned"


class NoticeLevel(enum.Enum):
    """How much a server's notice matters."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@frozen
class User:
    """Somebody online."""

    user_id: UserId
    name: Name
    status: UserStatus
    connected_at: int
    current_room_id: RoomId | None = None


@frozen
class ProducerRef:
    """A track that can be consumed."""

    producer_id: ProducerId
    kind: Kind


@frozen
class Participant:
    """Somebody in a room."""

    user_id: UserId
    name: Name
    socket_id: str
    joined_at: int
    is_host: bool
    status: ParticipantStatus = ParticipantStatus.ACCEPTED
    is_muted: bool = False
    is_video_enabled: bool = False
    media_state_updated_at: int = 0
    producer_ids: tuple[ProducerRef, ...] = ()
    is_away: bool = False
    is_recording: bool = False


@frozen
class Quote:
    """The message that another one answers, as it was then."""

    message_id: MessageId
    user_name: Name
    content: Text


@frozen
class Reaction:
    """Who reacted to a message with one emoji."""

    emoji: Emoji
    user_ids: tuple[UserId, ...]
    count: int


@frozen
class ChatMessage:
    """Something said in writing."""

    message_id: MessageId
    user_id: UserId
    user_name: Name
    content: Text
    timestamp: int
    reply_to: Quote | None = None
    reactions: tuple[Reaction, ...] = ()
    edited_at: int | None = None


@frozen
class RoomView:
    """A room, as its members see it; `messages` are the last 50.

    `speakerIds` are the tracks of `speaker-1`, `speaker-2`, ... in this order: a big room has them in place of the
    voices, which `participants` then leave out.
    """

    room_id: RoomId
    room_type: RoomType
    room_name: Name
    host_id: UserId
    host_name: Name
    status: RoomStatus
    created_at: int
    is_hostless: bool = False
    ended_at: int | None = None
    host_disconnected_at: int | None = None
    participants: tuple[Participant, ...] = ()
    invited_user_ids: tuple[UserId, ...] = ()
    messages: tuple[ChatMessage, ...] = ()
    speaker_ids: tuple[ProducerRef, ...] = ()


@frozen
class RoomSummary:
    """A room, as lists show it."""

    room_id: RoomId
    room_type: RoomType
    room_name: Name
    host_id: UserId
    host_name: Name
    status: RoomStatus
    created_at: int
    is_hostless: bool
    participant_count: int
    participant_names: tuple[Name, ...]


@frozen
class Ringing:
    """A call or an invitation that rings. `ringsFor` is in ms from now; an invitation names its room."""

    call_id: CallId
    from_: UserId
    from_name: Name
    to: UserId
    to_name: Name
    rings_for: int
    room_id: RoomId | None = None
    room_type: RoomType | None = None


@frozen
class Speaker:
    """Somebody who speaks; `level` is in -dBov: 0 is the loudest, 127 silence (RFC 6464)."""

    user_id: UserId
    producer_id: ProducerId
    level: int
