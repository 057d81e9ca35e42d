"""What drives a call's two halves: the clock that makes it talk and the clock that makes it hear.

A microphone and a loudspeaker that are one device are one stream; two devices are two; what is no device hangs on the
ticker. A half whose device fails goes on the ticker, silent, and the device is tried again every few seconds.
All of this is done in the control thread; only `talk` and `hear` are called in sound threads.
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
from .listening import Heard
from .mixer import Samples
from .sinks import NullSink, open_sink
from .sources import PcmSource, open_source
from .specs import NOTHING, Kind, SoundError, Spec, parse
from .streams import Stream, within
from .ticker import Ticker
from .watch import Health

RETRY: Final = 3.0  # s between two attempts at a device that failed
T = TypeVar("T")

log = logging.getLogger(__name__)


@frozen(eq=False)
class _Drive:
    """What calls one half, or both; `stream` is None on the ticker."""

    sides: frozenset[Side]
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
    _specs: dict[Side, Spec] = field(factory=dict)
    _drives: list[_Drive] = field(factory=list)
    _retries: dict[Side, float] = field(factory=dict)  # when to try again
    _problems: dict[Side, str] = field(factory=dict)

    def use(self, side: Side, text: str) -> None:
        """Take another source or sink; what is wrong with it is reported."""
        self._problems.pop(side, None)
        try:
            self._specs[side] = parse(text, side)
        except SoundError as why:
            self._specs[side] = NOTHING
            self._stop({side})
            self._fall_back(side, why)
        else:
            self._wire({side})

    def check(self) -> None:
        """Look after the devices; called a few times a second."""
        for drive in list(self._drives):
            health = Health.FINE if drive.stream is None else drive.stream.check()
            if health is Health.DEAD:
                self._lose(drive)
            elif health is not Health.FINE:
                log.warning("%s: the stream is %s: opening it again", self.call, health.value)
                self._wire(set(drive.sides))
        due = {side for side, when in self._retries.items() if when <= time.monotonic()}
        if due:
            self._wire(due)

    def close(self) -> None:
        """Stop both halves."""
        self._retries.clear()
        self._stop(set(Side))

    def _wire(self, sides: set[Side]) -> None:
        """Start these sides anew, and the other one too if they are or become one stream."""
        if self._is_one_device():
            sides = set(Side)
        sides = self._stop(sides)
        if len(sides) == 2 and self._is_one_device():
            try:
                self._drives.append(self._open_headset())
            except SoundError as why:
                for side in sides:
                    self._fall_back(side, why)
            return
        for side in sorted(sides, key=lambda side: side.value):
            if side in self._specs:
                self._open(side)

    def _open(self, side: Side) -> None:
        try:
            drive = self._open_source() if side is Side.SOURCE else self._open_sink()
        except SoundError as why:
            self._fall_back(side, why)
        else:
            self._drives.append(drive)

    def _open_headset(self) -> _Drive:
        number, name = devices.find(self._specs[Side.SOURCE].value, Side.SOURCE)
        stream = _persist(lambda: Stream(number, number, self.talk, self._hear_mixed))
        self._started(Side.SOURCE, name)
        self._started(Side.SINK, name)
        return _Drive(frozenset(Side), (stream.close,), stream)

    def _open_source(self) -> _Drive:
        sides = frozenset({Side.SOURCE})
        spec = self._specs[Side.SOURCE]
        if spec.kind is Kind.DEVICE:
            stream, name = self._open_device(spec, Side.SOURCE)
            self._started(Side.SOURCE, name)
            return _Drive(sides, (stream.close,), stream)
        source = open_source(spec, self.pcm)
        leave = self.ticker.add(lambda: self.talk(source.read()))
        self._started(Side.SOURCE, str(spec))
        return _Drive(sides, (leave, source.close))

    def _open_sink(self) -> _Drive:
        sides = frozenset({Side.SINK})
        spec = self._specs[Side.SINK]
        if spec.kind is Kind.DEVICE:
            stream, name = self._open_device(spec, Side.SINK)
            self._started(Side.SINK, name)
            return _Drive(sides, (stream.close,), stream)
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
        return _Drive(sides, (leave, lambda: sink.close()))

    def _open_device(self, spec: Spec, side: Side) -> tuple[Stream, str]:
        def attempt() -> tuple[Stream, str]:
            number, name = devices.find(spec.value, side)
            if side is Side.SOURCE:
                return Stream(number, None, self.talk, self._hear_mixed), name
            return Stream(None, number, self.talk, self._hear_mixed), name

        return _persist(attempt)

    def _is_one_device(self) -> bool:
        specs = [self._specs.get(side, NOTHING) for side in Side]
        if any(spec.kind is not Kind.DEVICE for spec in specs):
            return False
        try:
            numbers = {devices.find(self._specs[side].value, side)[0] for side in Side}
        except SoundError:
            return False
        return len(numbers) == 1

    def _stop(self, sides: set[Side]) -> set[Side]:
        """Stop what drives these sides; the answer is all that stand still now."""
        stopped = set(sides)
        for drive in [drive for drive in self._drives if drive.sides & sides]:
            self._drives.remove(drive)
            drive.stop()
            stopped |= drive.sides
        for side in stopped:
            self._retries.pop(side, None)
        return stopped

    def _lose(self, drive: _Drive) -> None:
        """A device calls no more: go on without it, and find out what is the matter by opening it again later."""
        for side in self._stop(set(drive.sides)):
            name = self._specs[side].value or "the default device"
            self._fall_back(side, SoundError(f"{name} has stopped", "connect it again, or restart the sound server"))

    def _fall_back(self, side: Side, why: SoundError) -> None:
        """Keep this half's time on the ticker, without sound; a device is tried again."""
        tick: Callable[[], object] = (lambda: self.talk(None)) if side is Side.SOURCE else self.hear
        self._drives.append(_Drive(frozenset({side}), (self.ticker.add(tick),)))
        if self._specs[side].kind is Kind.DEVICE:
            self._retries[side] = time.monotonic() + RETRY
        if self._problems.get(side) != why.reason:
            self._problems[side] = why.reason
            self.report(SoundProblem(self.call, side, why.reason, why.remedy))

    def _started(self, side: Side, name: str) -> None:
        self._problems.pop(side, None)
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
