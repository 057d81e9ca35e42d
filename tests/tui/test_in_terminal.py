"""The installed command in a real terminal (tmux), with a real server, engine and second person in line mode."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from running import serving
from terminal import PATIENCE, Terminal, is_running
from tui.other import SOUND, bob

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path)
    yield terminal
    terminal.tmux("kill-server")


@pytest.fixture
def other_terminal(tmp_path: Path) -> Iterator[Terminal]:
    folder = tmp_path / "other"
    folder.mkdir()
    terminal = Terminal(folder)
    yield terminal
    terminal.tmux("kill-server")


async def test_two_people_one_of_them_on_the_screen(terminal: Terminal, tmp_path: Path) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", *SOUND)
        await terminal.wait_for("● connected", "host bob")
        terminal.press("Enter")
        await terminal.wait_for("MIC ON", "bob host", "ann you", "% lost")
        await program.wait_event("mediaStarted", name="ann")
        seen = await terminal.wait_for("█")
        assert "lobby · host bob · 2 people" in seen

        await program.say("hello from the line")
        await terminal.wait_for("bob  hello from the line")
        terminal.press("c")
        await terminal.wait_for("Stop writing")
        terminal.write("hello from the screen, me")
        terminal.press("Enter")
        await program.wait_event("message", name="ann", text="hello from the screen, me")

        terminal.press("C-t")
        await terminal.wait_for("MUTED", "muted")
        terminal.press("Escape")
        await terminal.wait_for("m Mute")
        terminal.press("m")
        await terminal.wait_for("MIC ON")

        terminal.press("l")
        await program.wait_event("userLeft", name="ann")
        await terminal.wait_for("You are in no room.")
        terminal.press("Enter")
        await terminal.wait_for("MIC ON", "hello from the line")  # the room kept what was said
        terminal.press("C-q")
        await terminal.wait_end(0)
        await program.wait_event("userLeft", name="ann", after=len(program.lines) - 3)


async def test_a_wide_terminal(terminal: Terminal) -> None:
    async with serving() as (url, _):
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND, size=(200, 60))
        seen = await terminal.wait_for("MIC ON", "lobby · host ann · 1 person", "█")
        (line,) = [line for line in seen.splitlines() if "Rooms 1" in line]
        assert "lobby · host ann" in line  # rooms, people
        assert "Chat" in line  # and chat side by side
        terminal.press("C-c")
        await terminal.wait_end(0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(terminal: Terminal, tmp_path: Path, number: signal.Signals) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND)
        await program.wait_event("userJoined", name="ann")
        await terminal.wait_for("MIC ON")
        os.kill(terminal.client(), number)
        await terminal.wait_end(0)
        await program.wait_event("userLeft", name="ann")


async def test_a_closed_terminal_leaves_the_room_at_once(terminal: Terminal, tmp_path: Path) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND)
        await program.wait_event("userJoined", name="ann")
        await terminal.wait_for("MIC ON")
        client = terminal.client()
        terminal.tmux("kill-server")
        await program.wait_event("userLeft", name="ann", patience=5)
        with trio.fail_after(PATIENCE):
            while is_running(client):  # noqa: ASYNC110 - another process's child gives no event
                await trio.sleep(0.02)
    assert "the terminal was closed" in (tmp_path / "palaver" / "client.log").read_text()


async def test_an_unreachable_server_is_told_and_tried_again(terminal: Terminal) -> None:
    terminal.start("http://127.0.0.1:1", "--name", "ann")
    await terminal.wait_for("reconnecting", "Cannot reach", "Trying again in", "r Retry")
    terminal.press("C-q")
    await terminal.wait_end(0)


async def test_who_comes_first_is_asked_for_a_name_which_is_kept(terminal: Terminal) -> None:
    async with serving() as (url, _):
        terminal.start(url, "--profile", "home")
        await terminal.wait_for("What shall the others call you?")
        terminal.write("Zoe")  # typed over the suggestion
        terminal.press("Enter")
        await terminal.wait_for("● connected  Zoe", "Zoe you")
        terminal.press("C-q")
        await terminal.wait_end(0)
        terminal.start(url, "--profile", "home")
        await terminal.wait_for("● connected  Zoe")


async def answer(terminal: Terminal, key: str, shown: str) -> None:
    """Answer a call by this key, which is not taken in the first moment."""
    with trio.fail_after(PATIENCE):
        while shown not in terminal.screen():
            terminal.press(key)
            await trio.sleep(0.3)


async def test_a_call_from_one_screen_to_another(terminal: Terminal, other_terminal: Terminal) -> None:
    async with serving() as (url, _):
        ann, zoe = terminal, other_terminal
        ann.start(url, "--name", "ann", *SOUND)
        zoe.start(url, "--name", "zoe", *SOUND, size=(120, 40))
        await ann.wait_for("ann you", "zoe  ")
        ann.press("p")
        await ann.wait_for("p Call")
        ann.press("p")
        await ann.wait_for("Calling zoe", "It rings there for")
        await zoe.wait_for("ann calls you", "^y Accept")
        await answer(zoe, "C-r", "Reject ann")
        zoe.write("one minute")
        zoe.press("Enter")
        await ann.wait_for("Zoe says no: one minute.", gone="Calling zoe")

        ann.press("p")
        await zoe.wait_for("ann calls you")
        await answer(zoe, "C-y", "Call with ann")
        for terminal_of, name in ((ann, "zoe"), (zoe, "ann")):
            await terminal_of.wait_for(f"Call with {name}", "MIC ON", "% lost", "█", "h Hang up")
        zoe.press("h")
        await ann.wait_for("Zoe hung up; the call is over.", "You are in no room.")
        await zoe.wait_for("You are in no room.")
        for terminal_of in (ann, zoe):
            terminal_of.press("C-q")
            await terminal_of.wait_end(0)
