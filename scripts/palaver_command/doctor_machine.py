"""What a machine has of all that Palaver can use, and the commands that install what it lacks."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Final

from .findings import Finding

UDP_BUFFER: Final = 4 * 1024 * 1024  # bytes that a media worker asks for
RECEIVE_LIMIT: Final = Path("/proc/sys/net/core/rmem_max")
PRECEDENCE: Final = -10  # niceness of media worker and sound engine


def look_at_machine() -> Iterator[Finding]:
    """All that there is to say, one by one."""
    yield Finding(
        "Palaver", f"{version('palaver')}, Python {platform.python_version()}, {platform.platform(terse=True)}"
    )
    yield look_at_core()
    yield from look_at_buffers()
    yield look_at_precedence()


def look_at_core() -> Finding:
    """By which core a media worker of this machine forwards."""
    from palaver_worker.fanout import CHOICE, find_core

    what = "Media worker's core"
    if find_core().name == "c":
        return Finding(what, "c")
    if os.environ.get(CHOICE) == "python":
        return Finding(what, "python", f"{CHOICE}=python asks for it: the core in C, without that, takes less CPU")
    remedy = "the core in C takes less CPU: install a C compiler (apt-get install gcc), then install Palaver again"
    return Finding(what, "python", remedy)


def look_at_buffers() -> Iterator[Finding]:
    """Whether the kernel gives a media worker the buffer that it asks for."""
    if RECEIVE_LIMIT.exists():
        limit = int(RECEIVE_LIMIT.read_text())
        remedy = f"a busy server loses packets: sysctl -w net.core.rmem_max={UDP_BUFFER} net.core.wmem_max={UDP_BUFFER}"
        yield Finding("UDP buffers", f"up to {limit // 1024} KiB", "" if limit >= UDP_BUFFER else remedy)


def look_at_precedence() -> Finding:
    """Whether sound may go before other work."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NICE) if hasattr(resource, "RLIMIT_NICE") else (0, 0)
    may = os.geteuid() == 0 or 20 - soft <= PRECEDENCE
    remedy = f"sound may falter on a busy machine: allow a niceness of {PRECEDENCE} (ulimit -e, limits.conf: nice)"
    return Finding("Precedence", "may be taken" if may else "may not be taken", "" if may else remedy)
