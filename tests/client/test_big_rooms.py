"""Hearing people each in his own way where the server sends only those who speak: real processes, a real engine."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
import trio

from client.worlds import ANN, BOB, CEM, in_room, person, reduced
from engine.running import until
from palaver_client import (
    ActiveSpeakers,
    Client,
    ClientState,
    NewProducer,
    PersonVolume,
    ProducerClosed,
    RoomId,
    Speaker,
    UserId,
    UserLeft,
    connect,
)
from palaver_client.after import after
from palaver_client.events import SoundSettingsChanged
from palaver_client.hearable import tracks_of_others
from palaver_client.sound_choices import with_person
from palaver_protocol.models import ProducerId, speaker_id
from palaver_protocol.rtp_models import Kind
from running import running, serving

RATE = 48_000
TONES = {"Ann": 400, "Bob": 700, "Cem": 1000}  # Hz
HUSHED = PersonVolume(is_muted=True)
QUIET = PersonVolume(volume_db=-12.0)
LOBBY, SLOT, TRACK = RoomId("lobby"), ProducerId("slot"), ProducerId("p-bob")


# -- what is asked for -------------------------------------------------------------------------------------------------
def big_room() -> ClientState:
    state = in_room(person(BOB), person(CEM))
    return reduced(state, NewProducer(SLOT, speaker_id(1), Kind.AUDIO))


def hushed(state: ClientState, user: UserId, volume: PersonVolume = HUSHED) -> ClientState:
    return after(state, SoundSettingsChanged(with_person(state.choices, user, volume)))


def speaks(state: ClientState, user: UserId, track: ProducerId) -> ClientState:
    return reduced(state, ActiveSpeakers(LOBBY, (Speaker(user, track, 30),)))


def test_who_is_not_heard_as_usual_is_asked_for_by_name_once_he_speaks() -> None:
    state = hushed(big_room(), BOB)
    assert tracks_of_others(state) == {SLOT: speaker_id(1)}
    state = speaks(state, CEM, ProducerId("p-cem"))
    assert tracks_of_others(state) == {SLOT: speaker_id(1)}
    state = speaks(state, BOB, TRACK)
    assert tracks_of_others(state) == {SLOT: speaker_id(1), TRACK: BOB}
    state = reduced(state, ActiveSpeakers(LOBBY, ()))
    assert TRACK in tracks_of_others(state)  # also while he is silent, and when he is heard as usual again:
    assert TRACK in tracks_of_others(hushed(state, BOB, PersonVolume()))  # the speakers leave him out


def test_who_speaks_while_he_is_hushed_is_asked_for_at_once() -> None:
    assert TRACK in tracks_of_others(hushed(speaks(big_room(), BOB, TRACK), BOB))


def test_nobody_asks_for_himself_or_in_a_small_room() -> None:
    assert tracks_of_others(speaks(hushed(big_room(), ANN), ANN, TRACK)) == {SLOT: speaker_id(1)}
    assert tracks_of_others(speaks(hushed(in_room(person(BOB)), BOB), BOB, TRACK)) == {}


def test_a_name_is_forgotten_with_its_track_or_person() -> None:
    state = reduced(speaks(hushed(big_room(), BOB), BOB, TRACK), ActiveSpeakers(LOBBY, ()))
    assert tracks_of_others(reduced(state, ProducerClosed(TRACK, BOB))) == {SLOT: speaker_id(1)}
    assert tracks_of_others(reduced(state, UserLeft(BOB, LOBBY))) == {SLOT: speaker_id(1)}


# -- what is heard -----------------------------------------------------------------------------------------------------
def loudness(path: Path) -> dict[str, float]:
    """How loud each tone is in the last second of a recording that goes on, in dB."""
    content = path.read_bytes()[44:]
    samples = np.frombuffer(content[: len(content) // 2 * 2], "<i2")[-RATE:] / 32768
    if len(samples) < RATE:
        return dict.fromkeys(TONES, -120.0)
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) / (len(samples) / 4)
    return {name: 20 * np.log10(spectrum[hertz - 3 : hertz + 4].max() + 1e-6) for name, hertz in TONES.items()}


async def until_big(client: Client) -> None:
    """Wait until the room has speakers, and nobody's own track any more."""
    async with client.changes() as changes:
        async for change in changes:
            room = change.new.room
            if room is None or not room.speaker_ids or len(change.new.speakers) < len(TONES):
                continue
            if not any(each.producer_ids for each in room.participants if each.user_id != client.user_id):
                return


async def until_played(client: Client, *users: UserId) -> None:
    """Wait until these are received by name."""
    async with client.changes() as changes:
        async for change in changes:
            if change.new.stats is not None and change.new.stats.users.keys() >= set(users):
                return


@pytest.mark.trio
async def test_one_is_hushed_and_one_quieter_among_the_speakers(tmp_path: Path) -> None:
    path = tmp_path / "heard.wav"
    async with serving("--speakers", "3", "--speakers-above", "2") as (url, _), AsyncExitStack() as stack:
        dan = await stack.enter_async_context(connect(url, "Dan"))
        await stack.enter_async_context(dan.call("lobby", source="null", sink=f"file:{path}"))
        for name, hertz in TONES.items():
            sound = ("--input", f"tone:{hertz}", "--output", "null")
            await stack.enter_async_context(running("call", url, "--room", "lobby", "--name", name, *sound))
        with trio.fail_after(30):
            await until_big(dan)
            ids = {str(each.name): each.user_id for each in dan.here().participants}
            await until(lambda: min(loudness(path).values()) > -30, seconds=10)  # all are heard, through speakers
            before = loudness(path)
            dan.set_person_volume(ids["Bob"], HUSHED)
            dan.set_person_volume(ids["Cem"], QUIET)
            await until_played(dan, ids["Bob"], ids["Cem"])
            await until(lambda: loudness(path)["Bob"] < -60, seconds=10)
        now = loudness(path)
        assert now["Cem"] == pytest.approx(before["Cem"] - 12, abs=3), (before, now)
        assert now["Ann"] == pytest.approx(before["Ann"], abs=3), (before, now)
