"""What is missing of a track that arrives, and when its sender is asked for it again (RFC 4585, 6.2.1).

A loss on the sender's way is mended here, once, before any listener asks for it.
"""

from __future__ import annotations

from typing import Final

PATIENCE: Final = 0.01  # s that a packet may be overtaken by others before it counts as lost
AGAIN: Final = 0.1  # s between requests for the same packet
REQUESTS: Final = 8  # for one packet; what has not come by then would be too late for a picture
MOST: Final = 200  # packets; a larger gap is an interruption, after which a keyframe helps


class Missing:
    """The packets that should have come, by their extended sequence numbers. Times in s."""

    def __init__(self) -> None:
        self._highest: int | None = None
        self._lost: dict[int, tuple[float, int]] = {}  # when to ask for it next, and how often it was asked for

    def note(self, index: int, now: float) -> bool:
        """A packet has come; whether those that it skipped are to be asked for."""
        highest = self._highest if self._highest is not None else index
        if index <= highest + 1:
            self._lost.pop(index, None)
            self._highest = max(highest, index)
            return False
        self._highest = index
        gap = range(highest + 1, index)
        if len(gap) + len(self._lost) > MOST:
            self.clear()
            return False
        self._lost |= dict.fromkeys(gap, (now + PATIENCE, 0))
        return True

    def deadline(self) -> float | None:
        """When `due` has something to ask for."""
        return min((when for when, _ in self._lost.values()), default=None)

    def due(self, now: float) -> list[int]:
        """What to ask for now, oldest first; each is asked for a few times, and then given up."""
        due = [index for index, (when, _) in self._lost.items() if when <= now]
        for index in due:
            asked = self._lost[index][1] + 1
            if asked < REQUESTS:
                self._lost[index] = now + AGAIN, asked
            else:
                del self._lost[index]
        return due

    def clear(self) -> None:
        """Ask for nothing of what is missing so far."""
        self._lost.clear()
