"""What people see and do on the screen, key by key and click by click."""

from __future__ import annotations

import re

import pytest
from attrs import evolve
from textual.containers import VerticalScroll
from textual.events import Key

from palaver_client.events import ConnectionLost
from palaver_client.sound_choices import SoundSettings
from palaver_client.state import ConnectionState, SideState, Sound
from palaver_media.engine_messages import Device, Devices, Side
from palaver_protocol.models import RoomId
from palaver_tui import labels
from palaver_tui.keys import SECTIONS
from palaver_tui.messages import Happened, Offline, StateChanged, Trouble
from palaver_tui.widgets.chat_input import ChatInput
from palaver_tui.wishes import Audition, Choose, Connect, End, Join, Leave, ListDevices, Open, Retry, Say, SetMuted
from tui.scenes import (
    LOBBY,
    ONLINE,
    OTHER,
    SMALL,
    START,
    TALKING,
    WIDE,
    listed,
    message,
    participant,
    room,
    screen,
    user,
    user_id,
)

pytestmark = pytest.mark.asyncio
both_sizes = pytest.mark.parametrize("size", [SMALL, WIDE], ids=["80x24", "200x60"])


# -- the beginning -----------------------------------------------------------------------------------------------------
@both_sizes
async def test_the_first_screen_is_there_before_the_network(size: tuple[int, int]) -> None:
    async with screen(START, size) as shown:
        assert "connecting" in shown.line("Palaver")
        assert "You are in no room." in shown.text()
        assert "Help" in shown.lines()[-1]


async def test_the_way_to_the_help_and_out_is_always_in_sight() -> None:
    async with screen(TALKING, (40, 20)) as shown:
        await shown.press("tab")
        for state in (TALKING, ONLINE):
            await shown.show(state)
            await shown.until(lambda: shown.lines()[-1].rstrip().endswith("? Help ^q Quit"))
        assert "Esc closes" not in shown.text()
        await shown.pilot.click("#always FooterKey")
        await shown.until(lambda: "Esc closes" in shown.text())


async def test_who_is_known_is_brought_online() -> None:
    async with screen(START) as shown:
        shown.wishes.clear()
        shown.app._come_online("ann")
        assert shown.wishes == [Connect("ann")]


async def test_who_is_not_known_is_asked_for_a_name() -> None:
    async with screen(START, is_named=False) as shown:
        assert "What shall the others call you?" in shown.text()
        await shown.press("escape")
        assert shown.wishes == []
        await shown.write("x" * 33)
        await shown.press("enter")
        assert "1 to 32 characters" in shown.text()
        assert shown.wishes == []
        await shown.press(*["backspace"] * 33)
        await shown.write("Zoe m")
        await shown.press("enter")
        assert shown.wishes == [Connect("Zoe m")]


# -- rooms and people --------------------------------------------------------------------------------------------------
@both_sizes
async def test_rooms_and_people_are_listed(size: tuple[int, int]) -> None:
    async with screen(ONLINE, size) as shown:
        assert "connected" in shown.line("Palaver")
        assert "1" in shown.line("  planning")
        assert "host eve" in shown.text()
        assert "you" in shown.line("idle")
        assert "bob" in shown.line("in lobby")


async def test_lists_keep_their_right_column_beside_a_scrollbar() -> None:
    crowd = tuple(user(f"person-{n}", OTHER if n % 2 else None) for n in range(10))
    async with screen(ONLINE) as shown:
        await shown.show(evolve(ONLINE, users=(user("ann"), *crowd)))
        assert "in planning" in shown.line("person-1")
        assert "idle" in shown.line("person-2")


async def test_a_room_is_joined_by_key() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("down", "enter")
        assert shown.wishes == [Join(OTHER, "planning")]


async def test_a_room_is_joined_by_click() -> None:
    async with screen(ONLINE) as shown:
        await shown.pilot.click("#rooms", offset=(5, 3))
        assert shown.wishes == [Join(OTHER, "planning")]


async def test_a_person_is_joined_where_they_are() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("tab", "enter")  # ann herself comes first, but is not selected
        assert shown.wishes == [Join(LOBBY, "lobby")]


