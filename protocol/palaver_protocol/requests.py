"""Every request. To add one: a class here, its name in the union below; mypy then asks for its handler."""

from __future__ import annotations

from typing import TypeAlias, get_args

from attrs import frozen

from .models import (
    CallId,
    ChatMessage,
    ConsumerId,
    Direction,
    Emoji,
    MessageId,
    Name,
    ProducerId,
    Reason,
    RoomId,
    RoomType,
    RoomView,
    Text,
    TransportId,
    UserId,
)
from .rtp_models import (
    ConsumerParams,
    DtlsParameters,
    IceParameters,
    Kind,
    RtpCapabilities,
    RtpParameters,
    TransportParams,
)
from .table import REQUESTS, A, Ack, Request, Standing, request


@frozen
class Done(Ack):
    """It is done; `message` says what, for people."""

    message: str = ""


@frozen
class RoomAck(Ack):
    """The room, as it now is."""

    room: RoomView


@frozen
class MessageAck(Ack):
    """The message, as everybody gets it."""

    message: ChatMessage


@frozen
class MessagesAck(Ack):
    """Messages, the oldest first; `more` says whether there are older ones."""

    messages: tuple[ChatMessage, ...]
    more: bool


@frozen
class CapabilitiesAck(Ack):
    """What the room's router forwards."""

    rtp_capabilities: RtpCapabilities


@frozen
class TransportAck(Ack):
    """What the client's ICE and DTLS need."""

    params: TransportParams


@frozen
class ProducerAck(Ack):
    """The new producer's id."""

    producer_id: ProducerId


@frozen
class ConsumerAck(Ack):
    """How the consumer's packets will look."""

    params: ConsumerParams


@frozen
class RingingAck(Ack):
    """It rings for `ringsFor` ms; or, where each called the other, it is accepted already (`ringsFor` 0)."""

    message: str
    rings_for: int


@frozen
class AcceptedAck(Ack):
    """The room in which both now sit."""

    room_id: RoomId
    room: RoomView


@frozen
class IceAck(Ack):
    """The transport's new ICE credentials."""

    ice_parameters: IceParameters


# The base class says who answers: the exchange, a room, or the room in which the asker has his seat.
@frozen
class ToExchange(Request[A]):
    """Asked of the server as a whole."""


@frozen
class ToRoom(Request[A]):
    """Asked of a room."""

    room_id: RoomId


@frozen
class ToSeat(Request[A]):
    """Asked of one's own seat, wherever it is."""


@frozen
class ToCall(Request[A]):
    """Asked of a call that rings."""

    call_id: CallId


@request("createRoom", cost=5)
@frozen
class CreateRoom(ToExchange[RoomAck]):
    """Open a room and take its first seat as the host.

    A `direct` room is for oneself and the one invited, in `targetUserId` or `invitedUserIds`; it rings there, and is
    pending until he accepts. To a group room any number may be invited: it rings at those who are online. With
    `joinExisting`, take a seat in the group room of that name if there is one (and invite to it). With
    `leaveCurrent`, give up the seat one has elsewhere first; without it, having one is refused (`inRoom`).
    """

    room_type: RoomType
    room_name: Name | None = None
    target_user_id: UserId | None = None
    invited_user_ids: tuple[UserId, ...] = ()
    join_existing: bool = False
    leave_current: bool = False


@request("callUser", cost=5)
@frozen
class CallUser(ToExchange[RingingAck]):
    """Ring at somebody, under an id that the caller makes; he hears `incomingCallNew` on all his connections.

    If the other one rings here at that moment, both have said yes, and it is accepted at once. With `leaveCurrent`,
    the seat that one has is given up when he accepts; without it, having one is refused (`inRoom`).
    """

    call_id: CallId
    target_user_id: UserId
    leave_current: bool = False


@request("acceptCallNew", who=Standing.CALLEE, cost=5)
@frozen
class AcceptCallNew(ToCall[AcceptedAck]):
    """Say yes to a call: both sit in a new direct room, and the caller hears `callAcceptedNew`."""

    leave_current: bool = False


@request("rejectCallNew", who=Standing.CALLEE)
@frozen
class RejectCallNew(ToCall[Done]):
    """Say no to a call; the caller hears `callRejectedNew` with the reason."""

    reason: Reason | None = None


@request("cancelCall", who=Standing.CALLER)
@frozen
class CancelCall(ToCall[Done]):
    """Ring no longer; the other one hears `callCancelled`."""


@request("acceptCall", who=Standing.INVITED | Standing.MEMBER, cost=2)
@frozen
class AcceptCall(ToRoom[RoomAck]):
    """Say yes to an invitation: take a seat. The room's members hear `callAccepted`."""

    leave_current: bool = False


@request("rejectCall", who=Standing.INVITED)
@frozen
class RejectCall(ToRoom[Done]):
    """Say no to an invitation: the room's members hear `callRejected`, and a direct room ends."""

    reason: Reason | None = None


@request("joinRoom", who=Standing.INVITED | Standing.MEMBER, cost=2)
@frozen
class JoinRoom(ToRoom[RoomAck]):
    """Take a seat. Asked again by one who sits there, it answers with the room as it is.

    A group room invites everybody, a direct room its two people.
    """

    leave_current: bool = False


@request("leaveRoom", who=Standing.MEMBER)
@frozen
class LeaveRoom(ToRoom[Done]):
    """Give up the seat and all that was sent or received from it."""


@request("endCall", who=Standing.HOST)
@frozen
class EndCall(ToRoom[Done]):
    """End the room for everyone."""


