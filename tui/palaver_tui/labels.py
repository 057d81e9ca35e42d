"""Sentences that only the full screen uses; what line mode says too is in `palaver_client.words`."""

from __future__ import annotations

from typing import Final

from palaver_client.state import ClientState, ConnectionState, MediaState
from palaver_media.engine_messages import Side

APP: Final = "Palaver"

ASK_NAME: Final = "What shall the others call you?"
ASK_ROOM: Final = "Name of the room; if there is one already, you join it."
CONFIRM_END: Final = "End this room for everyone in it?"

NO_ROOMS: Final = "  None yet: n makes one"
NOBODY: Final = "  Not connected yet"
NO_MESSAGES: Final = "Nothing has been written yet."
WRITE: Final = "Press c to write to the room"
WRITING: Final = "Enter sends, Esc ends the writing"

WELCOME: Final = (
    ("You are in no room.", "bold"),
    ("", ""),
    ("↑ ↓ Enter   join a room, or click it", ""),
    ("n           make a room", ""),
    ("s           choose microphone and speaker", ""),
    ("?           all keys", ""),
)

HELP: Final = (
    "The mouse works everywhere: click a room to join it, a person to join theirs, the microphone mark to mute, "
    "a key hint to do what it says.",
    "Tab goes from pane to pane. While you write, letters go into the line; Ctrl+T mutes all the same, "
    "and Esc ends the writing.",
)

NOT_CONNECTED: Final = "you are not connected; that has to wait"
TOO_MUCH_SAID: Final = "too many messages wait to be sent"
NO_DEVICES_YET: Final = "  Looking for devices…"
LEVEL: Final = "Your level"
LEVEL_LATER: Final = "Your level shows once you are in a room."
NO_WAY_FOR_SOUND: Final = (
    "Sound does not get through to the server. Are its UDP ports open? It is tried again after a reconnection."
)

_CONNECTIONS: Final = {
    ConnectionState.CONNECTING: ("○", "connecting…", "$warning"),
    ConnectionState.CONNECTED: ("●", "connected", "$success"),
    ConnectionState.RECONNECTING: ("○", "reconnecting…", "$warning"),
    ConnectionState.CLOSED: ("✕", "server lost", "$error"),
}


def connection(state: ConnectionState) -> tuple[str, str, str]:
    """A mark, a word and a colour for the connection."""
    return _CONNECTIONS[state]


def media(state: ClientState) -> str:
    """How the sound travels; nobody knows while the server does not hear us."""
    if state.connection is not ConnectionState.CONNECTED:
        return ""
    match state.media:
        case MediaState.NONE:
            return ""
        case MediaState.CONNECTING:
            return "sound connecting…"
        case MediaState.FAILED:
            return "no sound"
        case MediaState.CONNECTED:
            return _figures(state)


def _figures(state: ClientState) -> str:
    stats = state.stats
    if stats is None or stats.rtt_ms is None:
        return "sound on"
    losses = [one.loss for one in stats.users.values()]
    lost = f" · {100 * sum(losses) / len(losses):.0f} % lost" if losses else ""
    return f"{stats.rtt_ms:.0f} ms{lost}"


def microphone(state: ClientState) -> tuple[str, str]:
    """A word and a colour for one's own microphone."""
    if state.sound.source.problem:
        return "NO MIC", "$warning"
    return ("MUTED", "$error") if state.is_muted else ("MIC ON", "$success")


def trouble(reason: str, remedy: str) -> str:
    """What is wrong, and what would mend it, as sentences."""
    return " ".join(sentence(part) for part in (reason, remedy) if part)


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?", "…")) else ".")


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


def side(which: Side) -> str:
    """What people call a side of the sound."""
    return "Microphone" if which is Side.SOURCE else "Speaker"


def people(count: int) -> str:
    """How many are in a room."""
    return "1 person" if count == 1 else f"{count} people"
