"""Palaver's main job with the real programs, real processes and (virtual) sound devices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.calls import UNDERSTOOD, call, devices, say_both
from running import running, serving
from sound_server import VirtualSound, virtual_sound
from terminal import Terminal

pytestmark = [pytest.mark.sound, pytest.mark.timeout(120), pytest.mark.trio]


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[VirtualSound]:
    with virtual_sound(tmp_path) as sound:
        sound.env.update(dict.fromkeys(("XDG_CONFIG_HOME", "XDG_STATE_HOME"), str(tmp_path)))
        yield sound


async def test_two_people_understand_each_other(sound: VirtualSound, tmp_path: Path) -> None:
    async with (
        serving() as (url, _),
        running(*call(url, "alice", sound), env=sound.env) as alice,
        running(*call(url, "bob", sound), env=sound.env) as bob,
    ):
        await alice.wait_event("mediaStarted")
        await bob.wait_event("mediaStarted")
        understood = await say_both(sound, tmp_path)
        await alice.say("did you hear me?")
        message = await bob.wait_event("message", name="alice")
        assert message["text"] == "did you hear me?"
        await bob.say("/quit")
        assert await bob.wait() == 0
        await alice.wait_event("userLeft", name="bob")
        assert await alice.end() == 0
    assert min(understood.values()) >= UNDERSTOOD, understood


async def test_the_same_with_the_full_screen_client(sound: VirtualSound, tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, sound.env)
    try:
        async with serving() as (url, _), running(*call(url, "bob", sound), env=sound.env) as bob:
            await bob.wait_event("joined")
            terminal.start(url, "--name", "alice", "--room", "lobby", *devices("alice", sound), size=(100, 30))
            await bob.wait_event("mediaStarted", name="alice")
            understood = await say_both(sound, tmp_path)
            terminal.press("c")
            terminal.write("did you hear me?")
            terminal.press("Enter")
            await bob.wait_event("message", name="alice", text="did you hear me?")
            await bob.say("loud and clear")
            await terminal.wait_for("loud and clear", "bob")
            terminal.press("C-t")
            await bob.wait_event("mediaState", name="alice", isMuted=True)
            terminal.press("C-q")
            await terminal.wait_end(0)
            await bob.wait_event("userLeft", name="alice")
    finally:
        terminal.tmux("kill-server")
    assert min(understood.values()) >= UNDERSTOOD, understood
