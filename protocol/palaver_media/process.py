"""The owner's end of a media process (Trio): commands go down, reports come up, and neither waits for the other.

The owner makes every id, so no command needs an answer, and a death leaves nothing pending.
"""

from __future__ import annotations

import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from typing import Final, Generic, TypeVar

import trio
from attrs import define, field

from .codec import Codec, Frames

C = TypeVar("C")
R = TypeVar("R")

log = logging.getLogger(__name__)

SILENCE: Final = 3.0  # s without a report: the child hangs
START: Final = 15.0  # s until its first report: imports on a loaded machine
BACKLOG: Final = 8 * 1024 * 1024  # bytes of commands not yet taken: the child does not read


class Overdue(Exception):
    """The child said nothing for too long, or does not take its commands."""


@define(eq=False)
class MediaProcess(Generic[C, R]):
    """One running child.

    `on_report` is called for each report, the first included; it must not block.
    """

    module: str
    arguments: tuple[str, ...]
    codec: Codec[C, R]
    on_report: Callable[[R], None]
    dead: trio.Event = field(factory=trio.Event)
    pid: int = 0
    _socket: socket.socket | None = None
    _waiting: bytearray = field(factory=bytearray)
    _more: trio.Event = field(factory=trio.Event)
    _scope: trio.CancelScope = field(factory=trio.CancelScope)

    def tell(self, command: C) -> None:
        """Send a command. Never blocks; a child that does not read is killed.

        It is in the channel when this returns, unless the channel is full: so a command told before an answer is
        given arrives before what the answer brings about.
        """
        was_idle = not self._waiting
        self._waiting += self.codec.write_command(command)
        if was_idle:
            self._flush()
        if len(self._waiting) > BACKLOG:
            log.warning("%s takes no commands: ending it", self.module)
            self._scope.cancel()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Live from the child's start to its death, whoever caused it; `started` at its first report."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                process = await self._start(theirs)
            self._socket = ours
            self._flush()
            stream = trio.SocketStream(trio.socket.from_stdlib_socket(ours))
            try:
                await self._serve(stream, task_status)
            except* (Overdue, trio.BrokenResourceError) as why:
                log.warning("%s (%d): %s", self.module, process.pid, why.exceptions[0])
                process.kill()  # one that hangs does not see its channel close
            finally:
                self.dead.set()
                with trio.CancelScope(shield=True):
                    await stream.aclose()  # a child in order ends when its channel closes
                    with trio.move_on_after(1):
                        await process.wait()
                    process.kill()
                    await process.wait()

    async def _start(self, channel: socket.socket) -> trio.Process:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", self.module, str(channel.fileno()), *self.arguments],
            pass_fds=[channel.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C in the terminal is for the owner
        )
        self.pid = process.pid
        return process

    async def _serve(self, stream: trio.SocketStream, task_status: trio.TaskStatus[None]) -> None:
        """Carry commands and reports until the child closes or is overdue, or takes nothing more."""
        with self._scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write, stream.socket)
                has_started = False
                async for report in self._reports(stream):
                    self.on_report(report)
                    if not has_started:
                        has_started = True
                        task_status.started()
                nursery.cancel_scope.cancel()

    def _flush(self) -> None:
        if self._socket is None:
            return
        try:
            del self._waiting[: self._socket.send(self._waiting)]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # it is dead, which its silence tells
            return
        if self._waiting:
            self._more.set()

    async def _write(self, channel: trio.socket.SocketType) -> None:
        while True:
            await self._more.wait()
            self._more = trio.Event()
            await trio.lowlevel.wait_writable(channel)
            self._flush()

    async def _reports(self, stream: trio.SocketStream) -> AsyncIterator[R]:
        """The child's reports, until it closes; raises Overdue after a silence."""
        frames = Frames()
        patience = START
        while True:
            data = b""
            with trio.move_on_after(patience) as silence:
                data = await stream.receive_some(65536)
            if silence.cancelled_caught:
                raise Overdue(f"said nothing for {patience:g} s")
            if not data:
                return
            for body in frames.feed(data):
                patience = SILENCE
                yield self.codec.read_report(body)


async def supervise(make: Callable[[], MediaProcess[C, R]], on_up: Callable[[MediaProcess[C, R]], None]) -> None:
    """Keep one child alive for ever, one at a time, restarting with back-off (0.1 s doubling to 5 s).

    One that cannot even be started, for want of memory, processes or file descriptors, is tried again likewise.
    """
    pause = 0.1
    while True:
        process = make()
        born = trio.current_time()
        async with trio.open_nursery() as nursery:
            try:
                await nursery.start(process.run)
            except RuntimeError:  # it ended before its first report
                log.warning("%s did not start", process.module)
            except OSError as why:
                log.warning("%s cannot be started: %s", process.module, why)
            else:
                on_up(process)
        pause = 0.1 if trio.current_time() - born > 60 else min(pause * 2, 5.0)
        await trio.sleep(pause)
