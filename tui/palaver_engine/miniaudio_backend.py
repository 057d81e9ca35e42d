"""miniaudio: a library that its wheel brings along, and that speaks to PulseAudio and PipeWire without ALSA.

Its playback breaks up on a loaded machine sooner than PortAudio's, and it knows nothing of latency, so it is the
second choice. But it can list devices while streams run, and so it also tells what has changed. The names that its
package does not offer (a device's id, and which is the default) are taken from its C interface, here alone.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Generator
from types import ModuleType
from typing import Any, Final, TypeAlias

import numpy as np
from attrs import define, field

from palaver_media.engine_messages import Side

from .backends import Found, Hear, Talk
from .blocks import RATE, Samples
from .resampling import Intake, Outlet
from .specs import SoundError

CAPTURE: Final = 10  # ms at once from a microphone
PLAY: Final = 20  # ms at once for a loudspeaker: with 10 a loaded machine's sound breaks up
PLAY_NEAR: Final = 10
PERIODS: Final = 3  # of these in a buffer
RENEW: Final = 4.0  # s a list is good for where there is no sound server
_BUFFER: Final = PERIODS / 1000  # s of a buffer for each ms of a period, for want of a figure from the device
_BARE: Final = "ALSA"  # what there is on Linux while no sound server runs
_SERVER: Final = "PulseAudio"
_Listed: TypeAlias = dict[Side, list[tuple[bytes, str, bool]]]  # ids, names, and whether they are the default
_NOTHING: Final[_Listed] = {side: [] for side in Side}
_MONITOR: Final = b".monitor"  # how PulseAudio's ids of what a loudspeaker plays end


@define(eq=False)
class Miniaudio:
    """The library. What it knows of the system is kept, and made anew when the sound server was."""

    name: str = "miniaudio"
    _context: Any = None
    _made: float = 0.0  # when
    _listed: _Listed = field(factory=lambda: _NOTHING)
    _ids: dict[tuple[Side, bytes], Any] = field(factory=dict)

    @property
    def sees_more(self) -> bool:
        """PortAudio reaches a sound server through ALSA, and so as one device."""
        return self._context is not None and self._context.backend == _SERVER

    def find_all(self, side: Side) -> list[Found]:
        """The devices there are now, except what only records a loudspeaker.

        Raises:
            SoundError: miniaudio is missing.
        """
        listed = self._look(_load())[side]
        if self._context is not None and self._context.backend == _BARE:
            listed = [each for each in listed if each[2] or b":" in each[0]]  # the others are ALSA's plugins
        listed = [each for each in listed if not each[0].endswith(_MONITOR)]
        names = Counter(name for _, name, _ in listed)
        return [
            Found(self, key, name if names[name] == 1 else f"{name} ({key.decode(errors='replace')})", is_default)
            for key, name, is_default in listed
        ]

    def capture(self, microphone: Found, talk: Talk) -> _Stream:
        """Open and start a microphone; miniaudio converts its rate and channels itself.

        Raises:
            SoundError: it refuses.
        """
        module = _load()
        which = {"device_id": self._id(Side.SOURCE, microphone), "buffersize_msec": CAPTURE}
        return _start(module, module.CaptureDevice, microphone, which, _capture(Intake(RATE, talk)))

    def play(self, speaker: Found, hear: Hear, *, is_near: bool) -> _Stream:
        """Open and start a loudspeaker; miniaudio converts its rate and channels itself.

        Raises:
            SoundError: it refuses.
        """
        module = _load()
        period = PLAY_NEAR if is_near else PLAY
        which = {"device_id": self._id(Side.SINK, speaker), "buffersize_msec": period}
        return _start(module, module.PlaybackDevice, speaker, which, _playback(Outlet(RATE, hear), _BUFFER * period))

    def refresh(self) -> None:
        """Nothing to do: the list is always of this moment."""

    def _id(self, side: Side, device: Found) -> Any:
        """The default is chosen by the server, which may move the stream later on."""
        return None if device.is_default else self._ids.get((side, device.key))  # type: ignore[arg-type]

    def _look(self, module: ModuleType) -> _Listed:
        if self._context is None or self._context.backend != _BARE:
            self._listed = (None if self._context is None else self._list(module)) or self._list_anew(module)
        elif time.monotonic() > self._made + RENEW:  # 6 ms, and a sound server may have come up
            self._listed = self._list_anew(module)
        return self._listed

    def _list_anew(self, module: ModuleType) -> _Listed:
        """There may be a sound server now, or another one."""
        try:
            self._context, self._made = module.Devices(_choices(module)), time.monotonic()
        except module.MiniaudioError:
            self._context = None
            return _NOTHING
        return self._list(module) or _NOTHING

    def _list(self, module: ModuleType) -> _Listed | None:
        new = module.ffi.new
        outputs, output_count = new("ma_device_info**"), new("ma_uint32*")
        inputs, input_count = new("ma_device_info**"), new("ma_uint32*")
        asked = (outputs, output_count, inputs, input_count)
        if module.lib.ma_context_get_devices(self._context._context, *asked):
            return None
        self._ids.clear()
        return {
            side: [self._take(module, side, infos[0][at]) for at in range(count[0])]
            for side, infos, count in ((Side.SOURCE, inputs, input_count), (Side.SINK, outputs, output_count))
        }

    def _take(self, module: ModuleType, side: Side, info: Any) -> tuple[bytes, str, bool]:
        number = module.ffi.new("ma_device_id*", info.id)  # a copy: the next list takes the place of this one
        key = bytes(module.ffi.buffer(number)).rstrip(b"\0")
        self._ids[side, key] = number
        return key, module.ffi.string(info.name).decode(errors="replace"), bool(info.isDefault)


@define(eq=False)
class _Stream:
    _device: Any
    _module: ModuleType

    def close(self) -> None:
        """Close the device, and the connection that miniaudio's package leaves open."""
        self._device.close()
        self._module.lib.ma_context_uninit(self._device._context)


def _start(
    module: ModuleType, kind: Any, device: Found, which: dict[str, Any], calls: Generator[Any, Any, None]
) -> _Stream:
    next(calls)
    stream: _Stream | None = None
    try:
        opened = kind(nchannels=1, sample_rate=RATE, callback_periods=PERIODS, app_name="palaver", **which)
        stream = _Stream(opened, module)
        opened.start(calls)
        return stream
    except module.MiniaudioError as why:
        reason = str(why.args[0]) if why.args else "unknown"
        remedy = "connect it again if it is gone, choose another, or end the program that holds it"
        if stream is not None:
            stream.close()
        raise SoundError(f"cannot open {device.name} ({reason})", remedy) from why


def _capture(intake: Intake) -> Generator[None, bytes, None]:
    while True:
        intake.put(_samples((yield)), _BUFFER * CAPTURE)


def _playback(outlet: Outlet, delay: float) -> Generator[bytes, int, None]:
    frames = yield b""
    while True:
        frames = yield outlet.take(frames, delay).tobytes()


def _samples(data: bytes) -> Samples:
    return np.frombuffer(data, np.int16)


def _choices(module: ModuleType) -> list[Any]:
    """All but the one that makes up a device."""
    return [each for each in module.Backend if each is not module.Backend.NULL and module.is_backend_enabled(each)]


def _load() -> ModuleType:
    """The miniaudio module.

    Raises:
        SoundError: it is missing.
    """
    try:
        import miniaudio
    except ImportError as why:
        raise SoundError(f"miniaudio is missing ({why})", "install it: pip install miniaudio") from why
    return miniaudio  # type: ignore[no-any-return]  # it has no types
