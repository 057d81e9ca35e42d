"""Standard input and output without blocking Trio, whatever they are: terminals, pipes, files.

Neither is made non-blocking, for that would change it for the shell and everybody else who has it open. A thread
that still waits when the program ends is left behind.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator
from typing import Final

import trio
from attrs import define, field

STDIN: Final = 0
STDOUT: Final = 1
MAX_LINE: Final = 64 * 1024  # bytes; a longer line is cut into several


class OutputClosed(Exception):
    """Nobody reads any more."""


@define
class Output:
    """Lines to standard output, each flushed at once."""

    _lock: trio.Lock = field(factory=trio.Lock)

    async def line(self, text: str) -> None:
        """Write a line. Raises OutputClosed."""
        async with self._lock:
            data = text.encode(errors="replace") + b"\n"
            try:
                await trio.to_thread.run_sync(_write_all, data, abandon_on_cancel=True)
            except OSError as why:
                raise OutputClosed(str(why)) from why


async def typed_lines() -> AsyncGenerator[str, None]:
    """The lines of standard input, until its end; one that is too long comes in pieces."""
    held = b""
    while sys.stdin is not None:  # it is None where the file descriptor was closed, and may now be something else's
        data = await trio.to_thread.run_sync(_read, abandon_on_cancel=True)
        if not data:
            break
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")
        while len(held) >= MAX_LINE:
            piece = held[:MAX_LINE].decode(errors="ignore")  # not in the middle of a character
            held = held[len(piece.encode()) or MAX_LINE :]
            yield piece
    if held:
        yield held.decode(errors="replace")


def _read() -> bytes:
    try:
        return os.read(STDIN, MAX_LINE)
    except OSError:  # a terminal that has gone
        return b""


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(STDOUT, data) :]
