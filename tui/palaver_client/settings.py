"""What a person keeps between calls: one file per profile in the folder for settings (XDG on Linux)."""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import os
import shutil
import tempfile
import uuid
from pathlib import Path
from typing import Final
from urllib.parse import quote

import orjson
from attrs import field, fields, frozen
from platformdirs import user_config_path

from palaver_protocol.converter import read_name
from palaver_protocol.models import UserId

from .kept_sound import read_sound, write_sound
from .sound_choices import SoundSettings

DEFAULT_ROOM: Final = "lobby"
DEVICE: Final = "device"
MAX_FILE_NAME: Final = 120  # characters


@frozen
class Settings:
    """One profile's settings.

    `user_id` is a UUID v4 made once, `source` and `sink` are specs. `problem` tells people what was wrong with the
    file, and is empty when all is well.
    """

    profile: str
    user_id: UserId
    name: str
    room: str = DEFAULT_ROOM
    source: str = DEVICE
    sink: str = DEVICE
    sound: SoundSettings = field(factory=SoundSettings)
    problem: str = field(default="", eq=False)

    @classmethod
    def load(cls, profile: str, folder: Path | None = None) -> Settings:
        """The settings of a profile; new ones where there are none yet.

        A file that cannot be used is set aside, so that nothing is lost, and new settings are made.
        """
        path = settings_path(profile, folder)
        try:
            settings = _read(profile, path.read_bytes())
            if settings.problem:  # what was bad will be written over
                with contextlib.suppress(OSError):
                    shutil.copy2(path, path.with_suffix(".broken"))
            return settings
        except FileNotFoundError:
            return cls(profile, _new_id(), _default_name(profile))
        except OSError as why:
            problem = f"your settings in {path} cannot be read ({why.strerror}); starting with new ones"
        except ValueError as why:
            problem = f"your settings in {path} are broken ({why}); {_set_aside(path)}"
        return cls(profile, _new_id(), _default_name(profile), problem=problem)

    def save(self, folder: Path | None = None) -> None:
        """Write the settings, whole or not at all, for nobody else's eyes.

        Raises:
            OSError: they cannot be written.
        """
        path = settings_path(self.profile, folder)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = {name: getattr(self, name) for name in _TEXTS} | {"sound": write_sound(self.sound)}
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # readable by its owner only
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise


_TEXTS: Final = {a.name for a in fields(Settings)} - {"profile", "problem", "sound"}


def settings_path(profile: str, folder: Path | None = None) -> Path:
    """Where a profile's settings are; any text can name a profile."""
    name = quote(profile, safe=" ")
    if len(name) > MAX_FILE_NAME:
        name = hashlib.sha256(profile.encode()).hexdigest()
    return (folder or user_config_path("palaver")) / "profiles" / f"{name}.json"


def _read(profile: str, content: bytes) -> Settings:
    """The settings in a file's content; raises ValueError where it is none of ours."""
    found = orjson.loads(content)
    if not isinstance(found, dict) or not {"user_id", "name"} <= found.keys():
        raise ValueError("not settings")
    kept = {key: value for key, value in found.items() if key in _TEXTS}
    if not all(isinstance(value, str) for value in kept.values()):
        raise ValueError("not texts")
    kept["user_id"] = str(uuid.UUID(kept["user_id"]))
    kept["name"] = read_name(kept["name"])
    sound, wrong = read_sound(found.get("sound", {}))
    problem = f"your settings have bad values for {', '.join(wrong)}; the usual ones are used" if wrong else ""
    return Settings(profile, **kept, sound=sound, problem=problem)


def _set_aside(path: Path) -> str:
    aside = path.with_suffix(".broken")
    try:
        os.replace(path, aside)
    except OSError:
        return "starting with new ones"
    return f"they are kept as {aside.name}, starting with new ones"


def _new_id() -> UserId:
    return UserId(str(uuid.uuid4()))


def _default_name(profile: str) -> str:
    with contextlib.suppress(ValueError):
        return read_name(profile)
    return "guest"


def default_profile() -> str:
    """Whoever is logged in."""
    try:
        return getpass.getuser() or "guest"
    except (OSError, KeyError):
        return "guest"
