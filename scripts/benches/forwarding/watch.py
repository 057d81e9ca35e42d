"""What a process has taken of the machine, seen from outside. Linux."""

from __future__ import annotations

import time
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """CPU time of a process, user and system, all its threads: the clock that clock_getcpuclockid(3) gives."""
    return time.clock_gettime_ns(~pid << 3 | 2) / 1e9


def memory_kib(pid: int) -> float:
    """What memory it takes by itself: its proportional set size."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:"))
