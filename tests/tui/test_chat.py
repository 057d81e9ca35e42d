"""The chat on the screen: what became of messages, and what one does with them by key and by click."""

from __future__ import annotations

import re

import pytest
from attrs import evolve
from textual.events import MouseScrollUp, Paste

from palaver_client.state import ClientState
from palaver_protocol.models import ChatMessage, Emoji, Quote, Reaction, RoomId, Text
from palaver_tui.messages import Happened, OlderShown, Trouble
from palaver_tui.widgets.chat import ChatLog
from palaver_tui.widgets.chat_input import ChatInput
from palaver_tui.wishes import Delete, Edit, React, ReadOlder, Say
from tui.scenes import ONLINE, OTHER, SMALL, TALKING, WIDE, Shown, message, room, screen, user_id

pytestmark = pytest.mark.asyncio
sizes = pytest.mark.parametrize("size", [(40, 20), SMALL], ids=["40x20", "80x24"])
BOB, ANN = message(1, "bob", "hello"), message(2, "ann", "well, hello")
SAID = (BOB, ANN)


def chat(*messages: ChatMessage, name: str = "lobby") -> ClientState:
    return evolve(TALKING, room=room("bob", "ann", name=name, messages=messages))


def later(said: ChatMessage, by: int) -> ChatMessage:
    return evolve(said, timestamp=said.timestamp + by)


def reaction(emoji: str, *names: str) -> Reaction:
    return Reaction(Emoji(emoji), tuple(user_id(name) for name in names), len(names))


def many(first: int, last: int) -> tuple[ChatMessage, ...]:
    return tuple(later(message(n, "bob", f"line {n:03}"), n) for n in range(first, last))


async def to_chat(shown: Shown) -> None:
    """Give the keys to the log."""
    shown.app.screen.set_focus(shown.app.screen.query_one(ChatLog))
    await shown.pilot.pause()


# -- what became of messages -------------------------------------------------------------------------------------------
@sizes
async def test_reactions_have_counts_and_our_own_a_mark(size: tuple[int, int]) -> None:
    async with screen(chat(BOB), size) as shown:
        await shown.show(chat(evolve(BOB, reactions=(reaction("👍", "bob", "ann"), reaction("🎉", "eve")))))
        assert "[👍 2]  🎉 1" in shown.text()
        await shown.show(chat(evolve(BOB, reactions=(reaction("🎉", "eve"),))))
        assert "👍" not in shown.text()
        assert shown.text().count("hello") == 1


async def test_an_edit_shows_in_its_place_and_says_so() -> None:
    async with screen(chat(*SAID)) as shown:
        await shown.show(chat(evolve(BOB, content=Text("good morning"), edited_at=1), ANN))
        text = shown.text()
        assert "bob  hello" not in text
        assert text.index("good morning (edited)") < text.index("well, hello")


async def test_a_deleted_message_leaves_a_trace() -> None:
    async with screen(chat(*SAID)) as shown:
        await shown.show(chat(BOB))
        assert "well, hello" not in shown.text()
        assert "ann deleted this message" in shown.text()
        await to_chat(shown)
        assert "▸bob" in shown.text()  # nothing can be done with the other one
        await shown.show(chat())
        assert "bob deleted this message" in shown.text()
        await shown.press("x", "enter", "d")
        assert shown.wishes == []


@sizes
async def test_an_answer_shows_what_it_answers(size: tuple[int, int]) -> None:
    quote = Quote(BOB.message_id, BOB.user_name, Text("hello\n" + "long " * 100))
    async with screen(chat(BOB, evolve(ANN, reply_to=quote)), size) as shown:
        assert "↪ bob: hello long" in shown.text()
        assert "…" in shown.text()
        assert "well, hello" in shown.text()


async def test_messages_that_are_only_too_old_to_be_kept_stay_on_the_screen() -> None:
    async with screen(chat(*many(0, 5)), WIDE) as shown:
        await shown.show(chat(*many(3, 7)))
        assert re.findall(r"line (\d{3})", shown.text()) == [f"{n:03}" for n in range(7)]
        assert "deleted" not in shown.text()


