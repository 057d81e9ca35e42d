"""Where the tests keep state, and how they make each place fail: real files, and a real Redis server."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

import trio
from attrs import define, field

from palaver_server.store import Store
from palaver_server.stores import open_store
from running import Program, executing

PATIENCE: Final = 20.0  # s, on a loaded machine


async def until(condition: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Wait for a condition that no event tells."""
    with trio.fail_after(patience):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.005)


@asynccontextmanager
async def kept_by(store: Store) -> AsyncIterator[Mapping[str, bytes]]:
    """What the store has, while it runs for the length of the block."""
    async with trio.open_nursery() as nursery:
        kept: Mapping[str, bytes] = await nursery.start(store.run)
        yield kept
        nursery.cancel_scope.cancel()


async def read(spec: str) -> dict[str, bytes]:
    """What a server would find that starts now."""
    async with kept_by(open_store(spec)) as kept:
        return dict(kept)


async def all_is_kept(store: Store) -> None:
    """Wait until the store has taken every mark."""
    await until(lambda: store.waiting == 0)


@asynccontextmanager
async def keeping(spec: str) -> AsyncIterator[Program]:
    """A keeper (keeper.py) as a process of its own; killed at the block's end if it still runs."""
    async with executing(sys.executable, str(Path(__file__).with_name("keeper.py")), spec) as keeper:
        try:
            yield keeper
        finally:
            keeper.process.kill()


@define
class RedisServer:
    """A redis-server of our own, on a free port. With `is_durable` it has on disk whatever it has answered for."""

    folder: Path
    is_durable: bool = True
    port: int = 0
    process: subprocess.Popen[str] | None = None
    options: tuple[str, ...] = field(default=())

    def start(self) -> None:
        """Start it, on the port that it had before, if it had one."""
        tries = 1 if self.port else 5  # a free port may be taken by the time it is bound
        for _ in range(tries):
            port = self.port or free_port()
            durable = ["--appendonly", "yes" if self.is_durable else "no", "--save", ""]
            place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(self.folder)]
            command = ["redis-server", *place, *durable, *self.options]
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
            assert self.process.stdout is not None
            if any("Ready to accept connections" in line for line in iter(self.process.stdout.readline, "")):
                self.port = port
                return
            self.kill()
        raise AssertionError("redis-server does not start")

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Dead for the length of the block."""
        self.kill()
        yield
        self.start()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped for the length of the block; its sockets accept all the same, since the kernel does."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def spec(self, prefix: str = "palaver") -> str:
        """How to tell a server to keep its state here."""
        return f"redis://127.0.0.1:{self.port}/0?prefix={prefix}"

    def ask(self, *command: str) -> str:
        """Run one command in it."""
        told = ["redis-cli", "-p", str(self.port), *command]
        return subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()


@contextmanager
def redis_server(folder: Path, *options: str, is_durable: bool = True) -> Iterator[RedisServer]:
    """A Redis server for the length of the block."""
    folder.mkdir(exist_ok=True)
    server = RedisServer(folder, is_durable, options=options)
    server.start()
    try:
        yield server
    finally:
        with contextlib.suppress(ProcessLookupError):
            server.kill()


def free_port() -> int:
    """A TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
