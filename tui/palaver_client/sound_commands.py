"""The slash commands of line mode about what is heard: volumes, recording, figures."""

from __future__ import annotations

import contextlib
from typing import Final

import trio
from attrs import evolve

from palaver_media.sound_settings import VOLUME_DB, RecordingForm
from palaver_protocol.models import UserId
from palaver_protocol.table import Code, Refusal, refusal

from . import sound_words
from .client import Client
from .names import Candidate, find
from .recording import usable_folder

STEP: Final = 3.0  # dB


# -- hearing -----------------------------------------------------------------------------------------------------------
async def volume(rest: str, client: Client) -> str:
    """How loud all are heard, or one."""
    person, _, level = rest.rpartition(" ")
    if not rest:
        return sound_words.of_volume(client.state.choices.volume)
    if not _is_level(level) and (user := _called(rest, person, client)) is not None:
        return sound_words.of_person(user, client.state)
    if not person:
        db = decibels(level, client.state.choices.volume.volume_db, VOLUME_DB, "/volume")
        client.set_volume(db)
        return sound_words.of_volume(client.state.choices.volume)
    user = _here(person, client)
    old = client.state.choices.volume_of(user)
    db = decibels(level, old.volume_db, VOLUME_DB, "/volume")
    client.set_person_volume(user, evolve(old, volume_db=db))
    return sound_words.of_person(user, client.state)


def _is_level(typed: str) -> bool:
    with contextlib.suppress(ValueError):
        float(typed)
        return True
    return typed in ("+", "-")


def _called(name: str, part: str, client: Client) -> UserId | None:
    """Who is called so; None where only a part is a name, so that the rest is no level. Raises Refusal."""
    try:
        return _here(name, client)
    except Refusal:
        if not part:
            raise
    _here(part, client)
    return None


async def hush(rest: str, client: Client) -> str:
    """Hear somebody no more, or again; he is not told. Or say who is not heard."""
    if not rest:
        return sound_words.of_hushed(client.here(), client.state)
    user = _here(rest, client)
    old = client.state.choices.volume_of(user)
    client.set_person_volume(user, evolve(old, is_muted=not old.is_muted))
    return f"you hear {sound_words.name(user, client.state)} {'again' if old.is_muted else 'no more'}"


async def priority(rest: str, client: Client) -> str:
    """Make others quieter while somebody talks, or no more; or say for whom they are."""
    if not rest:
        return sound_words.of_priority(client.here(), client.state)
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
    people = [each for each in client.here().participants if each.user_id != client.user_id]
    return UserId(find(name, [Candidate(each.user_id, each.name, each.user_id) for each in people], "here"))


# -- recording and figures ---------------------------------------------------------------------------------------------
async def record(rest: str, client: Client) -> None:
    """Record the call, or no longer; the form that is written is kept for the next time."""
    doing, choices, wanted = client.state.doing, client.state.choices, rest.casefold()
    if wanted == "off":
        if doing.wanted is None:
            raise refusal(Code.NOT_FOUND, "you record nothing; /record begins it")
        await client.stop_recording()
        return
    forms = {"": choices.form, **{form.value: form for form in RecordingForm}}
    if wanted not in forms:
        raise refusal(Code.INVALID_PAYLOAD, "write /record, /record ogg, /record wav or /record off")
    if doing.wanted is not None:
        raise refusal(Code.NOT_ALLOWED, "you record already; /record off ends it")
    await client.start_recording(forms[wanted])
    client.choose(evolve(client.state.choices, form=forms[wanted]))


async def recordings(rest: str, client: Client) -> str:
    """Where recordings go from now on, or the usual folder."""
    if rest.casefold() == "default":
        client.set_recordings("")
    elif rest:
        client.set_recordings(await trio.to_thread.run_sync(usable_folder, rest))
    return f"recordings go to {client.state.choices.folder}, as {client.state.choices.form.value}"


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
