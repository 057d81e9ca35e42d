"""What can be turned in one's own sound, a step at a time, and what that makes of the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from attrs import evolve

from palaver_client.sound_choices import SoundSettings, with_person, with_transmit
from palaver_media.sound_settings import BITRATES, FRAMES, MICROPHONE_DB, VOLUME_DB, RecordingForm, Transmit

from . import keys
from .knobs import Knob
from .wishes import Deafen, Hush, Prefer, Tune, Turn, TurnPerson

T = TypeVar("T")

STEP: Final = 3.0  # dB
BITRATE_STEP: Final = 8_000  # bit/s
TALK_KEYS: Final = tuple(each.key for each in keys.TALK_KEYS)
PARTS: Final[Mapping[Knob, str]] = {
    Knob.ECHO: "echo",
    Knob.NOISE: "noise",
    Knob.GAIN: "gain",
    Knob.HIGH_PASS: "high_pass",
}


def talk_key(settings: SoundSettings) -> str:
    """The key for push-to-talk; one that is something else here, as another program may have it, is not used."""
    return settings.talk_key if settings.talk_key in TALK_KEYS else TALK_KEYS[0]


def tuned(settings: SoundSettings, wish: Tune) -> SoundSettings:
    """What is chosen once the wish is granted."""
    match wish:
        case Turn():
            return _TURNS[wish.knob](settings, wish.step)
        case TurnPerson():
            old = settings.volume_of(wish.user_id)
            louder = evolve(old, volume_db=between(old.volume_db + STEP * wish.step, VOLUME_DB))
            return with_person(settings, wish.user_id, louder)
        case Hush():
            hushed = evolve(settings.volume_of(wish.user_id), is_muted=wish.is_muted)
            return with_person(settings, wish.user_id, hushed)
        case Prefer():
            preferred = evolve(settings.volume_of(wish.user_id), is_priority=wish.is_priority)
            return with_person(settings, wish.user_id, preferred)
        case Deafen():
            return evolve(settings, volume=evolve(settings.volume, is_deaf=wish.is_deaf))


def between(value: float, limits: tuple[float, float]) -> float:
    """The value, or the limit that it is beyond."""
    return min(max(value, limits[0]), limits[1])


def _next(values: Sequence[T], value: T, step: int) -> T:
    """The next one, and after the last the first."""
    return values[(values.index(value) + step) % len(values)]


def _part(name: str) -> Callable[[SoundSettings, int], SoundSettings]:
    def switched(settings: SoundSettings, step: int) -> SoundSettings:
        if name == "echo" and settings.is_headset:
            return settings  # the headset has it off
        change: dict[str, Any] = {name: not getattr(settings.capture, name)}
        return evolve(settings, capture=evolve(settings.capture, **change))

    return switched


def _transmit(settings: SoundSettings, step: int) -> SoundSettings:
    return with_transmit(settings, _next(tuple(Transmit), settings.capture.transmit, step))


def _talk_key(settings: SoundSettings, step: int) -> SoundSettings:
    return evolve(settings, talk_key=_next(TALK_KEYS, talk_key(settings), step))


def _headset(settings: SoundSettings, step: int) -> SoundSettings:
    return evolve(settings, is_headset=not settings.is_headset)


def _microphone(settings: SoundSettings, step: int) -> SoundSettings:
    level = between(settings.capture.microphone_db + STEP * step, MICROPHONE_DB)
    return evolve(settings, capture=evolve(settings.capture, microphone_db=level))


def _volume(settings: SoundSettings, step: int) -> SoundSettings:
    level = between(settings.volume.volume_db + STEP * step, VOLUME_DB)
    return evolve(settings, volume=evolve(settings.volume, volume_db=level))


def _frame(settings: SoundSettings, step: int) -> SoundSettings:
    if settings.is_headset:
        return settings  # its frames are short
    frame = _next(FRAMES, settings.encoding.frame_ms, step)
    return evolve(settings, encoding=evolve(settings.encoding, frame_ms=frame))


def _bitrate(settings: SoundSettings, step: int) -> SoundSettings:
    bitrate = int(between(settings.encoding.bitrate + BITRATE_STEP * step, BITRATES))
    return evolve(settings, encoding=evolve(settings.encoding, bitrate=bitrate))


def _form(settings: SoundSettings, step: int) -> SoundSettings:
    return evolve(settings, form=_next(tuple(RecordingForm), settings.form, step))


_TURNS: Final[Mapping[Knob, Callable[[SoundSettings, int], SoundSettings]]] = {
    Knob.TRANSMIT: _transmit,
    Knob.TALK_KEY: _talk_key,
    Knob.HEADSET: _headset,
    **{knob: _part(name) for knob, name in PARTS.items()},
    Knob.MICROPHONE: _microphone,
    Knob.VOLUME: _volume,
    Knob.FRAME: _frame,
    Knob.BITRATE: _bitrate,
    Knob.FORM: _form,
}
