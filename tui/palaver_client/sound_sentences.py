"""Every sentence that people read about what happens to their sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from palaver_protocol.models import UserId, is_speaker

from . import sound_events
from .phrases import SIDES, name_of, of_problem

if TYPE_CHECKING:
    from .changes import Change
    from .sound_choices import SoundSettings
    from .sound_events import SoundEvent


def of_event(event: SoundEvent, change: Change) -> str | None:
    """What happened, in a line; None for what is not worth one."""
    match event:
        case sound_events.MuteChanged():
            if change.old.is_muted == event.is_muted:
                return None
            return "you are muted" if event.is_muted else "you are not muted any more"
        case sound_events.SoundStarted():
            return f"{SIDES[event.side]}: {event.name}"
        case sound_events.SoundProblem():
            return f"{SIDES[event.side]}: {of_problem(event.reason, event.remedy)}"
        case sound_events.MediaConnected():
            return "the sound is connected"
        case sound_events.MediaLost():
            return f"no sound: {event.reason}; connecting it again"
        case sound_events.MediaFailed():
            return f"no sound: {event.reason}; everything else goes on"
        case sound_events.MediaStarted() if _is_heard(event.user_id, change.new.choices):
            return f"you hear {name_of(event.user_id, change.new)}"
        case sound_events.SpeakingChanged():
            return f"{name_of(event.user_id, change.new)} speaks" if event.is_speaking else None
        case sound_events.RecordingBegan():
            return f"you record the call into {event.folder}"
        case sound_events.RecordingEnded(problem=""):
            return f"the recording is in {event.folder}"
        case sound_events.RecordingEnded(goes_on=True):
            return f"{event.problem}; what was recorded is in {event.folder}, and it goes on in another folder"
        case sound_events.RecordingEnded():
            is_there = change.old.doing.recording == event.folder and not event.problem.startswith(f"{event.folder}: ")
            kept = f"; what was recorded is in {event.folder}" if is_there else ""
            return f"you record no more: {of_problem(event.problem, event.remedy)}{kept}"
        case sound_events.EchoTestChanged():
            return "you hear yourself, a moment later" if event.is_on else "you hear yourself no longer"
        case sound_events.SendingChanged() | sound_events.TalkingChanged() | sound_events.SoundSettingsChanged():
            return None
        case sound_events.CallSoundChanged() | sound_events.RecordingWanted() | sound_events.MediaConnecting():
            return None
        case sound_events.SoundChosen() | sound_events.LevelsChanged():
            return None
        case sound_events.StatsChanged() | sound_events.DevicesChanged() | sound_events.MediaStarted():
            return None
        case _:
            assert_never(event)


def _is_heard(user: UserId, choices: SoundSettings) -> bool:
    """Whether that is a person whose sound, which the engine has, comes to our ears."""
    return not is_speaker(user) and not choices.volume.is_deaf and not choices.volume_of(user).is_muted
