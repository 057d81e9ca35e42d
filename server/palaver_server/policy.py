"""What the people who run a server decide about its calls and rooms."""

from __future__ import annotations

from attrs import frozen


@frozen
class Policy:
    """The timers, in s, whether a room may go on without a host, and what is done about big rooms."""

    ring_timeout: float = 30.0  # that a call or an invitation rings
    host_grace: float = 30.0  # that the role waits for a host who was cut off
    resume_grace: float = 15.0  # that a seat is held for one who was cut off and resumes
    has_hostless: bool = True  # otherwise a room ends with its host
    speakers: int | None = 4  # tracks that stand for all voices where many microphones are open; None: never
    speakers_above: int = 12  # open microphones
    spread_above: int = 1_000  # consumers on one media worker: then newcomers are placed on another


DEFAULT = Policy()
