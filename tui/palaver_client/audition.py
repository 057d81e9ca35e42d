"""The microphone, open outside of a call so that its level is seen; nobody is sent anything."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import define, field

from palaver_media import engine_messages as reports
from palaver_media.engine_messages import CloseCall, EngineReport, ListDevices, OpenCall, SetCapture, SetSource, Side

from .changes import AnyEvent
from .engine import Engine
from .events import LevelsChanged, SoundChosen, SoundProblem, SoundSettingsChanged, SoundStarted
from .scopes import helpers
from .session import Session
from .state import SILENCE


@define(eq=False)
class Audition:
    """A call of the engine's that leads nowhere. Made by `Client.auditioning`."""

    _session: Session
    _engine: Engine
    _is_resting: bool = False  # a call has the microphone
    _id: str = field(factory=lambda: secrets.token_hex(8))
    _lives: bool = False  # the engine
    _is_open: bool = False  # there

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the state's source and its level up to date until the block ends, but for the time of a call."""
        with self._session.followed(self._on_event):
            async with helpers() as nursery:
                nursery.start_soon(self._open_in_each_engine)
                try:
                    yield
                finally:
                    self.rest()

    def rest(self) -> None:
        """Let go of the microphone: nobody looks any more, or a call is about to take it."""
        if self._is_resting:
            return
        self._is_open, self._is_resting = False, True
        self._engine.tell(CloseCall(self._id))
        sound = self._session.state.sound
        self._session.happen(LevelsChanged(SILENCE, sound.levels))
        self._session.happen(SoundChosen(Side.SOURCE, sound.source.spec))  # which works no more, nor has a problem

    def resume(self) -> None:
        """The call is over, and the microphone is free again."""
        self._is_resting = False
        self._open()

    def list_devices(self) -> None:
        """Have the engine look which devices there are; those that came or went it sees only while none is open."""
        if self._is_open:
            self._engine.tell(CloseCall(self._id))
        self._engine.tell(ListDevices())
        if self._is_open:
            self._open()

    def on_report(self, report: EngineReport) -> None:
        """Take in what the engine says."""
        if self._is_resting or getattr(report, "call", None) != self._id:
            return
        match report:
            case reports.Levels():
                self._session.happen(LevelsChanged(report.input_dbfs, self._session.state.sound.levels))
            case reports.SoundProblem(side=Side.SOURCE):
                self._session.happen(SoundProblem(report.side, report.reason, report.remedy))
            case reports.SoundStarted(side=Side.SOURCE):
                self._session.happen(SoundStarted(report.side, report.name))
            case _:
                return

    async def _open_in_each_engine(self) -> None:
        """Open the microphone, and again in each engine that takes a dead one's place."""
        while True:
            await self._engine.wait_up()
            self._lives = True
            self._open()
            await self._engine.wait_dead()
            self._lives = self._is_open = False

    def _open(self) -> None:
        if self._is_resting or not self._lives:
            return
        self._engine.tell(OpenCall(self._id, self._source, "null", is_muted=True))
        self._tell_capture()
        self._is_open = True

    def _on_event(self, event: AnyEvent) -> None:
        if self._is_resting:
            return
        match event:
            case SoundChosen(side=Side.SOURCE):
                self._engine.tell(SetSource(self._id, self._source))
            case SoundSettingsChanged():
                self._tell_capture()
            case _:
                return

    @property
    def _source(self) -> str:
        return self._session.state.sound.source.spec or "device"

    def _tell_capture(self) -> None:
        self._engine.tell(SetCapture(self._id, self._session.state.choices.used_capture))
