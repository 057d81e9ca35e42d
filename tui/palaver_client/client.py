"""A connection to a server that mends itself, what one can ask over it, and the sound of a call."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from palaver_media import engine_messages
from palaver_media.engine_messages import Devices, EngineReport, ListDevices, Side
from palaver_media.process import START
from palaver_protocol.converter import read_name
from palaver_protocol.models import RoomId, RoomView, UserId
from palaver_protocol.table import Refusal

from .audition import Audition
from .call import Call
from .connecting import Connecting
from .engine import NO_DEVICES, Engine
from .errors import ConnectFailed
from .events import DevicesChanged, MuteChanged, SoundChosen
from .scopes import helpers
from .session import Session
from .sound_choices import SoundSettings
from .sounding import Sounding
from .state import ClientState, SideState, Sound
from .url import parse_url

LEAVE: Final = 2.0  # s to say that we leave, at the end of a call


@define(eq=False)
class Client(Sounding):
    """A person or a bot at a server. Made by `connect`."""

    _nursery: trio.Nursery
    _engine: Engine | None = None
    _call: Call | None = None
    _audition: Audition | None = None
    _listed: trio.Event = field(factory=trio.Event)

    @asynccontextmanager
    async def call(
        self,
        room: str,
        *,
        room_id: RoomId | None = None,
        source: str | None = "device",
        sink: str | None = "device",
        is_muted: bool = False,
    ) -> AsyncIterator[Call]:
        """Join or make the room of that name and talk in it; leaving the block leaves the room.

        Names need not be unique: with `room_id` it is that room, and the name does not matter.

        Raises:
            Refusal: the server does not let us in.
            Disconnected: the connection was lost meanwhile.
        """

        async def sit() -> RoomView:
            if room_id is None:
                return await self.create_room(room, join_existing=True, leave_current=True)
            return await self.join_room(room_id, leave_current=True)

        async with self.talk(sit, source=source, sink=sink, is_muted=is_muted) as call:
            yield call

    @asynccontextmanager
    async def talk(
        self,
        sit: Callable[[], Awaitable[object]] | None = None,
        *,
        source: str | None = "device",
        sink: str | None = "device",
        is_muted: bool | None = None,
    ) -> AsyncIterator[Call]:
        """Talk in the room in which `sit` takes a seat, or without it where we sit; leaving the block leaves the room.

        Whoever moves to another room meanwhile (by `accept`, for instance) talks on there. `is_muted` None keeps the
        microphone as it is; `source` or `sink` None is what was chosen with `use` or before.

        Raises:
            Refusal: the server does not let us in.
            Disconnected: the connection was lost meanwhile.
        """
        if self._call is not None:
            raise RuntimeError("one call at a time")
        if is_muted is not None:
            self._session.happen(MuteChanged(is_muted))
        chosen = self.state.sound
        source = source or chosen.source.spec or "device"
        sink = sink or chosen.sink.spec or "device"
        if self._audition is not None:
            self._audition.rest()
        call = self._call = Call(self._session, self._running_engine(), source, sink)
        try:
            async with call.running():
                if sit is not None:
                    await sit()
                self.here()
                yield call
        finally:
            self._call = None
            with trio.move_on_after(LEAVE, shield=True), contextlib.suppress(Refusal):
                await self.leave_room()
            if self._audition is not None and self._call is None:  # nor another one by now
                self._audition.resume()

    @asynccontextmanager
    async def auditioning(self) -> AsyncIterator[None]:
        """See in the state how loud the chosen microphone is, before there is a call; nobody is sent anything.

        A call has the microphone, and shows its level, for as long as it runs.
        """
        if self._audition is not None:
            raise RuntimeError("one audition at a time")
        self._audition = Audition(self._session, self._running_engine(), self._call is not None)
        try:
            async with self._audition.running():
                yield
        finally:
            self._audition = None

    def use(self, side: Side, spec: str) -> None:
        """Speak into something else, or hear with it: now, or in the next call that leaves it to us."""
        if self._call is None:
            self._session.happen(SoundChosen(side, spec))
        elif side is Side.SOURCE:
            self._call.set_source(spec)
        else:
            self._call.set_sink(spec)

    def prepare_sound(self) -> None:
        """Start the sound engine now, which takes longer than joining a room."""
        self._running_engine()

    async def list_devices(self) -> Devices:
        """Ask the sound engine what there is to hear with and to speak into."""
        engine = self._running_engine()
        with trio.move_on_after(START):
            await engine.wait_up()
            if self._audition is None:
                engine.tell(ListDevices())
            else:
                self._audition.list_devices()
            await self._listed.wait()
        return self.state.devices or NO_DEVICES

    def _running_engine(self) -> Engine:
        """The engine, which is started when it is first needed and lives as long as we do."""
        if self._engine is None:
            self._engine = Engine(self._on_report, self._on_engine_death)
            self._nursery.start_soon(self._engine.run)
        return self._engine

    def _on_report(self, report: EngineReport) -> None:
        if isinstance(report, engine_messages.Devices):
            self._session.happen(DevicesChanged(report))
            self._listed.set()
            self._listed = trio.Event()
        elif self._call is not None:
            self._call.on_report(report)
            if isinstance(report, engine_messages.RecordingStopped) and report.problem:
                self._nursery.start_soon(self._stop_broken_recording)
        elif self._audition is not None:
            self._audition.on_report(report)

    async def _stop_broken_recording(self) -> None:
        """Nobody is recorded any more, and all shall know."""
        with contextlib.suppress(Refusal):
            await self.stop_recording()

    def _on_engine_death(self) -> None:
        if self._call is not None:
            self._call.on_engine_death()


@asynccontextmanager
async def connect(
    url: str,
    name: str,
    user_id: str | None = None,
    *,
    takes_waiting_calls: bool = False,
    is_to_talk: bool = False,
    sound: SoundSettings | None = None,
    source: str = "",
    sink: str = "",
) -> AsyncIterator[Client]:
    """A client of the server at `url`; it reconnects by itself until the block ends.

    With `takes_waiting_calls` it rings here also while we talk in a room; else callers hear that we are busy. With
    `is_to_talk` the sound engine starts meanwhile. `sound` is what was chosen for it, `source` and `sink` for
    calls that leave it to us.

    Raises:
        ConnectFailed: the first connection cannot be made.
    """
    try:
        state = ClientState(
            UserId(user_id or str(uuid.uuid4())),
            read_name(name),
            choices=sound or SoundSettings(),
            sound=Sound(SideState(source), SideState(sink)),
        )
        session = Session(state)
        connecting = Connecting(parse_url(url), session, takes_waiting_calls)
    except ValueError as why:
        raise ConnectFailed(str(why), "") from None
    async with helpers() as nursery:
        client = Client(session, nursery)
        if is_to_talk:
            client.prepare_sound()
        await nursery.start(connecting.keep)
        try:
            yield client
        finally:
            session.close("the client was closed")
