"""The people of the room, each with a level meter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.message import Message

from palaver_client.state import SILENCE, ClientState
from palaver_protocol.models import RoomType, UserId
from palaver_tui.keys import SEAT_KEYS
from palaver_tui.messages import Asked
from palaver_tui.rights import may_hand_over
from palaver_tui.wishes import Hush, TurnPerson

from .follow import follow
from .meter import FLOOR, fall
from .participant_row import Occupant, ParticipantRow

if TYPE_CHECKING:
    from textual.timer import Timer

FRAME = 0.1  # s between two steps of a falling meter


class Participants(VerticalScroll):
    """A row for each person in the room, ourselves first; one is selected while keys go here.

    What one does not hear the same of a person as others do stays here: nobody else is told.
    """

    BINDINGS = [
        *(key.binding() for key in SEAT_KEYS),
        Binding("up", "select(-1)", show=False),
        Binding("down", "select(1)", show=False),
    ]

    class Opened(Message):
        """More is wanted about how somebody is heard."""

        def __init__(self, occupant: Occupant) -> None:
            super().__init__()
            self.occupant = occupant

    class Chosen(Message):
        """Somebody shall be the host."""

        def __init__(self, occupant: Occupant) -> None:
            super().__init__()
            self.occupant = occupant

    def __init__(self) -> None:
        super().__init__(id="participants")
        self._rows: dict[UserId, ParticipantRow] = {}
        self._selected: ParticipantRow | None = None
        self._shows_mark = False
        self._may_hand_over = False
        self._frames: Timer

    def on_mount(self) -> None:
        """Watch the people and their voices."""
        self._frames = self.set_interval(FRAME, self.move, pause=True)
        follow(self, people, self.show_people)
        follow(self, voices, self.show_voices)
        follow(self, may_hand_over, self.allow)

    def show_people(self, occupants: tuple[Occupant, ...]) -> None:
        """Add and remove rows, and change those that stay."""
        there = {occupant.person.user_id for occupant in occupants}
        for user_id in self._rows.keys() - there:
            self._drop(self._rows.pop(user_id))
        new = [ParticipantRow(occupant) for occupant in occupants if occupant.person.user_id not in self._rows]
        for occupant in occupants:
            if occupant.person.user_id in self._rows:
                self._rows[occupant.person.user_id].show(occupant)
        self._rows |= {row.occupant.person.user_id: row for row in new}
        self.mount_all([row for row in new if row.occupant.is_me], before=0 if self.children else None)
        self.mount_all([row for row in new if not row.occupant.is_me])

    def _drop(self, row: ParticipantRow) -> None:
        if row is self._selected:
            self.select(None)
        row.remove()

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

    # -- the selected person -------------------------------------------------------------------------------------------
    def select(self, row: ParticipantRow | None) -> None:
        """Let keys act upon this person."""
        if self._selected is not None:
            self._selected.is_selected = False
        self._selected = row
        if row is not None:
            row.is_selected = self._shows_mark
            self.scroll_to_widget(row, animate=False)
        self.refresh_bindings()

    def on_focus(self) -> None:
        """Mark the selected person, at first the first of the others: there is little to do with ourselves."""
        self._shows_mark = True
        rows = self._ordered()
        self.select(self._selected or next((row for row in rows if not row.occupant.is_me), rows[0] if rows else None))

    def on_blur(self) -> None:
        """No key acts here."""
        self._shows_mark = False
        if self._selected is not None:
            self._selected.is_selected = False

    def _ordered(self) -> list[ParticipantRow]:
        return list(self.query_children(ParticipantRow))

    def on_participant_row_clicked(self, event: ParticipantRow.Clicked) -> None:
        """Select who was clicked."""
        event.stop()
        self.select(event.row)
        self.focus(scroll_visible=False)

    def action_select(self, step: int) -> None:
        """Select the next person in a direction."""
        rows = self._ordered()
        if rows:
            place = rows.index(self._selected) + step if self._selected in rows else 0
            self.select(rows[min(max(place, 0), len(rows) - 1)])

    def allow(self, may_hand_over: bool) -> None:
        """Whether the host's role is ours to give."""
        self._may_hand_over = may_hand_over
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which keys are of use for this person."""
        occupant = None if self._selected is None else self._selected.occupant
        match action:
            case "hand_over":
                return self._may_hand_over and occupant is not None and not occupant.person.is_host
            case "hear" | "turn" | "hush":
                return occupant is not None and not occupant.is_me
            case _:
                return True

    def action_hear(self) -> None:
        """Tell all about how the selected person is heard."""
        if self._selected is not None:
            self.post_message(self.Opened(self._selected.occupant))

    def action_turn(self, step: int) -> None:
        """Hear the selected person louder, or less loud."""
        if self._selected is not None:
            self.post_message(Asked(TurnPerson(self._selected.occupant.person.user_id, step)))

    def action_hush(self) -> None:
        """Hear the selected person no more, or again."""
        if self._selected is not None:
            occupant = self._selected.occupant
            self.post_message(Asked(Hush(occupant.person.user_id, not occupant.volume.is_muted)))

    def action_hand_over(self) -> None:
        """Make the selected person the host."""
        if self._selected is not None:
            self.post_message(self.Chosen(self._selected.occupant))


def people(state: ClientState) -> tuple[Occupant, ...]:
    """Who sits in our room; of a call between two nobody is the host."""
    if state.room is None:
        return ()
    present = state.room.participants
    if state.room.room_type is RoomType.DIRECT:
        present = tuple(evolve(person, is_host=False) for person in present)
    return tuple(Occupant(each, each.user_id == state.me, state.choices.volume_of(each.user_id)) for each in present)


def voices(state: ClientState) -> dict[UserId, tuple[float, bool]]:
    """How loud everybody is in dBFS, and who speaks; who is muted is not heard."""
    ours = SILENCE if state.is_muted else state.sound.input_dbfs
    levels = {**state.sound.levels, state.me: ours}
    return {user_id: (level, user_id in state.sound.speaking) for user_id, level in levels.items()}
