"""The sound on the screen: what is turned, shown, pushed and recorded, key by key."""

from __future__ import annotations

import pytest
from attrs import evolve
from textual.events import AppBlur
from textual.widgets import Input

from palaver_client import SILENCE, Change, ConnectionState, MediaLost, MediaState
from palaver_client.sound_choices import SoundSettings
from palaver_client.state import CallStats, ClientState, Doing, SideState, Sound
from palaver_media.engine_messages import ConsumerStats, SendingStats
from palaver_media.sound_settings import Capture, Encoding, PersonVolume, RecordingForm, Transmit, Volume
from palaver_tui.happenings import told
from palaver_tui.keyboard import KeyUp
from palaver_tui.knobs import Knob
from palaver_tui.messages import Happened
from palaver_tui.screens.devices import Knobs
from palaver_tui.sound_labels import KNOBS, LEVEL, LEVEL_LATER, value_of
from palaver_tui.tuning import TALK_KEYS, talk_key, tuned
from palaver_tui.widgets.meter import bar
from palaver_tui.wishes import (
    Audition,
    Deafen,
    Hush,
    ListDevices,
    Prefer,
    Record,
    SetMuted,
    Talk,
    TestEcho,
    Turn,
    TurnPerson,
)
from tui.scenes import ONLINE, SMALL, TALKING, WIDE, Shown, participant, room, screen, user_id

pytestmark = pytest.mark.asyncio
both_sizes = pytest.mark.parametrize("size", [SMALL, WIDE, (60, 24)], ids=["80x24", "200x60", "60x24"])
BOB = user_id("bob")
HERE = evolve(TALKING, doing=Doing(is_open=True, is_sending=True))
OPENED = [ListDevices(), Audition(True)]  # what the window for the sound wants


def by(transmit: Transmit, state: ClientState = HERE) -> ClientState:
    """The state with that mode, nothing being sent."""
    choices = SoundSettings(capture=Capture(transmit=transmit))
    return evolve(state, choices=choices, doing=evolve(state.doing, is_sending=False))


def sending(state: ClientState) -> ClientState:
    return evolve(state, doing=evolve(state.doing, is_sending=True))


# -- what is turned ----------------------------------------------------------------------------------------------------
async def test_every_knob_turns_something_and_says_what() -> None:
    for knob in Knob:
        usual = SoundSettings()
        turned = tuned(usual, Turn(knob, -1))
        assert turned != usual
        assert value_of(knob, turned) != value_of(knob, usual)
        assert tuned(turned, Turn(knob, 1)) == usual


async def test_knobs_stop_at_their_ends_and_ways_begin_again() -> None:
    loud = quiet = ways = SoundSettings()
    for _ in range(50):
        loud = tuned(tuned(tuned(loud, Turn(Knob.MICROPHONE)), Turn(Knob.VOLUME)), Turn(Knob.BITRATE))
        quiet = tuned(quiet, Turn(Knob.BITRATE, -1))
    assert (loud.capture.microphone_db, loud.volume.volume_db, loud.encoding.bitrate) == (20, 12, 64_000)
    assert quiet.encoding == Encoding(16_000)
    for _ in TALK_KEYS:
        ways = tuned(ways, Turn(Knob.TALK_KEY))
    assert ways == SoundSettings()


async def test_a_headset_has_no_echo_to_cancel_and_short_frames() -> None:
    headset = tuned(SoundSettings(), Turn(Knob.HEADSET))
    assert value_of(Knob.ECHO, headset) == "off with a headset"
    assert value_of(Knob.FRAME, headset) == "10 ms with a headset"
    assert tuned(tuned(headset, Turn(Knob.ECHO)), Turn(Knob.FRAME)) == headset


async def test_a_key_that_is_something_else_here_is_not_used() -> None:
    assert talk_key(SoundSettings(talk_key="q")) == "space"


@both_sizes
async def test_what_is_turned_by_key_and_by_click(size: tuple[int, int]) -> None:
    async with screen(HERE, size) as shown:
        await shown.press("s", "tab", "tab")
        assert isinstance(shown.app.focused, Knobs)
        assert "always" in shown.line(KNOBS[Knob.TRANSMIT])
        assert "e Test the echo" in shown.text()
        await shown.press("enter", "right", "left", "down", "down", "down", "left")
        turns = [Turn(Knob.TRANSMIT), Turn(Knob.TRANSMIT), Turn(Knob.TRANSMIT, -1), Turn(Knob.ECHO, -1)]
        assert shown.wishes == [*OPENED, *turns]
        await shown.pilot.click("#knobs", offset=(5, 3))  # the third line, below the frame
        assert shown.wishes[-1] == Turn(Knob.HEADSET)
        await shown.show(evolve(HERE, choices=SoundSettings(is_headset=True)))
        assert "off with a headset" in shown.line(KNOBS[Knob.ECHO])


