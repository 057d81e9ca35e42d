"""What happens at this end of the line: the events that no server sends."""

from __future__ import annotations

from typing import TypeAlias

from attrs import frozen

from palaver_protocol.models import CallId, ChatMessage, RoomId, RoomView, UserId

from .sound_events import (
    CallSoundChanged,
    DevicesChanged,
    EchoTestChanged,
    LevelsChanged,
    MediaConnected,
    MediaConnecting,
    MediaFailed,
    MediaLost,
    MediaStarted,
    MuteChanged,
    RecordingBegan,
    RecordingEnded,
    RecordingWanted,
    SendingChanged,
    SoundChosen,
    SoundEvent,
    SoundProblem,
    SoundSettingsChanged,
    SoundStarted,
    SpeakingChanged,
    StatsChanged,
    TalkingChanged,
)
from .state import OutgoingRing

__all__ = [
    "CallSoundChanged",
    "Calling",
    "CarrierChanged",
    "Connected",
    "ConnectionLost",
    "DevicesChanged",
    "EchoTestChanged",
    "Invited",
    "Joined",
    "Left",
    "LevelsChanged",
    "LocalEvent",
    "MediaConnected",
    "MediaConnecting",
    "MediaFailed",
    "MediaLost",
    "MediaStarted",
    "MuteChanged",
    "OlderRead",
    "RecordingBegan",
    "RecordingEnded",
    "RecordingWanted",
    "RetryFailed",
    "RingOver",
    "SendingChanged",
    "SoundChosen",
    "SoundEvent",
    "SoundProblem",
    "SoundSettingsChanged",
    "SoundStarted",
    "SpeakingChanged",
    "StatsChanged",
    "TalkingChanged",
]


@frozen
class Connected:
    """The server let us in, at first or again; resumed, all that we had there is still ours."""

    is_resumed: bool = False


@frozen
class CarrierChanged:
    """We are connected over plain HTTP requests, because no WebSocket could be opened (`reason`); or not any more."""

    is_polling: bool
    reason: str = ""


@frozen
class ConnectionLost:
    """The connection broke; the next attempt comes in `retry_in` s, at `retry_at` on Trio's clock.

    Both are None when there will be no further attempt.
    """

    reason: str
    retry_in: float | None
    retry_at: float | None


@frozen
class RetryFailed:
    """Still no connection; the next attempt comes in `retry_in` s, at `retry_at` on Trio's clock."""

    reason: str
    retry_in: float
    retry_at: float


@frozen
class Joined:
    """We have a seat in this room; `is_again` after the connection was lost, perhaps in a new room of that name."""

    room: RoomView
    is_again: bool = False


@frozen
class Left:
    """We have no seat any more, by our own will or because we could not have it back: `reason` says it to people."""

    reason: str


@frozen
class Calling:
    """We ring at somebody: told when it is asked for, and again when the server has said for how long."""

    ring: OutgoingRing


@frozen
class RingOver:
    """A call or invitation, ours or to us, is settled, and no notice says so; `reason` may say it to people."""

    call_id: CallId
    reason: str = ""


@frozen
class Invited:
    """It rings at these people, who are invited to our room."""

    room: RoomView
    user_ids: tuple[UserId, ...]


@frozen
class OlderRead:
    """Older messages of our room were read; `more` says whether there are still older ones."""

    room_id: RoomId
    messages: tuple[ChatMessage, ...]
    more: bool


LocalEvent: TypeAlias = (
    Connected
    | CarrierChanged
    | ConnectionLost
    | RetryFailed
    | Joined
    | Left
    | Calling
    | RingOver
    | Invited
    | OlderRead
    | SoundEvent
)
