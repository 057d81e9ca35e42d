"""The child's end of a media process (asyncio): commands to one function, reports and a beat to the owner.

A child lives as long as its channel: it ends when the owner closes it or dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from .codec import Codec, Frames

C = TypeVar("C")
R = TypeVar("R")

log = logging.getLogger(__name__)

BEAT: Final = 1.0  # s between beats
NICE: Final = -10
BACKLOG: Final = 8 * 1024 * 1024  # bytes of reports not yet taken: the owner does not read


class Channel(Generic[C, R]):
    """The way to the owner. Belongs to the event loop's thread."""

    def __init__(self, fd: int, codec: Codec[C, R]) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._codec = codec
        self._frames = Frames()
        self._unsent = bytearray()
        self._loop = asyncio.get_running_loop()
        self._command: Callable[[C], None] | None = None
        self.closed = asyncio.Event()

    def open(self, command: Callable[[C], None]) -> None:
        """Call `command` for each command from now on."""
        if self.closed.is_set():
            return  # the owner died before we were ready
        self._command = command
        self._loop.add_reader(self._socket, self.poll)

    def poll(self) -> None:
        """Take the commands that have arrived, now.

        A datagram must not be handled before the commands that were sent before it.
        """
        while not self.closed.is_set():
            try:
                data = self._socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                return
            for body in self._frames.feed(data):
                self._take(body)

    def _take(self, body: bytes) -> None:
        """Call for one command. When that fails, it costs nothing but this command: the next ones are others' calls."""
        assert self._command is not None
        try:
            self._command(self._codec.read_command(body))
        except Exception:
            log.exception("a command failed")

    def report(self, report: R) -> None:
        """Tell the owner something. Never blocks; an owner that does not read loses its child."""
        if self.closed.is_set():
            return
        was_idle = not self._unsent
        self._unsent += self._codec.write_report(report)
        if was_idle:
            self._flush()
        if len(self._unsent) > BACKLOG:
            log.warning("the owner takes no reports: closing the channel")
            self.close()

    def close(self) -> None:
        """Stop reading and writing."""
        if not self.closed.is_set():
            self.closed.set()
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()

    def _flush(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self.close()
            return
        del self._unsent[:sent]
        if self._unsent:
            self._loop.add_writer(self._socket, self._flush)
        else:
            self._loop.remove_writer(self._socket)


async def beat(channel: Channel[C, R], make_beat: Callable[[], R | None]) -> None:
    """Report a beat each second until the channel closes, or until there is none because all is done."""
    while not channel.closed.is_set() and (report := make_beat()) is not None:
        channel.report(report)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(BEAT):
                await channel.closed.wait()


def take_precedence() -> None:
    """Ask for the processor before other programs: media that comes late is lost, unlike their work.

    Most systems grant it to nobody but root; without it all works, as long as the machine is not busy.
    """
    with contextlib.suppress(OSError):
        os.nice(NICE)
