"""Names and messages that want to be markup, or orders to the terminal: they are shown, and nothing else."""

from __future__ import annotations

import pytest
from attrs import evolve

from palaver_client.events import ConnectionLost
from palaver_client.state import ConnectionState, SideState
from palaver_media.engine_messages import Device, Devices
from palaver_tui.messages import Happened, Offline, Trouble
from tui.scenes import LOBBY, ONLINE, SMALL, TALKING, WIDE, Shown, listed, message, room, screen, user

pytestmark = pytest.mark.asyncio

HOSTILE = [
    "[/nope]",
    "[@click=app.quit]q[/]",
    "[red]x[/red] [[ $primary \\",
    "\x1b]52;c;cm0=\x07\x1b[2J\x9b2J",
    "a\u202egnp.exe\u200bz\u2066r\u2069",
    "Z" + "\u0301" * 4 + "\U0001f468\u200d\U0001f469\u200d\U0001f467🏳️‍🌈",
]


async def everywhere(shown: Shown, text: str) -> list[str]:
    """Show the text in every place there is for strangers' words; all screens meanwhile."""
    here = evolve(
        TALKING,
        users=(user(text, LOBBY), user("ann", LOBBY)),
        rooms=(listed(LOBBY, text, text, text, text),),
        room=room(text, "ann", name=text, messages=(message(1, text, f"{text} {text}"),)),
        sound=evolve(TALKING.sound, sink=SideState(f"device:{text}", "", text, text)),
        devices=Devices((Device(text, True),), (Device(text, False),), text),
    )
    await shown.show(here, Happened(text, None), Happened(text, "warning"), Trouble(text, text))
    seen = [shown.text()]
    for keys in (["s"], ["escape"], ["n"], ["escape"]):
        await shown.press(*keys)
        seen.append(shown.text())
    await shown.show(evolve(here, connection=ConnectionState.RECONNECTING), Offline(ConnectionLost(text, 3.0, 0.0)))
    return [*seen, shown.text()]


@pytest.mark.parametrize(("text", "size"), [*((text, SMALL) for text in HOSTILE), (HOSTILE[0], WIDE)], ids=ascii)
async def test_it_is_shown_as_it_is_and_harmless(text: str, size: tuple[int, int]) -> None:
    async with screen(ONLINE, size) as shown:
        seen = "".join(await everywhere(shown, text))
        unsafe = {char for char in seen if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)}
        assert unsafe == set()
        assert not {"\u202e", "\u200b", "\u2066", "\u2069"} & set(seen)
        if text.isascii() and text.isprintable():
            assert text in seen
