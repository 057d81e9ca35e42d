"""Tests marked `long` run only when they are asked for."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[1] / "conftest.py"
TESTS = """
import pytest

def test_quick(): pass

@pytest.mark.long
def test_soak(): pass
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shutil.copy(CONFTEST, tmp_path)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = long: with --long\n")
    (tmp_path / "test_both.py").write_text(TESTS)
    return tmp_path


@pytest.mark.parametrize(
    ("options", "closing"), [([], "1 passed, 1 deselected"), (["--long"], "2 passed")], ids=["quick", "long"]
)
def test_long_tests_run_only_on_demand(suite: Path, options: list[str], closing: str) -> None:
    command = [sys.executable, "-m", "pytest", "-q", *options]
    result = subprocess.run(command, cwd=suite, capture_output=True, text=True, check=False)
    assert closing in result.stdout, result.stdout + result.stderr
