"""Each import contract bites: a copy of the code with one forbidden import is told which contract that breaks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("protocol", "server", "tui", "scripts", "tests")

# The name of each contract, a package that it binds, and an import that it forbids there.
VIOLATIONS = {
    "The screen stands on the headless client": ("tui/palaver_client", "palaver_tui"),
    "The conformance suite stands on the protocol alone": ("tests/palaver_conformance", "palaver_client"),
    "The protocol is pure": ("protocol/palaver_protocol", "trio"),
    "Owners of media processes see only the process and its messages": ("server/palaver_server", "aiortc"),
    "The process and message modules reach no media library": ("protocol/palaver_media/codec.py", "pylibsrtp"),
    "Server side and client side do not meet": ("server/palaver_worker", "palaver_client"),
    "Bots stand on the client alone": ("scripts/palaver_bots", "palaver_media"),
    "Textual only in the full-screen client": ("tui/palaver_engine", "textual"),
    "Each sound library in one module of the engine": ("tui/palaver_engine", "pywebrtc_audio"),
    "asyncio only in the media processes and under the screen": ("protocol/palaver_media/process.py", "asyncio"),
    "Trio only outside the media processes": ("protocol/palaver_media/child.py", "trio"),
}


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"]
    path = os.pathsep.join(str(folder / name) for name in FOLDERS)
    environment = {**os.environ, "PYTHONPATH": path, "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    for name in FOLDERS:
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.fixture(params=VIOLATIONS.items(), ids=VIOLATIONS)
def violated(request: pytest.FixtureRequest, copy: Path) -> Iterator[str]:
    """Add one forbidden import to the copy for a while; the name of the contract it breaks."""
    name, (where, forbidden) = request.param
    target = copy / where
    module = target if target.suffix else target / "__init__.py"
    text = module.read_text()
    module.write_text(f"{text}\nimport {forbidden}\n")
    yield name
    module.write_text(text)


def test_every_contract_is_tried() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert {contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]} == set(VIOLATIONS)


def test_a_forbidden_import_breaks_its_contract(violated: str, copy: Path) -> None:
    result = lint_imports(copy)
    assert f"{violated} BROKEN" in result.stdout, result.stdout + result.stderr
    assert result.returncode == 1
