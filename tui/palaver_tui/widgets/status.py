"""The line at the top: whether the server hears us, how the sound travels, and our own microphone."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from textual.containers import Horizontal
from textual.content import Content
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Static

from palaver_client.state import ClientState
from palaver_tui import labels

from .cells import plain, spread
from .follow import follow

if TYPE_CHECKING:
    from textual.app import ComposeResult


SummaryLine: TypeAlias = tuple[tuple[str, str, str], str, str]  # mark, word and colour; name; sound


class StatusBar(Horizontal):
    """The line at the top."""

    def compose(self) -> ComposeResult:
        """The two parts: what is told, and the microphone mark."""
        yield Summary()
        yield MicrophoneMark(id="microphone")


class Summary(Widget):
    """Connection, name, and how the sound travels."""

    line: reactive[SummaryLine] = reactive((("", "", ""), "", ""))

    def on_mount(self) -> None:
        """Watch what the line tells."""
        follow(self, lambda state: (labels.connection(state), state.name, labels.media(state)), self.show)

    def show(self, line: SummaryLine) -> None:
        """Tell it."""
        self.line = line

    def render(self) -> Content:
        """The name of the program, connection and name at the left, the sound at the right."""
        (mark, word, colour), name, media = self.line
        title = Content.styled(f"{labels.APP}  ", "bold $primary") if self.size.width > 50 else Content("")
        left = Content.assemble(title, (f"{mark} {word}", colour), "  ", plain(name))
        return spread(left, Content.styled(media, "$foreground-muted"), self.size.width)


class MicrophoneMark(Static):
    """One's own microphone while one sits in a room; a click mutes it."""

    def on_mount(self) -> None:
        """Watch the microphone."""
        follow(self, self.look, self.show)

    @staticmethod
    def look(state: ClientState) -> tuple[str, str] | None:
        """A word and a colour, or nothing outside of a room."""
        return None if state.room is None else labels.microphone(state)

    def show(self, mark: tuple[str, str] | None) -> None:
        """Tell whether others hear us."""
        self.display = mark is not None
        if mark is not None:
            word, colour = mark
            self.update(Content.styled(f" {word} ", f"bold $background on {colour}"))

    async def on_click(self) -> None:
        """Mute or unmute."""
        await self.run_action("screen.mute")
