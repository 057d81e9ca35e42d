"""The servers under the load: our media worker with either core, and the bare limit. Janus is in its own module."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

import trio
from attrs import field, frozen

from palaver_media.process import MediaProcess
from palaver_media.rtp import AUDIO_LEVEL, MID
from palaver_media.worker_messages import (
    WORKER_CODEC,
    AddConsumer,
    AddProducer,
    ConnectTransport,
    DtlsRole,
    Fingerprint,
    MediaKind,
    OpenTransport,
    Ready,
    ResumeConsumer,
    WorkerReport,
)

from .keys import make_key

HERE: Final = Path(__file__).parent
LOOPBACK: Final = "127.0.0.1"
Offer = dict[str, Any]  # where a client goes, and how he gets in


class Unavailable(Exception):
    """This server cannot be measured here; says why, and what helps."""


@frozen
class Shape:
    """Who talks to whom: so many rooms, in each so many talkers whom so many listeners hear."""

    name: str
    rooms: int
    talkers: int
    listeners: int
    rate: float = 50  # packets/s of each talker

    def talker_ids(self) -> Iterator[tuple[int, str]]:
        """Every talker with his SSRC; in the order of rooms."""
        for room in range(self.rooms):
            for number in range(self.talkers):
                yield 1000 + room * self.talkers + number, f"talker-{room}-{number}"

    def listener_ids(self) -> list[str]:
        """Every listener."""
        return [f"listener-{room}-{number}" for room in range(self.rooms) for number in range(self.listeners)]

    def hears(self, listener: str, talker: str) -> bool:
        """Whether they are in one room."""
        return listener.split("-")[1] == talker.split("-")[1]


class Server(Protocol):
    """What is measured. It may let talkers connect before it has listeners come."""

    pid: int

    async def expect_talkers(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Let them in."""

    async def expect_listeners(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Let them in, to hear everybody in their rooms."""

    async def begin(self, shape: Shape, ports: dict[str, int]) -> None:
        """All are connected, from these ports."""


class Worker:
    """Our media worker, without the server above it."""

    def __init__(self) -> None:
        self._process = MediaProcess("palaver_worker", ("--host", LOOPBACK, "--port", "0"), WORKER_CODEC, self._hear)
        self._ready: Ready | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def _hear(self, report: WorkerReport) -> None:
        if isinstance(report, Ready):
            self._ready = report

    async def run(self, core: str, *, task_status: trio.TaskStatus[None]) -> None:
        """Live, with this core of the hot loop."""
        os.environ["PALAVER_FANOUT"] = core  # a child takes over our environment as it is when it starts
        await self._process.run(task_status=task_status)

    async def expect_talkers(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Transports with a producer each, with a browser's numbers."""
        offers = []
        for ssrc, id in shape.talker_ids():
            offers.append({**self.open(id, fingerprint), "ssrc": ssrc})
            extensions = {MID: MID, AUDIO_LEVEL: AUDIO_LEVEL}
            self._process.tell(AddProducer(id, f"of {id}", MediaKind.AUDIO, 48_000, ssrc, {111: 100}, extensions))
        return offers

    async def expect_listeners(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Transports with consumers of all who talk in the room."""
        offers = []
        for id in shape.listener_ids():
            offers.append(self.open(id, fingerprint))
            talkers = [(ssrc, talker) for ssrc, talker in shape.talker_ids() if shape.hears(id, talker)]
            for mid, (ssrc, talker) in enumerate(talkers):
                name, heard = f"{id} hears {talker}", (MID, AUDIO_LEVEL)
                self._process.tell(AddConsumer(id, name, f"of {talker}", ssrc + 100_000, str(mid), talker, heard))
                self._process.tell(ResumeConsumer(name))
        return offers

    async def begin(self, shape: Shape, ports: dict[str, int]) -> None:
        """Nothing more is needed."""

    def open(self, id: str, fingerprint: str) -> Offer:
        """One transport."""
        assert self._ready is not None
        ufrag, password = secrets.token_hex(4), secrets.token_hex(12)
        self._process.tell(OpenTransport("room", id, id, ufrag, password))
        self._process.tell(ConnectTransport(id, DtlsRole.SERVER, (Fingerprint("sha-256", fingerprint),)))
        return {
            **{"id": id, "host": LOOPBACK, "port": self._ready.port},
            **{"ufrag": ufrag, "password": password, "fingerprint": self._ready.fingerprint},
        }


@asynccontextmanager
async def worker(core: str) -> AsyncIterator[Worker]:
    """A worker for the length of the block."""
    async with trio.open_nursery() as nursery:
        worker = Worker()
        await nursery.start(worker.run, core)
        yield worker
        nursery.cancel_scope.cancel()


@frozen
class Limit:
    """The bare C loop in its process, which it enters once everybody's keys and ports are known."""

    profile: str
    pid: int
    _process: trio.Process
    _port: int
    _keys: dict[str, str] = field(factory=dict[str, str])

    async def expect_talkers(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Keys for them, and the port."""
        return [{**self._offer(id), "ssrc": ssrc} for ssrc, id in shape.talker_ids()]

    async def expect_listeners(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """Keys for them, and the port."""
        return [self._offer(id) for id in shape.listener_ids()]

    async def begin(self, shape: Shape, ports: dict[str, int]) -> None:
        """Let it run."""

        def end(id: str) -> dict[str, Any]:
            return {"port": ports[id], "key": self._keys[id]}

        talkers = [
            {
                **end(talker),
                "listeners": [{**end(id), "ssrc": ssrc} for id in shape.listener_ids() if shape.hears(id, talker)],
            }
            for ssrc, talker in shape.talker_ids()
        ]
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps({"profile": self.profile, "talkers": talkers}).encode() + b"\n")

    def _offer(self, id: str) -> Offer:
        self._keys[id] = make_key(self.profile).hex()
        return {"id": id, "host": LOOPBACK, "port": self._port, "key": self._keys[id]}


@asynccontextmanager
async def limit(library: Path, profile: str) -> AsyncIterator[Limit]:
    """The limit's process for the length of the block."""
    command = [sys.executable, "-m", "forwarding.limit", str(library)]
    async with process(command) as (child, lines):
        yield Limit(profile, child.pid, child, json.loads(await anext(lines))["port"])


def build_limit(folder: Path) -> Path:
    """Compile the limit.

    Raises:
        Unavailable: there is no compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        raise Unavailable("no C compiler. Install one: sudo apt-get install gcc libc6-dev")
    library = folder / "limit.so"
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", library, HERE / "limit.c"], check=True)
    return library


@asynccontextmanager
async def process(command: list[str]) -> AsyncIterator[tuple[trio.Process, AsyncIterator[bytes]]]:
    """A child, and the lines that it prints; ended with the block."""
    child = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        yield child, _lines(child.stdout)
    finally:
        with trio.CancelScope(shield=True):
            child.terminate()
            await child.wait()
            await child.stdin.aclose()
            await child.stdout.aclose()


async def _lines(stream: trio.abc.ReceiveStream) -> AsyncIterator[bytes]:
    held = b""
    async for data in stream:
        *whole, held = (held + data).split(b"\n")
        for line in whole:
            yield line
