"""What a client knows after each thing that the server tells: a pure fold."""

from __future__ import annotations

from typing import Final, assert_never

from attrs import evolve

from palaver_protocol.models import CallId, Participant, ProducerRef, Ringing, RoomView, is_speaker
from palaver_protocol.notices import (
    ActiveSpeakers,
    AnyNotice,
    CallAccepted,
    CallAcceptedNew,
    CallCancelled,
    CallEnded,
    CallRejected,
    CallRejectedNew,
    CallTimeout,
    HostChanged,
    IncomingCall,
    IncomingCallNew,
    MediaReset,
    MessageDeleted,
    MessageEdited,
    MessageReactionUpdated,
    NewMessage,
    NewProducer,
    OnlineUsersUpdated,
    ParticipantMediaStateUpdated,
    ProducerClosed,
    RecordingStateChanged,
    RoomHostless,
    RoomListUpdated,
    ServerNotice,
    Snapshot,
    TransportFailed,
    UserJoined,
    UserLeft,
)

from .room_changes import (
    add_message,
    add_speaker,
    add_track,
    drop_message,
    drop_speaker,
    drop_track,
    in_room,
    leave,
    mark_ourselves,
    of_message,
    of_person,
    seat,
    uninvite,
    with_history,
    with_host,
    with_named,
    without_host,
    without_name,
    without_tracks,
)
from .state import ClientState, IncomingRing, OutgoingRing, out_of_room

MAX_NOTICES: Final = 5
MAX_RINGS: Final = 20  # that are shown at once


def reduce(state: ClientState, told: AnyNotice, now: float) -> ClientState:
    """The state after a notice, at `now` on Trio's clock in s. Every notice has its arm: mypy says so."""
    match told:
        case OnlineUsersUpdated():
            return evolve(state, users=told.users)
        case RoomListUpdated():
            return evolve(state, rooms=told.rooms)
        case IncomingCall() | IncomingCallNew():
            return _rung(state, _incoming(told, now))
        case CallAcceptedNew():
            return _met(rings_no_more(state, told.call_id), told.room)
        case CallRejectedNew() | CallCancelled() | CallTimeout():
            return rings_no_more(state, told.call_id)
        case CallAccepted() | CallRejected():
            return in_room(state, lambda room: uninvite(room, told.user_id) if room.room_id == told.room_id else room)
        case UserJoined():
            return in_room(state, lambda room: seat(room, told))
        case UserLeft():
            return leave(state, told)
        case NewMessage():
            return in_room(state, lambda room: add_message(room, told))
        case MessageReactionUpdated():
            return of_message(state, told.message_id, lambda said: evolve(said, reactions=told.reactions))
        case MessageEdited():
            return of_message(
                state, told.message_id, lambda said: evolve(said, content=told.content, edited_at=told.edited_at)
            )
        case MessageDeleted():
            return in_room(state, lambda room: drop_message(room, told.message_id))
        case HostChanged():
            return in_room(state, lambda room: with_host(room, told) if room.room_id == told.room_id else room)
        case NewProducer():
            return _with_track(state, told)
        case ProducerClosed():
            return _without_track(state, told)
        case ParticipantMediaStateUpdated():
            return of_person(state, told.user_id, lambda person: _with_media_state(person, told))
        case RecordingStateChanged() if _is_here(state, told):
            return of_person(state, told.user_id, lambda person: evolve(person, is_recording=told.is_recording))
        case ActiveSpeakers() if _is_here(state, told):
            return with_named(evolve(state, speakers=told.speakers))
        case RoomHostless():
            return in_room(state, lambda room: without_host(room) if room.room_id == told.room_id else room)
        case CallEnded():
            return rings_no_more(out_of_room(state) if _is_here(state, told) else state, CallId(told.room_id))
        case ServerNotice():
            return evolve(state, notices=(*state.notices, told)[-MAX_NOTICES:])
        case Snapshot():
            return _put_right(state, told, now)
        case MediaReset() if _is_here(state, told):
            return in_room(evolve(state, speakers=(), named={}), without_tracks)
        case RecordingStateChanged() | ActiveSpeakers() | MediaReset():
            return state  # of a room that we have left
        case TransportFailed():
            return state  # the call negotiates again, and tells with events of its own
        case _:
            assert_never(told)