@both_sizes
async def test_the_level_is_seen_before_a_call_while_the_window_is_open(size: tuple[int, int]) -> None:
    async with screen(ONLINE, size) as shown:
        await shown.press("s")
        assert shown.wishes == OPENED
        assert LEVEL_LATER in shown.text()
        heard = Sound(SideState("tone:440", "tone:440"), SideState("null"), -30.0)
        await shown.show(evolve(ONLINE, sound=heard))
        assert bar(-30.0, 24).strip() in shown.line(LEVEL)
        assert LEVEL_LATER not in shown.text()
        await shown.show(evolve(ONLINE, sound=evolve(heard, input_dbfs=SILENCE)))  # a dead microphone is seen, too
        assert shown.line(LEVEL).partition(LEVEL)[2].strip(" │") == ""
        await shown.show(ONLINE)
        assert LEVEL_LATER in shown.text()
        await shown.press("escape", "s", "s")
        assert shown.wishes[2:] == [Audition(False), *OPENED, Audition(False)]


async def test_the_echo_test_is_for_calls_and_has_a_mark() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("s", "e")
        assert shown.wishes == OPENED
        await shown.show(HERE)
        await shown.press("e")
        await shown.show(evolve(HERE, doing=evolve(HERE.doing, is_echo_test=True)))
        await shown.until(lambda: "e End the test" in shown.text())
        assert "ECHO TEST" in shown.lines()[0]
        await shown.press("e")
        assert shown.wishes[2:] == [TestEcho(True), TestEcho(False)]


# -- sending and hearing -----------------------------------------------------------------------------------------------
@both_sizes
async def test_one_sees_whether_one_is_sent(size: tuple[int, int]) -> None:
    async with screen(HERE, size) as shown:
        assert "MIC ON" in shown.lines()[0]
        for transmit in (Transmit.VOICE, Transmit.PUSH):
            await shown.show(by(transmit))
            assert "SILENT" in shown.lines()[0]
            await shown.show(sending(by(transmit)))
            assert "SENDING" in shown.lines()[0]
            await shown.show(evolve(by(transmit), is_muted=True))
            assert "MUTED" in shown.lines()[0]


async def test_the_key_is_held_where_the_terminal_tells_of_its_release() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        assert "Space Talk" in shown.lines()[-1]
        await shown.press("space", "space")
        assert shown.wishes == [Talk(True)]
        await shown.show(KeyUp("a"))
        assert shown.wishes == [Talk(True)]
        await shown.show(KeyUp("space"))
        assert shown.wishes == [Talk(True), Talk(False)]
        await shown.press("space", "s")
        await shown.show(KeyUp("space"))  # above another window too
        assert shown.wishes == [Talk(True), Talk(False), Talk(True), *OPENED, Talk(False)]


async def test_without_a_release_it_is_talked_from_press_to_press() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        await shown.press("space")
        await shown.pilot.pause(0.5)
        assert shown.wishes == [Talk(True)]
        await shown.press("space")
        await shown.until(lambda: shown.wishes == [Talk(True), Talk(False)])


async def test_a_key_held_while_another_window_takes_over_is_let_go_of() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        await shown.show(KeyUp("space"))  # this terminal tells of releases
        await shown.press("space")
        shown.app.post_message(AppBlur())
        await shown.until(lambda: shown.wishes == [Talk(True), Talk(False)])


async def test_who_is_out_of_the_room_or_in_another_mode_pushes_no_longer() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        for state in (ONLINE, HERE):
            shown.wishes.clear()
            await shown.show(by(Transmit.PUSH))
            await shown.press("space")
            await shown.show(state)
            assert shown.wishes == [Talk(True), Talk(False)]
            await shown.press("space")
            assert len(shown.wishes) == 2
            assert "Talk" not in shown.lines()[-1]


async def test_another_key_pushes_while_one_writes() -> None:
    state = by(Transmit.PUSH)
    async with screen(evolve(state, choices=evolve(state.choices, talk_key="f9"))) as shown:
        await shown.press("c", "space", "f9")
        await shown.until(lambda: "F9 Talk" in shown.lines()[-1])
        assert shown.wishes == [Talk(True)]
        await shown.show(KeyUp("f9"))
        assert shown.wishes == [Talk(True), Talk(False)]


async def test_a_space_that_is_written_is_not_pushed() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        await shown.press("c", "space")
        assert shown.wishes == []
        assert "Talk" not in shown.lines()[-1]


