"""Each import contract bites: a copy of the code that breaks them all is told so, contract by contract."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("protocol", "server", "tui", "scripts")

# The name of each contract, a package that it binds, and an import that it forbids there.
VIOLATIONS = {
    "The screen stands on the headless client": ("tui/palaver_client", "palaver_tui"),
    "The protocol is pure": ("protocol/palaver_protocol", "trio"),
    "Owners of media processes see only the process and its messages": ("server/palaver_server", "aiortc"),
    "The process and message modules reach no media library": ("protocol/palaver_media/codec.py", "pylibsrtp"),
    "Server side and client side do not meet": ("server/palaver_worker", "palaver_client"),
    "Textual only in the full-screen client": ("tui/palaver_engine", "textual"),
    "sounddevice only in the engine": ("tui/palaver_tui", "sounddevice"),
    "asyncio only in the media processes and under the screen": ("protocol/palaver_media/process.py", "asyncio"),
    "Trio only outside the media processes": ("protocol/palaver_media/child.py", "trio"),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    path = os.pathsep.join(str(folder / name) for name in FOLDERS)
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def break_contract(folder: Path, where: str, forbidden: str) -> None:
    target = folder / where
    module = target if target.suffix else target / "__init__.py"
    with module.open("a") as code:
        code.write(f"\nimport {forbidden}\n")


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("copy")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    for where, forbidden in VIOLATIONS.values():
        break_contract(folder, where, forbidden)
    result = lint_imports(folder)
    assert result.returncode == 1, result.stdout + result.stderr
    return dict(re.findall(r"^(.+?) (KEPT|BROKEN)\b", result.stdout, re.MULTILINE))


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]} == set(VIOLATIONS)


@pytest.mark.parametrize("name", VIOLATIONS)
def test_a_forbidden_import_breaks_its_contract(name: str, verdicts: dict[str, str]) -> None:
    assert verdicts[name] == "BROKEN"
