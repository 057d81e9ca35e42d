"""What `palaver doctor` finds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from attrs import frozen


@frozen
class Finding:
    """One thing looked at; `remedy` is empty where nothing is wrong."""

    what: str
    found: str
    remedy: str = ""


Tell: TypeAlias = Callable[[Finding], None]  # what is found is told at once, for the looking takes its time