async def test_the_chat_of_a_lost_room_stays_above_a_line() -> None:
    async with screen(chat(BOB)) as shown:
        await shown.show(Happened("eve joined", None))
        await shown.show(ONLINE)  # the connection is lost, and a new client begins
        new = evolve(room("ann", messages=(ANN,)), room_id=RoomId("room-new"))
        await shown.show(evolve(TALKING, room=new))
        text = shown.text()
        assert text.index("bob  hello") < text.index("a new room lobby begins here") < text.index("well, hello")
        await to_chat(shown)
        await shown.press("up")
        assert "▸ann" in shown.text()  # the server knows bob's line no more


async def test_another_room_begins_on_an_empty_page() -> None:
    async with screen(chat(BOB)) as shown:
        await shown.show(evolve(chat(name="planning"), room=evolve(room("eve", name="planning"), room_id=OTHER)))
        assert "hello" not in shown.text()
        await shown.show(chat(BOB))
        assert shown.text().count("hello") == 1
        assert "begins here" not in shown.text()


# -- the selected message ----------------------------------------------------------------------------------------------
@sizes
async def test_keys_select_a_message_and_the_mark_is_no_colour(size: tuple[int, int]) -> None:
    async with screen(chat(*SAID), size) as shown:
        assert "▸ann" not in shown.text()
        await to_chat(shown)
        assert "▸ann" in shown.text()
        await shown.press("up")
        assert "▸bob" in shown.text()
        assert "↵ Reply" in shown.lines()[-1]
        assert "Delete" not in shown.lines()[-1]
        await shown.press("up", "down", "down")
        assert "▸ann" in shown.text()
        await shown.press("tab")
        assert "▸ann" not in shown.text()


async def test_a_click_selects_a_message() -> None:
    async with screen(chat(*SAID)) as shown:
        await shown.pilot.click("ChatLine", offset=(10, 0))
        assert "▸bob" in shown.text()


async def test_the_selected_message_is_scrolled_to() -> None:
    async with screen(chat(*many(0, 15)), (40, 20)) as shown:
        assert "line 014" in shown.text()
        await to_chat(shown)
        await shown.press(*["up"] * 14)
        assert "▸bob  line 000" in shown.text()
        await shown.show(chat(*many(0, 16)))
        assert "▸bob  line 000" in shown.text()  # a new one does not take the reader away
        await shown.press(*["down"] * 15)
        assert "▸bob  line 015" in shown.text()
        await shown.show(chat(*many(0, 17)))
        assert "line 016" in shown.text()  # whoever is at the end stays there


async def test_a_reply_says_what_it_answers_and_esc_drops_that_first() -> None:
    async with screen(chat(*SAID)) as shown:
        await to_chat(shown)
        await shown.press("up", "enter")
        assert "↪ bob: hello" in shown.text()
        await shown.write("hi")
        await shown.press("enter")
        assert shown.wishes == [Say("hi", BOB.message_id)]
        assert "↪ bob: hello" not in shown.text()
        await to_chat(shown)
        await shown.press("enter", "o", "k", "escape")
        assert "↪" not in shown.text()
        await shown.press("enter")
        assert shown.wishes[1:] == [Say("ok")]


async def test_a_reply_that_could_not_be_sent_comes_back_as_one() -> None:
    async with screen(chat(*SAID)) as shown:
        await to_chat(shown)
        await shown.press("up", "enter", "h", "i", "enter")
        await shown.show(Trouble("wait a moment; try again in 3 s", "hi"))
        assert "Wait a moment; try again in 3 s." in shown.text()
        assert "↪ bob: hello" in shown.text()
        await shown.press("enter")
        assert shown.wishes == [Say("hi", BOB.message_id)] * 2