@pytest.mark.parametrize("key", ["question_mark", "s", "g", "R", "n"])
async def test_above_every_window_one_can_mute_and_talk(key: str) -> None:
    state = by(Transmit.PUSH)
    async with screen(evolve(state, choices=evolve(state.choices, talk_key="f8"))) as shown:
        await shown.press("f8", key)
        window = shown.app.screen
        await shown.press("ctrl+t", "f8")
        await shown.until(lambda: shown.wishes[-1] == Talk(False))
        assert [wish for wish in shown.wishes if wish not in OPENED] == [Talk(True), SetMuted(True), Talk(False)]
        assert shown.app.screen is window


async def test_above_a_window_space_pushes_but_where_one_writes() -> None:
    async with screen(by(Transmit.PUSH)) as shown:
        await shown.press("g", "space")
        assert shown.wishes == [Talk(True)]
        await shown.show(KeyUp("space"))
        await shown.press("escape", "n", "space")
        assert shown.app.screen.query_one(Input).value == " "
        await shown.show(evolve(by(Transmit.PUSH), is_muted=True))
        await shown.press("ctrl+t")
        assert shown.wishes == [Talk(True), Talk(False), SetMuted(False)]


async def test_out_of_a_room_a_window_has_no_keys_for_the_microphone() -> None:
    async with screen(by(Transmit.PUSH, ONLINE)) as shown:
        await shown.press("s", "ctrl+t", "space")
        assert shown.wishes == OPENED


async def test_why_there_is_no_sound_is_told_unless_the_connection_is_what_was_lost() -> None:
    connecting = evolve(HERE, media=MediaState.CONNECTING)
    async with screen(HERE, WIDE) as shown:
        change = Change(HERE, connecting, MediaLost("the sound engine stopped"))
        await shown.show(connecting, *told(change))
        await shown.until(lambda: "No sound: the sound engine stopped" in shown.text())
        offline = evolve(connecting, connection=ConnectionState.RECONNECTING)
        assert list(told(evolve(change, new=offline))) == []


async def test_who_is_deaf_sees_it() -> None:
    async with screen(HERE) as shown:
        await shown.press("a")
        await shown.show(evolve(HERE, choices=SoundSettings(volume=Volume(is_deaf=True))))
        assert "DEAF" in shown.lines()[0]
        await shown.pilot.click("#deafness")
        assert shown.wishes == [Deafen(True), Deafen(False)]


# -- one person --------------------------------------------------------------------------------------------------------
async def among_people(shown: Shown) -> None:
    """Select bob, the first of the others."""
    shown.app.screen.set_focus(shown.app.screen.query_one("#participants"))
    await shown.pilot.pause()
    await shown.press("up", "up", "down")


@both_sizes
async def test_how_loud_somebody_is_heard(size: tuple[int, int]) -> None:
    async with screen(HERE, size) as shown:
        await among_people(shown)
        await shown.press("plus", "minus", "u")
        assert shown.wishes == [TurnPerson(BOB, 1), TurnPerson(BOB, -1), Hush(BOB, True)]
        await shown.press("enter")
        assert "You hear them as they are." in shown.text()
        assert "playout 40 ms" in shown.text()
        volume = PersonVolume(4.0, is_muted=True, is_priority=True)
        await shown.show(evolve(HERE, choices=SoundSettings(people={BOB: volume})))
        assert "4 dB" in shown.line("━●━")
        assert "You do not hear them" in shown.text()
        await shown.press("plus", "left", "u", "y")
        assert shown.wishes[3:] == [TurnPerson(BOB, 1), TurnPerson(BOB, -1), Hush(BOB, False), Prefer(BOB, False)]
        await shown.press("escape")
        assert "hushed" in shown.line("bob host")


async def test_who_comes_to_the_people_selects_another_one() -> None:
    async with screen(HERE) as shown:
        shown.app.screen.set_focus(shown.app.screen.query_one("#participants"))
        await shown.press("plus")
        assert shown.wishes == [TurnPerson(BOB, 1)]


async def test_who_is_alone_is_selected_himself() -> None:
    async with screen(evolve(HERE, room=room("ann"))) as shown:
        shown.app.screen.set_focus(shown.app.screen.query_one("#participants"))
        await shown.pilot.pause()
        assert "▸ann" in shown.text()


@both_sizes
async def test_a_figure_and_its_name_stay_together(size: tuple[int, int]) -> None:
    voice = ConsumerStats(123.0, 0.125, 0.234, 0.0, 1234.0, 33.0, 1702.0)
    async with screen(evolve(HERE, stats=CallStats(30.0, 48.0, {BOB: voice})), size) as shown:
        await among_people(shown)
        await shown.press("enter")
        for figure in ("to ear 1702 ms", "playout 1234 ms", "jitter 123 ms", "lost 12.5%", "concealed 23.4%"):
            assert figure in shown.text()


