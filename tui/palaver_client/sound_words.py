"""What people read about their sound when they ask."""

from __future__ import annotations

from typing import Final

from palaver_media.engine_messages import ConsumerStats, Devices, SendingStats
from palaver_media.sound_settings import Encoding, PersonVolume, Transmit, Volume
from palaver_protocol.models import RoomView, UserId

from . import words
from .sound_choices import SoundSettings
from .state import ClientState

METER: Final = 20  # characters
QUIETEST: Final = -60.0  # dBFS, at the left end of a meter


def name(user: UserId, state: ClientState) -> str:
    """What somebody is called."""
    return words.name_of(user, state)


def meter(dbfs: float) -> str:
    """A level as text: a bar, and the figure for those who hear it read."""
    filled = round(METER * (min(max(dbfs, QUIETEST), 0.0) - QUIETEST) / -QUIETEST)
    return f"microphone [{'#' * filled}{'.' * (METER - filled)}] {dbfs:.0f} dBFS"


def spec(written: str) -> str:
    """A source or sink, as it is called where people read."""
    return "the default device" if written in ("", "device") else written.removeprefix("device:")


def of_devices(devices: Devices, state: ClientState) -> str:
    """What there is, and how to choose."""
    if devices.problem and not devices.inputs and not devices.outputs:
        return f"no sound: {devices.problem}"
    sound, is_open = state.sound, state.is_talking_possible
    source, sink = (each.name or (spec(each.spec) if not is_open else "nothing") for each in (sound.source, sound.sink))
    lines = [f"{'' if is_open else 'in your next call '}you speak into {source}, and hear with {sink}"]
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


def of_volume(volume: Volume) -> str:
    """How loud all are heard."""
    deaf = "you hear nobody; /deafen ends it, and then " if volume.is_deaf else ""
    return f"{deaf}you hear all at {volume.volume_db:+g} dB"


def of_person(user: UserId, state: ClientState) -> str:
    """How somebody is heard."""
    volume = state.choices.volume_of(user)
    who = name(user, state)
    heard = f"you have hushed {who}; /hush ends it, and then you hear {who}" if volume.is_muted else f"you hear {who}"
    return f"{heard} at {volume.volume_db:+g} dB{', with priority' if volume.is_priority else ''}"


def marks_of(volume: PersonVolume) -> list[str]:
    """What is unusual in how somebody is heard."""
    level = [f"{volume.volume_db:+g} dB"] if volume.volume_db else []
    return ["hushed"] * volume.is_muted + level + ["priority"] * volume.is_priority


def of_hushed(room: RoomView, state: ClientState) -> str:
    """Who of those that are here is not heard."""
    hushed = [each.name for each in room.participants if state.choices.volume_of(each.user_id).is_muted]
    return f"hushed here: {', '.join(hushed)}" if hushed else "you have hushed nobody here"


def of_priority(room: RoomView, state: ClientState) -> str:
    """While who of those that are here talks the others are quieter."""
    first = [each.name for each in room.participants if state.choices.volume_of(each.user_id).is_priority]
    return f"with priority here: {', '.join(first)}" if first else "nobody here has priority"


def of_unusual(settings: SoundSettings) -> str | None:
    """What may surprise one who has forgotten what was chosen, in a line; None where all is as usual."""
    capture, volume, encoding, usual = settings.capture, settings.volume, settings.encoding, Encoding()
    # a headset has no echo cancellation anyway
    parts = {"echo": capture.echo or settings.is_headset, "noise": capture.noise, "agc": capture.gain}
    off = [part for part, is_on in {**parts, "highpass": capture.high_pass}.items() if not is_on]
    unusual = [
        *([of_transmit(capture.transmit)] if capture.transmit is not Transmit.OPEN else []),
        *([f"your microphone has {capture.microphone_db:+g} dB"] if capture.microphone_db else []),
        *(["headset on"] if settings.is_headset else []),
        *([f"{', '.join(off)} off"] if off else []),
        *([f"frames of {encoding.frame_ms} ms"] if encoding.frame_ms != usual.frame_ms else []),
        *([f"at most {encoding.bitrate // 1000} kbit/s"] if encoding.bitrate != usual.bitrate else []),
        *([of_volume(volume)] if volume != Volume() else []),
    ]
    return f"your sound: {'; '.join(unusual)}" if unusual else None


def of_processing(settings: SoundSettings) -> str:
    """What is done to the microphone's sound."""
    capture, encoding = settings.used_capture, settings.used_encoding
    parts = {"echo": capture.echo, "noise": capture.noise, "agc": capture.gain, "highpass": capture.high_pass}
    switches = ", ".join(f"{part} {'on' if is_on else 'off'}" for part, is_on in parts.items())
    headset = "headset: " if settings.is_headset else ""
    return f"{headset}{switches}; frames of {encoding.frame_ms} ms, at most {encoding.bitrate // 1000} kbit/s"


def of_stats(state: ClientState) -> str:
    """How the sound travels, a line for each person."""
    if state.stats is None:
        return "there are no figures yet; they come once a second during a call"
    stats = state.stats
    lines = [
        f"to the server and back {_ms(stats.rtt_ms)}, sending {stats.out_kbps:.0f} kbit/s{_of_sending(stats.sending)}",
        f"your microphone adds {_ms(stats.input_ms)}, your speaker {_ms(stats.output_ms)}",
        *(_of_voice(name(user, state), voice) for user, voice in stats.users.items()),
    ]
    return "\n".join(lines)


def _of_sending(sending: SendingStats | None) -> str:
    """How we are encoded, and how we are guarded against loss."""
    if sending is None:
        return ""
    copies = f", {sending.copies} copies of earlier frames in each packet" if sending.copies else ""
    fec = f", ready for {sending.expected_loss}% loss" if sending.expected_loss else ""
    return f" ({sending.bitrate / 1000:.0f} kbit/s in frames of {sending.frame_ms} ms{fec}{copies})"


def _of_voice(who: str, voice: ConsumerStats) -> str:
    ear = voice.mouth_to_ear_ms
    return (
        f"{who}: {'' if ear is None else 'about '}{_ms(ear)} from mouth to ear, playout {_ms(voice.playout_ms)},"
        f" jitter {_ms(voice.jitter_ms)}, lost {voice.loss:.1%}, concealed {voice.concealed:.1%}"
    )


def _ms(value: float | None) -> str:
    return "not measured yet" if value is None else f"{value:.0f} ms"
