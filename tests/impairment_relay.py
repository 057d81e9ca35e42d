"""A relay that carries datagrams by plans of `impairment`, in a process of its own, and measures its own error.

Each `Route` listens at an address and passes on to another one what comes there, each client from a socket of its own,
and back. The process takes commands as JSON lines, and answers each with one; `Relay` is what stands for it elsewhere.
Only RTP is lost and spread: what connects a call (STUN, DTLS) and its RTCP are delayed alone, so that what a seed does
to the sound depends on the sound alone.
"""

from __future__ import annotations

import ctypes
import heapq
import itertools
import json
import os
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias, cast

from attrs import asdict, define, frozen
from cattrs.preconf.json import make_converter

from impairment import Path, Plan

Address: TypeAlias = tuple[str, int]

NANO: Final = 1_000_000_000
CONVERTER: Final = make_converter()
PR_SET_TIMERSLACK: Final = 29
SO_TIMESTAMPNS: Final = 35  # Linux: the kernel says when a datagram came
KEPT: Final = 200_000  # departures of which the error is remembered
BATCH: Final = 32
RTCP: Final = range(192, 224)


@frozen
class Route:
    """What comes at `listen` goes to `target`, by the path `path`, and answers come back unharmed.

    Without a `path` each client has a name, the one that new clients were last given, and the paths `NAME there` and
    `NAME back`.
    """

    listen: Address
    target: Address
    path: str = ""


@define(eq=False)
class Leg:
    """A socket, where what it takes goes to, and by which path."""

    taker: socket.socket
    path: str
    giver: socket.socket | None = None
    to: Address | None = None


def is_sound(data: bytes) -> bool:
    """Whether this is RTP, and no RTCP, STUN or DTLS."""
    return len(data) >= 12 and data[0] >> 6 == 2 and data[1] not in RTCP


class Carrier:
    """The relay's one loop. Times are the monotonic clock's, in s."""

    def __init__(self, routes: list[Route]) -> None:
        self._legs: dict[int, Leg] = {}
        self._routes: dict[int, Route] = {}
        self._clients: dict[tuple[Address, Address], Leg] = {}
        self._paths: dict[str, tuple[float, Path]] = {}
        self._due: list[tuple[float, int, bytes, socket.socket, Address | None]] = []
        self._order = itertools.count()
        self._newcomer = ""
        self._errors: list[float] = []
        self._offset = time.time_ns() - time.monotonic_ns()
        for route in routes:
            listener = _open(route.listen)
            self._routes[listener.fileno()] = route
            self._legs[listener.fileno()] = Leg(listener, "")

    def run(self) -> None:
        """Carry until standard input ends."""
        commands = sys.stdin.fileno()
        while True:
            ready, _, _ = select.select([commands, *self._legs], [], [], self._patience())
            self._send_due()
            for number in ready:
                if number != commands:
                    self._take(number)
                elif not (line := sys.stdin.readline()):
                    return
                else:
                    print(json.dumps(self.obey(json.loads(line))), flush=True)
            self._send_due()

    def obey(self, command: dict[str, Any]) -> Any:
        """Carry out one command; its answer."""
        match command:
            case {"name": name}:
                self._newcomer = name
            case {"plans": plans}:
                now = time.monotonic()
                self._errors.clear()
                self._paths = {name: (now, Path(CONVERTER.structure(plan, Plan), name)) for name, plan in plans.items()}
            case _:
                return {"paths": {name: asdict(path.tally) for name, (_, path) in self._paths.items()}, **self._error()}
        return None

    def _error(self) -> dict[str, float]:
        late = sorted(self._errors) or [0.0]
        shares = {"p50": 0.5, "p99": 0.99, "most": 1.0}
        return {f"late_ms_{name}": late[int(share * (len(late) - 1))] * 1000 for name, share in shares.items()}

    def _patience(self) -> float | None:
        return max(0.0, self._due[0][0] - time.monotonic()) if self._due else None

    def _send_due(self) -> None:
        while self._due and self._due[0][0] <= (now := time.monotonic()):
            due, _, data, giver, to = heapq.heappop(self._due)
            if len(self._errors) < KEPT:
                self._errors.append(now - due)
            try:
                giver.send(data) if to is None else giver.sendto(data, to)
            except OSError:
                continue  # whoever it was for has closed: a datagram lost

    def _take(self, number: int) -> None:
        for _ in range(BATCH):
            try:
                data, ancillary, _, source = self._legs[number].taker.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            leg = self._legs[number]
            if number in self._routes:
                leg = self._client(number, source)
            assert leg.giver is not None
            came = self._arrival(ancillary)
            due = self._due_at(leg.path, came, data)
            if due is not None:
                heapq.heappush(self._due, (due, next(self._order), data, leg.giver, leg.to))

    def _due_at(self, name: str, came: float, data: bytes) -> float | None:
        if name not in self._paths:
            return came
        began, path = self._paths[name]
        now = max(0.0, came - began)
        due = path.carry(now, len(data)) if is_sound(data) else path.spare(now)
        return None if due is None else began + due

    def _client(self, number: int, source: Address) -> Leg:
        route = self._routes[number]
        leg = self._clients.get((route.listen, source))
        if leg is None:
            listener, onward = self._legs[number].taker, _open((route.listen[0], 0))
            onward.connect(route.target)
            there, back = (route.path, "") if route.path else (f"{self._newcomer} {way}" for way in ("there", "back"))
            leg = self._clients[route.listen, source] = Leg(listener, there, onward)
            self._legs[onward.fileno()] = Leg(onward, back, listener, source)
        return leg

    def _arrival(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        for _, _, stamp in ancillary:
            seconds, nanos = struct.unpack("@qq", stamp)
            return (int(seconds) * NANO + int(nanos) - self._offset) / NANO
        return time.monotonic()


def _open(address: Address) -> socket.socket:
    opened = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    opened.setblocking(False)
    opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    opened.bind(address)
    return opened


class Relay:
    """The process with the relay. New clients pass unharmed until they have a name and that name's paths a plan."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._hear()

    def name(self, name: str) -> None:
        """Whose the clients are that come from now on."""
        self._ask({"name": name})

    def begin(self, **plans: Plan) -> None:
        """Have these plans begin now, by the names of paths with `_` for the space; all other paths let pass."""
        self._ask({"plans": {name.replace("_", " "): CONVERTER.unstructure(plan) for name, plan in plans.items()}})

    def statistics(self) -> dict[str, Any]:
        """The tallies of all `paths`, and how late the relay itself sent: `late_ms_p50`, `_p99` and `_most`."""
        return cast(dict[str, Any], self._ask({}))

    def _ask(self, command: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return self._hear()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the relay ended; what it had to say is on standard error")
        return json.loads(line)


@contextmanager
def relaying(*routes: Route) -> Iterator[Relay]:
    """A relay for the length of the block."""
    line = [sys.executable, "-m", "impairment_relay", json.dumps([asdict(route) for route in routes])]
    with subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    ) as process:
        yield Relay(process)  # at its end the pipes close, and the process with them


def take_precedence() -> None:
    """A network does not wait for its turn, and its clock is fine."""
    if os.geteuid() == 0:
        os.nice(-11)
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0)


if __name__ == "__main__":
    take_precedence()
    carrier = Carrier(CONVERTER.structure(json.loads(sys.argv[1]), list[Route]))
    print("null", flush=True)
    carrier.run()
