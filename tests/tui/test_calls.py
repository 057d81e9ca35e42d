"""Calls and invitations on the screen: nothing is answered by accident, and everything by a key or a click."""

from __future__ import annotations

import time

import pytest
from attrs import evolve
from textual.widgets import Button

from palaver_protocol.models import CallId
from palaver_tui import rings
from palaver_tui.messages import Happened, Missed
from palaver_tui.widgets.chat_input import ChatInput
from palaver_tui.wishes import Accept, CancelRing, Invite, Leave, Reject, Ring, Say
from tui.scenes import (
    ONLINE,
    OTHER,
    SMALL,
    TALKING,
    direct,
    incoming,
    outgoing,
    participant,
    room,
    screen,
    user,
    user_id,
)

pytestmark = pytest.mark.asyncio
sizes = pytest.mark.parametrize("size", [(40, 20), SMALL], ids=["40x20", "80x24"])
IDLE = evolve(ONLINE, users=(user("ann"), user("bob"), user("eve", OTHER)))
RUNG = evolve(IDLE, incoming=(incoming("bob"),))
BOB, EVE = RUNG.incoming[0].call_id, CallId("call-2")


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rings, "GUARD", 0.0)


# -- calls that come in ------------------------------------------------------------------------------------------------
@sizes
async def test_a_call_comes_in_with_a_countdown(size: tuple[int, int]) -> None:
    async with screen(IDLE, size) as shown:
        assert "Incoming" not in shown.text()
        await shown.show(evolve(IDLE, incoming=(incoming("bob"),)))
        assert "bob calls you · 30 s" in shown.text()
        for hint in ("^y Accept", "^n Reject", "^r Reason"):
            assert hint in shown.text()
        await shown.until(lambda: "bob calls you · 29 s" in shown.text())
        await shown.show(IDLE)
        assert "bob calls you" not in shown.text()


@sizes
async def test_what_rings_pushes_the_rest_down(size: tuple[int, int]) -> None:
    async with screen(IDLE, size) as shown:
        top = next(number for number, line in enumerate(shown.lines()) if "Rooms" in line)
        await shown.show(RUNG)
        below = next(number for number, line in enumerate(shown.lines()) if "Rooms" in line)
        assert below > top
        assert "bob calls you" in "".join(shown.lines()[top:below])


async def test_it_is_accepted_by_key() -> None:
    async with screen(RUNG) as shown:
        await shown.press("ctrl+y")
        assert shown.wishes == [Accept(BOB)]


@sizes
async def test_it_is_answered_by_click(size: tuple[int, int]) -> None:
    async with screen(RUNG, size) as shown:
        await shown.pilot.click("RingRow .accept")
        await shown.pilot.click("RingRow .reject")
        assert shown.wishes == [Accept(BOB), Reject(BOB)]
        await shown.pilot.click("RingRow .because")
        await shown.until(lambda: "Reject bob" in shown.text())


async def test_it_is_rejected_with_and_without_a_reason() -> None:
    async with screen(RUNG) as shown:
        await shown.press("ctrl+n", "ctrl+r", "escape", "ctrl+r", "enter", "ctrl+r")
        assert shown.wishes == [Reject(BOB), Reject(BOB)]
        await shown.write("in a tunnel")
        await shown.press("enter", "ctrl+r", "tab", "enter")
        assert shown.wishes[2:] == [Reject(BOB, "in a tunnel"), Reject(BOB, "Call you back soon")]


async def test_the_question_why_closes_when_it_rings_no_longer() -> None:
    async with screen(RUNG) as shown:
        await shown.press("ctrl+r")
        assert "Reject bob" in shown.text()
        await shown.show(IDLE)
        await shown.until(lambda: "Reject bob" not in shown.text())
        assert shown.wishes == []


async def test_no_ordinary_key_answers_and_typing_goes_on() -> None:
    async with screen(TALKING) as shown:
        await shown.press("c")
        await shown.write("half")
        await shown.show(evolve(TALKING, incoming=RUNG.incoming))
        await shown.write(" typed yn")
        assert shown.app.screen.query_one(ChatInput).value == "half typed yn"
        await shown.press("enter", "space")
        assert shown.wishes == [Say("half typed yn")]


