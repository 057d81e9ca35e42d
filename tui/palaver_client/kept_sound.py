"""What was chosen for the sound, as it is kept in a profile's JSON: read value by value, for one may be bad alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from attrs import asdict, evolve

from palaver_media.sound_settings import PersonVolume, RecordingForm, Transmit
from palaver_protocol.models import UserId

from .sound_choices import MAX_PEOPLE, TALK_KEYS, SoundSettings, with_transmit

MAX_ID: Final = 200  # characters
_PLAIN: Final = {"is_headset", "recordings", "talk_key", "volume_db", "form"}


def write_sound(settings: SoundSettings) -> dict[str, Any]:
    """As JSON has it. Nobody is deaf the next time, for he would not know why he hears nothing."""
    capture = asdict(settings.capture) | {"transmit": settings.capture.transmit.value}
    return {
        "capture": capture,
        "encoding": asdict(settings.encoding),
        "volume_db": settings.volume.volume_db,
        "people": {user: asdict(volume) for user, volume in settings.people.items()},
        "is_headset": settings.is_headset,
        "recordings": settings.recordings,
        "form": settings.form.value,
        "talk_key": settings.talk_key,
    }


def read_sound(kept: object) -> tuple[SoundSettings, list[str]]:
    """What was kept, with the usual values for bad ones, whose names come with it."""
    settings, wrong = SoundSettings(), list[str]()
    for name, value in _values(kept):
        try:
            settings = _with(settings, name, value)
        except (ValueError, TypeError):
            wrong.append(name[0] if name[0] == "people" else " ".join(filter(None, name)))
    return settings, list(dict.fromkeys(wrong))


def _values(kept: object) -> Iterator[tuple[tuple[str, str], object]]:
    """Each value by its two names, of which the second is empty where there are no parts."""
    if not isinstance(kept, dict):
        yield ("sound", ""), kept
        return
    for name in kept.keys() & _PLAIN:
        yield (name, ""), kept[name]
    for name in ("capture", "encoding", "people"):
        part = kept.get(name, {})
        if not isinstance(part, dict):
            yield (name, ""), part
            continue
        for inner, value in list(part.items())[-MAX_PEOPLE:]:
            yield (name, inner), value


def _with(settings: SoundSettings, name: tuple[str, str], value: Any) -> SoundSettings:
    """The settings with one value. Raises TypeError or ValueError where it is bad."""
    match name:
        case ("sound", _):
            raise TypeError("no parts")
        case ("volume_db", _):
            return evolve(settings, volume=_like(settings.volume, "volume_db", value))
        case ("form", _):
            return evolve(settings, form=RecordingForm(value))
        case ("capture", "transmit"):
            return with_transmit(settings, Transmit(value))
        case ("capture", inner):
            return evolve(settings, capture=_like(settings.capture, inner, value))
        case ("encoding", inner):
            return evolve(settings, encoding=_like(settings.encoding, inner, value))
        case ("people", user):
            return _with_kept_person(settings, user, value)
        case (plain, _):
            return cast(SoundSettings, _like(settings, plain, value))


def _with_kept_person(settings: SoundSettings, user: str, found: object) -> SoundSettings:
    if not isinstance(found, dict) or not 0 < len(user) <= MAX_ID:
        raise TypeError("no person")
    volume = PersonVolume()
    for name in found.keys() & asdict(volume).keys():
        volume = _like(volume, name, found[name])
    return evolve(settings, people={**settings.people, UserId(user): volume})


def _like(holder: Any, name: str, value: Any) -> Any:
    """The holder with a value of the same kind as it has; what is of a later version is passed over.

    Raises:
        TypeError or ValueError: it is another kind, or out of range.
    """
    if not name:
        raise TypeError("no parts")
    usual = getattr(holder, name, None)
    if usual is None:
        return holder
    if isinstance(usual, float) and type(value) is int:
        value = float(value)
    if type(value) is not type(usual) or (name == "talk_key" and value not in TALK_KEYS):
        raise TypeError(name)
    return evolve(holder, **{name: value})
