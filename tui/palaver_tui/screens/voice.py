"""The window about one person's voice: how it is heard here, and how it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from palaver_client.state import ClientState
from palaver_media.engine_messages import ConsumerStats
from palaver_media.sound_settings import VOLUME_DB, PersonVolume
from palaver_protocol.models import Participant
from palaver_tui import figures, sound_labels
from palaver_tui.messages import Asked
from palaver_tui.widgets.cells import plain
from palaver_tui.widgets.follow import follow
from palaver_tui.wishes import Hush, Prefer, TurnPerson

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Voice(Window[None]):
    """Volume, local mute and priority of somebody in the room; nobody else is told of it."""

    BINDINGS = [
        ("escape,enter,q", "dismiss", "Close"),
        ("plus,equals_sign,right,up", "turn(1)", "Louder"),
        ("minus,left,down", "turn(-1)", "Less loud"),
        ("u", "hush", "Hush"),
        ("y", "prefer", "Priority"),
    ]

    def __init__(self, person: Participant) -> None:
        super().__init__(of_room=True)
        self._person = person
        self._volume = PersonVolume()

    def compose(self) -> ComposeResult:
        """How it is heard, how it arrives, and a button for each change."""
        with Vertical(classes="box") as box:
            box.border_title = plain(self._person.name)
            box.border_subtitle = Content("only you hear it so · Esc closes")
            yield Static(id="volume", markup=False)
            yield Static(id="arrives", markup=False)
            with Horizontal(classes="choices"):
                for label, action in sound_labels.VOICE_BUTTONS:
                    button = Button(label, action=f"screen.{action}", compact=True)
                    button.can_focus = False  # Enter closes
                    yield button

    def on_mount(self) -> None:
        """Watch how this person is heard, and arrives."""
        follow(self, lambda state: state.choices.volume_of(self._person.user_id), self.show_volume)
        follow(self, self.look, self.show_figures)
        follow(self, lambda state: state.participant(self._person.user_id) is None, self.show_absence)

    def look(self, state: ClientState) -> tuple[str, ...] | None:
        """The figures of this voice, if it is heard."""
        stats = state.stats
        voice: ConsumerStats | None = None if stats is None else stats.users.get(self._person.user_id)
        return None if voice is None else figures.of_voice(voice)

    def show_volume(self, volume: PersonVolume) -> None:
        """Tell how loud it is heard."""
        self._volume = volume
        self.query_one("#volume", Static).update(scale(volume))

    def show_figures(self, cells: tuple[str, ...] | None) -> None:
        """Tell how it arrives."""
        told = sound_labels.NOT_HEARD if cells is None else figures.in_lines(cells)
        self.query_one("#arrives", Static).update(Content.styled(told, "$foreground-muted"))

    def show_absence(self, is_gone: bool) -> None:
        """Close when there is nobody to hear."""
        if is_gone:
            self.expire()

    def action_turn(self, step: int) -> None:
        """Louder, or less loud."""
        self.post_message(Asked(TurnPerson(self._person.user_id, step)))

    def action_hush(self) -> None:
        """No more, or again."""
        self.post_message(Asked(Hush(self._person.user_id, not self._volume.is_muted)))

    def action_prefer(self) -> None:
        """Others quieter while he talks, or no longer."""
        self.post_message(Asked(Prefer(self._person.user_id, not self._volume.is_priority)))


def scale(volume: PersonVolume) -> Content:
    """The volume as a scale with a mark on it, and in dB; below it what else is not as usual."""
    least, most = VOLUME_DB
    width = round(most - least) // 2  # cells of 2 dB
    place = round((volume.volume_db - least) / 2)
    line = Content.assemble(
        "Volume  ", ("━" * place, "$primary"), ("●", "bold $primary"), ("━" * (width - place), "$panel")
    )
    words = sound_labels.VOICE_MARKS[volume.is_muted, volume.is_priority]
    return Content("\n").join([Content.assemble(line, f"  {sound_labels.decibels(volume.volume_db)}"), Content(words)])
