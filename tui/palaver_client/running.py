"""Programs around a client: signals, and the one line that says why one failed."""

from __future__ import annotations

import logging
import signal
from collections.abc import AsyncIterable, Awaitable, Callable

import trio

from palaver_protocol.table import Refusal

from . import words
from .arguments import FAILED
from .complaints import complain
from .errors import ClientError
from .scopes import helpers


def run(name: str, program: Callable[[], Awaitable[int]]) -> int:
    """Run a program until it ends or a signal ends it; its exit code. A failure is one line for people."""
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s")
    try:
        return trio.run(_until_signal, program)
    except ClientError as why:
        said = str(why)
    except Refusal as no:
        said = words.of_refusal(no)
    complain(name, said)
    return FAILED


async def _until_signal(program: Callable[[], Awaitable[int]]) -> int:
    """The program's exit code; 0 when a signal ends it, for that is how one ends it."""
    with trio.CancelScope() as scope, trio.open_signal_receiver(*_ending()) as signals:
        async with helpers() as nursery:
            nursery.start_soon(_cancel_at, signals, scope)
            return await program()
    return 0


def _ending() -> tuple[signal.Signals, ...]:
    """The signals that end a program: not the terminal's end where it is to be survived (`nohup`)."""
    always = (signal.SIGINT, signal.SIGTERM)
    is_survived = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return always if is_survived else (*always, signal.SIGHUP)


async def _cancel_at(signals: AsyncIterable[int], scope: trio.CancelScope) -> None:
    async for _ in signals:
        scope.cancel()
        return
