"""What drives a call's two halves: the clock that makes it talk and the clock that makes it hear.

A microphone and a loudspeaker are a stream each, even if they are one device: PortAudio runs away with a stream of both
on a loaded machine, and so neither depends on the other. What is no device hangs on the ticker. A half whose device
fails goes on the ticker, silent, and the device is tried again every few seconds. All of this is done in the control
thread; sound threads only call `talk` and `hear`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, TypeVar

from attrs import define, field, frozen

from palaver_media.engine_messages import EngineReport, Side, SoundProblem, SoundStarted

from . import devices
from .blocks import Samples
from .census import Change
from .listening import Heard
from .sinks import NullSink, open_sink
from .sources import PcmSource, open_source
from .specs import NOTHING, Kind, SoundError, Spec, parse
from .streams import Stream, within
from .ticker import Ticker
from .watch import Health, Reopening

RETRY: Final = 3.0  # s between two attempts at a device that failed
T = TypeVar("T")

log = logging.getLogger(__name__)


@frozen(eq=False)
class _Drive:
    """What calls one half; `stream` is None on the ticker."""

    ends: tuple[Callable[[], None], ...]
    stream: Stream | None = None

    def stop(self) -> None:
        """Call no more, and give back what was held."""
        for end in self.ends:
            end()


@define(eq=False)
class Sound:
    """The source and the sink of one call."""

    call: str
    pcm: PcmSource
    talk: Callable[[Samples | None], None]
    hear: Callable[[], Heard]
    played: Callable[[Samples], None]  # what goes to a loudspeaker, and may come back by the microphone
    ticker: Ticker
    report: Callable[[EngineReport], None]  # from any thread
    loop: asyncio.AbstractEventLoop
    _is_near: bool = False  # sounds are heard as soon as can be, at the risk of gaps
    _specs: dict[Side, Spec] = field(factory=dict)
    _drives: dict[Side, _Drive] = field(factory=dict)
    _retries: dict[Side, float] = field(factory=dict)  # when to try again
    _reopenings: dict[Side, Reopening] = field(factory=lambda: {side: Reopening() for side in Side})
    _problems: dict[Side, str] = field(factory=dict)
    _told: dict[Side, str] = field(factory=dict)  # what works

    @property
    def input_latency(self) -> float:
        """From the microphone to us, in s, lately; 0 if it is no device. From any thread."""
        return self._latency(Side.SOURCE)

    @property
    def output_latency(self) -> float:
        """From us to the loudspeaker, in s, lately; 0 if it is no device. From any thread."""
        return self._latency(Side.SINK)

    def use(self, side: Side, text: str) -> None:
        """Take another source or sink; what is wrong with it is reported."""
        self._problems.pop(side, None)
        self._told.pop(side, None)
        self._reopenings[side] = Reopening()
        try:
            self._specs[side] = parse(text, side)
        except SoundError as why:
            self._specs[side] = NOTHING
            self._stop(side)
            self._fall_back(side, why)
        else:
            self._wire(side)

    def set_near(self, *, is_near: bool) -> None:
        """Let what comes be heard as soon as can be, on a machine that has little else to do; or as soon as is safe."""
        if is_near == self._is_near:
            return
        self._is_near = is_near
        if (drive := self._drives.get(Side.SINK)) is not None and drive.stream is not None:
            self._wire(Side.SINK)

    def check(self) -> None:
        """Look after the devices; called a few times a second."""
        Stream.close_left()
        for side, drive in list(self._drives.items()):
            health = Health.FINE if drive.stream is None else drive.stream.check()
            if health is Health.DEAD:
                self._lose(side)
            elif health is not Health.FINE and self._reopenings[side].is_due(time.monotonic()):
                log.info("%s: the stream is %s: opening it again", self.call, health.value)  # nobody need do anything
                self._wire(side)
        for side, when in list(self._retries.items()):
            if when <= time.monotonic():
                self._wire(side)

    @property
    def uses_devices(self) -> bool:
        """Whether a side is a device, even if it does not work at the moment."""
        return bool(self._devices())

    def minds(self, change: Change) -> bool:
        """Whether devices must be opened again: one is missing, came, went, or is the default no more.

        A server that loses a device moves its streams to another: no call must go on by a microphone that nobody chose.
        """
        return any(
            side in self._retries or (change.concerns(spec.value) if spec.value else side in change.defaults)
            for side, spec in self._devices()
        )

    def pause(self) -> None:
        """Let go of the devices; `resume` must follow at once."""
        for side, _ in self._devices():
            self._stop(side)

    def resume(self, change: Change) -> None:
        """Open the devices again, as they are now."""
        for side, spec in self._devices():
            if not spec.value and side in change.defaults:
                self._told.pop(side, None)  # though it is called `default` as before
            self._wire(side)

    def close(self) -> None:
        """Stop both halves."""
        for side in Side:
            self._stop(side)

    def _latency(self, side: Side) -> float:
        drive = self._drives.get(side)
        return 0.0 if drive is None or drive.stream is None else drive.stream.latency

    def _wire(self, side: Side) -> None:
        """Start this side anew."""
        self._stop(side)
        try:
            self._drives[side] = self._open_source() if side is Side.SOURCE else self._open_sink()
        except SoundError as why:
            self._fall_back(side, why)
        except Exception as why:  # a half without a clock would be worse than any bug in opening
            log.exception("%s: the %s cannot be opened", self.call, side.value)
            reason = f"it cannot be opened ({type(why).__name__})"
            self._fall_back(side, SoundError(reason, f"choose another {side.value}"))

    def _open_source(self) -> _Drive:
        spec = self._specs[Side.SOURCE]
        if spec.kind is Kind.DEVICE:
            stream, name = self._open_device(spec, Side.SOURCE)
            self._started(Side.SOURCE, name)
            return _Drive((stream.close,), stream)
        source = open_source(spec, self.pcm)
        leave = self.ticker.add(lambda: self.talk(source.read()))
        self._started(Side.SOURCE, str(spec))
        return _Drive((leave, source.close))

    def _open_sink(self) -> _Drive:
        spec = self._specs[Side.SINK]
        if spec.kind is Kind.DEVICE:
            stream, name = self._open_device(spec, Side.SINK)
            self._started(Side.SINK, name)
            return _Drive((stream.close,), stream)
        sink = open_sink(spec, self.call, self.report, self.loop)

        def tick() -> None:
            nonlocal sink
            try:
                sink.write(*self.hear())
            except SoundError as why:  # a full disk
                sink.close()
                sink = NullSink()
                self.report(SoundProblem(self.call, Side.SINK, why.reason, why.remedy))

        leave = self.ticker.add(tick)
        self._started(Side.SINK, str(spec))
        return _Drive((leave, lambda: sink.close()))

    def _open_device(self, spec: Spec, side: Side) -> tuple[Stream, str]:
        def attempt() -> tuple[Stream, str]:
            device = within(lambda: devices.find(spec.value, side))
            if side is Side.SOURCE:
                return Stream.capturing(device, self.talk), device.name
            return Stream.playing(device, self._hear_mixed, is_near=self._is_near), device.name

        return _persist(attempt)

    def _devices(self) -> list[tuple[Side, Spec]]:
        return [(side, spec) for side, spec in self._specs.items() if spec.kind is Kind.DEVICE]

    def _stop(self, side: Side) -> None:
        drive = self._drives.pop(side, None)
        if drive is not None:
            drive.stop()
        self._retries.pop(side, None)

    def _lose(self, side: Side) -> None:
        """A device calls no more: go on without it, and find out what is the matter by opening it again later."""
        self._stop(side)
        name = self._specs[side].value or "the default device"
        self._fall_back(side, SoundError(f"{name} has stopped", "connect it again, or restart the sound server"))

    def _fall_back(self, side: Side, why: SoundError) -> None:
        """Keep this half's time on the ticker, without sound; a device is tried again."""
        tick: Callable[[], object] = (lambda: self.talk(None)) if side is Side.SOURCE else self.hear
        self._drives[side] = _Drive((self.ticker.add(tick),))
        if self._specs[side].kind is Kind.DEVICE:
            self._retries[side] = time.monotonic() + RETRY
        self._told.pop(side, None)
        if self._problems.get(side) != why.reason:
            self._problems[side] = why.reason
            self.report(SoundProblem(self.call, side, why.reason, why.remedy))

    def _started(self, side: Side, name: str) -> None:
        self._problems.pop(side, None)
        if self._told.get(side) != name:
            self._told[side] = name
            self.report(SoundStarted(self.call, side, name))

    def _hear_mixed(self) -> Samples:
        mixed = self.hear()[0]
        self.played(mixed)
        return mixed


def _persist(attempt: Callable[[], T]) -> T:
    """Try, and if it fails and nothing else is open, look which devices there are now and try again."""
    try:
        return attempt()
    except SoundError:
        if Stream.open_streams:
            raise
        within(devices.refresh)
        return attempt()
