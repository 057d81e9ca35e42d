"""docs/architecture.md names files and functions that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {".py", ".toml", ".c"}
PAGE = (ROOT / "docs/architecture.md").read_text()
FOLDERS = ("protocol", "server", "tui", "scripts")
SOURCES = [file for folder in FOLDERS for kind in ("*.py", "*.c") for file in (ROOT / folder).rglob(kind)]
CODE = "\n".join(file.read_text() for file in SOURCES)
QUOTED = sorted(set(re.findall(r"`([^`\n]+)`", PAGE)))


@pytest.mark.parametrize("path", [quoted for quoted in QUOTED if quoted.endswith((".py", ".c"))])
def test_files_exist(path: str) -> None:
    assert [file for file in SOURCES if f"/{path}" in str(file)]


def names() -> list[str]:
    words = {"match", "finally", "palaver", "l"}  # of Python and of the user, not of the code
    is_name = re.compile(r"[A-Za-z_]+(\.[a-z_]+)?").fullmatch
    return [quoted for quoted in QUOTED if is_name(quoted) and quoted not in words and Path(quoted).suffix not in FILES]


@pytest.mark.parametrize("name", names())
def test_names_exist(name: str) -> None:
    owner, _, member = name.partition(".")
    if not member:
        assert re.search(rf"^(?:async )?(?:def|class) {owner}\b", CODE, re.MULTILINE)
        return
    bodies = re.findall(rf"^class {owner}\b.*?(?=^[@\w]|\Z)", CODE, re.MULTILINE | re.DOTALL)
    assert any(re.search(rf"^    (?:(?:async )?def {member}\b|{member}:)", body, re.MULTILINE) for body in bodies)
