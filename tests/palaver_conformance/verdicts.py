"""What came of a case."""

from __future__ import annotations

import enum
from typing import Any

from attrs import frozen


class Failed(Exception):
    """The server does not do what the protocol says."""

    def __init__(self, expected: str, came: str) -> None:
        super().__init__(expected, came)
        self.expected = expected
        self.came = came


class Skipped(Exception):
    """A case cannot be tried, or need not hold, for this reason."""


class Outcome(enum.Enum):
    """How a case ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Verdict:
    """A case, how it ended, and why."""

    case: str
    outcome: Outcome
    seconds: float = 0.0
    expected: str = ""
    came: str = ""
    reason: str = ""  # why it was skipped
    seen: frozenset[str] = frozenset()  # the events that were answered or heard

    def to_json(self) -> dict[str, Any]:
        """One line of `--json`."""
        found: dict[str, Any] = {"case": self.case, "verdict": self.outcome.value, "seconds": round(self.seconds, 3)}
        if self.outcome is Outcome.FAILED:
            return {**found, "expected": self.expected, "came": self.came}
        return {**found, "reason": self.reason} if self.outcome is Outcome.SKIPPED else found
