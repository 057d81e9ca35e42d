"""What happens at this end of the line: the events that no server sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from palaver_media.engine_messages import ConsumerStats, Devices, Side
from palaver_protocol.models import RoomView, UserId


@frozen
class CallStats:
    """How a call's sound travels; `rtt_ms` is None until it was measured, `users` are those who are heard."""

    rtt_ms: float | None
    out_kbps: float
    users: Mapping[UserId, ConsumerStats]


@frozen
class Connected:
    """The server let us in, at first or again."""


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
    """We have a seat in this room, at first or again."""

    room: RoomView


@frozen
class Left:
    """We have no seat any more, by our own will or because we could not have it back: `reason` says it to people."""

    reason: str


@frozen
class MuteChanged:
    """Our microphone was muted or unmuted."""

    is_muted: bool


@frozen
class SoundChosen:
    """Another source or sink is to be used; `spec` is `device:NAME`, `file:PATH.wav`, ..."""

    side: Side
    spec: str


@frozen
class SoundStarted:
    """A source or sink works: the device's name, or its spec."""

    side: Side
    name: str


@frozen
class SoundProblem:
    """A source or sink does not work, and the call goes on without it."""

    side: Side
    reason: str
    remedy: str


@frozen
class MediaConnecting:
    """The way of the sound to the server is being negotiated."""


@frozen
class MediaConnected:
    """Sound can pass in both directions."""


@frozen
class MediaLost:
    """Sound passes no more; it is negotiated again."""

    reason: str


@frozen
class MediaFailed:
    """Sound could not pass after several attempts; the next one comes with a new connection or a new router."""

    reason: str


@frozen
class MediaStarted:
    """The first sound of that person was played."""

    user_id: UserId


@frozen
class LevelsChanged:
    """How loud it is, in dBFS, -100 is silence; nobody's level is left out."""

    input_dbfs: float
    levels: Mapping[UserId, float]


@frozen
class SpeakingChanged:
    """Somebody, perhaps ourselves, began or ceased to speak."""

    user_id: UserId
    is_speaking: bool


@frozen
class StatsChanged:
    """A second's figures."""

    stats: CallStats


@frozen
class DevicesChanged:
    """What there is to hear with and to speak into."""

    devices: Devices


LocalEvent: TypeAlias = (
    Connected
    | ConnectionLost
    | RetryFailed
    | Joined
    | Left
    | MuteChanged
    | SoundChosen
    | SoundStarted
    | SoundProblem
    | MediaConnecting
    | MediaConnected
    | MediaLost
    | MediaFailed
    | MediaStarted
    | LevelsChanged
    | SpeakingChanged
    | StatsChanged
    | DevicesChanged
)