async def test_an_enter_in_a_list_does_not_answer() -> None:
    async with screen(RUNG) as shown:
        await shown.press("space", "y", "escape", "a")
        for _ in range(6):
            await shown.press("tab")
            assert not isinstance(shown.app.focused, Button)
        assert shown.wishes == []


async def test_what_is_pressed_in_the_first_moment_was_meant_for_something_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rings, "GUARD", 60.0)
    async with screen(RUNG) as shown:
        await shown.press("ctrl+y", "ctrl+n", "ctrl+r")
        await shown.pilot.click("RingRow .accept")
        assert shown.wishes == []
        assert "Reject bob" not in shown.text()


async def test_of_two_calls_the_second_does_not_slip_under_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    two = evolve(IDLE, incoming=(incoming("bob"), incoming("eve", 2)))
    async with screen(two) as shown:
        monkeypatch.setattr(rings, "GUARD", 60.0)
        await shown.show(evolve(IDLE, incoming=two.incoming[1:]))  # bob gives up at the moment at which ann answers
        await shown.press("ctrl+y")
        await shown.pilot.click("RingRow .accept")
        assert shown.wishes == []


async def test_several_calls_are_all_shown_and_answered_one_by_one() -> None:
    two = evolve(IDLE, incoming=(incoming("bob"), incoming("eve", 2)))
    async with screen(two) as shown:
        assert "2 incoming" in shown.text()
        assert "▸ bob calls you" in shown.text()
        await shown.press("ctrl+g")
        assert "▸ eve calls you" in shown.text()
        for hint in ("^y Accept", "^n Reject", "^r Reason"):
            assert hint in shown.line("▸ eve calls you")
        await shown.press("ctrl+n", "ctrl+g", "ctrl+y")
        assert shown.wishes == [Reject(EVE), Accept(BOB)]
        await shown.show(evolve(two, incoming=two.incoming[:1]))
        assert "eve calls you" not in shown.text()


@pytest.mark.parametrize("keys", [["n"], ["s"], ["question_mark"], ["tab", "enter"]], ids=" ".join)
async def test_it_shows_above_whatever_is_open(keys: list[str]) -> None:
    async with screen(IDLE) as shown:
        await shown.press(*keys)
        window = shown.app.screen
        shown.wishes.clear()
        await shown.show(RUNG)
        assert "bob calls you" in shown.text()
        await shown.press("ctrl+y")
        assert shown.wishes == [Accept(BOB)]
        assert shown.app.screen is window


async def test_it_shows_on_a_window_that_is_opened_meanwhile() -> None:
    async with screen(RUNG) as shown:
        await shown.press("s")
        assert "▸ bob calls you" in shown.text()


async def test_the_bell_rings_once_for_each_call(monkeypatch: pytest.MonkeyPatch) -> None:
    bells: list[float] = []
    async with screen(IDLE) as shown:
        monkeypatch.setattr(shown.app, "bell", lambda: bells.append(time.monotonic()))
        await shown.show(RUNG)
        await shown.show(evolve(RUNG, is_muted=True))
        assert len(bells) == 1
        await shown.show(evolve(RUNG, incoming=(*RUNG.incoming, incoming("eve", 2))))
        assert len(bells) == 2


async def test_who_sits_in_a_room_is_asked_whether_to_leave_it() -> None:
    async with screen(evolve(TALKING, incoming=RUNG.incoming)) as shown:
        await shown.press("ctrl+y")
        assert "Leave lobby and answer bob?" in shown.text()
        await shown.press("enter")  # a stray one says no
        assert shown.wishes == []
        await shown.press("ctrl+y", "ctrl+y", "y")
        assert shown.wishes == [Accept(BOB)]
        assert "Leave lobby" not in shown.text()


async def test_the_question_whether_to_leave_closes_when_it_rings_no_longer() -> None:
    async with screen(evolve(TALKING, incoming=RUNG.incoming)) as shown:
        await shown.press("ctrl+y")
        await shown.show(TALKING)
        await shown.until(lambda: "Leave lobby" not in shown.text())
        await shown.show(evolve(TALKING, incoming=RUNG.incoming))
        await shown.press("ctrl+y", "y")
        assert shown.wishes == [Accept(BOB)]


