"""For which SSRCs a client's keys may keep a context: SRTP makes one for each that ever sent something authentic."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MAX_STRANGERS: Final = 64  # SSRCs of RTCP that belong to no track: a client's own as a listener, mostly one
MAX_CLOSED: Final = 64  # SSRCs of tracks that have ended


class Contexts:
    """The SSRCs of one transport: of the tracks that it carries, of the last that it carried, and of strangers.

    A track that has ended is not forgotten at once. Its last reports may be under way; and where its SSRC is used
    again, its numbers go on, and what was sent before is still known for a replay.
    """

    def __init__(self) -> None:
        self._open: set[int] = set()
        self._closed: dict[int, None] = {}  # the longest closed first
        self._strangers: set[int] = set()

    def open(self, ssrcs: Iterable[int]) -> None:
        """A track with these begins."""
        for ssrc in ssrcs:
            self._open.add(ssrc)
            self._closed.pop(ssrc, None)
            self._strangers.discard(ssrc)

    def close(self, ssrcs: Iterable[int]) -> list[int]:
        """A track with these has ended; which SSRCs are to be forgotten now."""
        for ssrc in ssrcs:
            self._open.discard(ssrc)
            self._closed[ssrc] = None
        surplus = list(self._closed)[:-MAX_CLOSED]
        for ssrc in surplus:
            del self._closed[ssrc]
        return surplus

    def admits(self, ssrc: int) -> bool:
        """Whether RTCP of this SSRC may be looked at."""
        return self._is_known(ssrc) or len(self._strangers) < MAX_STRANGERS

    def note(self, ssrc: int) -> None:
        """Something authentic came from this SSRC."""
        if not self._is_known(ssrc):
            self._strangers.add(ssrc)

    def _is_known(self, ssrc: int) -> bool:
        return ssrc in self._open or ssrc in self._closed or ssrc in self._strangers
