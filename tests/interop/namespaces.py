"""Programs in network namespaces of their own, which end with them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from running import PYTHONPATH, ROOT

TESTS = ROOT / "tests"


def run_apart(folder: Path, *line: str) -> str:
    """What a program prints in a new network namespace, once it has ended well."""
    unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    done = subprocess.run(
        [*unshare, *line],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": f"{PYTHONPATH}{os.pathsep}{TESTS}", "XDG_CONFIG_HOME": str(folder)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
