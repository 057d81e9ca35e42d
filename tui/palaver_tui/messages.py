"""The messages between the Trio side, the screens and the app."""

from __future__ import annotations

from typing import Literal

from textual.message import Message

from palaver_client.events import ConnectionLost, RetryFailed
from palaver_client.state import ClientState
from palaver_protocol.models import UserId

from .wishes import Wish

Severity = Literal["information", "warning", "error"]


class StateChanged(Message):
    """The client knows something new; of several that wait only the newest is looked at."""

    def __init__(self, state: ClientState) -> None:
        super().__init__()
        self.state = state

    def can_replace(self, message: Message) -> bool:
        """Levels come ten times a second: a slow terminal skips some."""
        return isinstance(message, StateChanged)


class Happened(Message):
    """Something happened, in words; one with a `severity` deserves a toast, which `lasts` so many seconds."""

    def __init__(self, text: str, severity: Severity | None, lasts: float | None = None) -> None:
        super().__init__()
        self.text = text
        self.severity: Severity | None = severity
        self.lasts = lasts


class Missed(Message):
    """Somebody rang here in vain."""

    def __init__(self, user_id: UserId) -> None:
        super().__init__()
        self.user_id = user_id


class OlderShown(Message):
    """Older messages were read, if there were any; `has_older` says whether there are more."""

    def __init__(self, has_older: bool) -> None:
        super().__init__()
        self.has_older = has_older


class Offline(Message):
    """There is no connection: why, and when the next attempt comes."""

    def __init__(self, lost: ConnectionLost | RetryFailed) -> None:
        super().__init__()
        self.lost = lost


class Trouble(Message):
    """A wish was not granted: why, and the message that was not sent, if it was one."""

    def __init__(self, text: str, unsaid: str = "") -> None:
        super().__init__()
        self.text = text
        self.unsaid = unsaid


class Pushed(Message):
    """The key for push-to-talk came."""


class Asked(Message):
    """The person at the screen wants something."""

    def __init__(self, wish: Wish) -> None:
        super().__init__()
        self.wish = wish
