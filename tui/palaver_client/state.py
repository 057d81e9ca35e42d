"""What a client knows: a pure fold over what the server tells and what happens here."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Final, assert_never

from attrs import evolve, field, frozen

from palaver_media.engine_messages import Devices, Side
from palaver_protocol.models import (
    ChatMessage,
    MessageId,
    Name,
    Participant,
    ProducerRef,
    RoomSummary,
    RoomView,
    User,
    UserId,
)
from palaver_protocol.notices import (
    AnyNotice,
    CallEnded,
    HostChanged,
    MediaReset,
    MessageDeleted,
    MessageEdited,
    MessageReactionUpdated,
    NewMessage,
    NewProducer,
    OnlineUsersUpdated,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RoomHostless,
    RoomListUpdated,
    ServerNotice,
    TransportFailed,
    UserJoined,
    UserLeft,
)

from .events import (
    CallStats,
    Connected,
    ConnectionLost,
    DevicesChanged,
    Joined,
    Left,
    LevelsChanged,
    LocalEvent,
    MediaConnected,
    MediaConnecting,
    MediaFailed,
    MediaLost,
    MediaStarted,
    MuteChanged,
    RetryFailed,
    SoundChosen,
    SoundProblem,
    SoundStarted,
    SpeakingChanged,
    StatsChanged,
)

SILENCE: Final = -100.0  # dBFS
MAX_MESSAGES: Final = 200  # kept of the current room
MAX_NOTICES: Final = 5


class ConnectionState(enum.Enum):
    """Whether the server hears us."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class MediaState(enum.Enum):
    """Whether sound can pass between us and the server."""

    NONE = "none"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"


@frozen
class SideState:
    """The microphone side or the loudspeaker side of a call.

    `spec` is what was asked for, `name` what works (empty while nothing does), `problem` and `remedy` why not.
    """

    spec: str = ""
    name: str = ""
    problem: str = ""
    remedy: str = ""


@frozen
class Sound:
    """The sound of the current call. Levels are in dBFS; `speaking` may hold our own id."""

    source: SideState = SideState()
    sink: SideState = SideState()
    input_dbfs: float = SILENCE
    levels: Mapping[UserId, float] = field(factory=dict[UserId, float])
    speaking: frozenset[UserId] = frozenset()


@frozen
class ClientState:
    """All that a client knows, as one immutable value.

    `me` is our own user id, `retry_at` the time on Trio's clock of the next attempt to connect.
    """

    me: UserId
    name: Name
    connection: ConnectionState = ConnectionState.CONNECTING
    retry_at: float | None = None
    users: tuple[User, ...] = ()
    rooms: tuple[RoomSummary, ...] = ()
    room: RoomView | None = None
    is_muted: bool = False
    sound: Sound = Sound()
    media: MediaState = MediaState.NONE
    stats: CallStats | None = None
    devices: Devices | None = None
    notices: tuple[ServerNotice, ...] = ()

    def participant(self, user_id: UserId) -> Participant | None:
        """Somebody in our room."""
        people = () if self.room is None else self.room.participants
        return next((person for person in people if person.user_id == user_id), None)


# -- what the server tells ---------------------------------------------------------------------------------------------
def reduce(state: ClientState, told: AnyNotice) -> ClientState:
    """The state after a notice. Every notice has its arm: mypy says so."""
    match told:
        case OnlineUsersUpdated():
            return evolve(state, users=told.users)
        case RoomListUpdated():
            return evolve(state, rooms=told.rooms)
        case UserJoined():
            return _in_room(state, lambda room: _seat(room, told))
        case UserLeft():
            return _leave(state, told)
        case NewMessage():
            return _in_room(state, lambda room: _add_message(room, told))
        case MessageReactionUpdated():
            return _of_message(state, told.message_id, lambda said: evolve(said, reactions=told.reactions))
        case MessageEdited():
            return _of_message(
                state, told.message_id, lambda said: evolve(said, content=told.content, edited_at=told.edited_at)
            )
        case MessageDeleted():
            return _in_room(state, lambda room: _drop_message(room, told.message_id))
        case HostChanged():
            return _in_room(state, lambda room: _with_host(room, told) if room.room_id == told.room_id else room)
        case NewProducer():
            track = ProducerRef(told.producer_id, told.kind)
            return _of(state, told.user_id, lambda person: _add_track(person, track))
        case ProducerClosed():
            return _of(state, told.user_id, lambda person: _drop_track(person, told))
        case ParticipantMediaStateUpdated():
            return _of(
                state,
                told.user_id,
                lambda person: evolve(person, is_muted=told.is_muted, is_video_enabled=told.is_video_enabled),
            )
        case RoomHostless():
            return _in_room(state, lambda room: _without_host(room) if room.room_id == told.room_id else room)
        case CallEnded():
            return out_of_room(state) if state.room is not None and state.room.room_id == told.room_id else state
        case ServerNotice():
            return evolve(state, notices=(*state.notices, told)[-MAX_NOTICES:])
        case TransportFailed() | MediaReset():
            return state  # the call negotiates again, and tells with events of its own
        case _:
            assert_never(told)


def out_of_room(state: ClientState) -> ClientState:
    """The state of one who sits nowhere; the chosen source and sink stay."""
    sound = Sound(SideState(state.sound.source.spec), SideState(state.sound.sink.spec))
    return evolve(state, room=None, media=MediaState.NONE, sound=sound, stats=None)


def _in_room(state: ClientState, change: Callable[[RoomView], RoomView]) -> ClientState:
    return state if state.room is None else evolve(state, room=change(state.room))


