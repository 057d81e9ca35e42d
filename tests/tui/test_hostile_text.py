"""Names and messages that want to be markup, or orders to the terminal: they are shown, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from palaver_client.events import ConnectionLost
from palaver_client.state import ConnectionState, SideState
from palaver_media.engine_messages import Device, Devices
from palaver_protocol.models import Emoji, MessageId, Name, Quote, Reaction, Text
from palaver_tui import call_labels, rings
from palaver_tui.messages import Happened, Offline, Trouble
from palaver_tui.widgets.chat import ChatLog
from palaver_tui.widgets.participants import Participants
from tui.scenes import (
    LOBBY,
    ONLINE,
    SMALL,
    TALKING,
    WIDE,
    Shown,
    direct,
    incoming,
    listed,
    message,
    outgoing,
    room,
    screen,
    user,
    user_id,
)

if TYPE_CHECKING:
    from textual.widget import Widget

pytestmark = pytest.mark.asyncio

HOSTILE = [
    "[/nope][@click=app.quit]q[/]",
    "[red]x[/red] [[ $primary \\",
    "\x1b]52;c;cm0=\x07\x1b[2J\x9b2J a\u202egnp.exe\u200bz\u2066r\u2069 "
    "Z\u0301\u0301\u0301\u0301\U0001f468\u200d\U0001f469\u200d\U0001f467\U0001f3f3\ufe0f\u200d\U0001f308",
]


async def everywhere(shown: Shown, text: str) -> list[str]:
    """Show the text in every place there is for strangers' words; all screens meanwhile."""
    quote = Quote(MessageId("message-0"), Name(text), Text(text))
    reaction = Reaction(Emoji(text), (user_id("eve"),), 1)
    said = evolve(message(1, text, f"{text} {text}"), reply_to=quote, reactions=(reaction,), edited_at=1)
    view = room(text, "ann", name=text, messages=(said,))
    here = evolve(
        TALKING,
        users=(user(text, LOBBY), user("ann", LOBBY)),
        rooms=(listed(LOBBY, text, text, text, text),),
        room=view,
        sound=evolve(TALKING.sound, sink=SideState(f"device:{text}", "", text, text)),
        devices=Devices((Device(text, True),), (Device(text, False),), text),
    )
    await shown.show(here, Happened(text, None), Happened(text, "warning"), Trouble(text, text))
    seen = [shown.text()]
    for keys in (["s"], ["escape"], ["n"], ["escape"], ["p", "p"], ["escape"]):
        await shown.press(*keys)
        seen.append(shown.text())
    seen.append(await in_pane(shown, ChatLog, "enter"))
    seen.append(await in_pane(shown, ChatLog, "x"))
    await shown.show(evolve(here, room=evolve(view, is_hostless=True, messages=(evolve(said, user_id=here.me),))))
    seen.append(await in_pane(shown, ChatLog, "d"))
    seen.append(await in_pane(shown, Participants, "down", "t"))
    ringing = evolve(here, incoming=(incoming(text), incoming(text, room_id=LOBBY)), outgoing=outgoing(text))
    await shown.show(ringing)
    seen.append(shown.text())
    for keys in (["ctrl+r"], ["escape", "escape", "ctrl+y"], ["escape"]):
        await shown.press(*keys)
        seen.append(shown.text())
    await shown.show(evolve(here, room=direct(text, "ann")), Happened(call_labels.hung_up(text), "information"))
    seen.append(shown.text())
    await shown.show(evolve(here, connection=ConnectionState.RECONNECTING), Offline(ConnectionLost(text, 3.0, 0.0)))
    return [*seen, shown.text()]


async def in_pane(shown: Shown, pane: type[Widget], *keys: str) -> str:
    """What a key shows in one of the panes; the window is closed again."""
    shown.app.screen.set_focus(shown.app.screen.query_one(pane))
    await shown.press(*keys)
    seen = shown.text()
    await shown.press("escape")
    return seen


@pytest.mark.parametrize(("text", "size"), [*((text, SMALL) for text in HOSTILE), (HOSTILE[1], WIDE)], ids=ascii)
async def test_it_is_shown_as_it_is_and_harmless(
    text: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rings, "GUARD", 0.0)
    async with screen(ONLINE, size) as shown:
        seen = "".join(await everywhere(shown, text))
        unsafe = {char for char in seen if char != "\n" and (ord(char) < 32 or 0x7F <= ord(char) < 0xA0)}
        assert unsafe == set()
        assert not {"\u202e", "\u200b", "\u2066", "\u2069"} & set(seen)
        if text.isascii() and text.isprintable():
            assert text in seen
