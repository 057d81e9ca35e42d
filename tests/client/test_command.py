"""The `palaver` command: it teaches, it is quick, and it never shows a traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import palaver_command
from world import children_of

PALAVER = (sys.executable, "-m", "palaver_command")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PALAVER, *arguments], capture_output=True, text=True, timeout=30, check=False)


def is_engine(pid: int) -> bool:
    return b"palaver_engine" in Path(f"/proc/{pid}/cmdline").read_bytes()


def test_help_teaches_each_command_with_an_example() -> None:
    shown = run("--help")
    assert shown.returncode == 0
    for command in palaver_command.COMMANDS:
        assert re.search(rf"^  {command}\s", shown.stdout, re.MULTILINE)
        assert f"palaver {command}" in shown.stdout


@pytest.mark.parametrize("command", [*palaver_command.COMMANDS])
def test_every_command_helps(command: str) -> None:
    shown = run(*command.split(), "--help")
    assert shown.returncode == 0
    assert f"palaver {command}" in shown.stdout


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, palaver_command; palaver_command.main(['--help']);"
        "heavy = {'trio', 'textual', 'numpy', 'asyncio', 'attrs', 'orjson'};"
        "print(sorted(heavy & sys.modules.keys()), file=sys.stderr)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stderr == "[]\n"


def test_ctrl_c_while_devices_are_looked_for_is_told_to_the_shell() -> None:
    with subprocess.Popen([*PALAVER, "devices"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        while program.poll() is None and not any(is_engine(each) for each in children_of(program.pid)):
            continue
        program.send_signal(signal.SIGINT)
        assert program.wait(30) == 128 + signal.SIGINT
        assert program.communicate() == ("", "")


def test_version() -> None:
    assert run("--version").stdout.startswith("palaver 0.")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sevre", "--port", "1"], "did you mean palaver serve --port 1"),
        (["cal"], "did you mean palaver call"),
        (["bot"], "which bot? there is: echo"),
        (["bot", "ecko"], "which bot? there is: echo"),
        (["frobnicate"], "http://frobnicate:8440"),
    ],
)
def test_an_unknown_command_suggests_the_nearest(arguments: Sequence[str], said: str) -> None:
    shown = run(*arguments)
    assert shown.returncode == 2
    assert shown.stdout == ""
    assert said in shown.stderr
    assert shown.stderr.count("\n") == 1


def test_the_help_of_calls_tells_what_is_not_remembered() -> None:
    assert "is remembered, but for /mute, /deafen and /echotest" in run("call", "--help").stdout


def test_a_form_of_recordings_that_there_is_not_tells_which_there_are() -> None:
    shown = run("call", "http://127.0.0.1:1", "--record", "mp3")
    assert shown.returncode == 2
    assert "argument --record: 'mp3' is none of ogg, wav" in shown.stderr


@pytest.mark.parametrize("arguments", [[], ["http://x"], ["localhost"], ["--name", "Ada"], ["host.example"]])
def test_everything_else_is_for_the_screen(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []

    def load(module: str) -> palaver_command.Main:
        return lambda argv: asked.append((module, list(argv))) or 0

    monkeypatch.setattr(palaver_command, "load", load)
    assert palaver_command.main(arguments) == 0
    assert asked == [(palaver_command.SCREEN, arguments)]


def test_ctrl_c_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(argv: Sequence[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(palaver_command, "load", lambda module: interrupted)
    assert palaver_command.main(["serve"]) == palaver_command.INTERRUPTED


def test_a_reader_that_has_enough_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    shown = subprocess.run([*PALAVER, "--help"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writing)
    assert (shown.returncode, shown.stderr) == (0, "")
