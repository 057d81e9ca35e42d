"""Sentences about one's own sound and that of others that only the full screen uses."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

from palaver_client.sound_choices import SoundSettings
from palaver_client.state import ClientState, ConnectionState, MediaState, SideState
from palaver_media.engine_messages import Side
from palaver_media.sound_settings import PersonVolume, RecordingForm, Transmit

from .keys import TALK_KEYS
from .knobs import Knob
from .labels import sentence
from .tuning import PARTS, talk_key

MEND_OR_CLOSE: Final = "s Sound · Esc"
NO_DEVICES_YET: Final = "  Looking for devices…"
LEVEL: Final = "Your level"
LEVEL_LATER: Final = "Your level shows once your microphone is open."
NO_WAY_FOR_SOUND: Final = (
    "Sound does not get through to the server. Are its UDP ports open? It is tried again after a reconnection."
)
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
ASK_RECORD: Final = (
    "Record this call? Everybody in it is told and sees it as long as it lasts. There is a file for each person,"
    " and one of all, in a new folder in this one:"
)
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


def side(which: Side) -> str:
    """What people call a side of the sound."""
    return "Microphone" if which is Side.SOURCE else "Speaker"


def heard(volume: PersonVolume) -> tuple[tuple[str, bool], ...]:
    """What is not as usual in how somebody is heard, and whether it is so."""
    louder = (decibels(volume.volume_db), volume.volume_db != 0)
    return ("hushed", volume.is_muted), louder, ("priority", volume.is_priority)


def key_name(key: str) -> str:
    """A key for push-to-talk, as it is written on it."""
    return next(each.shown for each in TALK_KEYS if each.key == key)


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
