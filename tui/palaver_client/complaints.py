"""The one line that says why a program failed."""

from __future__ import annotations

import sys


def complain(name: str, said: str) -> None:
    """One line on standard error."""
    print(f"{name}: {' '.join(said.split())}", file=sys.stderr)