def _is_here(state: ClientState, told: RecordingStateChanged | ActiveSpeakers | CallEnded | MediaReset) -> bool:
    return state.room is not None and state.room.room_id == told.room_id


def _with_track(state: ClientState, told: NewProducer) -> ClientState:
    track = ProducerRef(told.producer_id, told.kind)
    if is_speaker(told.user_id):
        return in_room(state, lambda room: add_speaker(room, track))
    return of_person(state, told.user_id, lambda person: add_track(person, track))


def _without_track(state: ClientState, told: ProducerClosed) -> ClientState:
    if is_speaker(told.user_id):
        return in_room(state, lambda room: drop_speaker(room, told))
    state = of_person(state, told.user_id, lambda person: drop_track(person, told))
    return with_named(without_name(state, told.producer_id))  # a room that has become big takes them all away


def _with_media_state(person: Participant, told: ParticipantMediaStateUpdated) -> Participant:
    return evolve(person, is_muted=told.is_muted, is_video_enabled=told.is_video_enabled, is_away=told.is_away)


# -- rings -------------------------------------------------------------------------------------------------------------
def rings_no_more(state: ClientState, call_id: CallId) -> ClientState:
    """The state when a call or invitation, of ours or to us, is settled."""
    outgoing = None if state.outgoing is not None and state.outgoing.call_id == call_id else state.outgoing
    incoming = tuple(ring for ring in state.incoming if ring.call_id != call_id)
    return evolve(state, incoming=incoming, outgoing=outgoing)


def _met(state: ClientState, room: RoomView) -> ClientState:
    """Who sits with us in a call's room does not ring here: where each called the other, both calls are accepted."""
    here = {person.user_id for person in room.participants}
    return evolve(state, incoming=tuple(ring for ring in state.incoming if ring.room_id or ring.from_id not in here))


def _rung(state: ClientState, ring: IncomingRing) -> ClientState:
    others = tuple(known for known in state.incoming if known.call_id != ring.call_id)
    return evolve(state, incoming=(*others, ring)[-MAX_RINGS:])


def _incoming(told: IncomingCall | IncomingCallNew, now: float) -> IncomingRing:
    ends_at = None if told.rings_for is None else now + told.rings_for / 1000
    if isinstance(told, IncomingCallNew):
        return IncomingRing(told.call_id, told.from_, told.from_name, ends_at)
    call_id = CallId(told.room_id)
    return IncomingRing(call_id, told.from_user_id, told.from_user_name, ends_at, told.room_id, told.room_type)


# -- after a resumption ------------------------------------------------------------------------------------------------
def _put_right(state: ClientState, told: Snapshot, now: float) -> ClientState:
    """All that we know, as the server knows it; only what is ours alone stays."""
    state = evolve(state if told.room is not None else out_of_room(state), users=told.users, rooms=told.rooms)
    state = evolve(state, incoming=(), outgoing=None)
    for call in told.calls:
        if call.to == state.me:
            state = _rung(state, _still_incoming(call, now))
        elif call.from_ == state.me and call.room_id is None:
            state = evolve(state, outgoing=_still_outgoing(call, now))
    if told.room is None:
        return state
    return mark_ourselves(evolve(state, room=with_history(told.room, state.room), speakers=(), named={}))


def _still_incoming(call: Ringing, now: float) -> IncomingRing:
    ends_at = now + call.rings_for / 1000
    return IncomingRing(call.call_id, call.from_, call.from_name, ends_at, call.room_id, call.room_type)


def _still_outgoing(call: Ringing, now: float) -> OutgoingRing:
    return OutgoingRing(call.call_id, call.to, call.to_name, now + call.rings_for / 1000)
