"""Sentences that only the full screen uses; what line mode says too is in `palaver_client.words`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, assert_never

from palaver_client.sound_choices import SoundSettings
from palaver_client.state import ClientState, ConnectionState, IncomingRing, MediaState, SideState
from palaver_media.engine_messages import Side
from palaver_media.sound_settings import PersonVolume, RecordingForm, Transmit
from palaver_protocol.models import RoomType

from .keys import TALK_KEYS
from .tuning import PARTS, talk_key
from .wishes import Knob

APP: Final = "Palaver"

ASK_NAME: Final = "What shall the others call you?"
ASK_ROOM: Final = "Name of the room; if there is one already, you join it."
CONFIRM_END: Final = "End this room for everyone in it?"
NEXT_RING: Final = "^g the next one"
ASK_REASON: Final = "Why? They read it; Enter without a word just rejects."
A_REASON: Final = "a few words, or none"
REASONS: Final = ("Call you back soon", "In a meeting", "Cannot talk now")
ASK_EMOJI: Final = "A digit or a click chooses; once more takes it back."
OTHER_EMOJI: Final = "another emoji"
NO_EMOJI: Final = "That is not one emoji."
EDITING: Final = "Editing · Enter sends, Esc leaves it as it was"

NO_ROOMS: Final = "  None yet: n makes one"
NOBODY: Final = "  Not connected yet"
NO_MESSAGES: Final = "Nothing has been written yet."
OLDER: Final = "↑ Older messages: o, or scroll on"
NO_OLDER: Final = "No older messages."
WRITE: Final = "Press c to write to the room"
WRITING: Final = "Enter sends, Esc ends the writing"

MISSED: Final = "missed call"
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

TOO_LONG: Final = "That is too long for one message; it was not taken."
NOT_CONNECTED: Final = "you are not connected; that has to wait"
TOO_MUCH_SAID: Final = "too many messages wait to be sent"
MEND_OR_CLOSE: Final = "s Sound · Esc"
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
    ConnectionState.CLOSED: ("✕", "cannot connect", "$error"),
}


def connection(state: ClientState) -> tuple[str, str, str]:
    """A mark, a word and a colour for the connection."""
    mark, word, colour = _CONNECTIONS[state.connection]
    is_http = state.is_polling and state.connection is ConnectionState.CONNECTED
    return mark, f"{word} (HTTP)" if is_http else word, colour


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
    """A word and a colour for one's own microphone, and whether it is sent just now."""
    if state.sound.source.problem:
        return "NO MIC", "$warning"
    if state.doing.is_echo_test:
        return "ECHO TEST", "$warning"
    if state.is_muted:
        return "MUTED", "$error"
    if state.choices.capture.transmit is Transmit.OPEN:
        return "MIC ON", "$success"
    return ("● SENDING", "$success") if state.doing.is_sending else ("○ SILENT", "$foreground-muted")


def deafness(state: ClientState) -> tuple[str, str] | None:
    """A word and a colour for one who hears nobody."""
    return ("DEAF", "$error") if state.choices.volume.is_deaf else None


def recording(state: ClientState) -> tuple[str, str] | None:
    """A word and a colour while we record, or are about to."""
    return None if state.doing.wanted is None else ("● REC", "$error")


def troubles(sides: Iterable[SideState]) -> str:
    """What is wrong with microphone and speaker; what would mend both is said once."""
    broken = [side for side in sides if side.problem]
    return " ".join(
        sentence(part) for part in dict.fromkeys([*(s.problem for s in broken), *(s.remedy for s in broken)]) if part
    )


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


def side(which: Side) -> str:
    """What people call a side of the sound."""
    return "Microphone" if which is Side.SOURCE else "Speaker"


def people(count: int) -> str:
    """How many are in a room."""
    return "1 person" if count == 1 else f"{count} people"


# -- chat --------------------------------------------------------------------------------------------------------------
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


# -- calls -------------------------------------------------------------------------------------------------------------
def call_with(names: Sequence[str]) -> str:
    """What a room for two is called."""
    return f"Call with {names[0]}" if names else "Call"


def hung_up(name: str) -> str:
    """The other one left a call between two."""
    return f"{name} hung up; the call is over"


def incoming(ring: IncomingRing, room_name: str) -> str:
    """Who rings, and what for."""
    if ring.room_id is None or ring.room_type is RoomType.DIRECT:
        return f"{ring.from_name} calls you"
    return f"{ring.from_name} invites you to {room_name or 'a room'}"


def calling(name: str) -> str:
    """Whom we ring."""
    return f"Calling {name}…"


def left(ends_at: float | None, now: float) -> str:
    """For how long it rings still, or nothing where nobody knows."""
    return "" if ends_at is None else f"{max(round(ends_at - now), 0)} s"


