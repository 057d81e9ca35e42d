"""The window that asks before a call is recorded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from palaver_client.sound_choices import SoundSettings
from palaver_media.sound_settings import RecordingForm
from palaver_tui import sound_labels
from palaver_tui.widgets.line import Line
from palaver_tui.wishes import Record

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskRecord(Window[Record | None]):
    """Gives the wish, or None; the form that was chosen last has the focus."""

    BINDINGS = [
        ("escape,n", "dismiss", "Cancel"),
        ("o", "record('ogg')", "Ogg"),
        ("w", "record('wav')", "WAV"),
        ("f", "write_folder", "Folder"),
        ("left", "app.focus_previous", "Previous"),
        ("right", "app.focus_next", "Next"),
    ]

    def __init__(self, choices: SoundSettings) -> None:
        super().__init__(of_room=True)
        self._choices = choices

    def compose(self) -> ComposeResult:
        """What it means, where the files go, and a button for each form."""
        with Vertical(classes="box") as box:
            box.border_title = Content("Record")
            box.border_subtitle = Content("f writes another folder")
            yield Static(sound_labels.ASK_RECORD, markup=False)
            yield Line(str(self._choices.folder), id="folder", compact=True)
            with Horizontal(classes="choices"):
                yield Button("o Opus in Ogg", id="ogg", variant="primary", compact=True)
                yield Button("w WAV", id="wav", compact=True)
                yield Button("n No", id="no", compact=True)

    def on_mount(self) -> None:
        """Offer the form of the last time."""
        self.query_one(f"#{self._choices.form.value}", Button).focus()

    def on_input_submitted(self) -> None:
        """Enter in the folder is the form of the last time."""
        self.action_record(self._choices.form.value)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer by a button."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.action_record(str(event.button.id))

    def action_write_folder(self) -> None:
        """Let another folder be written."""
        self.set_focus(self.query_one(Line))  # at once: the next key is the folder's

    def action_record(self, form: str) -> None:
        """Answer by a key."""
        written, old = self.query_one(Line).value.strip(), self._choices
        self.dismiss(Record(RecordingForm(form), old.recordings if written == str(old.folder) else written))
