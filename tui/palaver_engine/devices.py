"""Sound devices through PortAudio, which may be missing, and which may see no device.

sounddevice is imported late: without PortAudio the import itself fails. Its private names are touched here alone.
All functions belong to the control thread: PortAudio is not thread-safe.
"""

from __future__ import annotations

import platform
from types import ModuleType
from typing import Any, Final

from palaver_media.engine_messages import Device, Devices, Side

from .specs import SoundError

_NO_DEVICE: Final = "connect one, or start the sound server (PipeWire or PulseAudio)"


def portaudio() -> ModuleType:
    """The sounddevice module.

    Raises:
        SoundError: PortAudio is missing.
    """
    try:
        import sounddevice
    except OSError as why:
        raise SoundError(f"PortAudio is missing ({why})", _install()) from why
    return sounddevice  # type: ignore[no-any-return]  # it has no types


def list_devices() -> Devices:
    """What there is, under names that `find` takes."""
    try:
        sound = portaudio()
        inputs = _names(sound, Side.SOURCE)
        outputs = _names(sound, Side.SINK)
    except SoundError as why:
        return none(why)
    if not inputs and not outputs:
        return none(SoundError("there is no sound device", _NO_DEVICE))
    return Devices(inputs, outputs, "")


def none(why: SoundError) -> Devices:
    """No devices, and why."""
    return Devices((), (), f"{why.reason}; {why.remedy}")


def find(name: str, side: Side) -> tuple[int, str]:
    """PortAudio's number of a device and its name; a part of the name will do, and none means the default.

    Raises:
        SoundError: there is none.
    """
    sound = portaudio()
    if not name:
        number = _default(sound, side)
        if number < 0:
            raise SoundError(f"there is no {_word(side)} device", _NO_DEVICE)
        return number, str(sound.query_devices(number)["name"])
    devices = [(int(each["index"]), str(each["name"])) for each in _devices(sound, side)]
    for wanted in (
        lambda found: found == name,
        lambda found: name.casefold() in found.casefold(),
    ):
        for number, found in devices:
            if wanted(found):
                return number, found
    names = ", ".join(found for _, found in devices)
    remedy = f"choose one of: {names}" if names else _NO_DEVICE
    raise SoundError(f"there is no {_word(side)} device named {name!r}", remedy)


def refresh() -> None:
    """See devices that came and went. No stream may be open."""
    try:
        sound = portaudio()
        sound._terminate()
        sound._initialize()
    except SoundError:
        return


def _names(sound: ModuleType, side: Side) -> tuple[Device, ...]:
    default = _default(sound, side)
    return tuple(Device(str(each["name"]), each["index"] == default) for each in _devices(sound, side))


def _devices(sound: ModuleType, side: Side) -> list[dict[str, Any]]:
    return [each for each in sound.query_devices() if each[f"max_{_word(side)}_channels"] > 0]


def _default(sound: ModuleType, side: Side) -> int:
    try:
        return int(sound.query_devices(None, _word(side))["index"])
    except (sound.PortAudioError, ValueError):
        return -1


def _word(side: Side) -> str:
    return "input" if side is Side.SOURCE else "output"


def _install() -> str:
    if platform.system() == "Linux":
        return "install it: apt install libportaudio2 (or your distribution's portaudio)"
    return "install it: pip install --force-reinstall sounddevice"
