"""The objects of which JSON lines are made."""

from __future__ import annotations

import time
from typing import Any, TypeAlias

import orjson

from palaver_protocol.models import ChatMessage, Participant, Reaction, UserId

from . import words
from .state import ClientState

Fields: TypeAlias = dict[str, Any]


def write(event: str, **fields: Any) -> str:
    """A line."""
    return orjson.dumps({"event": event, "time": time.time_ns() // 1_000_000, **fields}).decode()


def of_person(user_id: UserId, *states: ClientState) -> Fields:
    """Who somebody is."""
    return {"userId": user_id, "name": words.name_of(user_id, *states)}


def of_participant(person: Participant) -> Fields:
    """Somebody in our room."""
    marks = {"isHost": person.is_host, "isMuted": person.is_muted, "isRecording": person.is_recording}
    return {"userId": person.user_id, "name": person.name, **marks}


def of_message(said: ChatMessage) -> Fields:
    """What was said."""
    return {
        "messageId": said.message_id,
        "userId": said.user_id,
        "name": said.user_name,
        "text": said.content,
        "timestamp": said.timestamp,
        "replyTo": None if said.reply_to is None else said.reply_to.message_id,
    }


def of_reaction(reaction: Reaction) -> Fields:
    """Who reacted how."""
    return {"emoji": reaction.emoji, "count": reaction.count, "userIds": list(reaction.user_ids)}
