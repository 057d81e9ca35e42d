"""What is chosen for a call's sound, told to the engine: what has changed, and all of it to each new engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, assert_never

import trio
from attrs import define, field

from palaver_media.engine_messages import (
    EngineCommand,
    NameTrack,
    RecordingStarted,
    RecordingStopped,
    Sending,
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
from .events import (
    EchoTestChanged,
    RecordingBegan,
    RecordingEnded,
    RecordingWanted,
    SendingChanged,
    SoundSettingsChanged,
    TalkingChanged,
)
from .media import BROKEN
from .scopes import helpers
from .session import Session
from .sound_choices import USUAL, SoundSettings

WHOLE: Final = 2.0  # s for the files of a recording to be made whole, at the end of a call


def _done() -> trio.Event:
    event = trio.Event()
    event.set()
    return event


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
    _would_send: bool = False  # but for the echo test
    _recorded: trio.Event = field(factory=_done)  # set while the engine writes nothing

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
                self._tell_sending()
            case RecordingWanted(form=None):
                self._tell(StopRecording(self._call))
            case RecordingWanted(form=RecordingForm() as form):
                self._record(form)
            case _:
                self.tell_voices()  # somebody came, or was renamed, or another voice is carried

    def on_report(self, report: Sending | RecordingStarted | RecordingStopped) -> None:
        """Take in what the engine does with our voice, and with what it records."""
        match report:
            case Sending():
                self._would_send = report.is_sending
                self._tell_sending()
            case RecordingStarted():
                self._session.happen(RecordingBegan(report.folder))
            case RecordingStopped():
                self._recorded.set()
                self._session.happen(RecordingEnded(report.folder, report.problem, report.remedy))
            case _:
                assert_never(report)

    def on_engine_death(self) -> None:
        """It sends nothing any more. What it recorded is kept as far as it came, and the next engine goes on."""
        self._would_send = False
        self._tell_sending()
        self._recorded.set()
        doing = self._session.state.doing
        if doing.recording:
            goes_on = doing.wanted is not None
            self._session.happen(RecordingEnded(doing.recording, BROKEN, goes_on=goes_on))

    async def wait_recorded(self) -> None:
        """The call ends: wait until the files of its recording are whole, and leave the next call unrecorded."""
        with trio.move_on_after(WHOLE, shield=True) as patience:
            async with helpers() as nursery:
                nursery.start_soon(self._wait_over)
                await self._recorded.wait()
        doing = self._session.state.doing
        if doing.recording:
            problem = "it is not known whether the files are whole" if patience.cancelled_caught else ""
            self._session.happen(RecordingEnded(doing.recording, problem, "play them to see" if problem else ""))
        if doing.wanted is not None:
            self._session.is_recording = False

    async def _wait_over(self) -> None:
        """An engine that ends in order makes its files whole, though it can tell nobody."""
        await self._engine.over.wait()
        self._recorded.set()

    def _tell_sending(self) -> None:
        doing = self._session.state.doing
        is_sending = self._would_send and not doing.is_echo_test
        if is_sending != doing.is_sending:
            self._session.happen(SendingChanged(is_sending))

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
        title = "" if state.room is None else state.room.room_name
        self._recorded = trio.Event()
        self._tell(StartRecording(self._call, str(state.choices.folder), form, names, title))

    def _tell(self, command: EngineCommand) -> None:
        self._engine.tell(command)
