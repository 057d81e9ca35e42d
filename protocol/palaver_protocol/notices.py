"""Every notice. To add one: a class here, its name in the union below; mypy then asks the client's reducer."""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

from attrs import frozen

from .models import (
    ChatMessage,
    EndReason,
    HostChange,
    MessageId,
    Name,
    NoticeLevel,
    ProducerId,
    Reaction,
    Reason,
    RoomId,
    RoomSummary,
    Text,
    TransportId,
    User,
    UserId,
)
from .rtp_models import Kind
from .table import NOTICES, Notice, notice

SEAT_MOVED: Final = "seatMoved"  # the code of the notice to a connection whose seat was taken along to another one


@notice("onlineUsersUpdated", latest_only=True)
@frozen
class OnlineUsersUpdated(Notice):
    """Everybody who is online; the first comes right after connecting."""

    users: tuple[User, ...]


@notice("roomListUpdated", latest_only=True)
@frozen
class RoomListUpdated(Notice):
    """All rooms one may see; the first comes right after connecting."""

    rooms: tuple[RoomSummary, ...]


@notice("userJoined")
@frozen
class UserJoined(Notice):
    """Somebody took a seat."""

    user_id: UserId
    user_name: Name
    socket_id: str


@notice("userLeft")
@frozen
class UserLeft(Notice):
    """Somebody gave up his seat or lost it."""

    user_id: UserId
    room_id: RoomId


@notice("newMessage")
@frozen
class NewMessage(ChatMessage, Notice):
    """Somebody said something in writing; the sender hears it too."""

    @classmethod
    def of(cls, said: ChatMessage) -> NewMessage:
        """The notice of a message."""
        return cls(
            said.message_id, said.user_id, said.user_name, said.content, said.timestamp, said.reply_to, said.reactions
        )


@notice("messageReactionUpdated")
@frozen
class MessageReactionUpdated(Notice):
    """Somebody reacted to a message or took it back: all its reactions now."""

    message_id: MessageId
    reactions: tuple[Reaction, ...]


@notice("messageEdited")
@frozen
class MessageEdited(Notice):
    """Somebody put his message differently."""

    message_id: MessageId
    content: Text
    edited_at: int


@notice("messageDeleted")
@frozen
class MessageDeleted(Notice):
    """Somebody took his message back."""

    message_id: MessageId


@notice("hostChanged")
@frozen
class HostChanged(Notice):
    """The room has another host, or its lost one came back in time."""

    room_id: RoomId
    host_id: UserId
    host_name: Name
    reason: HostChange


@notice("newProducer")
@frozen
class NewProducer(Notice):
    """Somebody's track can be consumed."""

    producer_id: ProducerId
    user_id: UserId
    kind: Kind


@notice("producerClosed")
@frozen
class ProducerClosed(Notice):
    """Somebody's track is no more, and neither are its consumers."""

    producer_id: ProducerId
    user_id: UserId


@notice("participantMediaStateUpdated")
@frozen
class ParticipantMediaStateUpdated(Notice):
    """Somebody muted or unmuted the microphone, or turned the camera on or off."""

    user_id: UserId
    name: Name
    is_muted: bool
    is_video_enabled: bool


@notice("roomHostless")
@frozen
class RoomHostless(Notice):
    """The host left, or did not come back in time; every member may now do what the host may."""

    room_id: RoomId
    message: Reason


@notice("callEnded")
@frozen
class CallEnded(Notice):
    """The room is over."""

    room_id: RoomId
    ended_by: UserId | None = None
    reason: EndReason | None = None


@notice("transportFailed")
@frozen
class TransportFailed(Notice):
    """One's transport is dead: `fingerprint`, `dtls`, `consent` or `timeout`. Open another."""

    transport_id: TransportId
    reason: Reason


@notice("mediaReset")
@frozen
class MediaReset(Notice):
    """The room's router is gone or moved: negotiate again; the seat stays."""

    room_id: RoomId
    reason: Reason


@notice("serverNotice")
@frozen
class ServerNotice(Notice):
    """Something the server's people should know: `insecure`, `draining`, `seatMoved`, ..."""

    level: NoticeLevel
    code: str
    message: Reason


AnyNotice: TypeAlias = (
    OnlineUsersUpdated
    | RoomListUpdated
    | UserJoined
    | UserLeft
    | NewMessage
    | MessageReactionUpdated
    | MessageEdited
    | MessageDeleted
    | HostChanged
    | NewProducer
    | ProducerClosed
    | ParticipantMediaStateUpdated
    | RoomHostless
    | CallEnded
    | TransportFailed
    | MediaReset
    | ServerNotice
)

if missing := {row.cls for row in NOTICES.values()} ^ set(get_args(AnyNotice)):
    raise AssertionError(f"in the table or in the union only: {missing}")
