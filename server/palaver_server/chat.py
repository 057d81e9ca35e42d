"""What was said in a room, kept for those who come later: a bounded history."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Final

from attrs import define, evolve, field

from palaver_protocol.models import ChatMessage, Emoji, MessageId, Quote, Reaction, Text, UserId
from palaver_protocol.table import Code, refusal

MAX_MESSAGES: Final = 200
MAX_BYTES: Final = 1024 * 1024  # of UTF-8
IN_A_VIEW: Final = 50  # messages that a room's view carries
MAX_PAGE: Final = 100  # messages that can be asked for at once
MAX_QUOTE: Final = 200  # code points of a message that a quote repeats
MAX_REACTIONS: Final = 32  # different ones to one message
MAX_REACTORS: Final = 200  # people who react with the same emoji


@define
class Chat:
    """The last messages of a room, within limits of number and size; `changed` is called for each that changes."""

    changed: Callable[[MessageId], None] = lambda _: None
    _messages: dict[MessageId, ChatMessage] = field(factory=dict[MessageId, ChatMessage])  # the oldest first
    _places: dict[MessageId, int] = field(factory=dict[MessageId, int])  # in the order of saying
    _next_place: count[int] = field(factory=count)
    _bytes: int = 0

    def add(self, said: ChatMessage) -> None:
        """Keep a message, and let go of the oldest ones that no longer fit."""
        self._places[said.message_id] = next(self._next_place)
        self._messages[said.message_id] = said
        self._bytes += _size(said)
        self.changed(said.message_id)
        self._trim()

    def clear(self) -> None:
        """Let go of everything."""
        for message_id in list(self._messages):
            self._drop(message_id)

    def kept(self, message_id: MessageId) -> tuple[int, ChatMessage] | None:
        """A message and its place in the order of saying, if it is still kept."""
        said = self._messages.get(message_id)
        return None if said is None else (self._places[message_id], said)

    def restore(self, kept: list[tuple[int, ChatMessage]]) -> None:
        """Take up what was kept before."""
        for place, said in sorted(kept, key=lambda one: one[0]):
            self._messages[said.message_id], self._places[said.message_id] = said, place
            self._bytes += _size(said)
            self._next_place = count(place + 1)

    def last(self, count: int = IN_A_VIEW) -> tuple[ChatMessage, ...]:
        """The newest messages, the oldest of them first."""
        return tuple(self._messages.values())[-count:]

    def page(self, before: MessageId | None, limit: int) -> tuple[tuple[ChatMessage, ...], bool]:
        """Up to `limit` messages, the newest or those before a kept one; and whether there are older ones.

        Raises:
            Refusal: `notFound`, or `invalidPayload` for the limit.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise refusal(Code.INVALID_PAYLOAD, f"expected a limit of 1 to {MAX_PAGE}")
        kept = list(self._messages.values())
        end = len(kept) if before is None else kept.index(self.find(before))
        start = max(0, end - limit)
        return tuple(kept[start:end]), start > 0

    def find(self, message_id: MessageId) -> ChatMessage:
        """A kept message.

        Raises:
            Refusal: `notFound`.
        """
        if (said := self._messages.get(message_id)) is None:
            raise refusal(Code.NOT_FOUND, "this message is no longer there")
        return said

    def quote(self, message_id: MessageId) -> Quote:
        """A kept message, as a reply shows it. Raises Refusal."""
        said = self.find(message_id)
        return Quote(message_id, said.user_name, Text(said.content[:MAX_QUOTE]))

    def react(self, message_id: MessageId, user_id: UserId, emoji: Emoji) -> ChatMessage:
        """Add somebody's reaction, or take it back.

        Raises:
            Refusal: `notFound`, or `full`.
        """
        said = self.find(message_id)
        return self._replace(evolve(said, reactions=_toggled(said.reactions, user_id, emoji)))

    def edit(self, message_id: MessageId, user_id: UserId, content: Text, wall: int) -> ChatMessage:
        """Put one's own message differently. Raises Refusal."""
        return self._replace(evolve(self._own(message_id, user_id), content=content, edited_at=wall))

    def delete(self, message_id: MessageId, user_id: UserId) -> ChatMessage:
        """Take one's own message back. Raises Refusal."""
        said = self._own(message_id, user_id)
        self._drop(message_id)
        return said

    def _own(self, message_id: MessageId, user_id: UserId) -> ChatMessage:
        said = self.find(message_id)
        if said.user_id != user_id:
            raise refusal(Code.NOT_ALLOWED, "this message is somebody else's")
        return said

    def _replace(self, said: ChatMessage) -> ChatMessage:
        self._bytes += _size(said) - _size(self._messages[said.message_id])
        self._messages[said.message_id] = said
        self.changed(said.message_id)
        self._trim()
        return said

    def _trim(self) -> None:
        while len(self._messages) > MAX_MESSAGES or self._bytes > MAX_BYTES:
            self._drop(next(iter(self._messages)))

    def _drop(self, message_id: MessageId) -> None:
        self._bytes -= _size(self._messages.pop(message_id))
        del self._places[message_id]
        self.changed(message_id)


def _toggled(reactions: tuple[Reaction, ...], user_id: UserId, emoji: Emoji) -> tuple[Reaction, ...]:
    users = {reaction.emoji: reaction.user_ids for reaction in reactions}
    known = users.get(emoji, ())
    if user_id in known:
        users[emoji] = tuple(user for user in known if user != user_id)
    elif len(known) >= MAX_REACTORS or (not known and len(users) >= MAX_REACTIONS):
        raise refusal(Code.FULL, "this message has all the reactions that it can hold")
    else:
        users[emoji] = (*known, user_id)
    return tuple(Reaction(key, people, len(people)) for key, people in users.items() if people)


def _size(said: ChatMessage) -> int:
    quoted = len(said.reply_to.content.encode()) if said.reply_to else 0
    reacted = sum(128 + sum(64 + len(user) for user in reaction.user_ids) for reaction in said.reactions)
    return len(said.content.encode()) + quoted + reacted + 256  # ids, names and the object itself
