"""Clients nobody here wrote, unmodified: python-socketio, pymediasoup and aiortc, with a late joiner."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from running import PYTHONPATH

HERE = Path(__file__).parent


@pytest.mark.timeout(120)
def test_pymediasoup_peers_hear_each_other_and_a_late_joiner_hears_both(tmp_path: Path) -> None:
    # aioice gathers no loopback addresses: the call takes place in a network namespace with an address of its own
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    line = [*unshare, str(HERE / "in_namespace.sh"), str(HERE / "call.sh"), sys.executable]
    done = subprocess.run(
        [*line, str(HERE / "pymediasoup_peers.py")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "ann": {"peer-ben": 880.0},
        "ben": {"peer-ann": 440.0},
        "cy": {"peer-ann": 440.0, "peer-ben": 880.0},
    }
