"""What is chosen for a call's sound, told to the engine: what has changed, and all of it to each new engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import define, field

from palaver_media.engine_messages import (
    EngineCommand,
    NameTrack,
    SetCapture,
    SetEchoTest,
    SetEncoding,
    SetPersonVolume,
    SetTalking,
    SetVolume,
    StartRecording,
    StopRecording,
)
from palaver_media.sound_settings import PersonVolume, RecordingForm
from palaver_protocol.models import UserId

from . import words
from .changes import AnyEvent
from .engine import Engine
from .events import EchoTestChanged, RecordingWanted, SoundSettingsChanged, TalkingChanged
from .session import Session
from .sound_choices import USUAL, SoundSettings


@define(eq=False)
class CallSound:
    """Keeps an engine's call as it was chosen. `voices` gives whom each consumer carries."""

    _session: Session
    _engine: Engine
    _call: str
    _voices: Callable[[], Mapping[str, UserId]]
    _told: SoundSettings = field(factory=SoundSettings)
    _volumes: dict[str, PersonVolume] = field(factory=dict[str, PersonVolume])
    _names: dict[str, str] = field(factory=dict[str, str])  # of tracks, while it is recorded

    def tell_all(self) -> None:
        """An engine has just opened the call, and knows nothing of what was chosen."""
        choices, doing = self._session.state.choices, self._session.state.doing
        self._volumes.clear()
        self._tell(SetCapture(self._call, choices.used_capture))
        self._tell(SetEncoding(self._call, choices.used_encoding))
        self._tell(SetVolume(self._call, choices.volume))
        self._told = choices
        if doing.is_talking:
            self._tell(SetTalking(self._call, True))
        if doing.is_echo_test:
            self._tell(SetEchoTest(self._call, True))
        self.tell_voices()
        if doing.wanted is not None:
            self._record(doing.wanted)

    def received(self, consumer: str) -> None:
        """A voice is about to be received, perhaps by a name that was there before."""
        self._volumes.pop(consumer, None)
        self.tell_voices()

    def tell_voices(self) -> None:
        """How each voice is heard and what a recording calls it, where that is news."""
        state = self._session.state
        for consumer, user in self._voices().items():
            volume = state.choices.volume_of(user)
            if volume != self._volumes.get(consumer, USUAL):
                self._tell(SetPersonVolume(self._call, consumer, volume))
            self._volumes[consumer] = volume
            name = words.name_of(user, state)
            if state.doing.wanted is not None and self._names.get(consumer) != name:
                self._names[consumer] = name
                self._tell(NameTrack(self._call, consumer, name))

    def on_event(self, event: AnyEvent) -> None:
        """Take in what happened; the state knows it already."""
        match event:
            case SoundSettingsChanged():
                self._tell_changes(event.settings)
            case TalkingChanged():
                self._tell(SetTalking(self._call, event.is_talking))
            case EchoTestChanged():
                self._tell(SetEchoTest(self._call, event.is_on))
            case RecordingWanted(form=None):
                self._tell(StopRecording(self._call))
            case RecordingWanted(form=RecordingForm() as form):
                self._record(form)
            case _:
                self.tell_voices()  # somebody came, or was renamed, or another voice is carried

    def _tell_changes(self, choices: SoundSettings) -> None:
        old, self._told = self._told, choices
        if choices.used_capture != old.used_capture:
            self._tell(SetCapture(self._call, choices.used_capture))
        if choices.used_encoding != old.used_encoding:
            self._tell(SetEncoding(self._call, choices.used_encoding))
        if choices.volume != old.volume:
            self._tell(SetVolume(self._call, choices.volume))
        self.tell_voices()

    def _record(self, form: RecordingForm) -> None:
        state = self._session.state
        self._names = {consumer: words.name_of(user, state) for consumer, user in self._voices().items()}
        names = {"": str(state.name), **self._names}
        self._tell(StartRecording(self._call, str(state.choices.folder), form, names))

    def _tell(self, command: EngineCommand) -> None:
        self._engine.tell(command)
