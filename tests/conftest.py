"""What all tests share: `--long`, and how Hypothesis searches."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import hypothesis

if TYPE_CHECKING:
    import pytest

hypothesis.settings.register_profile("palaver", deadline=None, print_blob=True)  # a loaded machine is no finding
hypothesis.settings.load_profile("palaver")


def pytest_configure(config: pytest.Config) -> None:
    """Servers that a test starts keep their state where it goes with the test run, and end at once."""
    folder = tempfile.TemporaryDirectory(prefix="palaver-state-", ignore_cleanup_errors=True)
    os.environ["XDG_STATE_HOME"] = folder.name
    os.environ["PALAVER_DRAIN"] = "0"
    config.add_cleanup(folder.cleanup)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="also run the soaks and searches marked `long`")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    if long:
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
