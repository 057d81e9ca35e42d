"""`python -m palaver_engine FD`: the sound engine, at the other end of its owner's socket."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from typing import Final

from palaver_media.child import take_precedence

from .engine import run

SWITCH: Final = 0.001  # s a thread may keep the interpreter while the sound thread waits for it
GRACE: Final = 0.7  # s for an orderly end: a dead sound server can make it last for ever


def main() -> None:
    """Run until the owner closes the channel."""
    _quiet_libraries()
    sys.setswitchinterval(SWITCH)
    take_precedence()
    asyncio.run(run(int(sys.argv[1]), _end_soon))


def _end_soon() -> None:
    """An orderly end is under way; do not wait for it too long."""
    deadline = threading.Timer(GRACE, os._exit, (0,))
    deadline.daemon = True
    deadline.start()


def _quiet_libraries() -> None:
    """Keep the chatter of ALSA and PortAudio off the terminal, where the full-screen client draws."""
    errors = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = errors
    logging.basicConfig(stream=errors, level=logging.WARNING, format="palaver_engine: %(levelname)s: %(message)s")


if __name__ == "__main__":
    main()
