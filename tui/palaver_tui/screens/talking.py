"""What the main screen and all windows share: one can always mute and talk."""

from __future__ import annotations

from typing import TypeVar

from textual.screen import Screen

from palaver_client.state import ClientState
from palaver_protocol.models import Name, UserId
from palaver_tui.keys import MUTE_KEY, TALK_KEYS
from palaver_tui.messages import Asked, Pushed
from palaver_tui.usable_keys import is_usable
from palaver_tui.wishes import SetMuted

T = TypeVar("T")


class Talking(Screen[T]):
    """A screen with the keys for the microphone; a line that is written in takes letters and Space for itself."""

    BINDINGS = [key.binding() for key in (*TALK_KEYS, MUTE_KEY)]

    _state = ClientState(UserId(""), Name(""))  # until it is shown

    def on_mount(self) -> None:
        """Watch what decides about these keys."""
        self.watch(self.app, "state", self._remember)

    def _remember(self, state: ClientState) -> None:
        self._state = state

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Which of these keys are of use just now; a window's own always are."""
        is_ours = action in ("mute", "talk")
        return not is_ours or is_usable(action, parameters, self._state, is_writing=False, is_narrow=False)

    def action_mute(self) -> None:
        """Mute or unmute the microphone."""
        self.post_message(Asked(SetMuted(not self._state.is_muted)))

    def action_talk(self, key: str) -> None:
        """The key for push-to-talk came."""
        self.post_message(Pushed())
