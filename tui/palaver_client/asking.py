"""What one can ask of a server over a session: rooms, chat, calls."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final

from attrs import define

from palaver_protocol.converter import read_name
from palaver_protocol.models import (
    CallId,
    ChatMessage,
    Emoji,
    MessageId,
    Name,
    RoomId,
    RoomType,
    RoomView,
    Text,
    UserId,
)
from palaver_protocol.requests import (
    CreateRoom,
    DeleteMessage,
    EditMessage,
    EndCall,
    GetMessages,
    JoinRoom,
    LeaveRoom,
    MessagesAck,
    ReactToMessage,
    SendMessage,
    TransferHost,
)
from palaver_protocol.table import Code, Refusal, refusal

from . import rings, words
from .changes import Changes
from .errors import Disconnected
from .events import Left, MuteChanged, OlderRead
from .session import Session
from .state import ClientState, OutgoingRing

NOT_THERE: Final = (Code.NOT_MEMBER.value, Code.NOT_FOUND.value, Code.ENDED.value)


@define(eq=False)
class Asking:
    """A client but for its sound."""

    _session: Session

    @property
    def state(self) -> ClientState:
        """All that is known now."""
        return self._session.state

    @property
    def user_id(self) -> UserId:
        """Our own id."""
        return self._session.state.me

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """Every change from now on; the iteration ends when there will be no connection any more."""
        return self._session.changes()

    def retry(self) -> None:
        """Try to connect at once, where the connection is lost and the next attempt has to wait."""
        self._session.hurry()

    async def wait_closed(self) -> str:
        """Wait until there will be no connection any more, and say why."""
        await self._session.closed.wait()
        return self._session.close_reason

    # -- rooms and chat ------------------------------------------------------------------------------------------------
    async def create_room(self, name: str, *, join_existing: bool = False, leave_current: bool = False) -> RoomView:
        """Open a room, or with `join_existing` join the one of that name. Raises Refusal or Disconnected."""
        asked = CreateRoom(RoomType.GROUP, _room_name(name), join_existing=join_existing, leave_current=leave_current)
        return await self._session.sit(asked)

    async def join_room(self, room_id: RoomId, *, leave_current: bool = False) -> RoomView:
        """Take a seat in a room. Raises Refusal or Disconnected."""
        return await self._session.sit(JoinRoom(room_id, leave_current))

    async def leave_room(self) -> None:
        """Give up our seat, if we have one. Raises Refusal."""
        room = self.state.room
        if room is None:
            return
        try:
            await self._session.ask(LeaveRoom(room.room_id))
        except Disconnected:
            self._session.give_up(room.room_id)  # else the next connection would find the seat kept
        except Refusal as no:
            if no.code not in NOT_THERE:
                raise
        if self.state.room is not None and self.state.room.room_id == room.room_id:
            self._session.happen(Left(words.YOU_LEFT))

    async def end_room(self) -> None:
        """End our room for everyone. Raises Refusal or Disconnected."""
        await self._session.ask(EndCall(self.here().room_id))

    async def say(self, content: str, reply_to: MessageId | None = None) -> ChatMessage:
        """Write something to the room. Raises Refusal or Disconnected."""
        return (await self._session.ask(SendMessage(self.here().room_id, Text(content), reply_to))).message

    async def react(self, message_id: MessageId, emoji: str) -> ChatMessage:
        """React to a message, or take our reaction back. Raises Refusal or Disconnected."""
        return (await self._session.ask(ReactToMessage(self.here().room_id, message_id, Emoji(emoji)))).message

    async def edit(self, message_id: MessageId, content: str) -> ChatMessage:
        """Put a message of ours differently. Raises Refusal or Disconnected."""
        return (await self._session.ask(EditMessage(self.here().room_id, message_id, Text(content)))).message

    async def delete(self, message_id: MessageId) -> None:
        """Take a message of ours back. Raises Refusal or Disconnected."""
        await self._session.ask(DeleteMessage(self.here().room_id, message_id))

    async def messages(self, before: MessageId | None = None, limit: int = 50) -> MessagesAck:
        """Read the newest messages, or those before one, 1 to 100 at once. Raises Refusal or Disconnected."""
        return await self._session.ask(GetMessages(self.here().room_id, before, limit))

    async def older(self, limit: int = 50) -> MessagesAck:
        """Read the messages before those that the state has, into the state too. Raises Refusal or Disconnected."""
        room = self.here()
        before = room.messages[0].message_id if room.messages else None
        return await self._session.ask(
            GetMessages(room.room_id, before, limit),
            lambda ack: self._session.happen(OlderRead(room.room_id, ack.messages, ack.more)),
        )

    async def transfer_host(self, user_id: UserId) -> RoomView:
        """Hand the host's role to somebody in our room. Raises Refusal or Disconnected."""
        return (await self._session.ask(TransferHost(self.here().room_id, user_id))).room

    async def set_muted(self, is_muted: bool) -> None:
        """Mute or unmute our microphone, and tell the others. Raises Refusal or Disconnected."""
        self._session.happen(MuteChanged(is_muted))
        if self.state.room is not None:
            await self._session.tell_muted()

    async def set_recording(self, is_recording: bool) -> None:
        """Tell our room that we record it, and each in which we sit later, until told that we no longer do.

        `state.recorders` is who does, as the server knows it. Raises Refusal or Disconnected; where there is no
        connection, the next one tells it.
        """
        self._session.is_recording = is_recording
        await self._session.tell_recording()

    # -- calls ---------------------------------------------------------------------------------------------------------
    async def ring(self, user_id: UserId, *, leave_current: bool = False) -> OutgoingRing:
        """Call somebody; it rings until `state.outgoing` is None, and `Joined` says that he accepted.

        With `leave_current` the seat that we have is given up when he does. Raises Refusal or Disconnected.
        """
        return await rings.ring(self._session, user_id, leave_current=leave_current)

    async def cancel_ring(self) -> None:
        """Ring no longer at whomever we call. Raises Refusal or Disconnected."""
        await rings.cancel(self._session)

    async def accept(self, call_id: CallId, *, leave_current: bool = False) -> RoomView:
        """Take a seat in the room to which a ring of `state.incoming` leads. Raises Refusal or Disconnected."""
        return await rings.accept(self._session, call_id, leave_current=leave_current)

    async def reject(self, call_id: CallId, reason: str | None = None) -> None:
        """Say no to a ring of `state.incoming`. Raises Refusal or Disconnected."""
        await rings.reject(self._session, call_id, reason)

    async def invite(self, user_ids: Iterable[UserId]) -> RoomView:
        """Ring at people, to come into our group room. Raises Refusal or Disconnected."""
        return await rings.invite(self._session, user_ids)

    def here(self) -> RoomView:
        """The room in which we sit. Raises Refusal."""
        if self.state.room is None:
            raise refusal(Code.NOT_MEMBER, "you are in no room")
        return self.state.room


def _room_name(name: str) -> Name:
    try:
        return read_name(name)
    except ValueError as why:
        raise refusal(Code.INVALID_PAYLOAD, f"the room's name: {why}") from None
