"""The sound engine of a client: one child process, replaced when it dies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias, TypeVar

import trio
from attrs import define, field

from palaver_media.engine_messages import (
    ENGINE_CODEC,
    Devices,
    EngineCommand,
    EngineReport,
    ListDevices,
    Ready,
)
from palaver_media.process import START, MediaProcess, supervise

from .scopes import helpers

R = TypeVar("R")
Process: TypeAlias = MediaProcess[EngineCommand, EngineReport]

MODULE: Final = "palaver_engine"
NO_DEVICES: Final = Devices((), (), "the sound engine does not start")


@define(eq=False)
class Engine:
    """The engine that lives now. `on_report` and `on_death` must not block.

    `fingerprint` is the SHA-256 fingerprint of its certificate; each life has another.
    """

    on_report: Callable[[EngineReport], None]
    on_death: Callable[[], None]
    fingerprint: str = ""
    over: trio.Event = field(factory=trio.Event)  # it has ended, and no other comes
    _process: Process | None = None
    _risen: trio.Event = field(factory=trio.Event)
    _fallen: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Keep one engine alive for ever."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervise, self._make, self._rise)
                while True:
                    await self._risen.wait()
                    assert self._process is not None
                    await self._process.dead.wait()
                    self._process, self._risen = None, trio.Event()
                    self._fallen.set()
                    self.on_death()
        finally:
            self.over.set()

    async def wait_up(self) -> None:
        """Wait until an engine lives."""
        await self._risen.wait()

    async def wait_dead(self) -> None:
        """Wait until no engine lives."""
        await self._fallen.wait()

    def tell(self, command: EngineCommand) -> None:
        """Send a command to the engine that lives; without one it is not needed, for each new one is told all."""
        if self._process is not None:
            self._process.tell(command)

    def _make(self) -> Process:
        return MediaProcess(MODULE, (), ENGINE_CODEC, self._hear)

    def _rise(self, process: Process) -> None:
        self._process, self._fallen = process, trio.Event()
        self._risen.set()

    def _hear(self, report: EngineReport) -> None:
        if isinstance(report, Ready):
            self.fingerprint = report.fingerprint
        self.on_report(report)


async def list_devices() -> Devices:
    """Ask an engine of its own what there is to hear with and to speak into."""
    return await ask(ListDevices(), Devices, START) or NO_DEVICES


async def ask(command: EngineCommand, kind: type[R], patience: float) -> R | None:
    """What an engine of its own reports of this kind after a command; None if that takes longer (s)."""
    send, receive = trio.open_memory_channel[R](16)

    def hear(report: EngineReport) -> None:
        if isinstance(report, kind):
            send.send_nowait(report)

    engine = Engine(hear, lambda: None)
    with trio.move_on_after(patience):
        async with helpers() as nursery:
            nursery.start_soon(engine.run)
            await engine.wait_up()
            engine.tell(command)
            return await receive.receive()
    return None
