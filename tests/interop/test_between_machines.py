"""A call between two machines, with `--insecure`: each reaches the server at another address."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from interop.namespaces import run_apart

HERE = Path(__file__).parent


@pytest.mark.timeout(120)
def test_a_call_between_two_machines(tmp_path: Path) -> None:
    run_apart(tmp_path, str(HERE / "two_machines.sh"), sys.executable)
    for me, other in (("near", "far"), ("far", "near")):
        events: list[dict[str, Any]] = [json.loads(line) for line in (tmp_path / f"{me}.json").read_text().splitlines()]
        assert any(event["event"] == "mediaStarted" and event["name"] == other for event in events), events
        assert any(event["event"] == "notice" and event["code"] == "insecure" for event in events), events
