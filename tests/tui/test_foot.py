"""The line at the bottom of the screen: which keys it tells where there is no space for all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from palaver_client.sound_choices import SoundSettings
from palaver_client.state import ClientState
from palaver_media.sound_settings import Capture, Transmit
from palaver_tui.widgets.chat import ChatLog
from palaver_tui.widgets.participants import Participants
from palaver_tui.widgets.people import PeopleList
from palaver_tui.widgets.rooms import RoomList
from tui.scenes import SMALL, TALKING, direct, message, room, screen

if TYPE_CHECKING:
    from textual.widget import Widget

pytestmark = pytest.mark.asyncio

HELLO = (message(1, "bob", "hello"),)
GUEST = evolve(TALKING, room=room("bob", "ann", messages=HELLO))
HOST = evolve(TALKING, room=room("ann", "bob", messages=HELLO))
CALL = evolve(TALKING, room=evolve(direct("bob", "ann"), messages=HELLO))
PUSH = evolve(HOST, choices=SoundSettings(capture=Capture(transmit=Transmit.PUSH)))


@pytest.mark.parametrize(
    ("state", "other"),
    [(GUEST, "l Leave "), (HOST, "l Leave "), (CALL, "h Hang up "), (PUSH, "Space Talk m Mute c Chat l Leave ")],
    ids=["guest", "host", "call", "push"],
)
@pytest.mark.parametrize(
    ("pane", "own"),
    [(RoomList, ""), (PeopleList, ""), (Participants, "↵ Hear "), (ChatLog, "↵ Reply ")],
)
async def test_what_one_needs_most_in_a_room_fits_into_80_columns(
    state: ClientState, other: str, pane: type[Widget], own: str
) -> None:
    async with screen(state, SMALL) as shown:
        shown.app.screen.set_focus(shown.app.screen.query_one(pane))
        await shown.press("down")  # to somebody else than ourselves
        await shown.until(lambda: own in shown.lines()[-1])
        for hint in ("m Mute ", "c Chat ", other, "s Sound ", "R Record ", "? Help "):
            assert hint in shown.lines()[-1]


@pytest.mark.parametrize("columns", [40, 60, 80, 100, 130])
async def test_no_key_is_told_in_part(columns: int) -> None:
    async with screen(HOST, (columns, 24)) as shown:
        await shown.until(lambda: "m Mute " in shown.lines()[-1])
        always = shown.app.screen.query_one("#always").region
        assert all(key.region.right <= always.x for key in shown.app.screen.query("Foot > FooterKey"))


async def test_a_wider_terminal_tells_more_keys() -> None:
    async with screen(HOST, (50, 24)) as shown:
        await shown.until(lambda: "l Leave " in shown.lines()[-1])
        assert "R Record" not in shown.lines()[-1]
        await shown.pilot.resize_terminal(130, 24)
        await shown.until(lambda: "g Figures " in shown.lines()[-1])
        await shown.pilot.resize_terminal(*SMALL)
        await shown.until(lambda: "g Figures" not in shown.lines()[-1])
        assert "R Record " in shown.lines()[-1]