async def test_the_highlight_stays_on_its_room_while_the_list_changes() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("down")
        await shown.show(evolve(ONLINE, rooms=(listed(LOBBY, "new", "bob"), *ONLINE.rooms[1:])))
        await shown.show(
            evolve(ONLINE, rooms=(listed(LOBBY, "a", "x"), listed(RoomId(f"{LOBBY}2"), "b", "x"), *ONLINE.rooms[1:]))
        )
        await shown.press("enter")
        assert shown.wishes == [Join(OTHER, "planning")]


async def test_a_room_is_made_by_name_and_the_last_one_is_suggested() -> None:
    async with screen(ONLINE, last_room="attic") as shown:
        await shown.press("n")
        assert "attic" in shown.text()
        await shown.press("enter")
        await shown.press("n")
        await shown.write("cellar")
        await shown.press("enter")
        await shown.press("n", "escape")
        assert shown.wishes == [Open("attic"), Open("cellar")]


async def test_a_room_is_left() -> None:
    async with screen(TALKING) as shown:
        await shown.press("l")
        assert shown.wishes == [Leave()]
        await shown.show(ONLINE)
        await shown.press("l")
        assert shown.wishes == [Leave()]
        assert "You are in no room." in shown.text()


@pytest.mark.parametrize("pane", ["#log", "#say", "#participants"])
async def test_whoever_is_out_of_the_room_has_the_keys_in_the_lists(pane: str) -> None:
    async with screen(TALKING) as shown:
        shown.app.screen.set_focus(shown.app.screen.query_one(pane))
        await shown.show(ONLINE)
        await shown.until(lambda: "Mute" not in shown.lines()[-1] and "New" in shown.lines()[-1])
        await shown.press("enter")
        assert shown.wishes == [Join(LOBBY, "lobby")]


async def test_a_host_ends_the_room_once_that_is_confirmed() -> None:
    async with screen(evolve(TALKING, room=room("ann", "bob"))) as shown:
        assert "End" in shown.lines()[-1]
        await shown.press("e", "n", "e", "escape")
        assert shown.wishes == []
        await shown.press("e", "y")
        assert shown.wishes == [End()]


async def test_a_guest_may_end_only_a_room_without_host() -> None:
    async with screen(TALKING) as shown:
        await shown.press("e", "y")
        assert shown.wishes == []
        assert "End" not in shown.lines()[-1]
        await shown.show(evolve(TALKING, room=evolve(room("bob", "ann"), is_hostless=True)))
        assert "no host" in shown.text()
        await shown.press("e")
        await shown.pilot.click("#yes")
        assert shown.wishes == [End()]


# -- in a room ---------------------------------------------------------------------------------------------------------
@both_sizes
async def test_the_people_of_the_room_have_marks_and_meters(size: tuple[int, int]) -> None:
    people = (participant("bob", is_host=True), participant("ann"), participant("eve", is_muted=True))
    sound = evolve(TALKING.sound, input_dbfs=-30.0, levels={user_id("bob"): -6.0}, speaking=frozenset({user_id("bob")}))
    view = evolve(room("bob"), participants=people)
    async with screen(evolve(TALKING, room=view, sound=sound), size) as shown:
        assert "lobby · host bob · 3 people" in shown.text()
        assert "12 ms · 2 % lost" in shown.lines()[0]
        assert "MIC ON" in shown.lines()[0]
        assert shown.line("● bob host").count("█") > shown.line("ann you").count("█") > 0
        assert "muted" in shown.line("eve  ")
        assert "█" not in shown.line("eve  ")


async def test_a_meter_rises_at_once_and_falls_to_rest() -> None:
    async with screen(TALKING) as shown:
        loud = evolve(TALKING, sound=evolve(TALKING.sound, levels={user_id("bob"): -6.0}))
        await shown.show(loud)
        assert shown.line("bob host").count("█") > 10
        await shown.show(TALKING)
        assert "█" in shown.line("bob host")
        await shown.until(lambda: "█" not in shown.line("bob host"))


async def test_who_is_muted_shows_no_level() -> None:
    loud = evolve(TALKING, sound=evolve(TALKING.sound, input_dbfs=-6.0))
    async with screen(evolve(loud, is_muted=True)) as shown:
        assert "█" not in shown.line("ann you")
        assert "MUTED" in shown.lines()[0]


