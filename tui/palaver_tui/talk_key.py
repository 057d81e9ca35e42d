"""Push-to-talk: held where the terminal tells when a key is let go of, else by repetition, or from press to press."""

from __future__ import annotations

from typing import Final

from attrs import define

REPEAT: Final = 0.3  # s within which a key that is held down comes again


@define
class TalkKey:
    """Whether the key is down, as far as it can be known; times are in s on any clock.

    A terminal that tells no release gives one press, after a while many. So a press begins to talk, and one while we
    talk ends it a moment after the last: whoever holds the key is heard until he lets go, and whoever presses twice
    from the first to the second.
    """

    is_down: bool = False
    ends_at: float | None = None
    is_release_told: bool = False

    def press(self, now: float) -> None:
        """The key came, for the first time or again."""
        if not self.is_down:
            self.is_down = True
        elif not self.is_release_told:
            self.ends_at = now + REPEAT

    def let_go(self) -> None:
        """It was let go of, as the terminal says."""
        self.is_release_told = True
        self.end()

    def end(self) -> None:
        """No longer down: also when the terminal lost the focus, and will not tell."""
        self.is_down, self.ends_at = False, None

    def tick(self, now: float) -> None:
        """Look whether it has come for the last time."""
        if self.ends_at is not None and now >= self.ends_at:
            self.end()
