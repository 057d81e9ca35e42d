"""A stream of a device: its callback is the 10 ms clock of one half of a call.

Opening and closing can hang when the sound server has died, so both are done beside the thread that asks for them.
Apart from the callbacks everything belongs to the control thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import ClassVar, Final, TypeVar

from .backends import Found, Running
from .blocks import BLOCK, RATE, SILENCE, Samples
from .specs import SoundError
from .watch import Health, Watch

PATIENCE: Final = 5.0  # s for the sound system to answer
_SHARE: Final = 0.01  # of a block in the mean of the latency

T = TypeVar("T")

log = logging.getLogger(__name__)


class Stream:
    """A running stream of a microphone or a loudspeaker.

    `latency` is what its device adds to a sound's way in s, as a mean of about a second: how long ago a block's first
    sample was at the microphone, or how long it takes until one is heard.
    """

    open_streams: ClassVar[set[Stream]] = set()  # those that a library has, wanted or not

    def __init__(self, start: Callable[[Stream], Running]) -> None:
        """Open and start; `start` belongs to `capturing` and `playing`.

        Raises:
            SoundError: the device refuses, or the sound system hangs.
        """
        self.latency = 0.0
        self._is_closed = False
        self._watch: Watch | None = None  # the first callbacks come before the opening is over
        try:
            self._running = within(lambda: start(self), late=lambda running: running.close())
        except SoundError:
            self._is_closed = True  # or it would begin to call when the system answers again
            raise
        self._watch = Watch(time.monotonic())
        Stream.open_streams.add(self)

    @classmethod
    def capturing(cls, device: Found, talk: Callable[[Samples], None]) -> Stream:
        """A stream of a microphone, which calls `talk` each 10 ms.

        Raises:
            SoundError: the device refuses, or the sound system hangs.
        """

        def start(stream: Stream) -> Running:
            def take(samples: Samples, age: float) -> None:
                if not stream._is_closed:
                    stream.note(age)
                    talk(samples)

            return device.backend.capture(device, take)

        return cls(start)

    @classmethod
    def playing(cls, device: Found, hear: Callable[[], Samples], *, is_near: bool) -> Stream:
        """A stream of a loudspeaker, which calls `hear` each 10 ms; `is_near` as in `Backend.play`.

        Raises:
            SoundError: the device refuses, or the sound system hangs.
        """

        def start(stream: Stream) -> Running:
            def give(delay: float) -> Samples:
                if stream._is_closed:
                    return SILENCE
                stream.note(delay)
                return hear()

            return device.backend.play(device, give, is_near=is_near)

        return cls(start)

    def check(self) -> Health:
        """Whether the stream is well."""
        return Health.FINE if self._watch is None else self._watch.check(time.monotonic())

    def close(self) -> None:
        """Stop; a stream that cannot be closed calls in vain until `close_left` can do it."""
        self._is_closed = True
        try:
            within(self._end)
        except SoundError as why:
            log.warning("a stream is left open: %s", why)

    @classmethod
    def close_left(cls) -> None:
        """Close what could not be closed while the sound system hung, if it does no longer."""
        for stream in [each for each in cls.open_streams if each._is_closed]:
            try:
                within(stream._end)
            except SoundError:
                return

    def _end(self) -> None:
        if self in Stream.open_streams:  # an attempt that hung may have done it by now
            try:
                self._running.close()
            finally:
                Stream.open_streams.discard(self)

    def note(self, latency: float) -> None:
        """A block came or went, in the stream's own thread."""
        likely = max(latency, BLOCK / RATE)  # a block cannot be there before it is over; PulseAudio's estimate says so
        self.latency += (likely - self.latency) * (_SHARE if self.latency else 1)
        if self._watch is not None:
            self._watch.note(time.monotonic(), latency, time.thread_time())


_hanging: list[threading.Thread] = []


def within(function: Callable[[], T], late: Callable[[T], object] | None = None) -> T:
    """What a function of a sound library returns, if it does so in time.

    If it does so later, `late` is called with that, in a thread of its own.

    Raises:
        SoundError: it hangs, or one before it still does.
    """
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    if _hanging:
        raise _no_answer()
    result: Future[T] = Future()
    thread = threading.Thread(target=_run, args=(function, result), name="sound library", daemon=True)
    thread.start()
    try:
        return result.result(PATIENCE)
    except TimeoutError:
        _hanging.append(thread)
        if late is not None:
            result.add_done_callback(lambda ended: None if ended.exception() else late(ended.result()))
        raise _no_answer() from None


def _run(function: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(function())
    except BaseException as why:
        result.set_exception(why)


def _no_answer() -> SoundError:
    return SoundError("the sound system does not answer", "restart the sound server, then palaver")
