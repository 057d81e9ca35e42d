"""What was chosen for the sound: kept value by value, overridden for one run, told to each new engine."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
import trio
import trio.testing
from attrs import evolve

from client.test_media import BOB_TALKS, in_call
from client.worlds import ANN, BOB
from palaver_client import Capture, Encoding, PersonVolume, Settings, SoundSettings, SoundSettingsChanged, Transmit
from palaver_client.line_mode import make_parser
from palaver_client.settings import settings_path
from palaver_client.sound_choices import MAX_PEOPLE, carried_over, with_person
from palaver_client.sound_options import chosen
from palaver_media.engine_messages import Receive, SetCapture, SetEncoding, SetPersonVolume, SetVolume
from palaver_protocol.models import UserId

QUIET = PersonVolume(volume_db=-12.0, is_muted=True)


def test_what_was_chosen_is_loaded_again(tmp_path: Path) -> None:
    capture = Capture(echo=False, microphone_db=3.0, transmit=Transmit.PUSH)
    sound = SoundSettings(capture, Encoding(32_000, 40), people={BOB: QUIET}, is_headset=True, recordings="/r")
    settings = evolve(Settings.load("p", tmp_path), sound=sound)
    settings.save(tmp_path)
    assert Settings.load("p", tmp_path) == settings


def test_bad_values_are_told_and_the_others_kept(tmp_path: Path) -> None:
    Settings.load("p", tmp_path).save(tmp_path)
    path = settings_path("p", tmp_path)
    kept = orjson.loads(path.read_bytes())
    kept["sound"]["capture"] |= {"microphone_db": 999.0, "noise": False, "transmit": "shout"}
    kept["sound"]["people"] = {BOB: {"volume_db": -12, "is_muted": True}, ANN: 7}
    path.write_bytes(orjson.dumps(kept))
    settings = Settings.load("p", tmp_path)
    assert settings.sound == SoundSettings(Capture(noise=False), people={BOB: QUIET})
    for bad in ("capture microphone_db", "capture transmit", "people"):
        assert bad in settings.problem
    assert path.with_suffix(".broken").read_bytes() == orjson.dumps(kept)


@pytest.mark.parametrize(("sound", "bad"), [([1], "sound"), ("loud", "sound"), ({"talk_key": "q"}, "talk_key")])
def test_what_is_no_sound_at_all_and_a_key_that_is_none_are_told(tmp_path: Path, sound: object, bad: str) -> None:
    Settings.load("p", tmp_path).save(tmp_path)
    path = settings_path("p", tmp_path)
    path.write_bytes(orjson.dumps(orjson.loads(path.read_bytes()) | {"sound": sound}))
    settings = Settings.load("p", tmp_path)
    assert settings.sound == SoundSettings()
    assert settings.problem == f"your settings have bad values for {bad}; the usual ones are used"


def test_a_folder_that_is_no_folder_here_is_left_to_the_engine_to_tell() -> None:
    assert SoundSettings(recordings="~nobody.here/x").folder == Path("~nobody.here/x")


def test_of_many_people_the_last_are_remembered() -> None:
    settings = SoundSettings()
    for number in range(MAX_PEOPLE + 1):
        settings = with_person(settings, UserId(f"u{number}"), QUIET)
    assert len(settings.people) == MAX_PEOPLE
    assert UserId("u0") not in settings.people


def test_only_what_was_changed_is_remembered() -> None:
    options = make_parser().parse(["http://127.0.0.1:1", "--transmit", "push", "--bitrate", "16", "--headset"])
    kept = SoundSettings()
    run = chosen(kept, options)
    assert (run.capture.transmit, run.used_encoding, run.used_capture.echo) == (
        Transmit.PUSH,
        Encoding(16_000, 10),
        False,
    )
    changed = evolve(run, capture=evolve(run.capture, noise=False))
    assert carried_over(kept, run, changed) == SoundSettings(Capture(noise=False))


def test_what_is_remembered_can_be_turned_back_for_one_run() -> None:
    kept = SoundSettings(Capture(noise=False, gain=False), is_headset=True)
    assert chosen(kept, make_parser().parse(["http://127.0.0.1:1"])) == kept
    options = ["--no-headset", "--noise-suppression", "--gain-control", "--no-echo-cancellation"]
    run = chosen(kept, make_parser().parse(["http://127.0.0.1:1", *options]))
    assert (run.used_capture, run.is_headset) == (Capture(echo=False), False)
    assert carried_over(kept, run, run) == kept


@pytest.mark.trio
async def test_each_new_engine_is_told_all(autojump_clock: trio.testing.MockClock) -> None:
    async with in_call(BOB_TALKS) as world:
        settings = SoundSettings(Capture(noise=False), people={BOB: QUIET})
        world.session.happen(SoundSettingsChanged(settings))
        call = world.engine.noted(Receive)[0].call
        wanted = SetPersonVolume(call, "c-p1", QUIET)
        assert world.engine.noted(SetPersonVolume) == [wanted]
        world.engine.told.clear()
        world.engine.die()
        world.call.on_engine_death()
        world.engine.rise("FP2")
        await world.settle()
        await trio.sleep(1)
        assert [each.capture for each in world.engine.noted(SetCapture)] == [settings.capture]
        assert len(world.engine.noted(SetEncoding)) == len(world.engine.noted(SetVolume)) == 1
        told = world.engine.told
        assert told.index(wanted) < told.index(world.engine.noted(Receive)[0])
