"""The files around the code say what is true, and name nothing of the machine they were written on."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Written in two parts, so that this file does not find itself.
MACHINE_PATHS = re.compile(r"/(?:root|home|work|Users)/" r"\w")
REGISTRY_HOSTS = re.compile(r"pypi\." r"org|python" r"hosted|npmjs\.(?:com|org)|registry\." r"npm")


def tracked_files() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def text_of(file: Path) -> str:
    return file.read_text(errors="replace") if file.is_file() else ""


@pytest.mark.parametrize("what", [MACHINE_PATHS, REGISTRY_HOSTS], ids=["machine paths", "registry hosts"])
def test_no_file_names_a_machine(what: re.Pattern[str]) -> None:
    found = {str(file.relative_to(ROOT)): match[0] for file in tracked_files() if (match := what.search(text_of(file)))}
    assert found == {}


def test_no_other_lock_file() -> None:
    assert not (ROOT / "uv.lock").exists()


def pinned() -> dict[str, str]:
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in (line.split("==") for line in lines)}


def requirements() -> list[Requirement]:
    lists = (
        PROJECT["project"]["dependencies"],
        *(PROJECT["dependency-groups"][name] for name in ("test", "bench", "dev")),
    )
    return [Requirement(line) for lines in lists for line in lines]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_constraints_pin_every_direct_dependency(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pinned()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("command", ["scripts/start", "scripts/test", ".ci/run"])
def test_scripts_are_executable(command: str) -> None:
    assert os.access(ROOT / command, os.X_OK)


def test_changelog_fragments_are_well_formed() -> None:
    towncrier = [Path(sys.executable).with_name("towncrier"), "build", "--draft", "--version", "next"]
    drafted = subprocess.run(towncrier, cwd=ROOT, capture_output=True, text=True, check=False)
    assert drafted.returncode == 0, drafted.stderr
