"""What was sent from the line to write in, until it shows in the chat."""

from __future__ import annotations

from collections import deque
from typing import Final, Generic, TypeVar

from attrs import define, field, frozen

from palaver_protocol.models import ChatMessage, UserId

KEPT: Final = 100  # messages: as many as may wait to be sent

A = TypeVar("A")


@frozen(eq=False)
class Sent(Generic[A]):
    """A text, and what it was: an answer, say."""

    text: str
    aim: A


@define(eq=False)
class Outbox(Generic[A]):
    """Knows which texts have not arrived; a lost answer does not tell that the server has not got the message."""

    _waiting: deque[Sent[A]] = field(factory=lambda: deque[Sent[A]](maxlen=KEPT))
    _seen_until: int = 0  # the newest message's time in ms since the epoch

    def send(self, text: str, aim: A) -> None:
        """A text goes out."""
        self._waiting.append(Sent(text, aim))

    def find(self, text: str) -> Sent[A] | None:
        """The last one with this text, if it has not arrived."""
        return next((sent for sent in reversed(self._waiting) if sent.text == text), None)

    def drop(self, sent: Sent[A]) -> None:
        """It is of no interest any more."""
        if sent in self._waiting:
            self._waiting.remove(sent)

    def arrived(self, messages: tuple[ChatMessage, ...], me: UserId) -> list[Sent[A]]:
        """What has arrived with the messages that are newer than those before; older ones may be read back later."""
        new = [said.content for said in messages if said.timestamp > self._seen_until and said.user_id == me]
        self._seen_until = max([self._seen_until, *(said.timestamp for said in messages)])
        return [sent for text in new if (sent := self._first(text)) is not None]

    def _first(self, text: str) -> Sent[A] | None:
        sent = next((sent for sent in self._waiting if sent.text == text), None)
        if sent is not None:
            self._waiting.remove(sent)
        return sent
