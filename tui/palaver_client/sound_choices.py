"""What a person chose for his sound, as one immutable value that is kept between calls, and how it changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, fields, frozen
from platformdirs import user_music_path

from palaver_media.paths import expanded
from palaver_media.sound_settings import Capture, Encoding, PersonVolume, RecordingForm, Transmit, Volume
from palaver_protocol.models import UserId

MAX_PEOPLE: Final = 500  # whose volumes are remembered: those set last
TALK_KEY: Final = "space"
TALK_KEYS: Final = (TALK_KEY, "f8", "f9", "insert", "grave_accent")  # which terminals deliver, and nothing else uses
HEADSET_FRAME: Final = 10  # ms
USUAL: Final = PersonVolume()


@frozen
class SoundSettings:
    """How we are captured, encoded and recorded, and how loud we hear.

    `people` are those who are not heard as usual, whose volume was set last at the end. `is_headset` wants the least
    delay: no echo cancellation and short frames, whatever else was chosen. Without `recordings` the usual folder is
    meant. `talk_key` names the key for push-to-talk.
    """

    capture: Capture = field(factory=Capture)
    encoding: Encoding = field(factory=Encoding)
    volume: Volume = field(factory=Volume)
    people: Mapping[UserId, PersonVolume] = field(factory=dict[UserId, PersonVolume])
    is_headset: bool = False
    recordings: str = ""
    form: RecordingForm = RecordingForm.OGG
    talk_key: str = TALK_KEY

    @property
    def used_capture(self) -> Capture:
        """How the microphone's sound is treated, with the headset taken into account."""
        return evolve(self.capture, echo=False) if self.is_headset else self.capture

    @property
    def used_encoding(self) -> Encoding:
        """How Opus encodes, with the headset taken into account."""
        return evolve(self.encoding, frame_ms=HEADSET_FRAME) if self.is_headset else self.encoding

    def volume_of(self, user: UserId) -> PersonVolume:
        """How somebody is heard."""
        return self.people.get(user, USUAL)

    @property
    def folder(self) -> Path:
        """Where recordings go; as it is written where that is no folder here, which the engine will tell."""
        if not self.recordings:
            return user_music_path() / "palaver"
        try:
            return expanded(self.recordings)
        except OSError:
            return Path(self.recordings)


# -- changes -----------------------------------------------------------------------------------------------------------
def with_person(settings: SoundSettings, user: UserId, volume: PersonVolume) -> SoundSettings:
    """Hear somebody like this; of very many people those that were set longest ago are forgotten."""
    others = [(known, each) for known, each in settings.people.items() if known != user]
    people = others if volume == USUAL else [*others, (user, volume)]
    return evolve(settings, people=dict(people[-MAX_PEOPLE:]))


def with_transmit(settings: SoundSettings, transmit: Transmit) -> SoundSettings:
    """Send always, by voice, or while a key is held."""
    return evolve(settings, capture=evolve(settings.capture, transmit=transmit))


def carried_over(kept: SoundSettings, old: SoundSettings, new: SoundSettings) -> SoundSettings:
    """What is remembered when `old` became `new`: only what was changed, not what a command line chose for one run."""
    changed: SoundSettings = _carried(kept, old, new)
    people = kept
    for user in {**old.people, **new.people}:
        if old.volume_of(user) != new.volume_of(user):
            people = with_person(people, user, new.volume_of(user))
    return evolve(changed, people=people.people)


def _carried(kept: Any, old: Any, new: Any) -> Any:
    changes: dict[str, Any] = {}
    for attribute in fields(type(kept)):
        mine, before, now = (getattr(each, attribute.name) for each in (kept, old, new))
        if before != now:
            changes[attribute.name] = _carried(mine, before, now) if hasattr(now, "__attrs_attrs__") else now
    return evolve(kept, **changes)
