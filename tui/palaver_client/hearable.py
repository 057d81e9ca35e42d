"""Which tracks of a room we want to hear."""

from __future__ import annotations

from palaver_protocol.models import ProducerId, RoomView, UserId, speaker_id
from palaver_protocol.rtp_models import Kind

from .state import ClientState


def tracks_of_others(state: ClientState) -> dict[ProducerId, UserId]:
    """The sound that there is to hear, and whose it is: a person's or a speaker's.

    Who is not heard as usual in a big room is asked for by name, as soon as the server says what his track is. He is
    so also when he is not to be heard at all: then the speakers leave him out, and the engine mutes him.
    """
    if state.room is None:
        return {}
    speakers = {track.producer_id: speaker_id(number) for number, track in enumerate(state.room.speaker_ids, 1)}
    return {
        **speakers,
        **state.named,
        **_tracks_of_people(state, state.room),
    }


def _tracks_of_people(state: ClientState, room: RoomView) -> dict[ProducerId, UserId]:
    return {
        track.producer_id: person.user_id
        for person in room.participants
        if person.user_id != state.me
        for track in person.producer_ids
        if track.kind is Kind.AUDIO
    }
