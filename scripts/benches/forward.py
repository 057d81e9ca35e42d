"""Forwarding in the media worker, with either core, beside a bare C loop and Janus: CPU per forwarded packet."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import trio

from forwarding import janus
from forwarding.measure import Bench, Figures
from forwarding.servers import Shape, Unavailable
from running import PYTHONPATH

SERVERS: Final = ("limit", "palaver-c", "palaver-python", "janus", "janus-1-loop")
OURS: Final = ("palaver-c", "palaver-python")
PROFILES: Final = {"cm": "AES-CM", "gcm": "AES-GCM"}
SHAPES: Final = {
    "room": Shape("10 talkers x 20 listeners", rooms=1, talkers=10, listeners=20),
    "rooms": Shape("20 rooms of 1 -> 3", rooms=20, talkers=1, listeners=3),
    "large": Shape("20 talkers x 50 listeners", rooms=1, talkers=20, listeners=50, rate=10),
}
CROWD: Final = Shape("2,000 consumers", rooms=1, talkers=40, listeners=50)
AIMS: Final = (  # what, of which shape, the ratio of which servers, at most
    ("the C core to the limit", "room", "palaver-c", "limit", 1.4),
    ("the C core to the limit", "rooms", "palaver-c", "limit", 1.5),
    ("the Python core to the limit", "room", "palaver-python", "limit", 1.8),
    ("the Python core to the limit", "rooms", "palaver-python", "limit", 2.2),
    ("the C core to Janus at its best", "room", "palaver-c", "janus-1-loop", 1 / 2.5),
)

HELP: Final = """\
Every server has clients of its own that do ICE and DTLS-SRTP for real, all in one process beside it; the limit is given
its keys. They send Opus of 80 bytes, 50 packets a second (10 in the large room, so that all servers keep up). The
servers take turns, round after round, and medians count. CPU is the server process's user and system time, divided by
what really arrived. The limit is a C program that knows its listeners from the start and does nothing but recvmmsg,
srtp_unprotect, srtp_protect for each listener and sendmmsg, on the worker's own libsrtp; it is compiled on the spot.

It takes about eight minutes. Compare within one run, and read the ratios. What cannot be measured on this machine is
left out, and it is said why. A core is chosen for the worker by PALAVER_FANOUT=c or python in its environment.
"""


def versions() -> dict[str, str]:
    """What was measured."""
    names = ("pylibsrtp", "pyopenssl", "cffi", "aiortc")
    found = {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in names}}
    try:
        return {**found, "janus": janus.version()}
    except Unavailable:
        return found


def machine() -> dict[str, str]:
    """On what."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "processor": model[1] if model else platform.machine(),
        "cores": str(os.cpu_count()),
        "linux": platform.release(),
        "load before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Everything that is asked for."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), lambda line: print(line, file=sys.stderr))
        ours = [name for name in OURS if name in options.only]
        found: dict[str, Any] = {"machine": machine(), "versions": versions(), "forward": {}}
        for shape in options.shapes:
            found["forward"][shape] = {
                profile: await bench.forward(SHAPES[shape], profile, options.only, options.seconds, options.rounds)
                for profile in options.profiles
            }
        found["joins"] = await bench.joins(options.profiles[0], ours)
        if not options.brief:
            crowd = [name for name in options.only if name in ours or name == "limit"]
            found["crowd"] = await bench.forward(CROWD, options.profiles[0], crowd, options.seconds, options.rounds)
        found["skipped"] = bench.skipped
        return found


def table(found: dict[str, Any]) -> str:
    """The figures, a server in each column, and then the aims."""
    names = [name for name in SERVERS if any(name in each for by in found["forward"].values() for each in by.values())]
    lines = ["us of CPU per forwarded packet".ljust(44) + "".join(f"{name:>16}" for name in names)]
    for shape, profiles in found["forward"].items():
        for profile, by_name in profiles.items():
            lines.append(row(f"{SHAPES[shape].name}, {PROFILES[profile]}", names, by_name, "us", "{:.1f}"))
    for shape, profiles in found["forward"].items():
        for profile, by_name in profiles.items():
            lines.append(row(f"  lost, {SHAPES[shape].name}, {PROFILES[profile]}", names, by_name, "lost", "{:.2%}"))
    return "\n".join([*lines, "", *rest(found), "", *(f"skipped {name}: {why}" for name, why in found["skipped"].items())])


def row(title: str, names: list[str], by_name: dict[str, Figures], figure: str, form: str) -> str:
    """One line of the table."""
    cells = (form.format(by_name[name][figure]) if name in by_name else "-" for name in names)
    return title.ljust(44) + "".join(cell.rjust(16) for cell in cells)


def rest(found: dict[str, Any]) -> list[str]:
    """What has an aim."""
    lines: list[str] = []
    for what, shape, ours, other, most in AIMS:
        for profile, by_name in found["forward"].get(shape, {}).items():
            if ours in by_name and other in by_name:
                ratio = by_name[ours]["us"] / by_name[other]["us"]
                title = f"{what}, {SHAPES[shape].name}, {PROFILES[profile]}"
                lines.append(f"{title:<70} {ratio:8.2f}  (aim: {most:.2f} or less)")
    for name, each in found["joins"].items():
        lines.append(f"{'joins per CPU second, ' + name:<70} {each['joins_per_cpu_s']:8.0f}  (aim: 300 or more)")
        lines.append(f"{'KiB per connected transport, ' + name:<70} {each['kib_per_transport']:8.0f}  (aim: 100 or less)")
    for profile, by_name in found["forward"].get("room", {}).items():
        for name, each in by_name.items():
            if each["residence_p99_ms"] is not None:
                title = f"ms from sending to arrival at 10,000/s, p99, {name}, {PROFILES[profile]}"
                lines.append(f"{title:<70} {each['residence_p99_ms']:8.2f}  (aim: 2 or less)")
    for name, each in found.get("crowd", {}).items():
        title = f"lost by {CROWD.name}, 50 packets/s each, {name} at {each['us']:.1f} us"
        lines.append(f"{title:<70} {each['lost']:8.3%}  (aim: 0)")
    return lines


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench forward",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--seconds", type=float, default=4, help="of each server's turn (4)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server (3)")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS), help="only these servers")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES), help="only these loads")
    parser.add_argument("--profiles", nargs="+", choices=PROFILES, default=list(PROFILES), help="only these ciphers")
    parser.add_argument("--brief", action="store_true", help="without the 2,000 consumers")
    options = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join((PYTHONPATH, str(Path(__file__).parent)))
    found = trio.run(measure, options)
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
