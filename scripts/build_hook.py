"""Builds the core in C of the media worker's hot loop when Palaver is installed and there is a compiler."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BUILDER = "server/palaver_worker/fanout_build.py"


class CoreInC(BuildHookInterface[Any]):
    """Adds the core to the wheel. Without it the worker forwards by its core in Python, and says so."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Build it; whatever stands against that is told, and stops no installation."""
        try:
            built: Path = runpy.run_path(str(Path(self.root) / BUILDER))["build"]()
        except Exception as why:
            self.app.display_warning(f"the worker's core in C is not built: {why}")
            return
        build_data["pure_python"], build_data["infer_tag"] = False, True
        build_data["force_include"][str(built)] = f"palaver_worker/{built.name}"
