"""Settings: whole or not at all, nobody else's business, and never a reason to fail."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from palaver_client import Settings
from palaver_client.settings import MAX_FILE_NAME, settings_path


def test_a_new_profile_is_somebody(tmp_path: Path) -> None:
    settings = Settings.load("Ada", tmp_path)
    assert uuid.UUID(settings.user_id).version == 4
    assert (settings.name, settings.room, settings.source, settings.sink) == ("Ada", "lobby", "device", "device")
    assert settings.problem == ""


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    settings = evolve(Settings.load("p", tmp_path), name="Ada L.", room="lounge", source="device:Mic", sink="null")
    settings.save(tmp_path)
    assert Settings.load("p", tmp_path) == settings


def test_two_profiles_are_two_people(tmp_path: Path) -> None:
    assert Settings.load("a", tmp_path).user_id != Settings.load("b", tmp_path).user_id


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    Settings.load("p", tmp_path).save(tmp_path)
    path = settings_path("p", tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b'{"user_id": 1, "name": "x"}',
        b'{"user_id": "not a uuid", "name": "x"}',
        b'{"user_id": "7f2c1f0e-4a3e-4f57-9d8b-2f4b7f1f3a11", "name": ""}',
        b'{"user_id": "7f2c1f0e-4a3e-4f57-9d8b-2f4b7f1f3a11", "name": "x", "source": []}',
        b"\xff\xfe",
    ],
)
def test_a_broken_file_is_set_aside_and_told(tmp_path: Path, content: bytes) -> None:
    path = settings_path("p", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    settings = Settings.load("p", tmp_path)
    assert settings.name == "p"
    assert "broken" in settings.problem
    assert path.with_suffix(".broken").read_bytes() == content
    settings.save(tmp_path)
    assert Settings.load("p", tmp_path).user_id == settings.user_id


def test_a_file_of_a_later_version_keeps_what_we_know(tmp_path: Path) -> None:
    path = settings_path("p", tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text('{"user_id": "7f2c1f0e-4a3e-4f57-9d8b-2f4b7f1f3a11", "name": "Ada", "theme": "dark"}')
    assert Settings.load("p", tmp_path).problem == ""


def test_an_unreadable_place_is_no_reason_to_fail(tmp_path: Path) -> None:
    settings_path("p", tmp_path).mkdir(parents=True)  # a folder where the file should be
    assert "cannot be read" in Settings.load("p", tmp_path).problem


def test_a_failed_write_leaves_the_old_file_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings.load("p", tmp_path)
    settings.save(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        evolve(settings, room="other").save(tmp_path)
    assert Settings.load("p", tmp_path) == settings
    assert len(list(settings_path("p", tmp_path).parent.iterdir())) == 1


@given(st.text(min_size=1, max_size=300))
def test_any_text_names_a_profile_inside_the_folder(profile: str) -> None:
    path = settings_path(profile, Path("folder"))
    assert path.parent == Path("folder/profiles")
    assert path.suffix == ".json"
    assert len(path.name) <= MAX_FILE_NAME + 5
    assert path.name.isascii()


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_two_profiles_have_two_files(one: str, other: str) -> None:
    assert (settings_path(one) == settings_path(other)) == (one == other)
