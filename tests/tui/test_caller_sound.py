"""The Trio side and the sound, with a real server and real engines: what is wanted is done, shown and remembered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import trio
from attrs import evolve

from palaver_client import SILENCE, ClientState, MediaState, Settings, Side, SideState, Sound
from palaver_client.sound_choices import SoundSettings
from palaver_media.sound_settings import PersonVolume, RecordingForm
from palaver_tui.knobs import Knob
from palaver_tui.messages import Happened, Trouble
from palaver_tui.wishes import (
    Audition,
    Choose,
    Deafen,
    Leave,
    ListDevices,
    Open,
    Prefer,
    Record,
    SetMuted,
    Talk,
    TestEcho,
    Turn,
    TurnPerson,
)
from running import serving
from tui.callers import Person, calling, with_people

pytestmark = pytest.mark.trio


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


def sends(is_sending: bool) -> Callable[[ClientState], bool]:
    """Whether the microphone is sent, as the engine says it."""
    return lambda state: state.doing.is_sending is is_sending


def is_heard(source: str) -> Callable[[ClientState], bool]:
    """Whether that source is open, and as loud as a tone."""
    return lambda state: state.sound.source == SideState(source, source) and -13 < state.sound.input_dbfs < -11


def nothing_heard(source: str) -> Sound:
    """The sound of one who has chosen that source, and has it not open."""
    return Sound(SideState(source), SideState("null"))


def talks(state: ClientState) -> bool:
    return state.media is MediaState.CONNECTED


async def saved(name: str, condition: Callable[[SoundSettings], object]) -> SoundSettings:
    """What is in the profile's file, once it is so."""
    with trio.fail_after(20):
        while not condition(Settings.load(name).sound):  # noqa: ASYNC110 - a file gives no event
            await trio.sleep(0.02)
    return Settings.load(name).sound


async def test_push_to_talk_sends_while_the_key_is_down() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        for person in (ann, bob):
            person.wants(Open("lobby"))
        await bob.until(lambda state: ann.user_id in state.sound.speaking)
        ann.wants(Turn(Knob.TRANSMIT, -1))  # from always to by a key
        await ann.until(sends(False))
        await bob.until(lambda state: ann.user_id not in state.sound.speaking)
        for _ in range(3):
            for is_down in (True, False, True):  # in this order, and at once
                ann.wants(Talk(is_down))
            await ann.until(sends(True))
            await bob.until(lambda state: ann.user_id in state.sound.speaking)
            ann.wants(Talk(False))
            await ann.until(sends(False))
        ann.wants(Talk(True))
        await ann.until(sends(True))
        ann.wants(SetMuted(True))
        await ann.until(sends(False))


async def test_what_is_turned_before_the_server_is_there_holds_when_it_is_and_the_next_time(home: Path) -> None:
    async with calling("http://127.0.0.1:1", "ann") as ann:
        ann.wants(Turn(Knob.HEADSET))
        ann.wants(Turn(Knob.VOLUME, -1))
        ann.wants(Turn(Knob.VOLUME, -1))
        await ann.until(lambda state: state.choices.is_headset)
        kept = await saved("ann", lambda sound: sound.volume.volume_db == -6)
        assert kept.is_headset
    async with serving() as (url, _), calling(url, "ann") as ann:
        await ann.until(lambda state: state.users)
        assert ann.state.choices == kept
        ann.wants(Turn(Knob.HEADSET))
        await ann.until(lambda state: not state.choices.is_headset)
        await saved("ann", lambda sound: not sound.is_headset)


async def test_who_is_heard_how_is_remembered_and_deafness_is_not() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        for person in (ann, bob):
            person.wants(Open("lobby"))
        await ann.until(with_people(2))
        for step in (1, 1, -1):
            ann.wants(TurnPerson(bob.user_id, step))
        ann.wants(Prefer(bob.user_id, True))
        ann.wants(Deafen(True))
        await ann.until(lambda state: state.choices.volume.is_deaf)
        assert ann.state.choices.volume_of(bob.user_id) == PersonVolume(3.0, is_priority=True)
        kept = await saved("ann", lambda sound: sound.people)
        assert kept.people == {bob.user_id: PersonVolume(3.0, is_priority=True)}
        assert not kept.volume.is_deaf