async def test_nobody_hears_himself_louder() -> None:
    async with screen(HERE) as shown:
        await among_people(shown)
        await shown.press("up", "plus", "u", "enter")
        assert shown.wishes == []
        assert "Volume" not in shown.text()


async def test_the_window_about_a_person_goes_with_him() -> None:
    async with screen(HERE) as shown:
        await among_people(shown)
        await shown.press("enter")
        await shown.show(evolve(HERE, room=room("ann")))
        await shown.until(lambda: "Volume" not in shown.text())


async def test_a_step_is_a_step_from_what_is_and_the_usual_is_not_kept() -> None:
    settings = tuned(tuned(SoundSettings(), TurnPerson(BOB, 1)), TurnPerson(BOB, 1))
    assert settings.people == {BOB: PersonVolume(6.0)}
    settings = tuned(tuned(settings, TurnPerson(BOB, -1)), TurnPerson(BOB, -1))
    assert settings.people == {}
    for _ in range(50):
        settings = tuned(settings, TurnPerson(BOB, -1))
    assert settings.volume_of(BOB).volume_db == -40


async def test_a_name_is_read_however_much_there_is_to_say_of_its_owner() -> None:
    eve = evolve(participant("evelyn"), is_recording=True)
    volume = PersonVolume(4.0, is_muted=True, is_priority=True)
    view = evolve(room("ann"), participants=(participant("ann"), eve))
    state = evolve(HERE, room=view, choices=SoundSettings(people={eve.user_id: volume}))
    async with screen(state) as shown:
        assert "● records" in shown.line("evelyn")


# -- recording and figures ---------------------------------------------------------------------------------------------
@both_sizes
async def test_a_recording_is_confirmed_shown_and_ended(size: tuple[int, int]) -> None:
    async with screen(HERE, size) as shown:
        await shown.press("R", "n", "R", "escape")
        assert shown.wishes == []
        await shown.press("R")
        assert "Everybody in it is told" in shown.text()
        await shown.press("enter", "R", "w")
        assert shown.wishes == [Record(RecordingForm.OGG), Record(RecordingForm.WAV)]
        await shown.show(evolve(HERE, doing=evolve(HERE.doing, wanted=RecordingForm.WAV, recording="/somewhere")))
        assert "● REC" in shown.lines()[0]
        await shown.press("R")
        assert shown.wishes[2:] == [Record(None)]
        await shown.show(HERE, Happened("the recording is in /somewhere", "information"))
        assert "REC" not in shown.lines()[0]
        assert "The recording is in /somewhere." in shown.text()


async def test_the_form_of_the_last_time_is_offered() -> None:
    async with screen(evolve(HERE, choices=SoundSettings(form=RecordingForm.WAV))) as shown:
        await shown.press("R", "enter")
        assert shown.wishes == [Record(RecordingForm.WAV)]


@both_sizes
async def test_where_a_recording_goes_is_shown_and_can_be_written(size: tuple[int, int]) -> None:
    kept = SoundSettings(recordings="/kept", form=RecordingForm.WAV)
    async with screen(evolve(HERE, choices=kept), size) as shown:
        await shown.press("R")
        assert "/kept" in shown.text()
        await shown.press("o", "R", "f", "end", *"/now", "enter")
        assert shown.wishes == [Record(RecordingForm.OGG, "/kept"), Record(RecordingForm.WAV, "/kept/now")]


async def test_nothing_is_recorded_outside_of_a_room() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("R", "g", "a", "space")
        assert shown.wishes == []
        assert "You are in no room." in shown.text()


@both_sizes
async def test_figures_come_each_second_anew(size: tuple[int, int]) -> None:
    async with screen(HERE, size) as shown:
        await shown.press("g")
        row = shown.line("102 ms")
        assert "bob" in row
        assert "2.0%" in row
        assert " 2 ms" in row  # jitter
        voice = ConsumerStats(2.0, 0.125, 0.01, 0.0, 90.0, 33.0, 170.0)
        stats = CallStats(30.0, 48.0, {BOB: voice}, SendingStats(32_000, 20, 2, 1, 20, 9), 7.0, 11.0)
        await shown.show(evolve(HERE, stats=stats))
        assert "12.5%" in shown.line("170 ms")
        assert "sending 48 kbit/s" in shown.text()
        assert "Microphone adds 7 ms · speaker 11 ms" in shown.text()
        assert "Opus 32 kbit/s" in shown.text()
        assert "20 % loss" in " ".join(shown.text().split())
        await shown.press("g", "m")
        assert shown.wishes == [SetMuted(True)]


async def test_without_figures_it_says_so() -> None:
    async with screen(evolve(HERE, stats=None)) as shown:
        await shown.press("g")
        assert "There are no figures yet" in shown.text()
