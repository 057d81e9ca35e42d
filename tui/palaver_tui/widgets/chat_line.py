"""One line of the chat: a message as it is now, or something that happened."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from palaver_protocol.models import ChatMessage, Reaction, UserId
from palaver_tui import chat_labels

from .cells import plain

if TYPE_CHECKING:
    from textual.geometry import Size

INDENT: Final = 6  # cells, below the time
QUOTE: Final = 60  # cells of the message that is answered
_NAME_COLOURS: Final = ("$text-primary", "$text-accent", "$text-success", "$text-secondary")


class ChatLine(Widget):
    """The time, and a text that hangs to its right however often it wraps.

    `said` is the message for as long as one can still do something with it.
    """

    class Clicked(Message):
        """Somebody clicked on a message."""

        def __init__(self, line: ChatLine) -> None:
            super().__init__()
            self.line = line

    def __init__(self, seconds: float, text: Content, said: ChatMessage | None = None) -> None:
        super().__init__()
        self.said = said
        self._when = clock(seconds)
        self._text = text.expand_tabs(4)
        self._fitted: tuple[int, list[Content]] = (0, [])

    def put(self, text: Content, said: ChatMessage | None) -> None:
        """Show another text."""
        self.said = said
        self._text = text.expand_tabs(4)
        self._fitted = (0, [])
        self.refresh(layout=True)

    def forget(self) -> None:
        """The server does not keep the message any more, so nothing can be done with it."""
        self.said = None

    def strike(self) -> None:
        """The message was deleted: say so where it stood."""
        if self.said is not None:
            self.put(plain(chat_labels.deleted(self.said.user_name), "italic $foreground-muted"), None)

    def mark(self, is_selected: bool) -> None:
        """Show whether this is the message that keys act upon."""
        self.set_class(is_selected, "-selected")
        self.refresh()

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as the text needs."""
        return len(self._wrapped(width))

    def render(self) -> Content:
        """The text, wrapped."""
        below = Content("\n" + " " * INDENT)
        when = f"{self._when}{'▸' if self.has_class('-selected') else ' '}"
        return Content.assemble((when, "$foreground-muted"), below.join(self._wrapped(self.size.width)))

    def _wrapped(self, width: int) -> list[Content]:
        if self._fitted[0] != width:
            self._fitted = (width, self._text.wrap(max(width - INDENT, 1)) or [Content("")])
        return self._fitted[1]

    def on_click(self) -> None:
        """Select the message."""
        if self.said is not None:
            self.post_message(self.Clicked(self))


def line_of(said: ChatMessage, me: UserId) -> ChatLine:
    """A message as a line."""
    return ChatLine(said.timestamp / 1000, text_of(said, me), said)


def text_of(said: ChatMessage, me: UserId) -> Content:
    """Who says what, to which message, and how others reacted."""
    parts = [plain(said.user_name, f"bold {colour_of(said.user_id)}"), Content("  "), plain(said.content)]
    if said.reply_to is not None:
        quote = chat_labels.quote(said.reply_to.user_name, said.reply_to.content)
        parts[2:2] = [plain(quote, "italic $foreground-muted").truncate(QUOTE, ellipsis=True), Content("\n")]
    if said.edited_at is not None:
        parts.append(plain(" (edited)", "italic $foreground-muted"))
    if said.reactions:
        parts += [Content("\n"), Content("  ").join([reaction_of(reaction, me) for reaction in said.reactions])]
    return Content.assemble(*parts)


def reaction_of(reaction: Reaction, me: UserId) -> Content:
    """An emoji and how many gave it; one that we gave too is in brackets."""
    text = f"{reaction.emoji} {reaction.count}"
    return plain(f"[{text}]", "bold") if me in reaction.user_ids else plain(text, "$foreground-muted")


def colour_of(user_id: UserId) -> str:
    """A colour that somebody keeps."""
    return _NAME_COLOURS[sum(user_id.encode()) % len(_NAME_COLOURS)]


def clock(seconds: float) -> str:
    """The time of day, for seconds since the epoch."""
    return time.strftime("%H:%M", time.localtime(seconds))