async def test_mute_by_key_and_by_click() -> None:
    async with screen(TALKING) as shown:
        await shown.press("m")
        await shown.show(evolve(TALKING, is_muted=True))
        await shown.press("ctrl+t")
        await shown.pilot.click("#microphone")
        assert shown.wishes == [SetMuted(True), SetMuted(False), SetMuted(False)]
        await shown.pilot.click("ParticipantRow", offset=(4, 0))
        assert shown.wishes[3:] == [SetMuted(False)]


async def test_letters_are_written_and_ctrl_t_mutes_all_the_same() -> None:
    async with screen(TALKING) as shown:
        await shown.press("c")
        await shown.write("mlesnq?")
        assert shown.wishes == []
        assert shown.app.screen.query_one(ChatInput).value == "mlesnq?"
        assert "^t Mute" in shown.lines()[-1]
        await shown.press("ctrl+t")
        assert shown.wishes == [SetMuted(True)]
        await shown.press("enter", "escape", "m")
        assert shown.wishes[1:] == [Say("mlesnq?"), SetMuted(True)]
        assert shown.app.screen.query_one(ChatInput).value == ""


async def test_keys_right_behind_the_one_for_the_chat_are_written() -> None:
    async with screen(TALKING) as shown:
        for key in "cclenim":
            shown.app.post_message(Key(key, key))
        await shown.until(lambda: shown.app.screen.query_one(ChatInput).has_focus)
        await shown.press("!")
        assert shown.app.screen.query_one(ChatInput).value == "clenim!"
        assert shown.wishes == []  # none of them left or ended the room


async def test_an_address_keeps_its_small_letter() -> None:
    assert labels.sentence("http://127.0.0.1:1 does not answer") == "http://127.0.0.1:1 does not answer."
    assert labels.sentence("no server at http://a!") == "No server at http://a!"


async def test_blank_lines_are_not_sent() -> None:
    async with screen(TALKING) as shown:
        await shown.press("c", "space", "enter")
        assert shown.wishes == []


@both_sizes
async def test_chat_is_shown_and_goes_on(size: tuple[int, int]) -> None:
    first = message(1, "bob", "hello")
    async with screen(evolve(TALKING, room=room("bob", "ann", messages=(first,))), size) as shown:
        assert shown.line("bob  hello").strip("│ ")[2] == ":"
        second = message(2, "ann", "one\ntwo")
        await shown.show(evolve(TALKING, room=room("bob", "ann", messages=(first, second))))
        await shown.show(Happened("eve joined", None))
        text = shown.text()
        assert text.index("hello") < text.index("one") < text.index("two") < text.index("eve joined")
        assert shown.line("two").index("two") == shown.line("ann  one").index("ann")  # it hangs below the name
        assert text.count("hello") == 1


async def test_another_room_has_another_chat() -> None:
    async with screen(evolve(TALKING, room=room("bob", "ann", messages=(message(1, "bob", "hello"),)))) as shown:
        await shown.show(evolve(TALKING, room=evolve(room("bob", "ann", name="planning"), room_id=OTHER)))
        assert "hello" not in shown.text()
        assert "Nothing has been written yet" in shown.text()


async def test_what_was_not_sent_is_given_back() -> None:
    async with screen(TALKING) as shown:
        await shown.press("c", "h", "i", "enter")
        await shown.show(Trouble("wait a moment", "hi"))
        assert shown.app.screen.query_one(ChatInput).value == "hi"
        assert "Wait a moment." in shown.text()


# -- sound -------------------------------------------------------------------------------------------------------------
DEVICES = Devices((Device("USB mic", True), Device("Line [in]", False)), (Device("Headset", True),), "")


@both_sizes
async def test_devices_are_chosen_by_key_and_by_click(size: tuple[int, int]) -> None:
    async with screen(TALKING, size) as shown:
        await shown.press("s")
        assert shown.wishes == [ListDevices(), Audition(True)]
        assert "Looking for devices" in shown.text()
        await shown.show(evolve(TALKING, devices=DEVICES))
        assert "● System default (USB mic)" in shown.text()
        await shown.press("down", "down", "enter")
        await shown.pilot.click("#sink", offset=(5, 2))
        assert shown.wishes[2:] == [Choose(Side.SOURCE, "device:Line [in]"), Choose(Side.SINK, "device:Headset")]
        await shown.press("r", "escape", "m")
        assert shown.wishes[4:] == [ListDevices(), Audition(False), SetMuted(True)]


