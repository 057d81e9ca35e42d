"""The course of scripts/bench forward: servers started, clients brought in, rounds in turn."""

from __future__ import annotations

import importlib.util
import json
import statistics
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio
from attrs import field, frozen

from .janus import find_janus, janus
from .servers import Server, Shape, Unavailable, build_limit, limit, process, worker
from .watch import cpu_seconds, memory_kib

JOINS: Final = Shape("joins", rooms=1, talkers=1, listeners=400)
Figures = dict[str, Any]


class Load:
    """The load's process, from outside."""

    def __init__(self, child: trio.Process, lines: AsyncIterator[bytes]) -> None:
        self._child, self._lines = child, lines
        self.fingerprint = ""

    async def hear(self) -> Any:
        """Its next answer.

        Raises:
            RuntimeError: it ended; what it had to say is on standard error.
        """
        line = await anext(self._lines, b"")
        if not line:
            raise RuntimeError("the load broke off")
        return json.loads(line)

    async def bring(self, name: str, server: Server, shape: Shape) -> None:
        """Have all clients of this shape connect to a server."""
        talkers = await server.expect_talkers(shape, self.fingerprint)
        ports = await self._ask("connect", server=name, talkers=talkers, listeners=[])
        listeners = await server.expect_listeners(shape, self.fingerprint)
        ports |= await self._ask("connect", server=name, talkers=[], listeners=listeners)
        await server.begin(shape, ports)

    async def talk(self, name: str, server: Server, shape: Shape, seconds: float) -> Figures:
        """One server's turn."""
        more = {"listeners": shape.listener_ids(), "rate": shape.rate, "seconds": seconds}
        found: Figures = await self._ask("talk", server=name, pid=server.pid, **more)
        found["us"] = found["cpu_s"] * 1e6 / max(1, found["delivered"])
        found["lost"] = 1 - found["delivered"] / max(1, found["sent"] * shape.listeners)
        return found

    async def _ask(self, what: str, **told: Any) -> Any:
        assert self._child.stdin is not None
        await self._child.stdin.send_all(json.dumps({"what": what, **told}).encode() + b"\n")
        return await self.hear()


@asynccontextmanager
async def loading(profile: str) -> AsyncIterator[Load]:
    """The load's process for the length of the block."""
    async with process([sys.executable, "-m", "forwarding.load", profile]) as (child, lines):
        load = Load(child, lines)
        load.fingerprint = await load.hear()
        yield load


@frozen
class Bench:
    """What can be measured here. `skipped` says of the other servers why, and what helps."""

    folder: Path
    say: Callable[[str], None]
    skipped: dict[str, str] = field(factory=dict[str, str])

    def _start(self, name: str, profile: str) -> AbstractAsyncContextManager[Server]:
        number = len(list(self.folder.iterdir()))
        match name:
            case "limit":
                return limit(build_limit(self.folder), profile)
            case "palaver-c":
                if importlib.util.find_spec("palaver_worker._fanout") is None:
                    raise Unavailable("the core in C is not built. Install a C compiler, and Palaver once more")
                return worker("c")
            case "palaver-python":
                return worker("python")
            case "janus":
                find_janus()
                return janus(self.folder / f"janus-{number}", "")
            case _:
                find_janus()
                return janus(self.folder / f"janus-{number}", "event_loops = 1")

    @asynccontextmanager
    async def _started(self, names: Iterable[str], profile: str) -> AsyncIterator[dict[str, Server]]:
        async with AsyncExitStack() as stack:
            servers: dict[str, Server] = {}
            for name in names:
                if name in self.skipped:
                    continue
                try:
                    servers[name] = await stack.enter_async_context(self._start(name, profile))
                except Unavailable as why:
                    self.say(f"skipped {name}: {why}")
                    self.skipped[name] = str(why)
            yield servers

    async def forward(
        self, shape: Shape, profile: str, names: Iterable[str], seconds: float, rounds: int
    ) -> dict[str, Figures]:
        """All servers under one load, one after the other, round after round: the medians of each."""
        self.say(f"{shape.name}, {profile} ...")
        found: dict[str, list[Figures]] = {}
        async with loading(profile) as load, self._started(names, profile) as servers:
            for name, server in servers.items():
                await load.bring(name, server, shape)
            for _ in range(rounds):
                for name, server in servers.items():
                    found.setdefault(name, []).append(await load.talk(name, server, shape, seconds))
        return {name: _medians(rounds) for name, rounds in found.items()}

    async def joins(self, profile: str, names: Iterable[str]) -> dict[str, Figures]:
        """What it costs a server to have clients connect, each with one to hear."""
        self.say("joins ...")
        found: dict[str, Figures] = {}
        for name in names:
            async with loading(profile) as load, self._started([name], profile) as servers:
                for server in servers.values():
                    cpu, memory = cpu_seconds(server.pid), memory_kib(server.pid)
                    await load.bring(name, server, JOINS)
                    count = JOINS.talkers + JOINS.listeners
                    found[name] = {
                        "joins_per_cpu_s": count / (cpu_seconds(server.pid) - cpu),
                        "kib_per_transport": (memory_kib(server.pid) - memory) / count,
                    }
        return found


def _medians(rounds: list[Figures]) -> Figures:
    """Of each figure; None where a round has none."""
    return {
        name: None if any(each[name] is None for each in rounds) else statistics.median(each[name] for each in rounds)
        for name in rounds[0]
    }
