"""Palaver's programs as real processes, for tests: started, read line by line, and ended by their own id."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import trio
from attrs import define, field

PATIENCE: Final = 20.0  # s for a line to come, on a loaded machine
ROOT: Final = Path(__file__).parent.parent
PYTHONPATH: Final = os.pathsep.join(str(ROOT / folder) for folder in ("protocol", "server", "tui", "scripts", "tests"))


@define(eq=False)
class Program:
    """A running program and what it has printed."""

    process: trio.Process
    lines: list[str] = field(factory=list[str])
    errors: list[str] = field(factory=list[str])
    _changed: trio.Event = field(factory=trio.Event)

    async def read(self, stream: trio.abc.ReceiveStream, into: list[str]) -> None:
        """Keep the lines of one of its streams."""
        held = b""
        async for data in stream:
            *whole, held = (held + data).split(b"\n")
            into += [line.decode() for line in whole]
            self._changed.set()
            self._changed = trio.Event()

    async def wait_line(self, is_it: Callable[[str], bool], *, after: int = 0, patience: float = PATIENCE) -> str:
        """The first line since line `after` that is the one; fails with all that was printed."""
        with trio.move_on_after(patience):
            while True:
                for line in self.lines[after:]:
                    if is_it(line):
                        return line
                await self._changed.wait()
        raise AssertionError("\n".join(["it never came:", *self.lines[-40:], "stderr:", *self.errors[-40:]]))

    async def wait_event(
        self, event: str, *, after: int = 0, patience: float = PATIENCE, **fields: Any
    ) -> dict[str, Any]:
        """The first JSON line with that `event` and these fields."""

        def is_it(line: str) -> bool:
            said = json.loads(line)
            return said["event"] == event and all(said.get(key) == value for key, value in fields.items())

        found: dict[str, Any] = json.loads(await self.wait_line(is_it, after=after, patience=patience))
        return found

    def events(self, event: str) -> list[dict[str, Any]]:
        """All JSON lines with that `event`."""
        return [said for line in self.lines if (said := json.loads(line))["event"] == event]

    async def say(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        await self.process.stdin.send_all(line.encode() + b"\n")

    async def end(self, number: signal.Signals = signal.SIGTERM, patience: float = 10.0) -> int:
        """Send a signal; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return await self.wait(patience)

    async def wait(self, patience: float = PATIENCE) -> int:
        """The exit code, once it ends by itself."""
        with trio.fail_after(patience):
            return await self.process.wait()


@asynccontextmanager
async def running(
    *arguments: str, env: Mapping[str, str] | None = None, module: str = "palaver_command"
) -> AsyncIterator[Program]:
    """`palaver ARGUMENTS` for the length of the block; ended by force at its end if it still runs."""
    async with executing(sys.executable, "-m", module, *arguments, env=env) as program:
        yield program


@asynccontextmanager
async def executing(*command: str, env: Mapping[str, str] | None = None) -> AsyncIterator[Program]:
    """Any program for the length of the block; ended by force at its end if it still runs."""
    environment = {**(os.environ if env is None else env), "PYTHONPATH": PYTHONPATH, "PYTHONUNBUFFERED": "1"}
    async with trio.open_nursery() as nursery:
        process = await trio.lowlevel.open_process(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        program = Program(process)
        assert process.stdout is not None
        assert process.stderr is not None
        nursery.start_soon(program.read, process.stdout, program.lines)
        nursery.start_soon(program.read, process.stderr, program.errors)
        try:
            yield program
        finally:
            with trio.CancelScope(shield=True):
                if process.poll() is None:
                    process.terminate()
                    with trio.move_on_after(5):
                        await process.wait()
                    process.kill()
                    await process.wait()
                nursery.cancel_scope.cancel()  # first: a killed program's children may hold its streams open
                for stream in (process.stdin, process.stdout, process.stderr):
                    assert stream is not None
                    await stream.aclose()


@asynccontextmanager
async def serving(*arguments: str, env: Mapping[str, str] | None = None) -> AsyncIterator[tuple[str, Program]]:
    """A server on a free port: its URL, and the program."""
    async with running("serve", "--port", "0", "--workers", "1", *arguments, env=env) as server:
        line = await server.wait_line(lambda line: line.startswith("palaver: listening on "))
        yield line.split()[3].rstrip(","), server
