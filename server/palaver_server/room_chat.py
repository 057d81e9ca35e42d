"""The requests of a room's chat: what each does to the history, and who hears of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_never
from uuid import uuid4

from attrs import define, field

from palaver_protocol.models import ChatMessage, MessageId
from palaver_protocol.notices import AnyNotice, MessageDeleted, MessageEdited, MessageReactionUpdated, NewMessage
from palaver_protocol.requests import (
    ChatRequest,
    DeleteMessage,
    EditMessage,
    GetMessages,
    MessageAck,
    MessagesAck,
    ReactToMessage,
    SendMessage,
)
from palaver_protocol.table import Ack, answer

from .chat import Chat
from .seat import By


@define
class RoomChat:
    """A room's chat; `tell` gives a notice to everybody in the room, the asker included, `keep` goes to the store."""

    tell: Callable[[AnyNotice], None]
    keep: Callable[[MessageId], None]
    history: Chat = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.history = Chat(self.keep)

    def apply(self, by: By, asked: ChatRequest) -> Ack:
        """The answer to a permitted request. Raises Refusal."""
        match asked:
            case SendMessage():
                return answer(asked, self.say(by, asked))
            case ReactToMessage():
                said = self.history.react(asked.message_id, by.user_id, asked.emoji)
                self.tell(MessageReactionUpdated(said.message_id, said.reactions))
                return answer(asked, MessageAck(said))
            case EditMessage():
                said = self.history.edit(asked.message_id, by.user_id, asked.content, by.wall)
                self.tell(MessageEdited(said.message_id, said.content, by.wall))
                return answer(asked, MessageAck(said))
            case DeleteMessage():
                said = self.history.delete(asked.message_id, by.user_id)
                self.tell(MessageDeleted(said.message_id))
                return answer(asked, MessageAck(said))
            case GetMessages():
                return answer(asked, MessagesAck(*self.history.page(asked.before, asked.limit)))
            case _:
                assert_never(asked)

    def say(self, by: By, asked: SendMessage) -> MessageAck:
        """Keep a message and give it to everybody, the sender included."""
        quote = None if asked.reply_to is None else self.history.quote(asked.reply_to)
        said = ChatMessage(MessageId(str(uuid4())), by.user_id, by.name, asked.content, by.wall, quote)
        self.history.add(said)
        self.tell(NewMessage.of(said))
        return MessageAck(said)
