"""Small windows that ask one thing each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Input, Label, Static

from palaver_protocol.converter import read_name
from palaver_tui.widgets.cells import plain
from palaver_tui.widgets.line import Line

from .window import Window

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskName(Window[str | None]):
    """Ask for a name of a person or a room; gives it, or None where the question may be left open."""

    BINDINGS = [("escape", "leave", "Cancel")]

    def __init__(self, title: str, question: str, suggestion: str, *, must_answer: bool = False) -> None:
        super().__init__(of_room=not must_answer)
        self._title = title
        self._question = question
        self._suggestion = suggestion
        self._must_answer = must_answer

    def compose(self) -> ComposeResult:
        """A question, a line, and buttons."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            yield Label(plain(self._question))
            yield Line(self._suggestion, id="answer", compact=True)
            yield Static("", id="wrong", markup=False)
            with Horizontal(classes="buttons"):
                yield Button("OK", variant="primary", id="ok", compact=True)
                if not self._must_answer:
                    yield Button("Cancel", id="cancel", compact=True)

    def on_mount(self) -> None:
        """A name is typed over the one suggested."""
        line = self.query_one(Input)
        line.focus()
        line.select_all()

    def on_input_submitted(self) -> None:
        """Enter answers."""
        self.answer()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Buttons answer, or leave the question open."""
        if event.button.id == "ok":
            self.answer()
        else:
            self.dismiss(None)

    def answer(self) -> None:
        """Take the answer, if it is a name."""
        try:
            name = read_name(self.query_one(Input).value)
        except ValueError as why:
            self.query_one("#wrong", Static).update(plain(str(why)))
        else:
            self.dismiss(name)

    def action_leave(self) -> None:
        """Leave the question open."""
        if not self._must_answer:
            self.dismiss(None)


class Confirm(Window[bool]):
    """Ask whether to do what cannot be undone."""

    BINDINGS = [("escape,n", "answer(False)", "No"), ("y", "answer(True)", "Yes")]

    def __init__(self, question: str, yes: str) -> None:
        super().__init__(of_room=True)
        self._question = question
        self._yes = yes

    def compose(self) -> ComposeResult:
        """A question and two buttons; the harmless one has the focus."""
        with Vertical(classes="box"):
            yield Label(plain(self._question))
            with Horizontal(classes="buttons"):
                yield Button("n No", id="no", compact=True)
                yield Button(f"y {self._yes}", variant="error", id="yes", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer by a button."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, answer: bool) -> None:
        """Answer by a key."""
        self.dismiss(answer)