async def test_what_is_in_use_but_no_device_can_be_kept() -> None:
    sound = Sound(SideState("tone:440", "tone:440"), SideState("null"))
    async with screen(evolve(ONLINE, sound=sound, devices=Devices((), (), "there is no sound device"))) as shown:
        await shown.press("s")
        assert "● tone:440" in shown.text()
        assert "● None: hear nothing" in shown.text()
        assert "There is no sound device." in shown.text()


async def test_without_any_device_it_is_said_once() -> None:
    mend = "connect one, or start the sound server"
    broken = Sound(
        SideState("device", "", "there is no input device", mend),
        SideState("device", "", "there is no output device", mend),
    )
    here = evolve(TALKING, sound=broken, devices=Devices((), (), f"there is no sound device; {mend}"))
    async with screen(here, WIDE) as shown:
        banner = shown.lines()[1]
        assert "There is no input device. There is no output device. Connect one" in banner
        await shown.press("s")
        window = "".join(shown.lines()[2:])
        assert window.count("sound server") == window.lower().count("there is no") == 1


async def test_trouble_with_devices_takes_one_line_and_can_be_closed() -> None:
    broken = evolve(TALKING.sound, source=SideState("device", "", "there is no input device", "plug one in, " * 9))
    here = evolve(TALKING, sound=broken)
    async with screen(here, (40, 20)) as shown:
        assert shown.lines()[1].strip().endswith("s Sound · Esc")
        assert "There is no input" in shown.lines()[1]
        assert "lobby" in shown.lines()[2]
        await shown.press("escape")
        await shown.until(lambda: "lobby" in shown.lines()[1])
        await shown.show(evolve(here, is_muted=True))
        assert "lobby" in shown.lines()[1]
        await shown.show(TALKING)
        await shown.show(here)
        await shown.until(lambda: "There is no input" in shown.lines()[1])
        await shown.pilot.click("#banner")
        assert "lobby" in shown.lines()[1]


async def test_a_sound_problem_says_what_would_mend_it() -> None:
    broken = evolve(TALKING.sound, source=SideState("device", "", "no microphone was found", "plug one in"))
    async with screen(evolve(TALKING, sound=broken)) as shown:
        assert "No microphone was found. Plug one in." in shown.lines()[1]
        assert "NO MIC" in shown.lines()[0]
        await shown.show(TALKING)
        assert "microphone" not in shown.lines()[1]


# -- connection --------------------------------------------------------------------------------------------------------
async def test_a_lost_connection_is_told_with_a_countdown_and_r_connects_now() -> None:
    async with screen(TALKING) as shown:
        await shown.press("r")
        assert shown.wishes == []
        lost = ConnectionLost("the server does not answer", 5.0, 0.0)
        await shown.show(evolve(TALKING, connection=ConnectionState.RECONNECTING), Offline(lost))
        assert "reconnecting" in shown.lines()[0]
        assert "12 ms" not in shown.lines()[0]
        told = re.search(r"The server does not answer\. Trying again in ([2-5]) s", shown.lines()[1])
        assert told, shown.lines()[1]
        await shown.until(lambda: f"in {int(told[1]) - 1} s" in shown.lines()[1])
        assert "Retry" in shown.lines()[-1]
        await shown.press("r")
        assert shown.wishes == [Retry()]
        await shown.show(TALKING)
        assert "Trying" not in shown.text()


async def test_a_connection_that_makes_do_with_requests_says_so() -> None:
    async with screen(ONLINE) as shown:
        assert "HTTP" not in shown.lines()[0]
        await shown.show(evolve(ONLINE, polling_because="a proxy does not let it through"))
        assert "● connected (HTTP)" in shown.lines()[0]


async def test_a_server_that_is_lost_for_good_is_told() -> None:
    async with screen(ONLINE) as shown:
        lost = Offline(ConnectionLost("the server refused us", None, None))
        await shown.show(evolve(ONLINE, connection=ConnectionState.CLOSED), lost)
        assert "cannot connect" in shown.lines()[0]
        assert "The server refused us." in shown.lines()[1]
        await shown.press("r")
        assert shown.wishes == [Retry()]


async def test_of_states_that_wait_only_the_newest_is_shown() -> None:
    assert StateChanged(START).can_replace(StateChanged(ONLINE))
    assert not StateChanged(START).can_replace(Trouble("no"))