@sizes
async def test_an_invitation_names_the_room(size: tuple[int, int]) -> None:
    invited = evolve(IDLE, incoming=(incoming("eve", room_id=OTHER),))
    async with screen(evolve(invited, rooms=()), size) as shown:
        assert "eve invites you to a room" in shown.text()
        await shown.show(invited)
        assert "eve invites you to planning" in shown.text()
        await shown.press("ctrl+y")
        assert shown.wishes == [Accept(CallId(OTHER))]


async def test_a_missed_call_leaves_a_mark_until_one_turns_to_the_caller() -> None:
    async with screen(IDLE) as shown:
        await shown.show(Missed(user_id("bob")), Happened("you missed a call from bob", "warning", 30.0))
        assert "missed call" in shown.line("  bob")
        assert "You missed a call from bob." in shown.text()
        await shown.show(evolve(IDLE, users=(*IDLE.users, user("zoe"))))
        assert "missed call" in shown.line("  bob")
        await shown.press("p")
        await shown.until(lambda: "missed call" not in shown.line("  bob"))


# -- calls of our own --------------------------------------------------------------------------------------------------
async def test_somebody_is_called_by_key() -> None:
    async with screen(IDLE) as shown:
        await shown.press("p", "p")
        assert shown.wishes == [Ring(user_id("bob"))]


async def test_somebody_is_called_by_click() -> None:
    async with screen(IDLE) as shown:
        await shown.pilot.click("#people", offset=(5, 2))
        assert shown.wishes == []
        await shown.press("enter")
        assert shown.wishes == [Ring(user_id("bob"))]


async def test_we_cannot_call_ourselves() -> None:
    async with screen(IDLE) as shown:
        await shown.press("p", "up", "enter", "p")
        assert shown.wishes == []
        await shown.until(lambda: "That is you." in shown.text())
        assert "i Invite" not in shown.lines()[-1]


@sizes
async def test_an_outgoing_call_counts_down_and_closes_when_it_is_settled(size: tuple[int, int]) -> None:
    async with screen(IDLE, size) as shown:
        await shown.show(evolve(IDLE, outgoing=evolve(outgoing("bob"), ends_at=None)))
        assert "Calling bob" in shown.text()
        await shown.show(evolve(IDLE, outgoing=outgoing("bob")))
        assert "It rings there for 30 s more." in shown.text()
        await shown.until(lambda: "for 29 s more" in shown.text())
        await shown.show(IDLE)
        await shown.until(lambda: "Calling bob" not in shown.text())


@pytest.mark.parametrize("key", ["escape", "h", "c"])
async def test_an_outgoing_call_is_cancelled_but_not_by_a_stray_enter(key: str) -> None:
    async with screen(evolve(IDLE, outgoing=outgoing("bob"))) as shown:
        await shown.press("enter", "space", "p")
        assert shown.wishes == []
        await shown.press(key)
        assert shown.wishes == [CancelRing()]
        assert "Calling bob" not in shown.text()


async def test_it_is_cancelled_by_click() -> None:
    async with screen(evolve(IDLE, outgoing=outgoing("bob"))) as shown:
        await shown.pilot.click("#cancel")
        assert shown.wishes == [CancelRing()]


async def test_a_call_that_comes_in_shows_above_the_one_that_goes_out() -> None:
    async with screen(evolve(IDLE, outgoing=outgoing("bob"), incoming=(incoming("eve", 2),))) as shown:
        assert "Calling bob" in shown.text()
        await shown.press("ctrl+r")
        await shown.show(RUNG)  # both are over, and another one begins
        await shown.until(lambda: "Calling bob" not in shown.text() and "Reject eve" not in shown.text())


async def test_who_sits_in_a_room_is_told_what_a_call_means() -> None:
    here = evolve(TALKING, room=room("ann"), users=IDLE.users)
    async with screen(here) as shown:
        await shown.press("p", "p")
        assert "Call bob? You leave lobby when the call is accepted." in " ".join(shown.text().split())
        await shown.press("escape", "p", "y")
        assert shown.wishes == [Ring(user_id("bob"))]


