"""Two files that are waited for at once, by poll(2)."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import TypeAlias

Poll: TypeAlias = Callable[[int | None], list[tuple[int, int]]]


class Sources:
    """Two files of which one is to be read; on Linux.

    `poll` waits at most so long (ms; None: for ever), and tells which can be read, the first one first; `poll_second`
    waits for the second alone.
    """

    def __init__(self, first: int, second: int) -> None:
        self.second = second
        self.poll: Poll = _poll(first, second)
        self.poll_second: Poll = _poll(second)


def _poll(*files: int) -> Poll:
    waiting = select.poll()
    for each in files:
        waiting.register(each, select.POLLIN)
    return waiting.poll
