"""One person of the room in one line, with a level meter."""

from __future__ import annotations

from attrs import frozen
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from palaver_client.sound_choices import USUAL
from palaver_media.sound_settings import PersonVolume
from palaver_protocol.models import Participant
from palaver_tui import sound_labels

from .cells import plain, spread
from .meter import FLOOR, meter

LEAST = 5  # cells of a name, or a third of the space, however much there is to say of the person


@frozen
class Occupant:
    """What a row tells about somebody, but for the voice."""

    person: Participant
    is_me: bool
    volume: PersonVolume = USUAL


class ParticipantRow(Widget):
    """One line: speaking mark, name, meter, and whether muted or away; the meter follows `level` (dBFS)."""

    class Clicked(Message):
        """Somebody clicked on a person."""

        def __init__(self, row: ParticipantRow) -> None:
            super().__init__()
            self.row = row

    is_selected: reactive[bool] = reactive(False, toggle_class="-selected")
    is_speaking: reactive[bool] = reactive(False)
    shown_level: reactive[float] = reactive(FLOOR)

    def __init__(self, occupant: Occupant) -> None:
        super().__init__()
        self.occupant = occupant
        self.level = FLOOR

    def show(self, occupant: Occupant) -> None:
        """Tell this from now on."""
        if occupant != self.occupant:
            self.occupant = occupant
            self.refresh()

    def render(self) -> Content:
        """The row for the width at hand."""
        width = self.size.width
        cells = max(min(width // 3, 24), 6)
        state, colour = condition(self.occupant.person)
        right = Content.assemble(meter(self.shown_level, cells), (f" {state:<5}", colour))
        return spread(self.title(width - right.cell_length - 1), right, width)

    def title(self, width: int) -> Content:
        """Marks, name, and what distinguishes this person; of these it is the name that gives way first."""
        mark = Content.assemble(("●", "$success") if self.is_speaking else " ", "▸" if self.is_selected else " ")
        person = self.occupant.person
        marks = (("you", self.occupant.is_me), ("host", person.is_host), *sound_labels.heard(self.occupant.volume))
        words = ", ".join(word for word, holds in marks if holds)
        recording = Content.styled(" ● records" if person.is_recording else "", "$text-error")
        about = Content.assemble(recording, (f" {words}" if words else "", "$foreground-muted"))
        name = plain(person.name, "bold" if self.is_speaking else "")
        space = max(width - 2, 1)
        about = about.truncate(max(space - min(name.cell_length, max(LEAST, space // 3)), 0), ellipsis=True)
        return Content.assemble(mark, name.truncate(max(space - about.cell_length, 1), ellipsis=True), about)

    async def on_click(self) -> None:
        """Mute or unmute, where it is our own row; else select the person."""
        if self.occupant.is_me:
            await self.run_action("screen.mute")
        else:
            self.post_message(self.Clicked(self))


def condition(person: Participant) -> tuple[str, str]:
    """Whether somebody is muted or away, and its colour."""
    if person.is_away:
        return "away", "$text-warning"
    return ("muted", "$text-error") if person.is_muted else ("", "")
