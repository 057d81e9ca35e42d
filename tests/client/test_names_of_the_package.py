"""The package gives, when it is asked, just the names that type checkers see."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import palaver_client

TREE = ast.parse(Path(palaver_client.__file__).read_text())
SEEN = {
    alias.name: f"{'.' * node.level}{node.module}"
    for node in ast.walk(TREE)
    if isinstance(node, ast.ImportFrom) and node.module not in ("importlib", "typing")
    for alias in node.names
}


def test_all_names_are_seen() -> None:
    assert set(palaver_client.__all__) == SEEN.keys()


@pytest.mark.parametrize(("name", "home"), SEEN.items(), ids=SEEN)
def test_what_is_given_is_what_is_seen(name: str, home: str) -> None:
    assert getattr(palaver_client, name) is getattr(import_module(home, "palaver_client"), name)


def test_there_are_no_other_names() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        palaver_client.nonsense  # noqa: B018 # asking is what is tried


def test_a_command_line_is_read_without_trio() -> None:
    program = "import sys, palaver_client.line_mode; sys.exit('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
