"""What people read about their sound when they ask."""

from __future__ import annotations

from typing import Final

from palaver_media.engine_messages import ConsumerStats, Devices
from palaver_media.sound_settings import Transmit
from palaver_protocol.models import UserId

from . import words
from .sound_choices import SoundSettings
from .state import ClientState, Sound

METER: Final = 20  # characters
QUIETEST: Final = -60.0  # dBFS, at the left end of a meter
CAPTURE_MS: Final = 30.0  # what two devices with blocks of 10 ms take, as measured


def name(user: UserId, state: ClientState) -> str:
    """What somebody is called."""
    return words.name_of(user, state)


def meter(dbfs: float) -> str:
    """A level as text: a bar, and the figure for those who hear it read."""
    filled = round(METER * (min(max(dbfs, QUIETEST), 0.0) - QUIETEST) / -QUIETEST)
    return f"microphone [{'#' * filled}{'.' * (METER - filled)}] {dbfs:.0f} dBFS"


def of_devices(devices: Devices, sound: Sound) -> str:
    """What there is, and how to choose."""
    if devices.problem and not devices.inputs and not devices.outputs:
        return f"no sound: {devices.problem}"
    lines = [f"you speak into {sound.source.name or 'nothing'}, and hear with {sound.sink.name or 'nothing'}"]
    for title, each in (("microphones (/mic NAME)", devices.inputs), ("loudspeakers (/speaker NAME)", devices.outputs)):
        lines += [title, *(f"  {one.name}{' (default)' if one.is_default else ''}" for one in each)]
    return "\n".join(lines)


def of_transmit(transmit: Transmit) -> str:
    """When the microphone is sent."""
    match transmit:
        case Transmit.OPEN:
            return "your microphone is sent always"
        case Transmit.VOICE:
            return "your microphone is sent while you speak"
        case Transmit.PUSH:
            return "your microphone is sent from one /talk to the next"


def of_processing(settings: SoundSettings) -> str:
    """What is done to the microphone's sound."""
    capture, encoding = settings.used_capture, settings.used_encoding
    parts = {"echo": capture.echo, "noise": capture.noise, "agc": capture.gain, "highpass": capture.high_pass}
    switches = ", ".join(f"{part} {'on' if is_on else 'off'}" for part, is_on in parts.items())
    headset = "headset: " if settings.is_headset else ""
    return f"{headset}{switches}; frames of {encoding.frame_ms} ms, at most {encoding.bitrate // 1000} kbit/s"


def mouth_to_ear(voice: ConsumerStats, rtt_ms: float | None, frame_ms: int) -> float | None:
    """About how late a voice is heard, in ms: devices, a frame, our way to the server, and the playout delay.

    The other one's way to the server is not known; it is taken to be as long as ours.
    """
    return None if rtt_ms is None else CAPTURE_MS + frame_ms + rtt_ms + voice.playout_ms


def of_stats(state: ClientState) -> str:
    """How the sound travels, a line for each person."""
    if state.stats is None:
        return "there are no figures yet; they come once a second during a call"
    rtt = state.stats.rtt_ms
    lines = [f"to the server and back {_ms(rtt)}, sending {state.stats.out_kbps:.0f} kbit/s"]
    for user, voice in state.stats.users.items():
        ear = mouth_to_ear(voice, rtt, state.choices.used_encoding.frame_ms)
        lines.append(
            f"{name(user, state)}: about {_ms(ear)} from mouth to ear, playout {_ms(voice.playout_ms)},"
            f" lost {voice.loss:.1%}, concealed {voice.concealed:.1%}"
        )
    return "\n".join(lines)


def _ms(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.0f} ms"
