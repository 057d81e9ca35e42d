"""The slash commands of line mode about one's own voice: when it is sent, and how it is treated."""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve

from palaver_media.sound_settings import BITRATES, FRAMES, MICROPHONE_DB, Transmit
from palaver_protocol.table import Code, refusal

from . import sound_words
from .client import Client
from .sound_choices import TALK_KEYS
from .sound_commands import decibels
from .sounding import no_call

PROCESSING: Final = {"echo": "echo", "noise": "noise", "agc": "gain", "highpass": "high_pass"}


async def transmit(rest: str, client: Client) -> str:
    """When the microphone is sent, or how that is chosen."""
    if not rest:
        return sound_words.of_transmit(client.state.choices.capture.transmit)
    modes = {each.value: each for each in Transmit}
    if rest.casefold() not in modes:
        raise refusal(Code.INVALID_PAYLOAD, "write /transmit open, /transmit voice or /transmit push")
    client.set_transmit(modes[rest.casefold()])
    return sound_words.of_transmit(modes[rest.casefold()])


async def talk(rest: str, client: Client) -> str:
    """Talk until it is typed again, where push-to-talk is on."""
    if client.state.choices.capture.transmit is not Transmit.PUSH:
        raise refusal(Code.NOT_ALLOWED, "you need not press to talk; /transmit push makes it so")
    _need_call(client)
    is_talking = not client.state.doing.is_talking
    if is_talking and client.state.is_muted:
        raise refusal(Code.NOT_ALLOWED, "you are muted, and nobody would hear you; /unmute comes first")
    client.set_talking(is_talking)
    return "you talk; /talk again ends it" if is_talking else "you talk no longer"


async def gain(rest: str, client: Client) -> str:
    """Make the microphone louder or quieter by hand."""
    capture = client.state.choices.capture
    if rest:
        level = decibels(rest, capture.microphone_db, MICROPHONE_DB, "/gain")
        client.set_capture(evolve(capture, microphone_db=level))
    return f"your microphone has {client.state.choices.capture.microphone_db:+g} dB"


async def processing(rest: str, client: Client) -> str:
    """Switch a part of the microphone's processing."""
    words = rest.casefold().split()
    choices = client.state.choices
    if words:
        if len(words) != 2 or words[0] not in PROCESSING or words[1] not in ("on", "off"):
            raise refusal(Code.INVALID_PAYLOAD, f"write /processing and one of {', '.join(PROCESSING)}, then on or off")
        if words == ["echo", "on"] and choices.is_headset:
            raise refusal(Code.NOT_ALLOWED, "a headset needs no echo cancellation; /headset off first")
        change: dict[str, Any] = {PROCESSING[words[0]]: words[1] == "on"}
        client.set_capture(evolve(choices.capture, **change))
    return sound_words.of_processing(client.state.choices)


async def headset(rest: str, client: Client) -> str:
    """Have the least delay, for ears that the microphone does not hear."""
    if not rest:
        return f"headset {'on' if client.state.choices.is_headset else 'off'}"
    client.use_headset(_switch(rest, "/headset"))
    return sound_words.of_processing(client.state.choices)


async def bitrate(rest: str, client: Client) -> str:
    """How much Opus may send."""
    if rest:
        least, most = (each // 1000 for each in BITRATES)
        if not rest.isascii() or not rest.isdigit() or not least <= int(rest[:6]) <= most:
            raise refusal(Code.INVALID_PAYLOAD, f"/bitrate takes {least} to {most} kbit/s")
        client.set_encoding(evolve(client.state.choices.encoding, bitrate=int(rest) * 1000))
    return sound_words.of_processing(client.state.choices)


async def frame(rest: str, client: Client) -> str:
    """How much sound is in each packet."""
    if rest:
        frames = [str(each) for each in FRAMES]
        if rest not in frames:
            raise refusal(Code.INVALID_PAYLOAD, f"/frame takes {', '.join(frames)} ms")
        if client.state.choices.is_headset:
            raise refusal(Code.NOT_ALLOWED, "a headset has the shortest frames; /headset off first")
        client.set_encoding(evolve(client.state.choices.encoding, frame_ms=int(rest)))
    return sound_words.of_processing(client.state.choices)


async def talk_key(rest: str, client: Client) -> str:
    """Which key is that for push-to-talk on the full screen."""
    if rest:
        if rest.casefold() not in TALK_KEYS:
            raise refusal(Code.INVALID_PAYLOAD, f"write /talkkey and one of {', '.join(TALK_KEYS)}")
        client.set_talk_key(rest.casefold())
    return f"on the full screen you talk with {client.state.choices.talk_key}; here it is /talk"


def _need_call(client: Client) -> None:
    if not client.state.is_talking_possible:
        raise no_call()


def _switch(typed: str, command: str) -> bool:
    if typed.casefold() not in ("on", "off"):
        raise refusal(Code.INVALID_PAYLOAD, f"write {command} on or {command} off")
    return typed.casefold() == "on"
