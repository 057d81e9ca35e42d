"""What happens to the sound at this end of the line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from attrs import frozen

from palaver_media.engine_messages import Devices, Side
from palaver_media.sound_settings import RecordingForm
from palaver_protocol.models import UserId

from .sound_choices import SoundSettings
from .state import CallStats


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
    """Our microphone is sent now, or no more, as its mode, muting and the echo test have it."""

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
    """We record no more, as it was asked or because of a `problem`, which `remedy` would mend.

    `goes_on`: the recording began anew in another folder, which `RecordingBegan` tells.
    """

    folder: str
    problem: str = ""
    remedy: str = ""
    goes_on: bool = False


SoundEvent: TypeAlias = (
    MuteChanged
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
