"""What happened, as plain lines for people: no colour, no cursor, nothing that a screen reader would stumble over."""

from __future__ import annotations

import math
import time
from typing import Final

from attrs import define, field

from palaver_protocol import text
from palaver_protocol.models import EndReason, RoomType, RoomView, UserId
from palaver_protocol.notices import IncomingCall, IncomingCallNew, NewMessage, UserLeft
from palaver_protocol.table import Refusal

from . import sound_words, words
from .changes import Change
from .events import Joined, MediaConnecting, MediaStarted, OlderRead, SpeakingChanged
from .listings import Listing
from .sound_choices import SoundSettings

QUIET: Final = 10.0  # s that all others are silent before it is news that the same one speaks again
BELL: Final = "\a"


@define
class PlainLines:
    """What line mode prints.

    `is_echoed`: the terminal shows what we type, so it is not told again. `has_bell`: the terminal can ring.
    """

    _me: UserId
    _is_echoed: bool
    _has_bell: bool = False
    _last_speaker: UserId | None = None
    _speaking: set[UserId] = field(factory=set[UserId])
    _silent_since: float = -math.inf
    _last_heard: UserId | None = None  # of whom it was said last that we hear him

    def of_change(self, change: Change) -> str | None:
        """The line of a change; None for what is not worth one."""
        bell = ""
        if isinstance(change.event, MediaConnecting | Joined | UserLeft):
            self._last_heard = None  # that he is heard again is news
        match change.event:
            case SpeakingChanged():
                line = words.of_event(change) if self._is_news(change.event, time.monotonic()) else None
            case MediaStarted():
                line = words.of_event(change) if change.event.user_id != self._last_heard else None
                self._last_heard = change.event.user_id if line is not None else self._last_heard
            case NewMessage() if not self._is_told(change.event.user_id):
                line = None
            case IncomingCall() | IncomingCallNew():
                line, bell = f"{words.of_event(change)}: /accept or /reject", BELL if self._has_bell else ""
            case OlderRead(messages=messages) if messages:
                line = "\n".join(["earlier:", *map(words.of_message, messages), "so far what was said earlier"])
            case _:
                missed = [words.of_message(said) for said in change.missed if self._is_told(said.user_id)]
                line = "\n".join(filter(None, [words.of_event(change), *missed])) or None
        return None if line is None else bell + text.sanitise(line, keep="\n\t")

    def of_error(self, message: str, no: Refusal | None = None) -> str:
        """Something that was asked could not be done; the call goes on."""
        return text.one_line(message)

    def of_help(self, message: str) -> str:
        """What one can type, or what was asked for."""
        return text.sanitise(message, keep="\n")

    def of_listing(self, listing: Listing) -> str:
        """Who or what there is."""
        return text.sanitise(listing.text, keep="\n")

    def of_sound(self, settings: SoundSettings) -> str | None:
        """What is unusual in how the sound was chosen, perhaps long ago."""
        return sound_words.of_unusual(settings)

    def of_waiting(self) -> str:
        """Nobody talks with us yet."""
        return "waiting for calls; /call NAME calls somebody, /help lists what else there is"

    def of_ringing(self, message: str) -> str | None:
        """It still rings."""
        return text.one_line(message)

    def of_hanging_up(self, reason: EndReason, seconds: float, room: RoomView | None) -> str:
        """One of several calls is over, that in this room."""
        return f"{_stay(room, seconds)}; waiting for calls"

    def of_failure(self) -> str | None:
        """It has not begun; why, is said on standard error."""
        return None

    def of_end(self, reason: EndReason | None, seconds: float, room: RoomView | None, *, was_talking: bool) -> str:
        """The last line; without a reason we left by our own will."""
        return _stay(room, seconds) if was_talking else "you wait for calls no longer"

    def _is_told(self, writer: UserId) -> bool:
        """Whether what he wrote is not on the screen already."""
        return writer != self._me or not self._is_echoed

    def _is_news(self, event: SpeakingChanged, now: float) -> bool:
        """Whether another one speaks than before, or the same one after a long silence."""
        if event.user_id == self._me:
            return False
        if not event.is_speaking:
            self._speaking.discard(event.user_id)
            if not self._speaking:
                self._silent_since = now
            return False
        was_silent = not self._speaking and now - self._silent_since >= QUIET
        is_news = was_silent or event.user_id != self._last_speaker
        self._speaking.add(event.user_id)
        self._last_speaker = event.user_id
        return is_news


def _stay(room: RoomView | None, seconds: float) -> str:
    """How long we talked."""
    if room is None or room.room_type is RoomType.DIRECT:
        return f"the call took {words.duration(seconds)}"
    return f"you were in {room.room_name} for {words.duration(seconds)}"
