"""The terminal and the process around the screen: who may write to it, and how it all ends."""

from __future__ import annotations

import asyncio
import logging
import logging.handlers
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from platformdirs import user_state_path

MAX_LOG: Final = 1_000_000  # bytes; one older file is kept
LAST_MOMENT: Final = 5.0  # s for leaving the room once the terminal is gone

log = logging.getLogger(__name__)


@contextmanager
def terminal_of_its_own() -> Iterator[Path]:
    """Let the screen alone write to the terminal; standard error, also of child processes, goes to the log.

    Textual draws on `sys.__stderr__`, so that becomes another way to the terminal, and descriptor 2 the log.
    Gives the log's path.
    """
    path = _log_to_file()
    before, saved = sys.__stderr__, os.dup(2)
    with open(os.dup(1), "w", encoding="utf-8", errors="replace") as terminal, open(path, "ab") as written:
        sys.__stderr__ = terminal  # type: ignore[misc]  # final for type checkers, but documented as a variable
        os.dup2(written.fileno(), 2)
        try:
            yield path
        finally:
            os.dup2(saved, 2)
            os.close(saved)
            sys.__stderr__ = before  # type: ignore[misc]


def _log_to_file() -> Path:
    """Send the log to a file in the folder for states; where that cannot be written, nowhere."""
    path = user_state_path("palaver") / "client.log"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handler: logging.Handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_LOG, backupCount=1)
    except OSError:
        path, handler = Path(os.devnull), logging.NullHandler()
    logging.basicConfig(
        level=logging.INFO, handlers=[handler], format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"
    )
    return path


def leave_on_signals(leave: Callable[[], object]) -> None:
    """Leave on SIGINT and SIGTERM, and when the terminal is closed (SIGHUP)."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, leave)
    loop.add_signal_handler(signal.SIGHUP, _hang_up, leave)


def _hang_up(leave: Callable[[], object]) -> None:
    """Leave without a terminal: what is still drawn or read must neither fail nor block."""
    log.info("the terminal was closed")
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in {0, 1, 2, *([] if sys.__stderr__ is None else [sys.__stderr__.fileno()])}:
        os.dup2(nothing, descriptor)
    deadline = threading.Timer(LAST_MOMENT, os._exit, [1])
    deadline.daemon = True
    deadline.start()
    leave()
