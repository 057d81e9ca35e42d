"""What /who and /rooms answer: to people in words, and to scripts as an event with ids."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any, Final

import trio
from attrs import frozen

from palaver_protocol.models import Name, Participant, UserId, UserStatus

from . import sound_words, words
from .names import ID_SHOWN
from .state import ClientState, ConnectionState


@frozen
class Listing:
    """An answer: `text` for people, `event` and `fields` for scripts."""

    text: str
    event: str
    fields: dict[str, Any]


def who(state: ClientState) -> Listing:
    """Who is in our room, and who else is online; ids tell those of one name apart."""
    people = () if state.room is None else state.room.participants
    known = {state.me, *(person.user_id for person in people)}
    others = [user for user in state.users if user.user_id not in known]
    times = Counter([each.name.casefold() for each in people] + [each.name.casefold() for each in others])

    def mark(user_id: UserId, name: Name) -> str:
        return f" #{user_id[:ID_SHOWN]}" if times[name.casefold()] > 1 else ""

    here = [
        words.of_participant(
            each, mark(each.user_id, each.name), sound_words.marks_of(state.choices.volume_of(each.user_id))
        )
        for each in people
    ]
    online = [words.of_user(each, mark(each.user_id, each.name)) for each in others]
    lines = ["here: " + ", ".join(here)] if here else []
    fields = {
        "isConnected": state.connection is ConnectionState.CONNECTED,
        "here": [{**_id(each.user_id, each.name), **_marks(each)} for each in people],
        "online": [{**_id(each.user_id, each.name), "isInCall": each.status is UserStatus.IN_CALL} for each in others],
    }
    return Listing("\n".join([*_age(state), *lines, "online: " + (", ".join(online) or "nobody else")]), "who", fields)


def rooms(state: ClientState) -> Listing:
    """Which rooms there are."""
    listed = [f"{room.room_name} ({room.participant_count})" for room in state.rooms]
    fields = {
        "isConnected": state.connection is ConnectionState.CONNECTED,
        "rooms": [
            {"roomId": room.room_id, "roomName": room.room_name, "participants": room.participant_count}
            for room in state.rooms
        ],
    }
    return Listing("\n".join([*_age(state), "rooms: " + (", ".join(listed) or "none")]), "rooms", fields)


_CLOCK: Final = "%H:%M"


def _age(state: ClientState) -> list[str]:
    """How old what we know is, where there is no connection."""
    if state.lost_at is None:
        return []
    lost = time.localtime(time.time() - (trio.current_time() - state.lost_at))
    return [f"not connected; as of {time.strftime(_CLOCK, lost)}"]


def _id(user_id: UserId, name: Name) -> dict[str, str]:
    return {"userId": user_id, "name": name}


def _marks(person: Participant) -> dict[str, bool]:
    return {"isHost": person.is_host, "isMuted": person.is_muted, "isRecording": person.is_recording}
