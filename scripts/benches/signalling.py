"""Signalling beside npm socket.io and python-socketio: acks, broadcasts, idle connections, a slow reader."""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from running import PYTHONPATH

HERE: Final = Path(__file__).parent / "signalling"
PATIENCE: Final = 150.0  # s for all measurements of one server, on a loaded machine
START: Final = re.compile(r"listening (?:on http://127\.0\.0\.1:)?(\d+)")

SERVERS: Final[dict[str, list[str]]] = {
    "palaver": [
        *(sys.executable, "-m", "palaver_command", "serve"),
        *("--port", "0", "--media-port", "0", "--workers", "1", "--state", "memory:"),
    ],
    "node": ["node", str(HERE / "server.js")],
    "python-socketio": [sys.executable, str(HERE / "python_socketio.py")],
}

ROWS: Final = (
    ("acks_per_cpu_s", "emit -> ack, per second of the server's CPU"),
    ("deliveries_per_cpu_s", "broadcast deliveries 1 -> 200, per second of the server's CPU"),
    ("idle_kib", "KiB of the server's memory per idle connection"),
    ("join_s", "s until all of them are online"),
    ("join_bytes_per_client", "bytes that each was sent meanwhile"),
    ("join_bytes_per_client_and_s", "the same, per second"),
    ("p99_ms", "ms until all 30 have a 4 kB message, p99"),
    ("p99_beside_slow_ms", "the same beside one who reads no more"),
    ("p99_ratio", "ratio of the two"),
    ("slow_reader_kib", "KiB of the server's memory more, beside him"),
    ("cut_after_s", "s until he is cut off"),
)

HELP: Final = """\
Each server is a process of its own, and so is the load: Socket.IO clients on raw sockets, WebSocket only, the same for
all. CPU is the server process's user and system time, so what counts is work, not how fast the load was; memory is its
proportional set size (Pss). The two others do the least that answers the same events. Palaver keeps its state in memory
here, as they do. It takes about two minutes; compare within one run, and read the ratios.
"""


def install_node() -> None:
    """Install the npm packages that package.json names, if they are not there in these versions."""
    wanted = json.loads((HERE / "package.json").read_text())["dependencies"]
    if npm_versions(wanted) != wanted:
        options = ["--ignore-scripts", "--no-package-lock", "--no-audit", "--no-fund"]
        subprocess.run(["npm", "install", *options], cwd=HERE, check=True, stdout=sys.stderr, timeout=PATIENCE)


def npm_versions(names: dict[str, str]) -> dict[str, str]:
    """Which versions of these packages are installed."""
    files = {name: HERE / "node_modules" / name / "package.json" for name in names}
    return {name: json.loads(file.read_text())["version"] for name, file in files.items() if file.exists()}


def versions() -> dict[str, str]:
    """What was measured."""
    node = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip().lstrip("v")
    npm = npm_versions({"socket.io": "", "ws": ""})
    names = ("trio", "wsproto", "orjson", "cattrs", "python-socketio", "uvicorn", "uvloop", "websockets")
    python = {name: importlib.metadata.version(name) for name in names}
    return {"python": platform.python_version(), **python, "node": node, **npm}


@contextmanager
def started(command: list[str]) -> Iterator[tuple[int, int]]:
    """A server: its port and process id."""
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH, "NODE_ENV": "production"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            if (said := START.search(line)) is None:
                raise RuntimeError(f"{command[0]} did not start: {line!r}")
            yield int(said[1]), server.pid
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(10)
            except subprocess.TimeoutExpired:
                server.kill()


def measure(name: str, connections: int) -> dict[str, float | None]:
    """All figures of one server."""
    print(f"measuring {name} ...", file=sys.stderr)
    with started(SERVERS[name]) as (port, pid):
        load = [sys.executable, str(HERE / "load.py"), "--port", str(port), "--pid", str(pid)]
        line = [*load, "--idle", str(connections)]
        result = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True, timeout=PATIENCE)
    figures: dict[str, float | None] = json.loads(result.stdout)
    return figures


def table(figures: dict[str, dict[str, float | None]]) -> str:
    """The figures, a server in each column, and how Palaver compares to Node."""
    has_ratio = {"palaver", "node"} <= figures.keys()
    lines = [" " * 64 + "".join(f"{name:>17}" for name in figures) + ("   palaver/node" if has_ratio else "")]
    for key, what in ROWS:
        values = [figures[name][key] for name in figures]
        line = f"{what:<64}" + "".join(f"{show(value):>17}" for value in values)
        if has_ratio and key in ("acks_per_cpu_s", "deliveries_per_cpu_s", "idle_kib"):
            line += f"{(figures['palaver'][key] or 0) / (figures['node'][key] or 1):>15.2f}"
        lines.append(line)
    return "\n".join(lines)


def show(value: float | None) -> str:
    """A figure, with as many digits as mean something."""
    if value is None:
        return "never"
    return f"{value:,.0f}" if value >= 1000 else f"{value:.2f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench signalling",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--only", nargs="+", choices=SERVERS, default=list(SERVERS), help="only these servers")
    parser.add_argument("--connections", type=int, default=2000, metavar="N", help="idle connections (2000)")
    options = parser.parse_args()
    install_node()
    figures: dict[str, dict[str, float | None]] = {name: measure(name, options.connections) for name in options.only}
    found: dict[str, Any] = {"versions": versions(), "connections": options.connections, **figures}
    if options.json:
        print(json.dumps(found, indent=2))
        return
    print(", ".join(f"{name} {version}" for name, version in found["versions"].items()))
    print(table(figures))


if __name__ == "__main__":
    main()
