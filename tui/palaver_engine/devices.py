"""Which sound devices there are, and which of them a name means.

PortAudio comes first, for its latency. miniaudio knows devices that PortAudio does not see (each one of a PulseAudio
server), and takes its place where it is missing or finds nothing. `PALAVER_SOUND` names the only one to use.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from attrs import evolve, frozen

from palaver_media.engine_messages import Device, Devices, Side

from .backends import Backend, Found
from .miniaudio_backend import Miniaudio
from .portaudio import PortAudio
from .specs import SoundError

SETTING: Final = "PALAVER_SOUND"
_BACKENDS: Final[dict[str, Backend]] = {each.name: each for each in (PortAudio(), Miniaudio())}
_NO_DEVICE: Final = "connect one, or start the sound server (PipeWire or PulseAudio)"


@frozen
class Listing:
    """A library's devices of one side, and whether it may have some that the libraries before it have not."""

    found: Sequence[Found]
    sees_more: bool


def list_devices() -> Devices:
    """What there is, under names that `find` takes."""
    try:
        inputs, outputs = find_all(Side.SOURCE), find_all(Side.SINK)
    except SoundError as why:
        return none(why)
    if not inputs and not outputs:
        return none(SoundError("there is no sound device", _NO_DEVICE))
    return Devices(tell(inputs), tell(outputs), "")


def tell(found: Sequence[Found]) -> tuple[Device, ...]:
    """The devices of one side as they are told: one default, that of the earlier library."""
    default = next((each for each in found if each.is_default), None)
    return tuple(Device(each.name, each is default, each.backend.name) for each in found)


def none(why: SoundError) -> Devices:
    """No devices, and why."""
    return Devices((), (), f"{why.reason}; {why.remedy}")


def find(name: str, side: Side) -> Found:
    """The device that a name means; a part of the name will do if it is of one alone, and none means the default.

    Raises:
        SoundError: there is none, or there are several.
    """
    return choose(name, find_all(side), side)


def find_all(side: Side) -> list[Found]:
    """The devices of all libraries, as `merge` has them.

    Raises:
        SoundError: there is none, and the first library says why.
    """
    return merge([_ask(backend, side) for backend in backends()])


def merge(said: Sequence[Listing | SoundError]) -> list[Found]:
    """The devices of several libraries, without those that an earlier one has under the same name.

    Raises:
        SoundError: there is none, and the first library that does not work says why.
    """
    found: list[Found] = []
    refusal: SoundError | None = None
    for each in said:
        if isinstance(each, SoundError):
            refusal = refusal or each
            continue
        known = {device.name for device in found}
        if not found or each.sees_more:
            found += [device for device in each.found if device.name not in known]
    if refusal is not None and not found:
        raise refusal
    return found


def choose(name: str, found: Sequence[Found], side: Side) -> Found:
    """The device that a name means, among those of one side; the earlier library's comes first.

    Raises:
        SoundError: there is none, or there are several.
    """
    if not name:
        default = next((each for each in found if each.is_default), None)
        if default is None:
            raise SoundError(f"there is no {_word(side)} device", _NO_DEVICE)
        return default
    folded = name.casefold()
    ways: tuple[Callable[[str], bool], ...] = (
        lambda other: other == name,
        lambda other: other.casefold() == folded,
        lambda other: folded in other.casefold(),
    )
    for fits in ways:
        fitting = [each for each in found if fits(each.name)]
        fitting = [each for each in fitting if each.backend is fitting[0].backend]
        if len(fitting) == 1:
            return evolve(fitting[0], is_default=False)  # this one, whatever becomes the default
        if fitting:
            reason = f"several {_word(side)} devices are named like {name!r}"
            raise SoundError(reason, f"choose one of: {_names(fitting)}")
    remedy = f"choose one of: {_names(found)}" if found else _NO_DEVICE
    raise SoundError(f"there is no {_word(side)} device named {name!r}", remedy)


def refresh() -> None:
    """See devices that came and went. No stream may be open."""
    for backend in backends():
        backend.refresh()


def backends() -> list[Backend]:
    """The libraries to try, in this order.

    Raises:
        SoundError: the one that was chosen does not exist.
    """
    wanted = os.environ.get(SETTING, "")
    if not wanted:
        return list(_BACKENDS.values())
    if wanted not in _BACKENDS:
        raise SoundError(f"{SETTING} is {wanted!r}", f"set it to {' or '.join(_BACKENDS)}")
    return [_BACKENDS[wanted]]


def _ask(backend: Backend, side: Side) -> Listing | SoundError:
    try:
        found = backend.find_all(side)
    except SoundError as why:
        return why
    return Listing(found, backend.sees_more)


def _names(found: Sequence[Found]) -> str:
    return ", ".join(each.name for each in found)


def _word(side: Side) -> str:
    return "input" if side is Side.SOURCE else "output"
