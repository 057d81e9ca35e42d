"""Every sentence that people read, for line mode and for the screen."""

from __future__ import annotations

from palaver_protocol.table import Refusal

from .changes import Change


def of_event(change: Change) -> str | None:
    """What happened, in one line; None for what is not worth one."""
    raise NotImplementedError


def of_refusal(no: Refusal) -> str:
    """Why the server refused, and what one can do."""
    raise NotImplementedError


def of_problem(reason: str, remedy: str) -> str:
    """What is wrong, and what would help."""
    return f"{reason} - {remedy}" if remedy else reason


def duration(seconds: float) -> str:
    """`42 s`, `3 min`, `1 h 05 min`."""
    raise NotImplementedError
