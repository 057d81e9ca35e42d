"""Sentences that only the full screen uses; what line mode says too is in `palaver_client.words`.

Those about the chat, calls and sound have modules of their own, such as `chat_labels`.
"""

from __future__ import annotations

from typing import Final

from palaver_client.state import ClientState, ConnectionState

APP: Final = "Palaver"
ASK_NAME: Final = "What shall the others call you?"
ASK_ROOM: Final = "Name of the room; if there is one already, you join it."
CONFIRM_END: Final = "End this room for everyone in it?"
NO_ROOMS: Final = "  None yet: n makes one"
NOBODY: Final = "  Not connected yet"
WELCOME: Final = (
    ("You are in no room.", "bold"),
    ("", ""),
    ("↑ ↓ Enter   join a room, or click it", ""),
    ("n           make a room", ""),
    ("p           call somebody who is online", ""),
    ("s           choose your devices and your sound", ""),
    ("?           all keys", ""),
)

HELP: Final = (
    "The mouse works everywhere: click a room to join it, a person to join theirs, the microphone mark to mute, "
    "a key hint to do what it says.",
    "Reactions in brackets are yours too. A click on a message selects it for the keys of the chat.",
    "Tab goes from pane to pane. While you write, letters go into the line; Ctrl+T mutes all the same, "
    "and Esc ends the writing.",
)
NOT_CONNECTED: Final = "you are not connected; that has to wait"

_CONNECTIONS: Final = {
    ConnectionState.CONNECTING: ("○", "connecting…", "$warning"),
    ConnectionState.CONNECTED: ("●", "connected", "$success"),
    ConnectionState.RECONNECTING: ("○", "reconnecting…", "$warning"),
    ConnectionState.CLOSED: ("✕", "cannot connect", "$error"),
}


def connection(state: ClientState) -> tuple[str, str, str]:
    """A mark, a word and a colour for the connection."""
    mark, word, colour = _CONNECTIONS[state.connection]
    is_http = state.is_polling and state.connection is ConnectionState.CONNECTED
    return mark, f"{word} (HTTP)" if is_http else word, colour


def sentence(text: str) -> str:
    """The text with a capital, unless it begins with an address, and a full stop."""
    text = text.strip()
    first = text[:1] if "://" in text.split(" ", 1)[0] else text[:1].upper()
    return first + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


def not_kept(why: object) -> str:
    """Why settings are not there the next time."""
    return f"your settings cannot be kept: {why}"


def retrying(reason: str, seconds: float) -> str:
    """Why there is no connection, and when the next attempt comes."""
    when = "now" if seconds < 1 else f"in {seconds:.0f} s"
    return f"{sentence(reason or 'the connection is lost')} Trying again {when}; r tries at once."


def closed(reason: str) -> str:
    """Why there will be no connection any more."""
    return f"{sentence(reason or 'the server closed the connection')} Press r to connect again, Ctrl+Q to leave."


def people(count: int) -> str:
    """How many are in a room."""
    return "1 person" if count == 1 else f"{count} people"


def confirm_host(name: str, is_me: bool) -> str:
    """The question before the role of the host is handed over."""
    return "Become the host of this room?" if is_me else f"Make {name} the host of this room?"
