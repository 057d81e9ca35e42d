"""A stream of PortAudio: its callback is the 10 ms clock of a call, or of one half of it.

Opening and closing can hang when the sound server has died, so both are done beside the thread that asks for them.
Apart from the callbacks everything belongs to the control thread.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

from . import devices
from .mixer import BLOCK, RATE, Samples
from .specs import SoundError
from .watch import Health, Watch

LATENCY: Final = 0.04  # s asked of PortAudio: less costs callbacks and CPU, and hardly shortens the way
PATIENCE: Final = 5.0  # s for the sound system to answer
_CHANNELS: Final = (1, 2)  # some devices have no mono

T = TypeVar("T")

log = logging.getLogger(__name__)


class Stream:
    """A running stream of a microphone, a loudspeaker, or both as one."""

    open_streams = 0

    def __init__(
        self,
        microphone: int | None,
        speaker: int | None,
        talk: Callable[[Samples], None],
        hear: Callable[[], Samples],
    ) -> None:
        """Open and start.

        Raises:
            SoundError: the device refuses, or the sound system hangs.
        """
        self._talk = talk
        self._hear = hear
        self._stream = within(lambda: _start(microphone, speaker, self._both, self._input, self._output))
        self._watch = Watch(time.monotonic())
        Stream.open_streams += 1

    def check(self) -> Health:
        """Whether the stream is well."""
        watch: Watch = self._watch
        return watch.check(time.monotonic())

    def close(self) -> None:
        """Stop; a stream that cannot be closed is left behind."""
        try:
            within(self._close)
        except SoundError as why:
            log.warning("a stream is left behind: %s", why)
        else:
            Stream.open_streams -= 1

    def _close(self) -> None:
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)

    def _both(self, data: Any, out: Any, frames: int, when: Any, status: Any) -> None:
        self._note(when.outputBufferDacTime - when.inputBufferAdcTime)
        out[:] = self._hear()[:, None]
        self._talk(data[:, 0].copy())  # PortAudio uses its buffer again

    def _input(self, data: Any, frames: int, when: Any, status: Any) -> None:
        self._note(when.currentTime - when.inputBufferAdcTime)
        self._talk(data[:, 0].copy())

    def _output(self, out: Any, frames: int, when: Any, status: Any) -> None:
        self._note(when.outputBufferDacTime - when.currentTime)
        out[:] = self._hear()[:, None]

    def _note(self, latency: float) -> None:
        if hasattr(self, "_watch"):  # the first callback may come before the opening is over
            self._watch.note(time.monotonic(), latency, time.thread_time())


_hanging: list[threading.Thread] = []


def within(function: Callable[[], T]) -> T:
    """What a function of PortAudio returns, if it does so in time.

    Raises:
        SoundError: it hangs, or one before it still does.
    """
    _hanging[:] = [thread for thread in _hanging if thread.is_alive()]
    if _hanging:
        raise _no_answer()
    result: Future[T] = Future()
    thread = threading.Thread(target=_run, args=(function, result), name="portaudio", daemon=True)
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


def _start(microphone: int | None, speaker: int | None, both: Any, only_input: Any, only_output: Any) -> Any:
    sound = devices.portaudio()
    refusal: Exception | None = None
    for channels in _CHANNELS:
        options = {
            "samplerate": RATE,
            "blocksize": BLOCK,
            "dtype": "int16",
            "latency": LATENCY,
            "channels": channels,
        }
        try:
            if microphone is not None and speaker is not None:
                stream = sound.Stream(device=(microphone, speaker), callback=both, **options)
            elif microphone is not None:
                stream = sound.InputStream(device=microphone, callback=only_input, **options)
            else:
                stream = sound.OutputStream(device=speaker, callback=only_output, **options)
        except (sound.PortAudioError, ValueError) as why:
            refusal = refusal or why
            continue
        try:
            stream.start()
        except sound.PortAudioError as why:
            stream.close(ignore_errors=True)
            refusal = refusal or why
            continue
        return stream
    reason = str(refusal.args[0]) if refusal is not None and refusal.args else "unknown"
    raise SoundError(f"the device cannot be opened ({reason})", "choose another, or end the program that holds it")
