"""What README.md says is so: its commands, its links and its example."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from running import running, serving

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def commands_in_readme() -> set[str]:
    return set(re.findall(r"^\$? ?(scripts/\w+)", README, re.MULTILINE))


def test_readme_names_the_two_commands() -> None:
    assert {"scripts/start", "scripts/test"} <= commands_in_readme()
    assert all(os.access(ROOT / command, os.X_OK) for command in commands_in_readme())


def subcommands_in_readme() -> set[str]:
    code = re.findall(r"```\w*\n.*?```|`[^`\n]+`", README, re.DOTALL)
    return set(re.findall(r"(?<![\w/.-])palaver ((?:bot )?[a-z]+)(?![\w:])", "\n".join(code)))


@pytest.mark.parametrize("subcommand", sorted(subcommands_in_readme()))
def test_readme_names_only_subcommands_that_exist(subcommand: str) -> None:
    palaver = Path(sys.executable).with_name("palaver")
    shown = subprocess.run([palaver, *subcommand.split(), "--help"], capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stderr
    assert f"palaver {subcommand}" in shown.stdout


def test_readme_links_lead_somewhere() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.trio
async def test_the_bot_of_the_readme_greets_who_joins(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    env = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    silent = ("--input", "null", "--output", "null")
    async with serving() as (url, _), trio.open_nursery() as nursery:
        (tmp_path / "greeter.py").write_text(code.replace("http://127.0.0.1:8440", url))
        bot = [sys.executable, str(tmp_path / "greeter.py")]
        process: trio.Process = await nursery.start(trio.run_process, bot)
        async with running("call", url, "--room", "lounge", "--name", "Bo", "--json", *silent, env=env) as person:
            joined = await person.wait_event("joined")
            if "Greeter" not in str(joined):
                await person.wait_event("userJoined", name="Greeter")
            async with running("call", url, "--room", "lounge", "--name", "Ada", "--json", *silent, env=env):
                await person.wait_event("message", name="Greeter", text="Welcome, Ada!")
        assert process.poll() is None
        nursery.cancel_scope.cancel()
