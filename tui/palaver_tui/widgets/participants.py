"""The people of the room, each with a level meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen
from textual.containers import VerticalScroll
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget

from palaver_client.state import SILENCE, ClientState
from palaver_protocol.models import Participant, UserId

from .cells import plain, spread
from .follow import follow
from .meter import FLOOR, fall, meter

if TYPE_CHECKING:
    from textual.timer import Timer

FRAME = 0.1  # s between two steps of a falling meter


@frozen
class Seat:
    """What a row tells about somebody, but for the voice."""

    person: Participant
    is_me: bool


class Participants(VerticalScroll):
    """A row for each person in the room, ourselves first."""

    def __init__(self) -> None:
        super().__init__(id="participants")
        self._rows: dict[UserId, ParticipantRow] = {}
        self._frames: Timer

    def on_mount(self) -> None:
        """Watch the people and their voices."""
        self._frames = self.set_interval(FRAME, self.move, pause=True)
        follow(self, people, self.show_people)
        follow(self, voices, self.show_voices)

    def show_people(self, seen: tuple[UserId, tuple[Participant, ...]]) -> None:
        """Add and remove rows, and change those that stay."""
        me, people = seen
        seats = [Seat(person, person.user_id == me) for person in people]
        there = {seat.person.user_id for seat in seats}
        for user_id in self._rows.keys() - there:
            self._rows.pop(user_id).remove()
        new = [ParticipantRow(seat) for seat in seats if seat.person.user_id not in self._rows]
        for seat in seats:
            if seat.person.user_id in self._rows:
                self._rows[seat.person.user_id].show(seat)
        self._rows |= {row.seat.person.user_id: row for row in new}
        self.mount_all([row for row in new if row.seat.is_me], before=0 if self.children else None)
        self.mount_all([row for row in new if not row.seat.is_me])

    def show_voices(self, voices: dict[UserId, tuple[float, bool]]) -> None:
        """Move the meters, now, and on while some of them fall and no news comes."""
        for user_id, row in self._rows.items():
            level, row.is_speaking = voices.get(user_id, (SILENCE, False))
            row.level = max(level, FLOOR)
        self._frames.reset()  # from now, and running
        self.move()

    def move(self) -> None:
        """Move all meters by one step."""
        for row in self._rows.values():
            row.shown_level = fall(row.shown_level, row.level)
        if all(row.shown_level == row.level for row in self._rows.values()):
            self._frames.pause()


class ParticipantRow(Widget):
    """One line: speaking mark, name, meter, and whether muted or away; the meter follows `level` (dBFS)."""

    is_speaking: reactive[bool] = reactive(False)
    shown_level: reactive[float] = reactive(FLOOR)

    def __init__(self, seat: Seat) -> None:
        super().__init__()
        self.seat = seat
        self.level = FLOOR

    def show(self, seat: Seat) -> None:
        """Tell this from now on."""
        if seat != self.seat:
            self.seat = seat
            self.refresh()

    def render(self) -> Content:
        """The row for the width at hand."""
        width = self.size.width
        cells = max(min(width // 3, 24), 6)
        state, colour = condition(self.seat.person)
        right = Content.assemble(meter(self.shown_level, cells), (f" {state:<5}", colour))
        return spread(self.title(), right, width)

    def title(self) -> Content:
        """Speaking mark, name, and what distinguishes this person."""
        mark = ("● ", "$success") if self.is_speaking else ("  ", "")
        name = plain(self.seat.person.name, "bold" if self.is_speaking else "")
        words = [word for word, holds in (("you", self.seat.is_me), ("host", self.seat.person.is_host)) if holds]
        return Content.assemble(mark, name, (f" {', '.join(words)}" if words else "", "$foreground-muted"))

    async def on_click(self) -> None:
        """Mute or unmute, where it is our own row."""
        if self.seat.is_me:
            await self.run_action("screen.mute")


def people(state: ClientState) -> tuple[UserId, tuple[Participant, ...]]:
    """Ourselves, and who sits in our room."""
    return state.me, () if state.room is None else state.room.participants


def voices(state: ClientState) -> dict[UserId, tuple[float, bool]]:
    """How loud everybody is in dBFS, and who speaks; who is muted is not heard."""
    ours = SILENCE if state.is_muted else state.sound.input_dbfs
    levels = {**state.sound.levels, state.me: ours}
    return {user_id: (level, user_id in state.sound.speaking) for user_id, level in levels.items()}


def condition(person: Participant) -> tuple[str, str]:
    """Whether somebody is muted or away, and its colour."""
    if person.is_away:
        return "away", "$text-warning"
    return ("muted", "$text-error") if person.is_muted else ("", "")