# -- the rest ----------------------------------------------------------------------------------------------------------
@both_sizes
async def test_help_explains_every_key(size: tuple[int, int]) -> None:
    async with screen(ONLINE, size) as shown:
        await shown.press("question_mark")
        page = shown.app.screen.query_one(VerticalScroll)
        seen = shown.text()
        while not page.is_vertical_scroll_end:
            page.scroll_relative(y=5, animate=False)
            await shown.pilot.pause()
            seen += shown.text()
        missing = [key.help for _, keys in SECTIONS for key in keys if key.help not in seen]
        assert missing == []
        await shown.press("escape")
        assert "Esc closes" not in shown.text()


async def test_help_names_the_key_that_is_chosen_for_push_to_talk() -> None:
    async with screen(evolve(ONLINE, choices=SoundSettings(talk_key="f8")), WIDE) as shown:
        await shown.press("question_mark")
        assert re.search(r"\bF8 +push-to-talk, if", shown.text())


async def test_a_window_that_is_closed_twice_takes_no_other_with_it() -> None:
    async with screen(ONLINE) as shown:
        await shown.press("s")
        window = shown.app.screen
        window.dismiss()
        window.dismiss()
        await shown.pilot.pause()
        assert "You are in no room." in shown.text()


async def test_dark_and_light() -> None:
    async with screen(ONLINE) as shown:
        assert shown.app.current_theme.dark
        await shown.press("b")
        assert not shown.app.current_theme.dark


async def test_a_light_terminal_gets_the_light_theme(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORFGBG", "0;15")
    async with screen(ONLINE) as shown:
        assert not shown.app.current_theme.dark


async def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with screen(TALKING) as shown:
        svg = shown.app.export_screenshot()
        assert "#87b379" not in svg  # the green of the microphone mark
        assert "MIC ON" in shown.text()


async def test_a_narrow_screen_shows_the_room_or_the_lists() -> None:
    async with screen(TALKING, (50, 20)) as shown:
        assert "Rooms" not in shown.text()
        assert "host bob" in shown.text()
        await shown.press("v")
        assert "Rooms" in shown.text()
        await shown.press("v")
        assert "Rooms" not in shown.text()
        await shown.press("c", "m", "escape", "m")
        assert shown.wishes == [SetMuted(True)]
        await shown.show(ONLINE)
        assert "Rooms" in shown.text()


async def test_a_short_screen_keeps_the_rooms() -> None:
    async with screen(ONLINE, (80, 14)) as shown:
        assert "Rooms" in shown.text()
        assert "Online" not in shown.text()
        await shown.press("p")
        assert "Online" in shown.text()
        assert "Rooms" not in shown.text()
        await shown.press("escape")
        assert "Rooms" in shown.text()


@pytest.mark.parametrize("keys", [["ctrl+q"], ["ctrl+c"], ["c", "ctrl+c"], ["s", "ctrl+q"]], ids=" ".join)
async def test_leaving_the_program_works_everywhere(keys: list[str]) -> None:
    async with screen(TALKING) as shown:
        await shown.press(*keys)
        assert not shown.app.is_running
    assert shown.app.return_code == 0


async def test_ctrl_c_copies_what_is_selected_instead() -> None:
    async with screen(TALKING) as shown:
        await shown.press("c")
        await shown.write("copy me")
        await shown.press("shift+home", "ctrl+c")
        assert shown.app.is_running
        assert shown.app.clipboard == "copy me"


async def test_two_hundred_of_everything() -> None:
    names = [f"person-{n:03}" for n in range(200)]
    crowd = evolve(
        TALKING,
        users=tuple(user(name) for name in names),
        rooms=tuple(
            listed(LOBBY, "lobby", "ann") if n == 0 else listed(RoomId(f"room-{n}"), f"r{n}", "x") for n in range(200)
        ),
        room=room("ann", *names[1:], messages=tuple(message(n, "ann", f"line {n}") for n in range(200))),
    )
    async with screen(ONLINE, WIDE) as shown:
        await shown.show(crowd)
        await shown.until(lambda: "line 199" in shown.text())
        assert "200 people" in shown.text()
        assert "Rooms 200" in shown.text()
        assert "Online 200" in shown.text()
        loud = evolve(crowd, sound=evolve(crowd.sound, levels={user_id(name): -10.0 for name in names}))
        await shown.show(loud)
        assert shown.line("person-001").count("█") > 10
        await shown.show(ONLINE)
        assert "You are in no room." in shown.text()
