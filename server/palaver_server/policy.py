"""What the people who run a server decide about its calls and rooms."""

from __future__ import annotations

from attrs import frozen


@frozen
class Policy:
    """The timers, in s, and whether a room may go on without a host."""

    ring_timeout: float = 30.0  # that a call or an invitation rings
    host_grace: float = 30.0  # that the role waits for a host who was cut off
    resume_grace: float = 15.0  # that a seat is held for one who was cut off and resumes
    has_hostless: bool = True  # otherwise a room ends with its host


DEFAULT = Policy()
