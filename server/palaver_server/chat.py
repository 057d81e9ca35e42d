"""What was said in a room, kept for those who come later: a bounded history."""

from __future__ import annotations

from collections import deque
from typing import Final

from attrs import define, field

from palaver_protocol.models import ChatMessage, MessageId, Quote, Text
from palaver_protocol.table import Code, refusal

MAX_MESSAGES: Final = 200
MAX_BYTES: Final = 1024 * 1024  # of UTF-8
IN_A_VIEW: Final = 50  # messages that a room's view carries
MAX_QUOTE: Final = 200  # code points of a message that a quote repeats


@define
class Chat:
    """The last messages of a room, within limits of number and size."""

    _messages: deque[ChatMessage] = field(factory=deque[ChatMessage])
    _bytes: int = 0

    def add(self, said: ChatMessage) -> None:
        """Keep a message, and let go of the oldest ones that no longer fit."""
        self._messages.append(said)
        self._bytes += _size(said)
        while len(self._messages) > MAX_MESSAGES or self._bytes > MAX_BYTES:
            self._bytes -= _size(self._messages.popleft())

    def last(self, count: int = IN_A_VIEW) -> tuple[ChatMessage, ...]:
        """The newest messages, the oldest of them first."""
        return tuple(self._messages)[-count:]

    def quote(self, message_id: MessageId) -> Quote:
        """A kept message, as a reply shows it.

        Raises:
            Refusal: `notFound`.
        """
        for said in self._messages:
            if said.message_id == message_id:
                return Quote(message_id, said.user_name, Text(said.content[:MAX_QUOTE]))
        raise refusal(Code.NOT_FOUND, "the message you answer is no longer there")


def _size(said: ChatMessage) -> int:
    quoted = len(said.reply_to.content.encode()) if said.reply_to else 0
    return len(said.content.encode()) + quoted + 256  # ids, names and the object itself