async def test_an_own_message_is_written_anew_and_the_draft_comes_back() -> None:
    two = evolve(ANN, content=Text("one\ntwo"))
    async with screen(chat(BOB, two)) as shown:
        await shown.press("c", "d", "r", "a", "f", "t", "escape")
        await to_chat(shown)
        await shown.press("w")
        line = shown.app.screen.query_one(ChatInput)
        assert line.value == "one↵two"
        await shown.write("!")
        await shown.press("enter")
        assert shown.wishes == [Edit(ANN.message_id, "one\ntwo!")]
        assert line.value == "draft"
        await to_chat(shown)
        await shown.press("w", "x", "escape")
        assert line.value == "draft"
        await to_chat(shown)
        await shown.press("up", "w")
        assert line.value == "draft"  # bob's is not ours to edit


@pytest.mark.parametrize("is_shown_first", [True, False])
async def test_what_arrived_though_the_answer_was_lost_is_not_sent_twice(is_shown_first: bool) -> None:
    news = (chat(BOB, later(message(3, "ann", "hi"), 1)), Trouble("the connection was lost", "hi"))
    async with screen(chat(BOB)) as shown:
        await shown.press("c", "h", "i", "enter")
        for one in news if is_shown_first else reversed(news):
            await shown.show(one)
        await shown.press("enter")
        assert shown.wishes == [Say("hi")]
        await shown.press("h", "o", "enter")
        await shown.show(Trouble("the connection was lost", "ho"))
        await shown.press("!", "enter")  # the cursor is behind what came back
        assert shown.wishes == [Say("hi"), Say("ho"), Say("ho!")]


async def test_what_is_half_written_stays_with_its_room() -> None:
    elsewhere = evolve(TALKING, room=evolve(room("eve", "ann", name="planning"), room_id=OTHER))
    async with screen(chat(*SAID)) as shown:
        line = shown.app.screen.query_one(ChatInput)
        await to_chat(shown)
        await shown.press("enter", "h", "i")
        await shown.show(ONLINE)
        await shown.show(elsewhere)
        assert line.value == ""
        assert "↪" not in shown.text()
        await shown.press("c", "o")
        await shown.show(chat(*SAID))
        assert line.value == "hi"
        await shown.press("!")
        assert line.value == "hi!"
        await shown.show(elsewhere)
        assert line.value == "o"
        again = evolve(elsewhere, room=evolve(elsewhere.room, room_id=RoomId("room-new")))
        await shown.show(again)  # the server was started anew, and has a room of that name again
        assert line.value == "o"


async def test_all_lines_of_what_is_pasted_are_sent() -> None:
    async with screen(chat(BOB)) as shown:
        await shown.press("c", "a", "b", "left")
        shown.app.screen.query_one(ChatInput).post_message(Paste("one\r\ntwo\n\nthree"))
        await shown.pilot.pause()
        await shown.press("!")
        assert shown.app.screen.query_one(ChatInput).value == "aone↵two↵↵three!b"
        await shown.press("enter")
        assert shown.wishes == [Say("aone\ntwo\n\nthree!b")]


async def test_after_writing_the_newest_message_is_selected() -> None:
    async with screen(chat(*SAID)) as shown:
        await to_chat(shown)
        await shown.press("up", "enter", "h", "i", "enter", "escape")
        await shown.show(chat(*SAID, later(message(3, "ann", "hi"), 1)))
        await to_chat(shown)
        assert "▸ann  hi" in shown.text()


async def test_nothing_is_offered_for_a_deleted_message() -> None:
    async with screen(chat(*SAID)) as shown:
        await to_chat(shown)
        assert "d Delete" in shown.lines()[-1]
        await shown.show(chat(BOB))
        await shown.until(lambda: "Reply" not in shown.lines()[-1] and "Delete" not in shown.lines()[-1])
        assert "▸" not in shown.line("ann deleted")
        await shown.press("up")
        assert "▸bob" in shown.text()


async def test_an_own_message_is_deleted_once_that_is_confirmed() -> None:
    async with screen(chat(*SAID)) as shown:
        await to_chat(shown)
        await shown.press("d")
        assert "Delete this message for everyone?" in shown.text()
        await shown.press("enter", "d", "escape")
        assert shown.wishes == []
        await shown.press("d", "y", "up", "d")
        assert shown.wishes == [Delete(ANN.message_id)]
        assert "for everyone" not in shown.text()


