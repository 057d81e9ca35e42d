"""One call: a seat in a room, and the sound that goes with it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from palaver_media import engine_messages as reports
from palaver_media.codec import Pcm
from palaver_media.engine_messages import CloseCall, EngineReport, OpenCall, SetMuted, SetSink, SetSource, Side
from palaver_protocol import notices
from palaver_protocol.models import EndReason, RoomType, RoomView

from . import words
from .call_sound import CallSound
from .changes import AnyEvent
from .engine import Engine
from .events import (
    CallSoundChanged,
    ConnectionLost,
    Left,
    LevelsChanged,
    MediaStarted,
    MuteChanged,
    SoundChosen,
    SoundProblem,
    SoundStarted,
    SpeakingChanged,
    StatsChanged,
)
from .feed import Feed
from .hearing import Ears, Heard
from .media import Media
from .scopes import helpers
from .session import Session
from .speaking import Speakers, on_speakers
from .state import SILENCE, CallStats

RATE: Final = 48_000  # Hz, of PCM
BYTES_PER_SECOND: Final = RATE * 2
AHEAD: Final = 0.2  # s of speech that may wait in the engine
PIECE: Final = BYTES_PER_SECOND // 50  # bytes, 20 ms

__all__ = ["Call", "Heard"]


@define(eq=False)
class Call:
    """A call we are in. Made by `Client.call`."""

    _session: Session
    _engine: Engine
    _source: str
    _sink: str
    _room: RoomView | None = None
    _id: str = field(factory=lambda: secrets.token_hex(8))
    _speakers: Speakers = field(factory=Speakers)
    _alarm: trio.CancelScope = field(factory=trio.CancelScope)
    _ended: trio.Event = field(factory=trio.Event)
    _end_reason: EndReason = EndReason.ENDED
    _ears: Ears = field(factory=Ears)
    _spoken_until: float = 0.0
    _media: Media = field(init=False)
    _sound: CallSound = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._media = Media(self._session, self._engine, self._id, lambda consumer: self._sound.received(consumer))
        self._sound = CallSound(self._session, self._engine, self._id, self._media.carried)

    @property
    def room(self) -> RoomView:
        """The room, as it is or last was."""
        assert self._room is not None
        return self._room

    async def set_muted(self, is_muted: bool) -> None:
        """Mute or unmute our microphone, and tell the others. Raises Refusal or Disconnected."""
        self._session.happen(MuteChanged(is_muted))
        await self._session.tell_muted()

    def set_source(self, spec: str) -> None:
        """Speak from another source."""
        self._source = spec
        self._session.happen(SoundChosen(Side.SOURCE, spec))
        self._engine.tell(SetSource(self._id, spec))

    def set_sink(self, spec: str) -> None:
        """Be heard elsewhere."""
        self._sink = spec
        self._session.happen(SoundChosen(Side.SINK, spec))
        self._engine.tell(SetSink(self._id, spec))

    async def wait_ended(self) -> EndReason:
        """Wait until the room is over, or we are out of it."""
        await self._ended.wait()
        return self._end_reason

    # -- sound for programs --------------------------------------------------------------------------------------------
    def hear(self) -> Feed[Heard]:
        """What the others say from now on, where the sink is `pcm`: an iterator that ends with the call.

        Of what a slow listener has not taken yet the oldest is dropped after some seconds.
        """
        return self._ears.add()

    async def speak(self, samples: bytes) -> None:
        """Say something, where the source is `pcm`: 48 kHz mono s16le. Waits while much is still to be said."""
        for start in range(0, len(samples), PIECE):
            piece = samples[start : start + PIECE]
            await trio.sleep_until(self._spoken_until - AHEAD)
            self._engine.tell(Pcm(self._id, "", piece))
            self._spoken_until = max(self._spoken_until, trio.current_time()) + len(piece) / BYTES_PER_SECOND

    # -- life ----------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Have sound, and keep it connected wherever we sit, also when we go from one room to another."""
        self._session.happen(SoundChosen(Side.SOURCE, self._source))
        self._session.happen(SoundChosen(Side.SINK, self._sink))
        self._session.happen(CallSoundChanged(is_open=True))
        with self._session.followed(self._on_event):
            if self._session.state.room is not None:
                self._room = self._session.state.room
                self._media.begin()
            async with helpers() as nursery:
                nursery.start_soon(self._open_in_each_engine)
                nursery.start_soon(self._media.run)
                nursery.start_soon(self._keep_time)
                try:
                    yield
                finally:
                    self._engine.tell(CloseCall(self._id))  # which makes the files of a recording whole
                    await self._sound.wait_recorded()
                    self._session.happen(CallSoundChanged(is_open=False))
                    self._end(EndReason.ENDED)

    async def _open_in_each_engine(self) -> None:
        """Start the sound, and again in each engine that takes a dead one's place."""
        while True:
            await self._engine.wait_up()
            self._engine.tell(OpenCall(self._id, self._source, self._sink, self._session.state.is_muted))
            self._sound.tell_all()
            await self._engine.wait_dead()

    async def _keep_time(self) -> None:
        """Put the speaking lights out in time; `_tell_speaking` moves the alarm."""
        while True:
            with trio.CancelScope(deadline=self._speakers.deadline) as self._alarm:
                await trio.sleep_forever()
            self._tell_speaking(self._speakers.expire(trio.current_time()))

    def _end(self, reason: EndReason) -> None:
        if not self._ended.is_set():
            self._end_reason = reason
            self._ended.set()
            self._ears.close()

    # -- what happens --------------------------------------------------------------------------------------------------
    def _on_event(self, event: AnyEvent) -> None:
        self._room = self._session.state.room or self._room
        self._media.on_event(event)
        self._sound.on_event(event)
        if self._session.state.room is None:
            self._speakers = Speakers()  # all lights are out
        match event:
            case notices.CallEnded() if self._session.state.room is None:
                self._end(event.reason or EndReason.ENDED)
            case notices.UserLeft() if event.user_id == self._session.state.me:
                self._end(EndReason.ENDED)
            case notices.UserLeft() if self._is_left_alone():
                self._end(EndReason.EMPTY)
            case MuteChanged():
                self._engine.tell(SetMuted(self._id, event.is_muted))
            case Left():  # by our own will, or because the seat could not be had again
                self._end(EndReason.ENDED if event.reason == words.YOU_LEFT else EndReason.ERROR)
            case ConnectionLost(retry_in=None):
                self._end(EndReason.ERROR)
            case _:
                return

    def _is_left_alone(self) -> bool:
        """Whether the other one of a call between two has hung up."""
        room = self._session.state.room
        return room is not None and room.room_type is RoomType.DIRECT and len(room.participants) <= 1

    def on_engine_death(self) -> None:
        """The engine is gone; the next one is told all anew."""
        self._sound.on_engine_death()
        self._media.on_engine_death()

    def on_report(self, report: EngineReport) -> None:
        """Take in what the engine says."""
        if getattr(report, "call", None) != self._id:
            return
        match report:
            case reports.TransportConnected() | reports.TransportFailed():
                self._media.on_report(report)
            case reports.AudioStarted():
                user = self._media.user_of(report.consumer)
                if user is not None:
                    self._session.happen(MediaStarted(user))
            case reports.Levels():
                self._hear_levels(report)
            case reports.Stats():
                self._session.happen(StatsChanged(self._stats(report)))
            case reports.SoundProblem():
                self._session.happen(SoundProblem(report.side, report.reason, report.remedy))
            case reports.SoundStarted():
                self._session.happen(SoundStarted(report.side, report.name))
            case reports.Sending() | reports.RecordingStarted() | reports.RecordingStopped():
                self._sound.on_report(report)
            case Pcm():
                self._pass_on(report)
            case _:
                return

    def _stats(self, told: reports.Stats) -> CallStats:
        users = {user: voice for name, voice in told.consumers.items() if (user := self._media.user_of(name))}
        return CallStats(told.rtt_ms, told.out_kbps, users, told.sending, told.input_ms, told.output_ms)

    def _hear_levels(self, report: reports.Levels) -> None:
        state = self._session.state
        people = () if state.room is None else state.room.participants
        levels = {person.user_id: SILENCE for person in people if person.user_id != state.me}
        for consumer, level in report.consumers.items():
            user = self._media.user_of(consumer)
            if user is not None and user in levels:
                levels[user] = max(levels[user], level)
        if state.room is not None and state.room.speaker_ids:
            levels = on_speakers(levels, state.speakers)
        self._session.happen(LevelsChanged(report.input_dbfs, levels))
        ours = SILENCE if state.is_muted else report.input_dbfs
        self._tell_speaking(self._speakers.hear({**levels, state.me: ours}, trio.current_time()))

    def _tell_speaking(self, changes: Iterable[SpeakingChanged]) -> None:
        for change in changes:
            self._session.happen(change)
        self._alarm.deadline = self._speakers.deadline

    def _pass_on(self, pcm: Pcm) -> None:
        user = self._media.user_of(pcm.stream)
        if user is not None:
            self._ears.put(Heard(user, pcm.samples))