def confirm_leave(state: ClientState, answered: str) -> str:
    """The question before one seat is given up for another."""
    return f"Leave {place(state)} and answer {answered}?"


def confirm_call(state: ClientState, called: str) -> str:
    """The question before a call that would end another one."""
    return f"Call {called}? You leave {place(state)} when the call is accepted."


def confirm_host(name: str, is_me: bool) -> str:
    """The question before the role of the host is handed over."""
    return "Become the host of this room?" if is_me else f"Make {name} the host of this room?"


def place(state: ClientState) -> str:
    """Where we sit."""
    if state.room is None:
        return "the room"
    if state.room.room_type is RoomType.GROUP:
        return state.room.room_name
    return "the call you are in"


def ringing(count: int) -> str:
    """The title above what rings."""
    return "Incoming" if count == 1 else f"{count} incoming"


def rings_for(ends_at: float | None, now: float) -> str:
    """For how long we ring still."""
    return "It rings there." if ends_at is None else f"It rings there for {left(ends_at, now)} more."


def rejecting(name: str) -> str:
    """The title of the question why."""
    return f"Reject {name}"


# -- sound -------------------------------------------------------------------------------------------------------------
VOICE_BUTTONS: Final = (
    ("- Less", "turn(-1)"),
    ("+ Louder", "turn(1)"),
    ("u Hush", "hush"),
    ("y Priority", "prefer"),
)
VOICE_MARKS: Final = {
    (False, False): "You hear them as they are.",
    (False, True): "Others are quieter while they talk.",
    (True, False): "You do not hear them; they are not told.",
    (True, True): "You do not hear them; they are not told.",
}
NOT_HEARD: Final = "Nothing of them arrives just now."
TREATMENT: Final = "Your sound"
ECHO_TEST: Final = {False: "e Test the echo", True: "e End the test"}  # as long as each other
KNOBS: Final = {
    Knob.TRANSMIT: "Your microphone is sent",
    Knob.TALK_KEY: "Key for push-to-talk",
    Knob.HEADSET: "Headset: least delay",
    Knob.ECHO: "Echo cancellation",
    Knob.NOISE: "Noise suppression",
    Knob.GAIN: "Automatic gain",
    Knob.HIGH_PASS: "High-pass filter",
    Knob.MICROPHONE: "Microphone gain",
    Knob.VOLUME: "Volume of all",
    Knob.FRAME: "Opus: length of a frame",
    Knob.BITRATE: "Opus: at most",
    Knob.FORM: "Recordings",
}
_TRANSMITS: Final = {
    Transmit.OPEN: "always",
    Transmit.VOICE: "while you speak",
    Transmit.PUSH: "while you hold a key",
}
_FORMS: Final = {RecordingForm.OGG: "Opus in Ogg", RecordingForm.WAV: "WAV"}


def heard(volume: PersonVolume) -> tuple[tuple[str, bool], ...]:
    """What is not as usual in how somebody is heard, and whether it is so."""
    louder = (decibels(volume.volume_db), volume.volume_db != 0)
    return ("hushed", volume.is_muted), louder, ("priority", volume.is_priority)


def key_name(key: str) -> str:
    """A key for push-to-talk, as it is written on it."""
    return next(each.shown for each in TALK_KEYS if each.key == key)


def ask_record(folder: object) -> str:
    """The question before a call is recorded."""
    return (
        "Record this call? Everybody in it is told and sees it as long as it lasts. There is a file for each person,"
        f" and one of all, in {folder}"
    )


def value_of(knob: Knob, choices: SoundSettings) -> str:
    """What something that can be turned is turned to."""
    match knob:
        case Knob.TRANSMIT:
            return _TRANSMITS[choices.capture.transmit]
        case Knob.TALK_KEY:
            return key_name(talk_key(choices))
        case Knob.HEADSET:
            return on(choices.is_headset)
        case Knob.ECHO if choices.is_headset:
            return "off with a headset"
        case Knob.ECHO | Knob.NOISE | Knob.GAIN | Knob.HIGH_PASS:
            return on(getattr(choices.capture, PARTS[knob]))
        case Knob.MICROPHONE:
            return decibels(choices.capture.microphone_db)
        case Knob.VOLUME:
            return decibels(choices.volume.volume_db)
        case Knob.FRAME:
            return f"{choices.used_encoding.frame_ms} ms{' with a headset' if choices.is_headset else ''}"
        case Knob.BITRATE:
            return f"{choices.encoding.bitrate // 1000} kbit/s"
        case Knob.FORM:
            return _FORMS[choices.form]
        case _:
            assert_never(knob)


def decibels(level: float) -> str:
    """How much louder or less loud than usual."""
    return f"{level:+g} dB" if level else "0 dB"


def on(is_on: bool) -> str:
    """A switch."""
    return "on" if is_on else "off"
