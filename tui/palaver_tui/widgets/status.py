"""The line at the top: whether the server hears us, how the sound travels, and the marks of our own sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from palaver_client.state import ClientState
from palaver_tui import labels, sound_labels

from .cells import plain, spread
from .follow import follow

if TYPE_CHECKING:
    from textual.app import ComposeResult


SummaryLine: TypeAlias = tuple[tuple[str, str, str], str, str]  # mark, word and colour; name; sound


class StatusBar(Horizontal):
    """The line at the top."""

    def compose(self) -> ComposeResult:
        """What is told, and the marks of what must not be overlooked."""
        yield Summary()
        yield Mark(sound_labels.recording, "record", id="recording")
        yield Mark(sound_labels.deafness, "deafen", id="deafness")
        yield Mark(sound_labels.microphone, "mute", id="microphone")


class Summary(Widget):
    """Connection, name, and how the sound travels."""

    line: reactive[SummaryLine] = reactive((("", "", ""), "", ""))

    def on_mount(self) -> None:
        """Watch what the line tells."""
        follow(self, lambda state: (labels.connection(state), state.name, sound_labels.media(state)), self.show)

    def show(self, line: SummaryLine) -> None:
        """Tell it."""
        self.line = line

    def render(self) -> Content:
        """The name of the program, connection and name at the left, the sound at the right."""
        (mark, word, colour), name, media = self.line
        title = Content.styled(f"{labels.APP}  ", "bold $primary") if self.size.width > 50 else Content("")
        left = Content.assemble(title, (f"{mark} {word}", colour), "  ", plain(name))
        return spread(left, Content.styled(media, "$foreground-muted"), self.size.width)


class Mark(Static):
    """Something about one's own sound while one sits in a room; a click does the same as its key."""

    def __init__(self, look: Callable[[ClientState], tuple[str, str] | None], action: str, *, id: str) -> None:
        super().__init__(id=id, classes="mark")
        self._look = look
        self._action = action

    def on_mount(self) -> None:
        """Watch it."""
        follow(self, lambda state: None if state.room is None else self._look(state), self.show)

    def show(self, mark: tuple[str, str] | None) -> None:
        """Tell it, by a word and a colour, or nothing."""
        self.display = mark is not None
        if mark is not None:
            word, colour = mark
            self.update(Content.styled(f" {word} ", f"bold $background on {colour}"))

    async def on_click(self) -> None:
        """Do what the key does."""
        await self.run_action(f"screen.{self._action}")
