"""PortAudio, the library of first choice; on Linux it may be missing.

sounddevice is imported late: without PortAudio the import itself fails. Its private names are touched here alone.
"""

from __future__ import annotations

import platform
from types import ModuleType
from typing import Any, Final

from attrs import define, frozen

from palaver_media.engine_messages import Side

from .backends import Found, Hear, Talk
from .mixer import RATE
from .resampling import Intake, Outlet
from .specs import SoundError

LATENCY: Final = 0.04  # s asked of PortAudio: less costs callbacks and CPU, and hardly shortens the way
RATES: Final = (RATE, 44_100, 32_000, 16_000, 8_000)  # Hz, the first that the device takes
_CHANNELS: Final = (1, 2)  # some devices have no mono
_WRONG_RATE: Final = -9997  # paInvalidSampleRate
_WORDS: Final = {Side.SOURCE: "input", Side.SINK: "output"}


@frozen(eq=False)
class PortAudio:
    """The library."""

    name: str = "portaudio"
    sees_more: bool = True

    def find_all(self, side: Side) -> list[Found]:
        """The devices there were when PortAudio was started, or refreshed.

        Raises:
            SoundError: PortAudio is missing.
        """
        sound, word = _load(), _WORDS[side]
        devices = [each for each in sound.query_devices() if each[f"max_{word}_channels"] > 0]
        default = _default(sound, word)
        return [Found(self, int(each["index"]), str(each["name"]), each["index"] == default) for each in devices]

    def start(self, microphone: Found | None, speaker: Found | None, talk: Talk, hear: Hear) -> _Stream:
        """Open and start a stream at 48 kHz, or at another rate if the device refuses.

        Raises:
            SoundError: the device refuses.
        """
        sound = _load()
        refusal: Exception | None = None
        for rate in RATES:
            for channels in _CHANNELS:
                try:
                    return _open(sound, microphone, speaker, _Callbacks(rate, talk, hear), channels)
                except (sound.PortAudioError, ValueError) as why:
                    refusal = refusal or why
            if refusal is not None and _WRONG_RATE not in refusal.args:
                break
        reason = str(refusal.args[0]) if refusal is not None and refusal.args else "unknown"
        raise SoundError(f"the device cannot be opened ({reason})", "choose another, or end the program that holds it")

    def refresh(self) -> None:
        """Start PortAudio anew: it looks for devices only then."""
        try:
            sound = _load()
        except SoundError:
            return
        sound._terminate()
        sound._initialize()


@define(eq=False)
class _Stream:
    _stream: Any

    def close(self) -> None:
        """Stop at once: to play what is left would wait for a dead server."""
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)


class _Callbacks:
    """What sounddevice calls, with arrays of (samples, channels)."""

    def __init__(self, rate: int, talk: Talk, hear: Hear) -> None:
        self.rate = rate
        self._intake = Intake(rate, talk)
        self._outlet = Outlet(rate, hear)

    def both(self, data: Any, out: Any, frames: int, when: Any, status: Any) -> None:
        self.output(out, frames, when, status)
        self.input(data, frames, when, status)

    def input(self, data: Any, frames: int, when: Any, status: Any) -> None:
        # a copy, as PortAudio uses its buffer again
        self._intake.put(data[:, 0].copy(), when.currentTime - when.inputBufferAdcTime)

    def output(self, out: Any, frames: int, when: Any, status: Any) -> None:
        out[:] = self._outlet.take(frames, when.outputBufferDacTime - when.currentTime)[:, None]


def _load() -> ModuleType:
    """The sounddevice module.

    Raises:
        SoundError: PortAudio is missing.
    """
    try:
        import sounddevice
    except OSError as why:
        raise SoundError(f"PortAudio is missing ({why})", _install()) from why
    return sounddevice  # type: ignore[no-any-return]  # it has no types


def _open(
    sound: ModuleType, microphone: Found | None, speaker: Found | None, callbacks: _Callbacks, channels: int
) -> _Stream:
    options = {
        "samplerate": callbacks.rate,
        "blocksize": callbacks.rate // 100,
        "dtype": "int16",
        "latency": LATENCY,
        "channels": channels,
    }
    if microphone is not None and speaker is not None:
        stream = sound.Stream(device=(microphone.key, speaker.key), callback=callbacks.both, **options)
    elif microphone is not None:
        stream = sound.InputStream(device=microphone.key, callback=callbacks.input, **options)
    elif speaker is not None:
        stream = sound.OutputStream(device=speaker.key, callback=callbacks.output, **options)
    else:
        raise ValueError("a stream of nothing")
    try:
        stream.start()
    except sound.PortAudioError:
        stream.close(ignore_errors=True)
        raise
    return _Stream(stream)


def _default(sound: ModuleType, word: str) -> int:
    try:
        return int(sound.query_devices(None, word)["index"])
    except (sound.PortAudioError, ValueError):
        return -1


def _install() -> str:
    if platform.system() == "Linux":
        return "install it: apt install libportaudio2 (or your distribution's portaudio)"
    return "install it: pip install --force-reinstall sounddevice"
