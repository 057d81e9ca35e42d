"""Which of the calls that come in is answered by keys and clicks, and since when."""

from __future__ import annotations

import time
from typing import Final

from attrs import define

from palaver_client.state import IncomingRing
from palaver_protocol.models import CallId

GUARD: Final = 0.7  # s for which no answer is taken: what is pressed in that moment was meant for something else


@define
class Rings:
    """What rings here; one of it is marked for the keys."""

    incoming: tuple[IncomingRing, ...] = ()
    marked: CallId | None = None
    _marked_at: float = 0.0  # on the monotonic clock; the person's own choice needs no guard
    _moved_at: float = 0.0  # when rows came or went on the screen

    def show(self, incoming: tuple[IncomingRing, ...]) -> bool:
        """Take in what rings now; whether something has begun to."""
        before = [ring.call_id for ring in self.incoming]
        now = [ring.call_id for ring in incoming]
        self.incoming = incoming
        if now != before:
            self._moved_at = time.monotonic()
        if self.marked not in now:
            self.marked, self._marked_at = next(iter(now), None), time.monotonic()
        return not set(now) <= set(before)

    def go_on(self) -> None:
        """Mark the next one, and after the last the first."""
        ids = [ring.call_id for ring in self.incoming]
        if self.marked is not None:
            self.marked = ids[(ids.index(self.marked) + 1) % len(ids)]

    def for_key(self) -> IncomingRing | None:
        """The one that a key answers, if it has been marked for a moment."""
        return None if time.monotonic() - self._marked_at < GUARD else self._find(self.marked)

    def for_click(self, call_id: CallId) -> IncomingRing | None:
        """The one that was clicked, if nothing has moved under the mouse a moment ago."""
        return None if time.monotonic() - self._moved_at < GUARD else self._find(call_id)

    def _find(self, call_id: CallId | None) -> IncomingRing | None:
        return next((ring for ring in self.incoming if ring.call_id == call_id), None)
