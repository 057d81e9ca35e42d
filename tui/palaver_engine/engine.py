"""The engine: commands in, sound and reports out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final, assert_never

from attrs import define, field

from palaver_media.child import Channel, beat
from palaver_media.codec import Pcm
from palaver_media.engine_messages import (
    ENGINE_CODEC,
    CloseCall,
    CloseTransport,
    EngineCommand,
    EngineReport,
    ListDevices,
    NameTrack,
    OpenCall,
    OpenTransport,
    Ready,
    Receive,
    Send,
    SetCapture,
    SetEchoTest,
    SetEncoding,
    SetMuted,
    SetPersonVolume,
    SetSink,
    SetSource,
    SetTalking,
    SetVolume,
    Side,
    SoundProblem,
    StartRecording,
    StopReceiving,
    StopRecording,
    StopSending,
    TestSound,
)
from palaver_media.worker_messages import Beat

from . import devices, follow, watch
from .call import Call
from .census import Census
from .loopback import Loopback
from .specs import SoundError
from .streams import Stream, within
from .studio import Studio

LEVELS: Final = 0.1  # s
STATS: Final = 1.0  # s

log = logging.getLogger(__name__)


async def run(fd: int, on_closing: Callable[[], None]) -> None:
    """Be the engine of the owner at the other end of a socket, until it closes; then `on_closing` is called first."""
    channel: Channel[EngineCommand, EngineReport] = Channel(fd, ENGINE_CODEC)
    studio = Studio(channel.report)
    engine = Engine(studio)
    channel.report(Ready(studio.certificate.fingerprint))
    channel.open(engine.apply)
    async with asyncio.TaskGroup() as tasks:
        jobs = (
            beat(channel, Beat),
            every(LEVELS, engine.tell_levels),
            every(STATS, engine.tell_stats),
            every(watch.PERIOD, engine.check_devices),
            every(follow.PERIOD, engine.follow_devices),
        )
        running = [tasks.create_task(job) for job in jobs]
        await channel.closed.wait()
        on_closing()
        for task in running:
            task.cancel()
    await engine.close()


async def every(seconds: float, job: Callable[[], None]) -> None:
    """Call a function at this interval for ever; the time it takes does not count."""
    due = time.monotonic()
    while True:
        due = max(due + seconds, time.monotonic())
        await asyncio.sleep(due - time.monotonic())
        job()


@define(eq=False)
class Engine:
    """All calls of one engine."""

    studio: Studio
    calls: dict[str, Call] = field(factory=dict)
    _census: Census = field(factory=Census)
    _tests: set[asyncio.Task[None]] = field(factory=set)
    _told_stats: float = field(factory=time.monotonic)

    def apply(self, command: EngineCommand) -> None:
        """Do what the owner says; a bug ends the call that it concerns, and he is told."""
        try:
            self._apply(command)
        except Exception:
            log.exception("%s", type(command).__name__)
            if not isinstance(command, ListDevices | TestSound):
                self._close(command.call)
                reason = f"the sound of this call has ended, as {type(command).__name__} failed"
                self.studio.report(SoundProblem(command.call, Side.SINK, reason, "leave the room and join it again"))

    def tell_levels(self) -> None:
        """Report how loud each call is, if that has changed."""
        for call in self.calls.values():
            levels = call.levels()
            if levels is not None:
                self.studio.report(levels)

    def tell_stats(self) -> None:
        """Report how each call is going, to the server (RTCP) and to the owner."""
        now = time.monotonic()
        seconds, self._told_stats = now - self._told_stats, now
        for call in self.calls.values():
            call.feedback.send_reports(now)
            self.studio.report(call.stats(seconds))

    def check_devices(self) -> None:
        """Look after the devices of all calls."""
        self.studio.control(partial(_check_devices, tuple(self.calls.values())))

    def follow_devices(self) -> None:
        """See what has changed among the devices; first when one was opened, so that nothing after that is missed."""
        self.studio.control(partial(_follow_devices, self._census, tuple(self.calls.values())))

    async def close(self) -> None:
        """End all calls and threads."""
        for name in list(self.calls):
            self._close(name)
        for test in self._tests:
            test.cancel()
        if self._tests:
            await asyncio.wait(self._tests)  # for they need the control thread once more
        self.studio.close()

    def _apply(self, command: EngineCommand) -> None:
        if not isinstance(command, OpenCall | TestSound | ListDevices) and command.call not in self.calls:
            return  # it was closed, or never opened
        match command:
            case OpenCall():
                self._close(command.call)
                self.calls[command.call] = Call.open(command, self.studio)
                self.follow_devices()
            case CloseCall():
                self._close(command.call)
            case SetSource():
                self.calls[command.call].use(Side.SOURCE, command.source)
                self.follow_devices()
            case SetSink():
                self.calls[command.call].use(Side.SINK, command.sink)
                self.follow_devices()
            case SetMuted():
                self.calls[command.call].set_muted(is_muted=command.is_muted)
            case SetCapture():
                self.calls[command.call].microphone.set_capture(command.capture)
            case SetTalking():
                self.calls[command.call].microphone.set_talking(command.is_talking)
            case SetEncoding():
                self.calls[command.call].set_encoding(command.encoding)
            case SetVolume():
                self.calls[command.call].listening.set_volume(command.volume)
            case SetPersonVolume():
                self.calls[command.call].listening.set_person_volume(command.consumer, command.volume)
            case StartRecording():
                self.calls[command.call].start_recording(command)
            case NameTrack():
                self.calls[command.call].name_track(command)
            case StopRecording():
                self.calls[command.call].stop_recording()
            case SetEchoTest():
                self.calls[command.call].set_echo_test(is_on=command.is_on)
            case OpenTransport():
                self.calls[command.call].open_transport(command)
            case CloseTransport():
                self.calls[command.call].close_transport(command.transport)
            case Send():
                self.calls[command.call].send(command)
            case StopSending():
                self.calls[command.call].microphone.stop()
            case Receive():
                self.calls[command.call].listening.receive(command)
            case StopReceiving():
                self.calls[command.call].listening.stop(command.consumer)
            case Pcm():
                self.calls[command.call].say(command.samples)
            case TestSound():
                self._test_sound(command)
            case ListDevices():
                self.studio.control(self._list_devices)
            case _:
                assert_never(command)

    def _close(self, name: str) -> None:
        call = self.calls.pop(name, None)
        if call is not None:
            call.close()

    def _test_sound(self, command: TestSound) -> None:
        studio = self.studio
        test = Loopback(command, studio.ticker, studio.post, studio.control, studio.loop)
        task = studio.loop.create_task(test.run())
        self._tests.add(task)
        task.add_done_callback(self._tests.discard)

    def _list_devices(self) -> None:
        """In the control thread; devices that came and went are seen only while none is open."""
        try:
            if not Stream.open_streams:
                within(devices.refresh)
            found = within(devices.list_devices)
        except SoundError as why:
            found = devices.none(why)
        self.studio.post(found)


def _follow_devices(census: Census, calls: tuple[Call, ...]) -> None:
    follow.follow(census, [call.sound for call in calls])


def _check_devices(calls: tuple[Call, ...]) -> None:
    for call in calls:
        call.check_devices()
