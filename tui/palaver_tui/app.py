"""The Textual app: which screen shows, and what goes to and from the Trio side."""

from __future__ import annotations

import os
from collections.abc import Callable

from textual.widgets import Input

from palaver_client.state import ClientState
from palaver_protocol.text import many_lines

from . import labels
from .keys import APP_KEYS
from .messages import Asked, Happened, Missed, Offline, OlderShown, Severity, StateChanged, Trouble
from .pushing import Pushing
from .screens.main import Main
from .theme import THEMES, fitting
from .widgets.people import PeopleList
from .wishes import Connect, Wish


class PalaverApp(Pushing):
    """The full-screen client. Widgets watch `state`; what people want goes out through `wish`.

    Until `is_named` the first screen asks for a name. `last_room` is suggested to those who make one.
    """

    TITLE = labels.APP
    CSS_PATH = "palaver.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS = [key.binding() for key in APP_KEYS]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (64, "-normal"), (130, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-short"), (18, "-tall")]

    def __init__(
        self, state: ClientState, wish: Callable[[Wish], object], *, is_named: bool = True, last_room: str = ""
    ) -> None:
        super().__init__()
        self._main = Main(state, last_room)
        self._wish = wish
        self._is_named = is_named
        self.set_reactive(Pushing.state, state)
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = fitting(os.environ).name

    def on_mount(self) -> None:
        """Show the main screen, and ask for a name where there is none."""
        self.push_screen(self._main)
        if self._is_named:
            self.call_after_refresh(self._come_online, self.state.name)
        else:
            from .screens.ask import AskName

            ask = AskName(labels.APP, labels.ASK_NAME, self.state.name, must_answer=True)
            self.push_screen(ask, self._come_online)

    def _come_online(self, name: str | None) -> None:
        self._wish(Connect(name or self.state.name))

    def on_asked(self, asked: Asked) -> None:
        """Pass a wish on."""
        self._wish(asked.wish)

    def on_state_changed(self, changed: StateChanged) -> None:
        """Let the widgets see the new state."""
        self.state = changed.state

    def on_happened(self, happened: Happened) -> None:
        """Tell what happened: in a toast where it matters much, else in the chat."""
        if happened.severity is None:
            self._main.tell(happened.text)
        else:
            self._toast(happened.text, happened.severity, happened.lasts)

    def on_missed(self, missed: Missed) -> None:
        """Mark who rang in vain."""
        self._main.missed(missed.user_id)

    def on_offline(self, offline: Offline) -> None:
        """Tell why there is no connection."""
        self._main.offline(offline.lost)

    def on_older_shown(self, event: OlderShown) -> None:
        """Tell whether there is more to read."""
        self._main.older_shown(event.has_older)

    def on_people_list_called(self, event: PeopleList.Called) -> None:
        """Call somebody."""
        self.call(event.user)

    def on_trouble(self, trouble: Trouble) -> None:
        """Tell why a wish was not granted."""
        self._toast(trouble.text, "warning")
        if trouble.unsaid:
            self._main.put_back(trouble.unsaid)

    def _toast(self, text: str, severity: Severity, lasts: float | None = None) -> None:
        self.notify(labels.sentence(many_lines(text)), severity=severity, timeout=lasts, markup=False)

    def action_copy_or_quit(self) -> None:
        """Copy what is selected, or quit."""
        written = self.focused.selected_text if isinstance(self.focused, Input) else ""
        if selected := written or self.screen.get_selected_text():
            self.copy_to_clipboard(selected)
        else:
            self.exit()
