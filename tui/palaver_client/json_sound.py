"""What happens to the sound, as JSON lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from palaver_media.engine_messages import ConsumerStats, SendingStats
from palaver_protocol.models import UserId

from . import sound_events
from .json_objects import Fields, of_person, write
from .sound_choices import SoundSettings
from .state import CallStats, ClientState

if TYPE_CHECKING:
    from .changes import Change
    from .sound_events import SoundEvent


def of_event(event: SoundEvent, change: Change) -> str | None:
    """The line of what happened; None for what only the screen needs."""
    match event:
        case sound_events.MuteChanged():
            return write("muted", isMuted=event.is_muted) if event.is_muted != change.old.is_muted else None
        case sound_events.SoundStarted():
            return write("soundStarted", side=event.side.value, name=event.name)
        case sound_events.SoundProblem():
            return write("soundProblem", side=event.side.value, reason=event.reason, remedy=event.remedy)
        case sound_events.MediaConnecting():
            return write("media", state="connecting", reason="")
        case sound_events.MediaConnected():
            return write("media", state="connected", reason="")
        case sound_events.MediaLost():
            return write("media", state="lost", reason=event.reason)
        case sound_events.MediaFailed():
            return write("media", state="failed", reason=event.reason)
        case sound_events.MediaStarted():
            return write("mediaStarted", **of_person(event.user_id, change.new))
        case sound_events.SpeakingChanged():
            return write("speaking", **of_person(event.user_id, change.new), isSpeaking=event.is_speaking)
        case sound_events.StatsChanged():
            return write("stats", **of_stats(event.stats, change.new))
        case sound_events.SendingChanged():
            return write("sending", isSending=event.is_sending)
        case sound_events.EchoTestChanged():
            return write("echoTest", isOn=event.is_on)
        case sound_events.RecordingBegan():
            return write("recordingBegan", folder=event.folder)
        case sound_events.RecordingEnded():
            why = {"problem": event.problem, "remedy": event.remedy}
            return write("recordingEnded", folder=event.folder, **why, goesOn=event.goes_on)
        case sound_events.CallSoundChanged() | sound_events.RecordingWanted() | sound_events.TalkingChanged():
            return None
        case sound_events.SoundSettingsChanged():
            return write("soundSettings", **of_settings(event.settings))
        case sound_events.SoundChosen() | sound_events.LevelsChanged() | sound_events.DevicesChanged():
            return None
        case _:
            assert_never(event)


def of_settings(settings: SoundSettings) -> Fields:
    """What is chosen for the sound, as it is used."""
    capture, encoding = settings.used_capture, settings.used_encoding
    return {
        "transmit": capture.transmit.value,
        "echo": capture.echo,
        "noise": capture.noise,
        "agc": capture.gain,
        "highpass": capture.high_pass,
        "gain_db": capture.microphone_db,
        "bitrate": encoding.bitrate,
        "frame_ms": encoding.frame_ms,
        "isHeadset": settings.is_headset,
        "volume_db": settings.volume.volume_db,
        "isDeaf": settings.volume.is_deaf,
    }


# What is heard is summed up by its worst voice; null where nobody is heard.
_WORST: Final = ("jitter_ms", "loss", "playout_ms", "mouth_to_ear_ms")


def of_stats(stats: CallStats, state: ClientState) -> Fields:
    """A second's figures."""
    voices = list(stats.users.values())
    figures = {name: [getattr(voice, name) for voice in voices] for name in _WORST}
    worst = {name: max((each for each in all_ if each is not None), default=None) for name, all_ in figures.items()}
    return {
        "rtt_ms": stats.rtt_ms,
        **worst,
        "in_kbps": round(sum(voice.in_kbps for voice in voices), 2),
        "out_kbps": stats.out_kbps,
        "input_ms": stats.input_ms,
        "output_ms": stats.output_ms,
        "encoding": None if stats.sending is None else _encoding(stats.sending),
        "users": [_voice(user, voice, state) for user, voice in stats.users.items()],
    }


def _encoding(sending: SendingStats) -> Fields:
    return {
        "bitrate": sending.bitrate,
        "frame_ms": sending.frame_ms,
        "expectedLoss": sending.expected_loss / 100,
        "copies": sending.copies,
        "spacing": sending.spacing,
        "complexity": sending.complexity,
    }


def _voice(user: UserId, voice: ConsumerStats, state: ClientState) -> Fields:
    return {
        **of_person(user, state),
        "jitter_ms": voice.jitter_ms,
        "loss": voice.loss,
        "concealed": voice.concealed,
        "late": voice.late,
        "playout_ms": voice.playout_ms,
        "mouth_to_ear_ms": voice.mouth_to_ear_ms,
        "in_kbps": voice.in_kbps,
    }
