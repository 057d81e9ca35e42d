"""Standard input and output without blocking Trio, whatever they are: terminals, pipes, files.

Neither is made non-blocking, for that would change it for the shell and everybody else who has it open. A thread
that still waits when the program ends is left behind.
"""

from __future__ import annotations

import os
import select
import sys
from collections.abc import AsyncGenerator
from typing import Final

import trio
from attrs import define, field, frozen

STDIN: Final = 0
STDOUT: Final = 1
MAX_LINE: Final = 64 * 1024  # bytes; a longer line is cut into several
AT_ONCE: Final = 0.03  # s after one line in which nobody types the next


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


@frozen
class TypedLine:
    """A line of standard input; `is_pasted` where a terminal gave it together with the one before."""

    text: str
    is_pasted: bool = False


async def typed_lines() -> AsyncGenerator[TypedLine, None]:
    """The lines of standard input, until its end; one that is too long comes in pieces."""
    held, follows = b"", False
    is_terminal = sys.stdin is not None and os.isatty(STDIN)
    while sys.stdin is not None:  # it is None where the file descriptor was closed, and may now be something else's
        data, is_at_once = await trio.to_thread.run_sync(_read, abandon_on_cancel=True)
        if not data:
            break
        follows = follows and is_at_once
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            yield TypedLine(line.decode(errors="replace"), is_terminal and follows)
            follows = True
        while len(held) >= MAX_LINE:
            piece = held[:MAX_LINE].decode(errors="ignore")  # not in the middle of a character
            held = held[len(piece.encode()) or MAX_LINE :]
            yield TypedLine(piece, is_terminal and follows)
    if held:
        yield TypedLine(held.decode(errors="replace"))


def _read() -> tuple[bytes, bool]:
    """What is typed next, and whether it came at once; a terminal gives one line at a time."""
    try:
        is_at_once = bool(select.select([STDIN], [], [], AT_ONCE)[0])
        return os.read(STDIN, MAX_LINE), is_at_once
    except OSError:  # a terminal that has gone
        return b"", False


def _write_all(data: bytes) -> None:
    while data:
        data = data[os.write(STDOUT, data) :]
