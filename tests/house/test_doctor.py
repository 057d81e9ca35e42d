"""`palaver doctor` tells what this machine has, and what to do about what it lacks."""

import json
import os
import subprocess
import sys

import pytest

from running import PYTHONPATH


def doctor(*options, core=""):
    return subprocess.run(
        [sys.executable, "-m", "palaver_command", "doctor", *options],
        env={**os.environ, "PYTHONPATH": PYTHONPATH, "PALAVER_FANOUT": core},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(("core", "has_remedy"), [("c", False), ("python", True)])
def test_the_core_in_use_is_told(core, has_remedy):
    findings = {each["what"]: each for each in json.loads(doctor("--json", core=core).stdout)}
    assert findings["Media worker's core"]["found"] == core
    assert bool(findings["Media worker's core"]["remedy"]) is has_remedy


def test_in_plain_words():
    done = doctor(core="python")
    assert done.stderr == ""
    assert done.returncode == 1
    assert "!  Media worker's core  python" in done.stdout.replace("! ", "!  ")
    assert "PALAVER_FANOUT=python asks for it" in done.stdout
