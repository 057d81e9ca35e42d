"""The real engine process under its real owner, with its reports (Trio)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import trio
from attrs import define, field

from palaver_media.engine_messages import ENGINE_CODEC, EngineCommand, EngineReport, Ready
from palaver_media.process import MediaProcess

R = TypeVar("R")


@define(eq=False)
class Running:
    """A running engine."""

    process: MediaProcess[EngineCommand, EngineReport]
    reports: list[EngineReport] = field(factory=list)
    _more: trio.Event = field(factory=trio.Event)

    def tell(self, *commands: EngineCommand) -> None:
        for command in commands:
            self.process.tell(command)

    def take(self, report: EngineReport) -> None:
        self.reports.append(report)
        self._more.set()
        self._more = trio.Event()

    def all(self, kind: type[R]) -> list[R]:
        return [report for report in self.reports if isinstance(report, kind)]

    async def wait(self, kind: type[R], fits: Callable[[R], bool] = lambda _: True, seconds: float = 10) -> R:
        """The first report of this kind that fits, already here or still to come."""
        with trio.fail_after(seconds):
            while True:
                for report in self.all(kind):
                    if fits(report):
                        return report
                await self._more.wait()

    def forget(self) -> None:
        """Wait for what comes from now on."""
        self.reports.clear()

    @property
    def fingerprint(self) -> str:
        return self.all(Ready)[0].fingerprint


@contextlib.asynccontextmanager
async def running_engine() -> AsyncIterator[Running]:
    """An engine for the length of the block; it must end when its channel closes."""
    async with trio.open_nursery() as nursery:
        running = Running(
            MediaProcess("palaver_engine", (), ENGINE_CODEC, lambda report: running.take(report)),
        )
        await nursery.start(running.process.run)
        yield running
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something that changes without telling; it is looked at every 10 ms."""
    with trio.fail_after(seconds):
        while not condition():  # noqa: ASYNC110 - it happens in another process, which sets no event
            await trio.sleep(0.01)


def put_first(folder, monkeypatch) -> None:
    """Let engines find a `sitecustomize` here."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
