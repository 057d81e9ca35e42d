"""The slash commands of line mode about the sound: devices, sending, volumes, processing, recording, figures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import trio
from attrs import evolve

from palaver_media.engine_messages import Device, Side
from palaver_media.sound_settings import MICROPHONE_DB, VOLUME_DB, RecordingForm, Transmit
from palaver_protocol.models import UserId
from palaver_protocol.table import Code, Refusal, refusal

from . import sound_words
from .client import Client
from .names import Candidate, find

STEP: Final = 3.0  # dB
LEVELS: Final = 5  # lines of /levels, one each second
PROCESSING: Final = {"echo": "echo", "noise": "noise", "agc": "gain", "highpass": "high_pass"}


# -- devices -----------------------------------------------------------------------------------------------------------
async def devices(rest: str, client: Client) -> str:
    """What there is to speak into and to hear with."""
    return sound_words.of_devices(await client.list_devices(), client.state.sound)


async def microphone(rest: str, client: Client) -> str:
    """Speak into another device, and see whether it hears us."""
    client.use(Side.SOURCE, await _device(rest, client, Side.SOURCE))
    return "/levels shows how loud it hears you"


async def speaker(rest: str, client: Client) -> None:
    """Hear with another device."""
    client.use(Side.SINK, await _device(rest, client, Side.SINK))


async def _device(wanted: str, client: Client, side: Side) -> str:
    """The spec of the only device meant by a part of its name."""
    if wanted.casefold() in ("", "default"):
        return "device"
    there = await client.list_devices()
    found = chosen(wanted, there.inputs if side is Side.SOURCE else there.outputs)
    return f"device:{found.name}"


def chosen(wanted: str, there: tuple[Device, ...]) -> Device:
    """The only device of that name, or with that in its name. Raises Refusal, which names those that may be meant."""
    typed = wanted.casefold()
    exact = [each for each in there if each.name.casefold() == typed]
    meant = exact or [each for each in there if typed in each.name.casefold()]
    if len(meant) == 1:
        return meant[0]
    names = ", ".join(each.name for each in meant or there) or "none"
    if meant:
        raise refusal(Code.NOT_FOUND, f"{wanted[:40]} may be {names}; type more of it")
    raise refusal(Code.NOT_FOUND, f"no device has {wanted[:40]} in its name; there are: {names}")


async def levels(rest: str, client: Client) -> AsyncIterator[str]:
    """How loud our microphone hears us: a line each second, for some seconds."""
    return _levels(client)


async def _levels(client: Client) -> AsyncIterator[str]:
    for _ in range(LEVELS):
        await trio.sleep(1)
        yield sound_words.meter(client.state.sound.input_dbfs)


# -- sending -----------------------------------------------------------------------------------------------------------
async def transmit(rest: str, client: Client) -> str:
    """When the microphone is sent."""
    modes = {each.value: each for each in Transmit}
    if rest.casefold() not in modes:
        raise refusal(Code.INVALID_PAYLOAD, "write /transmit open, /transmit voice or /transmit push")
    client.set_transmit(modes[rest.casefold()])
    return sound_words.of_transmit(modes[rest.casefold()])


async def talk(rest: str, client: Client) -> str:
    """Talk until it is typed again, where push-to-talk is on."""
    if client.state.choices.capture.transmit is not Transmit.PUSH:
        raise refusal(Code.NOT_ALLOWED, "you need not press to talk; /transmit push makes it so")
    is_talking = not client.state.doing.is_talking
    client.set_talking(is_talking)
    return "you talk; /talk again ends it" if is_talking else "you talk no longer"


async def gain(rest: str, client: Client) -> str:
    """Make the microphone louder or quieter by hand."""
    capture = client.state.choices.capture
    level = decibels(rest, capture.microphone_db, MICROPHONE_DB, "/gain")
    client.set_capture(evolve(capture, microphone_db=level))
    return f"your microphone has {level:+g} dB"


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
    client.use_headset(_switch(rest, "/headset"))
    return sound_words.of_processing(client.state.choices)


# -- hearing -----------------------------------------------------------------------------------------------------------
async def volume(rest: str, client: Client) -> str:
    """How loud all are heard, or one."""
    person, _, level = rest.rpartition(" ")
    if not person:
        db = decibels(level, client.state.choices.volume.volume_db, VOLUME_DB, "/volume")
        client.set_volume(db)
        return f"you hear all at {db:+g} dB"
    user = _here(person, client)
    old = client.state.choices.volume_of(user)
    db = decibels(level, old.volume_db, VOLUME_DB, "/volume")
    client.set_person_volume(user, evolve(old, volume_db=db))
    return f"you hear {sound_words.name(user, client.state)} at {db:+g} dB"


async def hush(rest: str, client: Client) -> str:
    """Hear somebody no more, or again; he is not told."""
    user = _here(rest, client)
    old = client.state.choices.volume_of(user)
    client.set_person_volume(user, evolve(old, is_muted=not old.is_muted))
    return f"you hear {sound_words.name(user, client.state)} {'again' if old.is_muted else 'no more'}"


async def priority(rest: str, client: Client) -> str:
    """Make others quieter while somebody talks, or no more."""
    user = _here(rest, client)
    old = client.state.choices.volume_of(user)
    client.set_person_volume(user, evolve(old, is_priority=not old.is_priority))
    name = sound_words.name(user, client.state)
    return f"others are {'no longer ' if old.is_priority else ''}quieter while {name} talks"


async def deafen(rest: str, client: Client) -> str:
    """Hear nobody, or hear again."""
    is_deaf = not client.state.choices.volume.is_deaf
    client.deafen(is_deaf)
    return "you hear nobody; /deafen again ends it" if is_deaf else "you hear again"


def _here(name: str, client: Client) -> UserId:
    if not name:
        raise refusal(Code.INVALID_PAYLOAD, "it needs a name; /who lists those who are here")
    people = [each for each in client.here().participants if each.user_id != client.user_id]
    return UserId(find(name, [Candidate(each.user_id, each.name, each.user_id) for each in people], "here"))


# -- recording and figures ---------------------------------------------------------------------------------------------
async def record(rest: str, client: Client) -> None:
    """Record the call, or no longer."""
    doing, wanted = client.state.doing, rest.casefold()
    if wanted == "off":
        if doing.wanted is None:
            raise refusal(Code.NOT_FOUND, "you record nothing; /record begins it")
        await client.stop_recording()
        return
    forms = {"": None, **{form.value: form for form in RecordingForm}}
    if wanted not in forms:
        raise refusal(Code.INVALID_PAYLOAD, "write /record, /record ogg, /record wav or /record off")
    if doing.wanted is not None:
        raise refusal(Code.NOT_ALLOWED, "you record already; /record off ends it")
    await client.start_recording(forms[wanted])


async def echo_test(rest: str, client: Client) -> None:
    """Hear ourselves as others would, or no longer."""
    client.set_echo_test(not client.state.doing.is_echo_test)


async def stats(rest: str, client: Client) -> str:
    """How the sound travels, person by person."""
    return sound_words.of_stats(client.state)


# -- what is typed -----------------------------------------------------------------------------------------------------
def decibels(typed: str, old: float, limits: tuple[float, float], command: str) -> float:
    """A level in dB as it was typed, or a step from the old one. Raises Refusal."""
    least, most = limits
    try:
        level = {"+": old + STEP, "-": old - STEP}.get(typed)
        level = float(typed) if level is None else min(max(level, least), most)
    except ValueError:
        raise _no_level(command, limits) from None
    if not least <= level <= most:
        raise _no_level(command, limits)
    return level


def _no_level(command: str, limits: tuple[float, float]) -> Refusal:
    return refusal(Code.INVALID_PAYLOAD, f"{command} takes + or -, or dB from {limits[0]:g} to {limits[1]:g}")


def _switch(typed: str, command: str) -> bool:
    if typed.casefold() not in ("on", "off"):
        raise refusal(Code.INVALID_PAYLOAD, f"write {command} on or {command} off")
    return typed.casefold() == "on"
