"""A stream of a device: its callback is the 10 ms clock of a call, or of one half of it.

Opening and closing can hang when the sound server has died, so both are done beside the thread that asks for them.
Apart from the callbacks everything belongs to the control thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from .backends import Found
from .mixer import Samples
from .specs import SoundError
from .watch import Health, Watch

PATIENCE: Final = 5.0  # s for the sound system to answer

T = TypeVar("T")

log = logging.getLogger(__name__)


class Stream:
    """A running stream of a microphone, a loudspeaker, or both as one.

    `input_latency` is how long ago (s) the last block's first sample was at the microphone, `output_latency` how long
    it takes until one is heard; 0 on a side that it does not have.
    """

    open_streams = 0

    def __init__(
        self,
        microphone: Found | None,
        speaker: Found | None,
        talk: Callable[[Samples], None],
        hear: Callable[[], Samples],
    ) -> None:
        """Open and start.

        Raises:
            SoundError: the device refuses, or the sound system hangs.
        """
        device = microphone or speaker
        assert device is not None
        self.input_latency = self.output_latency = 0.0
        self._talks = microphone is not None
        self._talk = talk
        self._hear = hear
        self._watch: Watch | None = None  # the first callbacks come before the opening is over
        self._running = within(lambda: device.backend.start(microphone, speaker, self._take, self._give))
        self._watch = Watch(time.monotonic())
        Stream.open_streams += 1

    def check(self) -> Health:
        """Whether the stream is well."""
        return Health.FINE if self._watch is None else self._watch.check(time.monotonic())

    def close(self) -> None:
        """Stop; a stream that cannot be closed is left behind."""
        try:
            within(self._running.close)
        except SoundError as why:
            log.warning("a stream is left behind: %s", why)
        else:
            Stream.open_streams -= 1

    def _take(self, samples: Samples, age: float) -> None:
        self.input_latency = age
        self._note()
        self._talk(samples)

    def _give(self, delay: float) -> Samples:
        self.output_latency = delay
        if not self._talks:
            self._note()
        return self._hear()

    def _note(self) -> None:
        if self._watch is not None:
            self._watch.note(time.monotonic(), self.input_latency + self.output_latency, time.thread_time())


_hanging: list[threading.Thread] = []


def within(function: Callable[[], T]) -> T:
    """What a function of a sound library returns, if it does so in time.

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
        raise _no_answer() from None


def _run(function: Callable[[], T], result: Future[T]) -> None:
    try:
        result.set_result(function())
    except BaseException as why:
        result.set_exception(why)


def _no_answer() -> SoundError:
    return SoundError("the sound system does not answer", "restart the sound server, then palaver")
