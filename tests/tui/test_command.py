"""The command line of the full screen, and its exit codes."""

from __future__ import annotations

from pathlib import Path

import pytest

from palaver_client.settings import Settings
from palaver_tui import main
from palaver_tui.command import parse


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert "palaver --room lobby" in shown
    assert "palaver serve" in shown


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["ftp://x"], "http"),
        (["--name", ""], "1 to 32"),
        (["--room", "x" * 33], "1 to 32"),
        (["--input", "noise:3"], "no source"),
        (["--output", "tone:3"], "no sink"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_wrong_usage_is_told_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("palaver: ")
    assert told in line


def test_without_a_terminal_it_says_what_to_use_instead(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 1
    assert "palaver call" in capsys.readouterr().err


def test_the_profile_remembers_and_options_go_first() -> None:
    assert not parse(["--profile", "home"]).is_named
    first = parse(["--name", "ann"])
    assert first.is_named
    assert (first.settings.profile, first.url, first.room) == ("ann", "http://127.0.0.1:8440", None)
    Settings("home", first.settings.user_id, "Ann", "attic", "null", "device:Headset").save()
    again = parse(["--profile", "home", "--input", "tone:440", "h:1", "--room", " den  of "])
    assert again.is_named
    assert (again.settings.name, again.settings.room, again.settings.source) == ("Ann", "attic", "null")
    assert (again.url, again.room, again.source, again.sink) == ("h:1", "den of", "tone:440", "device:Headset")
    assert parse(["--profile", "home", "--name", "Eve"]).settings.name == "Eve"
