"""The window that asks before a call is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from palaver_client.sound_choices import SoundSettings
from palaver_media.sound_settings import RecordingForm
from palaver_tui import sound_labels
from palaver_tui.widgets.cells import plain

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskRecord(Window[RecordingForm | None]):
    """Gives the form of the files, or None; the form that was chosen last has the focus."""

    BINDINGS = [
        ("escape,n", "dismiss", "Cancel"),
        ("o", "record('ogg')", "Ogg"),
        ("w", "record('wav')", "WAV"),
        ("left", "app.focus_previous", "Previous"),
        ("right", "app.focus_next", "Next"),
    ]

    def __init__(self, choices: SoundSettings) -> None:
        super().__init__(of_room=True)
        self._choices = choices

    def compose(self) -> ComposeResult:
        """What it means, where the files go, and a button for each form."""
        with Vertical(classes="box"):
            yield Static(plain(sound_labels.ask_record(self._choices.folder)))
            with Horizontal(classes="choices"):
                yield Button("o Opus in Ogg", id="ogg", variant="primary", compact=True)
                yield Button("w WAV", id="wav", compact=True)
                yield Button("n No", id="no", compact=True)

    def on_mount(self) -> None:
        """Offer the form of the last time."""
        self.query_one(f"#{self._choices.form.value}", Button).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer by a button."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.action_record(str(event.button.id))

    def action_record(self, form: str) -> None:
        """Answer by a key."""
        self.dismiss(RecordingForm(form))
