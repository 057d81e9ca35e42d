"""PortAudio, the library of first choice; on Linux it may be missing.

sounddevice is imported late: without PortAudio the import itself fails. Its private names are touched here alone.
"""

from __future__ import annotations

import contextlib
import platform
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from types import ModuleType
from typing import Any, Final

from attrs import define, frozen

from palaver_media.engine_messages import Side

from .backends import Found, Hear, Talk
from .blocks import RATE
from .resampling import Intake, Outlet
from .specs import SoundError

BLOCKS: Final = 100  # a second
LATENCY: Final = 0.02  # s asked of PortAudio: with less, a loaded machine's sound breaks up
NEAR_BLOCKS: Final = 200
NEAR_LATENCY: Final = 0.015  # s: heard some 12 ms sooner
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
            SoundError: PortAudio is missing, or did not start.
        """
        sound, word = _load(), _WORDS[side]
        try:
            devices = [each for each in sound.query_devices() if each[f"max_{word}_channels"] > 0]
            apis = [str(each["name"]) for each in sound.query_hostapis()]
        except sound.PortAudioError as why:
            raise _unwilling(why) from why
        default = _default(sound, word)
        names = told_apart([(str(each["name"]), apis[each["hostapi"]]) for each in devices])
        return [
            Found(self, int(each["index"]), name, each["index"] == default)
            for each, name in zip(devices, names, strict=True)
        ]

    def capture(self, microphone: Found, talk: Talk) -> _Stream:
        """Open and start a microphone at 48 kHz, or at another rate if it refuses.

        Raises:
            SoundError: it refuses all.
        """
        return _open(_load(), "InputStream", microphone, lambda rate: _input(Intake(rate, talk)))

    def play(self, speaker: Found, hear: Hear, *, is_near: bool) -> _Stream:
        """Open and start a loudspeaker at 48 kHz, or at another rate if it refuses.

        Raises:
            SoundError: it refuses all.
        """
        blocks, latency = (NEAR_BLOCKS, NEAR_LATENCY) if is_near else (BLOCKS, LATENCY)
        return _open(_load(), "OutputStream", speaker, lambda rate: _output(Outlet(rate, hear)), blocks, latency)

    def refresh(self) -> None:
        """Start PortAudio anew: it looks for devices only then."""
        try:
            sound = _load()
        except SoundError:
            return
        with contextlib.suppress(sound.PortAudioError):  # it is not running, as `find_all` will tell
            sound._terminate()
        with contextlib.suppress(sound.PortAudioError):
            sound._initialize()


@define(eq=False)
class _Stream:
    _stream: Any

    def close(self) -> None:
        """Stop at once: to play what is left would wait for a dead server."""
        self._stream.abort(ignore_errors=True)
        self._stream.close(ignore_errors=True)


def told_apart(devices: Sequence[tuple[str, str]]) -> list[str]:
    """The names of devices, with their host API's where several have one: on Windows each API lists them all."""
    count = Counter(name for name, _ in devices)
    return [name if count[name] == 1 else f"{name} ({api})" for name, api in devices]


def _input(intake: Intake) -> Callable[..., None]:
    def callback(data: Any, frames: int, when: Any, status: Any) -> None:
        # a copy, as PortAudio uses its buffer again
        intake.put(data[:, 0].copy(), when.currentTime - when.inputBufferAdcTime)

    return callback


def _output(outlet: Outlet) -> Callable[..., None]:
    def callback(out: Any, frames: int, when: Any, status: Any) -> None:
        out[:] = outlet.take(frames, when.outputBufferDacTime - when.currentTime)[:, None]

    return callback


def _load() -> ModuleType:
    """The sounddevice module.

    Raises:
        SoundError: PortAudio is missing.
    """
    try:
        import sounddevice
    except OSError as why:
        raise SoundError(f"PortAudio is missing ({why})", install()) from why
    except Exception as why:  # its own error, which cannot be named without the module
        raise _unwilling(why) from why
    return sounddevice  # type: ignore[no-any-return]  # it has no types


def _unwilling(why: Exception) -> SoundError:
    return SoundError(f"PortAudio does not start ({why})", "restart the sound server, then palaver")


def _open(
    sound: ModuleType,
    kind: str,
    device: Found,
    callback_at: Callable[[int], Callable[..., None]],
    blocks: int = BLOCKS,
    latency: float = LATENCY,
) -> _Stream:
    refusal: Exception | None = None
    for rate in RATES:
        for channels in _CHANNELS:
            try:
                options = {"samplerate": rate, "channels": channels, "blocksize": rate // blocks, "latency": latency}
                return _start(sound, kind, device.key, callback_at(rate), options)
            except (sound.PortAudioError, ValueError) as why:
                refusal = refusal or why
        if refusal is not None and _WRONG_RATE not in refusal.args:
            break
    reason = str(refusal.args[0]).rpartition(": ")[2] if refusal is not None and refusal.args else ""
    remedy = "connect it again if it is gone, choose another, or end the program that holds it"
    raise SoundError(f"cannot open {device.name} ({reason or 'unknown'})", remedy)


def _start(
    sound: ModuleType, kind: str, number: Hashable, callback: Callable[..., None], options: dict[str, Any]
) -> _Stream:
    stream = getattr(sound, kind)(device=number, callback=callback, dtype="int16", **options)
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


def install() -> str:
    """How to get PortAudio here."""
    if platform.system() == "Linux":
        return "install it: apt install libportaudio2 (or your distribution's portaudio)"
    return "install it: pip install --force-reinstall sounddevice"
