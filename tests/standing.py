"""Servers that stand for a whole module of tests."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from running import PYTHONPATH


@contextmanager
def standing(*arguments: str, end: signal.Signals = signal.SIGTERM) -> Iterator[str]:
    """A server, as `python ARGUMENTS` starts it, for the length of the block: its URL.

    It must have nothing to say on stderr, and end in order at the signal `end`.
    """
    with TemporaryDirectory() as folder, (Path(folder) / "stderr").open("w+") as errors:
        with subprocess.Popen(
            [sys.executable, *arguments],
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "XDG_STATE_HOME": folder},
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process:
            assert process.stdout is not None
            started = re.search(r"http://[^\s,]+", process.stdout.readline())
            reader = Thread(target=list, args=(process.stdout,))  # a pipe that nobody reads would stop the server
            reader.start()
            try:
                assert started is not None, "the server did not start"
                yield started[0]
            finally:
                process.send_signal(end)
                try:
                    process.wait(timeout=20)
                finally:
                    process.kill()
                    reader.join()
        errors.seek(0)
        assert errors.read() == ""  # not one traceback
    assert process.returncode == 0
