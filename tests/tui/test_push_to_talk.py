"""Push-to-talk and a recording in a real terminal; its keys tell of their release, or do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from running import Program, serving
from terminal import Terminal
from tui.other import SOUND, bob

pytestmark = [pytest.mark.trio, pytest.mark.timeout(120)]
DOWN, AGAIN, UP = "\x1b[32;1:1;32u", "\x1b[32;1:2;32u", "\x1b[32;1:3u"  # Space, as the Kitty protocol reports it


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, {"HOME": str(tmp_path), "XDG_MUSIC_DIR": str(tmp_path)})
    yield terminal
    terminal.tmux("kill-server")


async def speaks(program: Program, is_speaking: bool, after: int) -> None:
    await program.wait_event("speaking", name="ann", isSpeaking=is_speaking, after=after)


async def choose_push(terminal: Terminal, other: Program) -> None:
    """Turn to push-to-talk on the screen for the sound, until the other one hears nothing any more."""
    await speaks(other, True, 0)
    before = len(other.lines)
    terminal.press("s")
    await terminal.wait_for("Your microphone is sent", "None: hear nothing")
    terminal.press("Tab", "Tab", "Left")
    await terminal.wait_for("while you hold a key")
    terminal.press("Escape")
    await terminal.wait_for("○ SILENT", "Space Talk")
    await speaks(other, False, before)


async def test_held_as_long_as_the_terminal_says_and_remembered(terminal: Terminal, tmp_path: Path) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND)
        await terminal.wait_for("MIC ON")
        await choose_push(terminal, program)
        for _ in range(2):
            before = len(program.lines)
            terminal.write(DOWN)
            await terminal.wait_for("● SENDING")
            await speaks(program, True, before)
            before = len(program.lines)
            for _ in range(5):
                terminal.write(AGAIN)
            await trio.sleep(0.6)  # longer than a key that only repeats is waited for
            assert "● SENDING" in terminal.screen()
            terminal.write(UP)
            await terminal.wait_for("○ SILENT")
            await speaks(program, False, before)
        terminal.press("C-q")
        await terminal.wait_end(0)
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND)
        await terminal.wait_for("○ SILENT", "Space Talk")


async def test_from_press_to_press_and_while_it_repeats(terminal: Terminal, tmp_path: Path) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND)
        await terminal.wait_for("MIC ON")
        await choose_push(terminal, program)
        before = len(program.lines)
        terminal.press("Space")
        await terminal.wait_for("● SENDING")
        await speaks(program, True, before)
        before = len(program.lines)
        await trio.sleep(0.6)
        assert "● SENDING" in terminal.screen()
        terminal.press("Space")
        await terminal.wait_for("○ SILENT")
        await speaks(program, False, before)
        for _ in range(10):  # held: it comes again and again
            terminal.press("Space")
            await trio.sleep(0.05)
        assert "● SENDING" in terminal.screen()
        await terminal.wait_for("○ SILENT")  # let go of


async def test_a_recording_has_its_mark_and_says_where_its_files_are(terminal: Terminal, tmp_path: Path) -> None:
    async with serving() as (url, _), bob(url, tmp_path) as program:
        terminal.start(url, "--name", "ann", "--room", "lobby", *SOUND, size=(100, 30))
        await terminal.wait_for("MIC ON")
        await program.wait_event("mediaStarted", name="ann")
        terminal.press("R")
        await terminal.wait_for("Everybody in it is told")
        terminal.press("w")
        await terminal.wait_for("● REC", "ann ● records", "being recorded")
        terminal.press("R")
        await terminal.wait_for("The recording is in", gone="● REC")
        assert len(list(tmp_path.rglob("*.wav"))) == 3  # noqa: ASYNC240 - a look at a small folder
