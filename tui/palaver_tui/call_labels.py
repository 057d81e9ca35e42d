"""Sentences about calls and invitations that only the full screen uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from palaver_client.state import ClientState, IncomingRing
from palaver_protocol.models import RoomType

NEXT_RING: Final = "^g the next one"
ASK_REASON: Final = "Why? They read it; Enter without a word just rejects."
A_REASON: Final = "a few words, or none"
REASONS: Final = ("Call you back soon", "In a meeting", "Cannot talk now")
MISSED: Final = "missed call"
YOURSELF: Final = "That is you. Pick somebody else to call, or to join in their room."


def call_with(names: Sequence[str]) -> str:
    """What a room for two is called."""
    return f"Call with {names[0]}" if names else "Call"


def hung_up(name: str) -> str:
    """The other one left a call between two."""
    return f"{name} hung up; the call is over"


def incoming(ring: IncomingRing, room_name: str) -> str:
    """Who rings, and what for."""
    if ring.room_id is None or ring.room_type is RoomType.DIRECT:
        return f"{ring.from_name} calls you"
    return f"{ring.from_name} invites you to {room_name or 'a room'}"


def calling(name: str) -> str:
    """Whom we ring."""
    return f"Calling {name}…"


def left(ends_at: float | None, now: float) -> str:
    """For how long it rings still, or nothing where nobody knows."""
    return "" if ends_at is None else f"{max(round(ends_at - now), 0)} s"


def confirm_leave(state: ClientState, answered: str) -> str:
    """The question before one seat is given up for another."""
    return f"Leave {place(state)} and answer {answered}?"


def confirm_call(state: ClientState, called: str) -> str:
    """The question before a call that would end another one."""
    return f"Call {called}? You leave {place(state)} when the call is accepted."


def place(state: ClientState) -> str:
    """Where we sit."""
    if state.room is None:
        return "the room"
    if state.room.room_type is RoomType.GROUP:
        return state.room.room_name
    return "the call you are in"


def ringing(count: int) -> str:
    """The title above what rings."""
    return "Incoming" if count == 1 else f"{count} incoming"


def rings_for(ends_at: float | None, now: float) -> str:
    """For how long we ring still."""
    return "It rings there." if ends_at is None else f"It rings there for {left(ends_at, now)} more."


def rejecting(name: str) -> str:
    """The title of the question why."""
    return f"Reject {name}"