async def test_a_recording_is_told_to_all_and_its_files_are_where_it_says(home: Path) -> None:
    settings = Settings.load("ann")
    evolve(settings, sound=SoundSettings(recordings=str(home / "former"))).save()
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        for person in (ann, bob):
            person.wants(Open("lobby"))
        await ann.until(lambda state: bob.user_id in state.sound.speaking)
        ann.wants(Record(RecordingForm.WAV, str(home / "kept")))
        await bob.until(lambda state: state.recorders == (ann.user_id,))
        await ann.until(lambda state: state.doing.recording)
        folder = Path(ann.state.doing.recording)
        assert folder.is_relative_to(home / "kept")
        await ann.until(lambda _: len(voices_in(folder)) == 3)  # ann, bob and all
        ann.wants(Record(None))
        await ann.hears(Happened, f"the recording is in {folder}")
        await bob.until(lambda state: state.recorders == ())
        assert len(voices_in(folder)) == 3
        assert (await saved("ann", lambda sound: sound.form is RecordingForm.WAV)).recordings == str(home / "kept")


async def test_a_folder_that_cannot_be_is_neither_recorded_into_nor_kept(home: Path) -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        ann.wants(Open("lobby"))
        await ann.until(with_people(1))
        ann.wants(Record(RecordingForm.WAV, "/proc/nowhere"))
        await ann.hears(Trouble, "you cannot record into /proc/nowhere (no such file or directory); name another one")
        assert ann.state.recorders == ()
        assert ann.state.choices == SoundSettings()


async def test_the_echo_test_and_its_end() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        await ann.until(lambda state: state.users)
        ann.wants(TestEcho(True))
        await ann.hears(Trouble, "there is no call")
        ann.wants(Open("lobby"))
        await ann.until(talks)
        await ann.until(lambda state: state.stats and state.stats.out_kbps > 0)
        ann.wants(TestEcho(True))
        await ann.until(lambda state: state.doing.is_echo_test and state.stats and state.stats.out_kbps == 0)
        ann.wants(TestEcho(False))
        await ann.until(lambda state: not state.doing.is_echo_test and state.stats and state.stats.out_kbps > 0)


async def test_the_microphone_is_heard_before_a_call_while_one_looks() -> None:
    async with calling("http://127.0.0.1:1", "eve") as eve:
        eve.wants(Audition(True))
        eve.wants(Choose(Side.SOURCE, "null"))
        await eve.until(lambda state: state.sound.source.spec == "null")
        assert not eve.state.sound.source.name
    async with serving() as (url, _), calling(url, "ann") as ann:
        ann.wants(Audition(True))  # before there is a connection
        await ann.until(is_heard("tone:440"))
        assert ann.state.room is None
        ann.wants(Choose(Side.SOURCE, "null"))
        await ann.until(lambda state: state.sound.source.name == "null" and state.sound.input_dbfs == SILENCE)
        ann.wants(Choose(Side.SOURCE, "tone:330"))
        await ann.until(is_heard("tone:330"))
        ann.wants(Audition(False))
        await ann.until(lambda state: state.sound == nothing_heard("tone:330"))
        ann.wants(Audition(True))
        await ann.until(is_heard("tone:330"))


async def test_a_call_takes_the_microphone_over_from_whoever_looks_at_it() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        ann.wants(Audition(True))
        await ann.until(is_heard("tone:440"))
        ann.wants(Open("lobby"))
        await ann.until(lambda state: talks(state) and is_heard("tone:440")(state))
        ann.wants(Leave())
        await ann.until(lambda state: state.room is None and not state.doing.is_open and is_heard("tone:440")(state))
        ann.wants(Choose(Side.SOURCE, "tone:330"))
        await ann.until(is_heard("tone:330"))
        ann.wants(Audition(False))
        ann.wants(ListDevices())  # and when they are listed, the engine has done all that it was told before
        await ann.until(lambda state: state.devices)
        assert ann.state.sound == nothing_heard("tone:330")


async def test_without_a_call_nothing_is_recorded() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann:
        await ann.until(lambda state: state.users)
        ann.wants(Record(RecordingForm.OGG))
        await ann.hears(Trouble, "there is no call")


async def test_the_figures_tell_how_we_are_sent() -> None:
    async with serving() as (url, _), calling(url, "ann") as ann, calling(url, "bob") as bob:
        for person in (ann, bob):
            person.wants(Open("lobby"))
        await ann.until(has_figures_of(bob))
        assert ann.state.stats is not None
        assert ann.state.stats.sending is not None
        assert ann.state.stats.sending.frame_ms == 20
        ann.wants(Turn(Knob.FRAME))
        await ann.until(lambda state: state.stats and state.stats.sending and state.stats.sending.frame_ms == 40)


def voices_in(folder: Path) -> list[Path]:
    """The files of a recording."""
    return list(folder.glob("*.wav"))


def has_figures_of(person: Person) -> Callable[[ClientState], object]:
    """Figures of that person, and of our own voice."""
    return lambda state: state.stats is not None and person.user_id in state.stats.users and state.stats.sending
