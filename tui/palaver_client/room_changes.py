"""How the room that we see changes, as pure functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import evolve

from palaver_protocol.models import (
    ChatMessage,
    MessageId,
    Participant,
    ProducerId,
    ProducerRef,
    RoomView,
    UserId,
)
from palaver_protocol.notices import HostChanged, NewMessage, ProducerClosed, UserJoined, UserLeft

from .sound_choices import USUAL
from .state import ClientState, out_of_room

MAX_MESSAGES: Final = 200  # kept of the current room


def in_room(state: ClientState, change: Callable[[RoomView], RoomView]) -> ClientState:
    """Change the room we sit in, if we do."""
    return state if state.room is None else evolve(state, room=change(state.room))


def of_person(state: ClientState, user_id: UserId, change: Callable[[Participant], Participant]) -> ClientState:
    """Change somebody in our room."""
    return in_room(
        state,
        lambda room: evolve(
            room,
            participants=tuple(change(person) if person.user_id == user_id else person for person in room.participants),
        ),
    )


def mark_ourselves(state: ClientState) -> ClientState:
    """Show the others' mute mark on ourselves too; the server does not tell us."""
    return of_person(state, state.me, lambda person: evolve(person, is_muted=state.is_muted))


# -- people ------------------------------------------------------------------------------------------------------------
def seat(room: RoomView, told: UserJoined) -> RoomView:
    """The room with one more in it."""
    others = tuple(person for person in room.participants if person.user_id != told.user_id)
    joined_at = max((person.joined_at for person in others), default=room.created_at)  # the notice has no time
    person = Participant(told.user_id, told.user_name, told.socket_id, joined_at, told.user_id == room.host_id)
    return evolve(uninvite(room, told.user_id), participants=(*others, person))


def leave(state: ClientState, told: UserLeft) -> ClientState:
    """The state without him who left; without a room if it is ourselves."""
    if state.room is None or state.room.room_id != told.room_id:
        return state
    if told.user_id == state.me:
        return out_of_room(state)
    people = tuple(person for person in state.room.participants if person.user_id != told.user_id)
    levels = {user: level for user, level in state.sound.levels.items() if user != told.user_id}
    sound = evolve(state.sound, levels=levels, speaking=state.sound.speaking - {told.user_id})
    speakers = tuple(speaker for speaker in state.speakers if speaker.user_id != told.user_id)
    named = {track: user for track, user in state.named.items() if user != told.user_id}
    room = evolve(state.room, participants=people)
    return evolve(state, room=room, sound=sound, speakers=speakers, named=named)


def uninvite(room: RoomView, user_id: UserId) -> RoomView:
    """The room with one invitation less."""
    return evolve(room, invited_user_ids=tuple(user for user in room.invited_user_ids if user != user_id))


def with_host(room: RoomView, told: HostChanged) -> RoomView:
    """The room under its new host."""
    people = tuple(evolve(person, is_host=person.user_id == told.host_id) for person in room.participants)
    return evolve(
        room,
        host_id=told.host_id,
        host_name=told.host_name,
        is_hostless=False,
        host_disconnected_at=None,
        participants=people,
    )


def without_host(room: RoomView) -> RoomView:
    """The room in which everybody may do what a host may."""
    people = tuple(evolve(person, is_host=False) for person in room.participants)
    return evolve(room, is_hostless=True, participants=people)


def add_track(person: Participant, track: ProducerRef) -> Participant:
    """Somebody with one more track."""
    others = tuple(known for known in person.producer_ids if known.producer_id != track.producer_id)
    return evolve(person, producer_ids=(*others, track))


def drop_track(person: Participant, told: ProducerClosed) -> Participant:
    """Somebody with one track less."""
    left = tuple(track for track in person.producer_ids if track.producer_id != told.producer_id)
    return evolve(person, producer_ids=left)


def add_speaker(room: RoomView, track: ProducerRef) -> RoomView:
    """The room with one more track that carries whoever speaks, if it is not known already."""
    is_known = any(known.producer_id == track.producer_id for known in room.speaker_ids)
    return room if is_known else evolve(room, speaker_ids=(*room.speaker_ids, track))


def drop_speaker(room: RoomView, told: ProducerClosed) -> RoomView:
    """The room with one such track less."""
    return evolve(room, speaker_ids=tuple(known for known in room.speaker_ids if known.producer_id != told.producer_id))


def without_tracks(room: RoomView) -> RoomView:
    """The room when its router has died, and with it all tracks."""
    return evolve(
        room, participants=tuple(evolve(person, producer_ids=()) for person in room.participants), speaker_ids=()
    )


def with_named(state: ClientState) -> ClientState:
    """In a big room, ask by name for those who speak and are not heard as usual: the speakers carry all alike."""
    if state.room is None or not state.room.speaker_ids:
        return state
    speaking = {each.producer_id: each.user_id for each in state.speakers if each.user_id != state.me}
    news = {track: user for track, user in speaking.items() if state.choices.volume_of(user) != USUAL}
    return evolve(state, named={**state.named, **news}) if news.keys() - state.named.keys() else state


def without_name(state: ClientState, track: ProducerId) -> ClientState:
    """The state when a track is over, or may not be heard by name any more unless it is asked for again."""
    return evolve(state, named={known: user for known, user in state.named.items() if known != track})


# -- messages ----------------------------------------------------------------------------------------------------------
def add_message(room: RoomView, told: NewMessage) -> RoomView:
    """The room with one more message, if it is not known already."""
    if any(known.message_id == told.message_id for known in room.messages):
        return room
    said = ChatMessage(
        told.message_id, told.user_id, told.user_name, told.content, told.timestamp, told.reply_to, told.reactions
    )
    return evolve(room, messages=(*room.messages, said)[-MAX_MESSAGES:])


def of_message(state: ClientState, message_id: MessageId, change: Callable[[ChatMessage], ChatMessage]) -> ClientState:
    """Change a message, if it is known."""
    return in_room(
        state,
        lambda room: evolve(
            room, messages=tuple(change(said) if said.message_id == message_id else said for said in room.messages)
        ),
    )


def drop_message(room: RoomView, message_id: MessageId) -> RoomView:
    """The room without a message."""
    return evolve(room, messages=tuple(said for said in room.messages if said.message_id != message_id))


def with_older(room: RoomView, older: tuple[ChatMessage, ...]) -> RoomView:
    """The room with messages from before those that are known."""
    known = {said.message_id for said in room.messages}
    new = tuple(said for said in older if said.message_id not in known)
    return evolve(room, messages=(*new, *room.messages)[-MAX_MESSAGES:])


def with_history(room: RoomView, known: RoomView | None) -> RoomView:
    """A room as the server shows it now, with the older messages that we have read of it already."""
    if known is None or known.room_id != room.room_id or not room.messages:
        return room
    ids = [said.message_id for said in known.messages]
    first = room.messages[0].message_id
    return with_older(room, known.messages[: ids.index(first)]) if first in ids else room
