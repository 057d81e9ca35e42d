"""What happened, as plain lines for people: no colour, no cursor, nothing that a screen reader would stumble over."""

from __future__ import annotations

import math
import time
from typing import Final

from attrs import define, field

from palaver_protocol import text
from palaver_protocol.models import EndReason, UserId
from palaver_protocol.notices import NewMessage

from . import words
from .changes import Change
from .events import SpeakingChanged

QUIET: Final = 5.0  # s somebody is silent before it is news that he speaks


@define
class PlainLines:
    """What line mode prints. `is_echoed`: the terminal shows what we type, so it is not told again."""

    _me: UserId
    _is_echoed: bool
    _silent_since: dict[UserId, float] = field(factory=dict[UserId, float])

    def of_change(self, change: Change) -> str | None:
        """The line of a change; None for what is not worth one."""
        match change.event:
            case SpeakingChanged():
                line = words.of_event(change) if self._is_news(change.event, time.monotonic()) else None
            case NewMessage() if change.event.user_id == self._me and self._is_echoed:
                line = None
            case _:
                line = words.of_event(change)
        return None if line is None else text.sanitise(line, keep="\n\t")

    def of_error(self, message: str) -> str:
        """Something that was asked could not be done; the call goes on."""
        return text.one_line(message)

    def of_help(self, message: str) -> str:
        """What one can type."""
        return message

    def of_end(self, reason: EndReason | None, seconds: float) -> str:
        """The last line; without a reason we left by our own will."""
        return f"the call took {words.duration(seconds)}"

    def _is_news(self, event: SpeakingChanged, now: float) -> bool:
        """Whether somebody else speaks after a while of silence."""
        if not event.is_speaking:
            self._silent_since[event.user_id] = now
            return False
        was_silent = now - self._silent_since.get(event.user_id, -math.inf) >= QUIET
        return event.user_id != self._me and was_silent