@pytest.mark.parametrize(("keys", "question"), [("pp", "You leave lobby"), ("n", "New room")])
async def test_questions_of_a_room_close_when_one_is_in_another(keys: str, question: str) -> None:
    here = evolve(TALKING, room=room("ann"), users=IDLE.users)
    there = evolve(here, room=evolve(direct("bob", "ann"), room_id=OTHER))
    async with screen(here) as shown:
        await shown.press(*keys)
        assert question in shown.text()
        await shown.show(evolve(here, incoming=RUNG.incoming), here)
        assert question in shown.text()
        await shown.press("ctrl+r")
        await shown.show(there)
        await shown.until(lambda: question not in shown.text() and "Call with bob" in shown.text())
        assert shown.wishes == []


async def test_nobody_is_called_or_invited_to_where_they_are() -> None:
    async with screen(evolve(TALKING, room=room("ann", "bob"), users=IDLE.users)) as shown:
        await shown.press("p")
        assert "Invite" not in shown.lines()[-1]
        await shown.press("p", "i", "enter")
        assert shown.wishes == []
        assert shown.app.screen.query_one(ChatInput).has_focus
        await shown.press("escape", "p", "down")
        assert "i Invite" in shown.lines()[-1]


async def test_people_are_invited_to_the_room() -> None:
    here = evolve(TALKING, room=room("ann"), users=IDLE.users)
    async with screen(here) as shown:
        await shown.press("p")
        assert "i Invite" in shown.lines()[-1]
        await shown.press("i", "enter")
        assert "Invite to lobby" in shown.text()
        await shown.press("i")
        assert shown.wishes == [Invite(user_id("bob"))] * 2


# -- a call between two ------------------------------------------------------------------------------------------------
@sizes
async def test_a_room_for_two_is_shown_as_a_call(size: tuple[int, int]) -> None:
    async with screen(evolve(TALKING, room=direct("bob", "ann")), size) as shown:
        assert "Call with bob" in shown.text()
        assert "host" not in shown.line("ann you")
        assert "h Hang" in shown.lines()[-1]
        assert "Leave" not in shown.lines()[-1]
        await shown.press("e", "h", "l")
        assert shown.wishes == [Leave(), Leave()]


async def test_nobody_is_invited_to_a_call_between_two() -> None:
    here = evolve(TALKING, room=direct("eve", "ann"), users=IDLE.users)
    async with screen(here) as shown:
        await shown.press("p", "i", "enter")
        assert shown.wishes == []
        assert "Invite" not in shown.text()


# -- who is in a room, and what they are -------------------------------------------------------------------------------
@sizes
async def test_everybody_has_their_marks(size: tuple[int, int]) -> None:
    people = (
        participant("ann"),
        evolve(participant("bob", is_host=True), is_away=True),
        evolve(participant("e" * 32), is_recording=True),
    )
    async with screen(evolve(TALKING, room=evolve(room("bob"), participants=people)), size) as shown:
        assert "away" in shown.line("bob host")
        assert "records" in shown.line("eee")
        if size != (40, 20):
            assert "being recorded" in shown.text()


async def test_the_host_s_role_is_handed_over_once_that_is_confirmed() -> None:
    async with screen(evolve(TALKING, room=room("ann", "bob"))) as shown:
        await shown.press("tab", "tab", "up")
        assert "Make host" not in shown.lines()[-1]  # ann is it already
        await shown.press("down")
        assert "▸bob" in shown.text()
        await shown.press("t", "enter", "t")
        assert "Make bob the host of this room?" in shown.text()
        assert shown.wishes == []
        await shown.press("y")
        assert [type(wish).__name__ for wish in shown.wishes] == ["TransferHost"]


async def test_a_guest_cannot_hand_the_role_over_but_take_it_where_there_is_none() -> None:
    async with screen(TALKING) as shown:
        await shown.press("tab", "tab", "down", "t")
        assert "Make" not in shown.text()
        await shown.show(
            evolve(TALKING, room=evolve(room("eve", "ann"), is_hostless=True, participants=(participant("ann"),)))
        )
        await shown.press("up", "t")
        assert "Become the host of this room?" in shown.text()


async def test_a_click_selects_somebody() -> None:
    async with screen(evolve(TALKING, room=room("ann", "bob"))) as shown:
        await shown.pilot.click("ParticipantRow:last-child", offset=(4, 0))
        assert "▸bob" in shown.text()
        await shown.show(evolve(TALKING, room=room("ann")))  # bob leaves
        await shown.press("t")
        assert "Make" not in shown.text()