@sizes
async def test_an_emoji_is_chosen_by_digit_by_click_or_typed(size: tuple[int, int]) -> None:
    async with screen(chat(BOB), size) as shown:
        await to_chat(shown)
        await shown.press("x", "2")
        await shown.press("x")
        await shown.pilot.click("ChooseEmoji Button")
        await shown.press("x", "right", "enter")
        shown.app.screen.query_one(ChatLog)
        assert shown.wishes == [React(BOB.message_id, emoji) for emoji in "👎👍👎"]
        await shown.press("x", "shift+tab")
        await shown.write("no")
        await shown.press("enter")
        assert "That is not one emoji." in shown.text()
        await shown.press("backspace", "backspace", "🚀", "enter")
        assert shown.wishes[3:] == [React(BOB.message_id, "🚀")]
        assert "not one emoji" not in shown.text()


# -- older messages ----------------------------------------------------------------------------------------------------
async def test_older_messages_are_read_by_key_and_the_place_is_kept() -> None:
    async with screen(chat(*many(100, 150))) as shown:
        await to_chat(shown)
        await shown.press("home", "o")
        assert shown.wishes[-1] == ReadOlder()
        assert "Older messages" in shown.text()
        await shown.show(chat(*many(50, 150)), OlderShown(True))
        await shown.until(lambda: "line 100" in shown.text() and "line 099" not in shown.text())
        assert "deleted" not in shown.text()
        await shown.press("pageup")
        await shown.until(lambda: "line 099" in shown.text())


@pytest.mark.parametrize("key", ["home", "pageup", "up", "wheel"])
async def test_at_the_top_one_reads_on_but_asks_only_once(key: str) -> None:
    async with screen(chat(*many(0, 50))) as shown:
        await to_chat(shown)
        log = shown.app.screen.query_one(ChatLog)
        log.select(log.messages[0])
        log.scroll_home(animate=False)
        await shown.pilot.pause()
        for _ in range(3):
            if key == "wheel":
                log.post_message(MouseScrollUp(log, 1, 1, 0, -1, 0, False, False, False))
            else:
                await shown.press(key)
            await shown.pilot.pause()
        assert shown.wishes == [ReadOlder()]
        await shown.show(OlderShown(False))
        assert "No older messages." in shown.text()
        await shown.press("up", "home")
        assert shown.wishes == [ReadOlder()]


async def test_a_click_reads_older_messages_too() -> None:
    async with screen(chat(*many(0, 50))) as shown:
        shown.app.screen.query_one(ChatLog).scroll_home(animate=False)
        await shown.pilot.pause()
        await shown.pilot.click("#top")
        assert shown.wishes == [ReadOlder()]


async def test_a_short_chat_has_no_older_messages_to_speak_of() -> None:
    async with screen(chat(*SAID)) as shown:
        assert "Older messages" not in shown.text()
        await to_chat(shown)
        await shown.press("up", "up", "home")
        assert shown.wishes == []
        await shown.press("o")
        await shown.show(OlderShown(False))
        assert "No older messages." in shown.text()


async def test_messages_of_the_state_never_show_twice() -> None:
    async with screen(chat(*many(0, 3)), WIDE) as shown:
        for first, last in ((0, 3), (2, 6), (0, 6), (0, 8)):
            await shown.show(chat(*many(first, last)))
            await shown.until(lambda last=last: f"line {last - 1:03}" in shown.text())
        numbers = re.findall(r"line (\d{3})", shown.text())
        assert numbers == [f"{n:03}" for n in range(8)]


async def test_a_gap_after_a_long_absence_is_filled_where_it_belongs() -> None:
    async with screen(chat(*many(0, 4)), WIDE) as shown:
        await shown.show(chat(*many(6, 9)))
        await shown.show(chat(*many(2, 9)))
        assert re.findall(r"line (\d{3})", shown.text()) == [f"{n:03}" for n in range(9)]
