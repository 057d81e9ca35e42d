"""What happens at this end of the line: the events that no server sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from palaver_media.engine_messages import Devices, Side
from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import CallId, ChatMessage, RoomId, RoomView, UserId

from .sound_choices import SoundSettings
from .state import CallStats, OutgoingRing


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


@frozen
class SoundSettingsChanged:
    """What is chosen for our sound is something else now."""

    settings: SoundSettings


@frozen
class CallSoundChanged:
    """A call's sound was opened, or is closed and does nothing any more."""

    is_open: bool


@frozen
class TalkingChanged:
    """The push-to-talk key is down, or up again."""

    is_talking: bool


@frozen
class SendingChanged:
    """Our microphone is sent now, or no more, as its mode and muting have it."""

    is_sending: bool


@frozen
class EchoTestChanged:
    """We hear ourselves, or no more."""

    is_on: bool


@frozen
class RecordingWanted:
    """The call is to be recorded into such files; with None no longer."""

    form: RecordingForm | None


@frozen
class RecordingBegan:
    """We record the call into this folder."""

    folder: str


@frozen
class RecordingEnded:
    """We record no more, as it was asked or because of a `problem`, which `remedy` would mend."""

    folder: str
    problem: str = ""
    remedy: str = ""


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
    | SoundSettingsChanged
    | CallSoundChanged
    | TalkingChanged
    | SendingChanged
    | EchoTestChanged
    | RecordingWanted
    | RecordingBegan
    | RecordingEnded
)
