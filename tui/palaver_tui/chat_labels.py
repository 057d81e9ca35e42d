"""Sentences about the chat that only the full screen uses."""

from __future__ import annotations

from typing import Final

ASK_EMOJI: Final = "A digit or a click chooses; once more takes it back."
OTHER_EMOJI: Final = "another emoji"
NO_EMOJI: Final = "That is not one emoji."
EDITING: Final = "Editing · Enter sends, Esc leaves it as it was"
NO_MESSAGES: Final = "Nothing has been written yet."
OLDER: Final = "↑ Older messages: o, or scroll on"
NO_OLDER: Final = "No older messages."
WRITE: Final = "Press c to write to the room"
WRITING: Final = "Enter sends, Esc ends the writing"
TOO_LONG: Final = "That is too long for one message; it was not taken."
TOO_MUCH_SAID: Final = "too many messages wait to be sent"


def deleted(name: str) -> str:
    """What stands where a message stood."""
    return f"{name} deleted this message"


def new_room(name: str) -> str:
    """The line between the chat of a lost room and that of the one after it."""
    return f"── a new room {name} begins here; what is above is only on this screen ──"


def quote(name: str, content: str) -> str:
    """A message that is answered, on one line."""
    return f"↪ {name}: {' '.join(content.split())}"


def answering(name: str, content: str) -> str:
    """What the next message answers."""
    return f"Esc drops this answer · {quote(name, content)}"


def confirm_delete(content: str) -> str:
    """The question before a message is gone."""
    shown = " ".join(content.split())
    return f"Delete this message for everyone?\n\n{shown if len(shown) <= 60 else shown[:59] + '…'}"
