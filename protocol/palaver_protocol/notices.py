"""Every notice. To add one: a class here, its name in the union below; mypy then asks the client's reducer."""

from __future__ import annotations

from typing import Final, TypeAlias, get_args

from attrs import frozen

from .models import (
    CallId,
    ChatMessage,
    EndReason,
    HostChange,
    MessageId,
    Name,
    NoticeLevel,
    ProducerId,
    Reaction,
    Reason,
    Ringing,
    RoomId,
    RoomSummary,
    RoomType,
    RoomView,
    Speaker,
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


@notice("incomingCall")
@frozen
class IncomingCall(Notice):
    """Somebody invites one to his room: answer with `acceptCall` or `rejectCall` within `ringsFor` ms."""

    room_id: RoomId
    room_type: RoomType
    from_user_id: UserId
    from_user_name: Name
    rings_for: int | None = None


@notice("incomingCallNew")
@frozen
class IncomingCallNew(Notice):
    """Somebody calls: answer with `acceptCallNew` or `rejectCallNew` within `ringsFor` ms."""

    call_id: CallId
    from_: UserId
    from_name: Name
    rings_for: int | None = None


@notice("callAccepted")
@frozen
class CallAccepted(Notice):
    """Somebody said yes to an invitation to one's room."""

    user_id: UserId
    room_id: RoomId


@notice("callAcceptedNew")
@frozen
class CallAcceptedNew(Notice):
    """One's call was accepted; both sit in this room."""

    call_id: CallId
    room_id: RoomId
    room: RoomView


@notice("callRejected")
@frozen
class CallRejected(Notice):
    """An invitation to one's room came to nothing: the reason is the invited one's, or `timeout`, `busy`, `offline`."""

    user_id: UserId
    user_name: Name
    room_id: RoomId
    reason: Reason | None = None


@notice("callRejectedNew")
@frozen
class CallRejectedNew(Notice):
    """One's call came to nothing.

    The reason is the callee's, or `rejected`, `busy`, `offline`, `full`, `shutdown`, or `cancelled` (by the caller's
    own doing, on another connection).
    """

    call_id: CallId
    reason: Reason


@notice("callCancelled")
@frozen
class CallCancelled(Notice):
    """It rings no longer here: cancelled, answered on another connection, or over. An invitation's id is its room's."""

    call_id: CallId


@notice("callTimeout")
@frozen
class CallTimeout(Notice):
    """Nobody answered the call in time; told to both."""

    call_id: CallId


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
    """Somebody's microphone was muted or unmuted, his camera turned on or off, or his connection broke or came back.

    Who `isAway` has lost his connection and is waited for; his seat is held.
    """

    user_id: UserId
    name: Name
    is_muted: bool
    is_video_enabled: bool
    is_away: bool = False


@notice("recordingStateChanged")
@frozen
class RecordingStateChanged(Notice):
    """Somebody began to record the call, or no longer does: he said so, or his seat is gone (`userLeft` follows)."""

    room_id: RoomId
    user_id: UserId
    is_recording: bool


@notice("activeSpeakers", latest_only=True)
@frozen
class ActiveSpeakers(Notice):
    """Who speaks now, the loudest first."""

    room_id: RoomId
    speakers: tuple[Speaker, ...]


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


@notice("snapshot")
@frozen
class Snapshot(Notice):
    """All that one may have missed: the first thing told to a connection that was resumed."""

    user: User
    users: tuple[User, ...]
    rooms: tuple[RoomSummary, ...]
    calls: tuple[Ringing, ...]
    room: RoomView | None = None


AnyNotice: TypeAlias = (
    OnlineUsersUpdated
    | RoomListUpdated
    | IncomingCall
    | IncomingCallNew
    | CallAccepted
    | CallAcceptedNew
    | CallRejected
    | CallRejectedNew
    | CallCancelled
    | CallTimeout
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
    | RecordingStateChanged
    | ActiveSpeakers
    | RoomHostless
    | CallEnded
    | TransportFailed
    | MediaReset
    | ServerNotice
    | Snapshot
)

if missing := {row.cls for row in NOTICES.values()} ^ set(get_args(AnyNotice)):
    raise AssertionError(f"in the table or in the union only: {missing}")
