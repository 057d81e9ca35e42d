"""Clients nobody here wrote, unmodified: python-socketio, pymediasoup and aiortc, with a late joiner."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from interop.namespaces import run_apart

HERE = Path(__file__).parent


@pytest.mark.timeout(120)
def test_pymediasoup_peers_hear_each_other_and_a_late_joiner_hears_both(tmp_path: Path) -> None:
    # aioice gathers no loopback addresses: the call takes place where there is another address
    peers = (str(HERE / "call.sh"), sys.executable, str(HERE / "pymediasoup_peers.py"))
    assert json.loads(run_apart(tmp_path, str(HERE / "in_namespace.sh"), *peers)) == {
        "ann": {"peer-ben": 880.0},
        "ben": {"peer-ann": 440.0},
        "cy": {"peer-ann": 440.0, "peer-ben": 880.0},
    }


@pytest.mark.timeout(120)
def test_pymediasoup_and_web_pages_hear_each_other(tmp_path: Path) -> None:
    script = (sys.executable, str(HERE / "chromium_beside_pymediasoup.py"), str(tmp_path))
    heard = json.loads(run_apart(tmp_path, str(HERE / "in_namespace.sh"), *script))
    assert heard == pytest.approx({"ann": 440, "cy": 1320}, abs=6)