def _of(state: ClientState, user_id: UserId, change: Callable[[Participant], Participant]) -> ClientState:
    return _in_room(
        state,
        lambda room: evolve(
            room,
            participants=tuple(change(person) if person.user_id == user_id else person for person in room.participants),
        ),
    )


def _seat(room: RoomView, told: UserJoined) -> RoomView:
    others = tuple(person for person in room.participants if person.user_id != told.user_id)
    joined_at = max((person.joined_at for person in others), default=room.created_at)  # the notice has no time
    person = Participant(told.user_id, told.user_name, told.socket_id, joined_at, told.user_id == room.host_id)
    return evolve(room, participants=(*others, person))


def _leave(state: ClientState, told: UserLeft) -> ClientState:
    if state.room is None or state.room.room_id != told.room_id:
        return state
    if told.user_id == state.me:
        return out_of_room(state)
    people = tuple(person for person in state.room.participants if person.user_id != told.user_id)
    levels = {user: level for user, level in state.sound.levels.items() if user != told.user_id}
    sound = evolve(state.sound, levels=levels, speaking=state.sound.speaking - {told.user_id})
    return evolve(state, room=evolve(state.room, participants=people), sound=sound)


def _add_message(room: RoomView, told: NewMessage) -> RoomView:
    if any(known.message_id == told.message_id for known in room.messages):
        return room
    said = ChatMessage(
        told.message_id, told.user_id, told.user_name, told.content, told.timestamp, told.reply_to, told.reactions
    )
    return evolve(room, messages=(*room.messages, said)[-MAX_MESSAGES:])


def _of_message(state: ClientState, message_id: MessageId, change: Callable[[ChatMessage], ChatMessage]) -> ClientState:
    return _in_room(
        state,
        lambda room: evolve(
            room, messages=tuple(change(said) if said.message_id == message_id else said for said in room.messages)
        ),
    )


def _drop_message(room: RoomView, message_id: MessageId) -> RoomView:
    return evolve(room, messages=tuple(said for said in room.messages if said.message_id != message_id))


def _with_host(room: RoomView, told: HostChanged) -> RoomView:
    people = tuple(evolve(person, is_host=person.user_id == told.host_id) for person in room.participants)
    return evolve(
        room,
        host_id=told.host_id,
        host_name=told.host_name,
        is_hostless=False,
        host_disconnected_at=None,
        participants=people,
    )


def _add_track(person: Participant, track: ProducerRef) -> Participant:
    others = tuple(known for known in person.producer_ids if known.producer_id != track.producer_id)
    return evolve(person, producer_ids=(*others, track))


def _drop_track(person: Participant, told: ProducerClosed) -> Participant:
    left = tuple(track for track in person.producer_ids if track.producer_id != told.producer_id)
    return evolve(person, producer_ids=left)


def _without_host(room: RoomView) -> RoomView:
    people = tuple(evolve(person, is_host=False) for person in room.participants)
    return evolve(room, is_hostless=True, participants=people)


# -- what happens here -------------------------------------------------------------------------------------------------
def after(state: ClientState, event: LocalEvent) -> ClientState:
    """The state after an event of this end."""
    match event:
        case Connected():
            return evolve(state, connection=ConnectionState.CONNECTED, retry_at=None)
        case ConnectionLost(retry_in=None):
            return evolve(out_of_room(state), connection=ConnectionState.CLOSED, retry_at=None, users=(), rooms=())
        case ConnectionLost() | RetryFailed():
            return evolve(state, connection=ConnectionState.RECONNECTING, retry_at=event.retry_at)
        case Joined():
            return _mark_ourselves(evolve(state, room=event.room))
        case Left():
            return out_of_room(state)
        case MuteChanged():
            return _mark_ourselves(evolve(state, is_muted=event.is_muted))
        case DevicesChanged():
            return evolve(state, devices=event.devices)
        case MediaConnecting() | MediaLost():
            return evolve(state, media=MediaState.CONNECTING)
        case MediaConnected():
            return evolve(state, media=MediaState.CONNECTED)
        case MediaFailed():
            return evolve(state, media=MediaState.FAILED)
        case StatsChanged():
            return evolve(state, stats=event.stats)
        case MediaStarted():
            return state
        case SoundChosen() | SoundStarted() | SoundProblem() | LevelsChanged() | SpeakingChanged():
            return evolve(state, sound=_hear(state.sound, event))
        case _:
            assert_never(event)


def _mark_ourselves(state: ClientState) -> ClientState:
    """Show the others' mute mark on ourselves too; the server does not tell us."""
    return _of(state, state.me, lambda person: evolve(person, is_muted=state.is_muted))


def _hear(sound: Sound, event: SoundChosen | SoundStarted | SoundProblem | LevelsChanged | SpeakingChanged) -> Sound:
    match event:
        case SoundChosen():
            return _side(sound, event.side, lambda _: SideState(event.spec))
        case SoundStarted():
            return _side(sound, event.side, lambda side: SideState(side.spec, event.name))
        case SoundProblem():
            return _side(sound, event.side, lambda side: SideState(side.spec, "", event.reason, event.remedy))
        case LevelsChanged():
            return evolve(sound, input_dbfs=event.input_dbfs, levels=event.levels)
        case SpeakingChanged(is_speaking=True):
            return evolve(sound, speaking=sound.speaking | {event.user_id})
        case SpeakingChanged():
            return evolve(sound, speaking=sound.speaking - {event.user_id})
        case _:
            assert_never(event)


def _side(sound: Sound, side: Side, change: Callable[[SideState], SideState]) -> Sound:
    if side is Side.SOURCE:
        return evolve(sound, source=change(sound.source))
    return evolve(sound, sink=change(sound.sink))
