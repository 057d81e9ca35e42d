"""Programs around a client: signals, and the one line that says why one failed."""

from __future__ import annotations

import logging
import signal
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from palaver_protocol.table import Refusal

from . import words
from .arguments import FAILED
from .complaints import complain
from .errors import ClientError
from .scopes import helpers

SIGNALLED: Final = 128  # exit code, and the signal's number on top, as shells have it


def run(name: str, program: Callable[[], Awaitable[int]], *, is_endless: bool = True) -> int:
    """Run a program until it ends or a signal ends it; its exit code. A failure is one line for people.

    A signal is how one ends an endless program: it ends well. Of another one a part was not done, as the code says.
    """
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    try:
        number, code = trio.run(_until_signal, program)
    except ClientError as why:
        said = str(why)
    except Refusal as no:
        said = words.of_refusal(no)
    else:
        return SIGNALLED + number if number and not is_endless else code
    complain(name, said)
    return FAILED


async def _until_signal(program: Callable[[], Awaitable[int]]) -> tuple[int, int]:
    """The signal that ended the program, or 0, and its exit code."""
    number = 0
    with trio.CancelScope() as scope, trio.open_signal_receiver(*_ending()) as signals:

        async def cancel() -> None:
            nonlocal number
            number = await anext(signals)
            scope.cancel()

        async with helpers() as nursery:
            nursery.start_soon(cancel)
            return 0, await program()
    return number, 0


def _ending() -> tuple[signal.Signals, ...]:
    """The signals that end a program: not the terminal's end where it is to be survived (`nohup`)."""
    always = (signal.SIGINT, signal.SIGTERM)
    is_survived = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return always if is_survived else (*always, signal.SIGHUP)