@request("sendMessage", who=Standing.MEMBER, cost=2)
@frozen
class SendMessage(ToRoom[MessageAck]):
    """Say something in writing; the answer and the notice `newMessage` carry the same message.

    `replyTo` is a message's id, or an object that has one; the server fills in the quote itself.
    """

    content: Text
    reply_to: MessageId | None = None


@request("reactToMessage", who=Standing.MEMBER, cost=2)
@frozen
class ReactToMessage(ToRoom[MessageAck]):
    """React to a message, or take one's reaction back; everybody gets `messageReactionUpdated`."""

    message_id: MessageId
    emoji: Emoji


@request("editMessage", who=Standing.MEMBER, cost=2)
@frozen
class EditMessage(ToRoom[MessageAck]):
    """Put one's own message differently; everybody gets `messageEdited`."""

    message_id: MessageId
    content: Text


@request("deleteMessage", who=Standing.MEMBER, cost=2)
@frozen
class DeleteMessage(ToRoom[MessageAck]):
    """Take one's own message back; the answer is the message, and everybody gets `messageDeleted`."""

    message_id: MessageId


@request("getMessages", who=Standing.MEMBER, cost=5)
@frozen
class GetMessages(ToRoom[MessagesAck]):
    """Read the newest messages, or those before a kept one; `limit` is 1 to 100."""

    before: MessageId | None = None
    limit: int = 50


@request("transferHost", who=Standing.HOST, cost=2)
@frozen
class TransferHost(ToRoom[RoomAck]):
    """Hand the host's role to a member; everybody gets `hostChanged`. A hostless room has a host again."""

    user_id: UserId


@request("mediaStateChanged", who=Standing.MEMBER)
@frozen
class MediaStateChanged(ToRoom[Done]):
    """Tell whether one's microphone is muted and one's camera on; the others get `participantMediaStateUpdated`.

    The sound of who is muted is forwarded to nobody, nor is video from when it was said to be off until it is on again.
    """

    is_muted: bool
    is_video_enabled: bool


@request("getRouterRtpCapabilities", who=Standing.MEMBER)
@frozen
class GetRouterRtpCapabilities(ToRoom[CapabilitiesAck]):
    """Ask which codecs and header extensions the room forwards."""


@request("createTransport", who=Standing.MEMBER, cost=3)
@frozen
class CreateTransport(ToRoom[TransportAck]):
    """Open one direction of media; at most one of each, a second one replaces the first."""

    direction: Direction


@request("connectTransport", who=Standing.MEMBER)
@frozen
class ConnectTransport(ToSeat[Done]):
    """Name the certificate with which one will connect. Answered before DTLS is done; see `transportFailed`."""

    transport_id: TransportId
    dtls_parameters: DtlsParameters


@request("produce", who=Standing.MEMBER, cost=3)
@frozen
class Produce(ToRoom[ProducerAck]):
    """Send a track over one's own `send` transport; the others get `newProducer`."""

    transport_id: TransportId
    kind: Kind
    rtp_parameters: RtpParameters


@request("closeProducer", who=Standing.MEMBER)
@frozen
class CloseProducer(ToRoom[Done]):
    """Send a track no more; the others get `producerClosed`."""

    producer_id: ProducerId


@request("consume", who=Standing.MEMBER)
@frozen
class Consume(ToRoom[ConsumerAck]):
    """Receive somebody's track over one's own `receive` transport, at first paused."""

    producer_id: ProducerId
    rtp_capabilities: RtpCapabilities


@request("resumeConsumer", who=Standing.MEMBER)
@frozen
class ResumeConsumer(ToRoom[Done]):
    """Let a consumer's packets come."""

    consumer_id: ConsumerId


@request("pauseConsumer", who=Standing.MEMBER)
@frozen
class PauseConsumer(ToRoom[Done]):
    """Let a consumer's packets come no more until it is resumed."""

    consumer_id: ConsumerId


@request("restartIce", who=Standing.MEMBER)
@frozen
class RestartIce(ToSeat[IceAck]):
    """Give a transport new ICE credentials, for a client whose network has changed."""

    transport_id: TransportId


@request("setRecording", who=Standing.MEMBER)
@frozen
class SetRecording(ToRoom[Done]):
    """Tell that one records the call, or no longer does; everybody, oneself too, hears `recordingStateChanged`.

    Said again it changes nothing, and nobody hears of it.
    """

    is_recording: bool


ExchangeRequest: TypeAlias = CreateRoom | CallUser
CallRequest: TypeAlias = AcceptCallNew | RejectCallNew | CancelCall
InvitationRequest: TypeAlias = AcceptCall | RejectCall
ChatRequest: TypeAlias = SendMessage | ReactToMessage | EditMessage | DeleteMessage | GetMessages
MediaRequest: TypeAlias = (
    MediaStateChanged
    | GetRouterRtpCapabilities
    | CreateTransport
    | ConnectTransport
    | RestartIce
    | Produce
    | CloseProducer
    | Consume
    | ResumeConsumer
    | PauseConsumer
    | SetRecording
)
RoomRequest: TypeAlias = JoinRoom | LeaveRoom | EndCall | TransferHost | ChatRequest | MediaRequest
AnyRequest: TypeAlias = ExchangeRequest | CallRequest | InvitationRequest | RoomRequest

if missing := {row.cls for row in REQUESTS.values()} ^ set(get_args(AnyRequest)):
    raise AssertionError(f"in the table or in the union only: {missing}")
