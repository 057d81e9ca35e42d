"""A connection to a server that mends itself, and what one can ask over it."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

import trio
from attrs import define, field

from palaver_media import engine_messages
from palaver_media.engine_messages import Devices, EngineReport, ListDevices
from palaver_media.process import START
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
    SetRecording,
    TransferHost,
)
from palaver_protocol.table import Code, Refusal, refusal

from . import rings, words
from .call import Call
from .changes import Changes
from .engine import NO_DEVICES, Engine
from .errors import ConnectFailed, Disconnected
from .events import DevicesChanged, Left, MuteChanged, OlderRead
from .scopes import helpers
from .session import Session
from .state import ClientState, OutgoingRing
from .url import parse_url

NOT_THERE: Final = (Code.NOT_MEMBER.value, Code.NOT_FOUND.value, Code.ENDED.value)
LEAVE: Final = 2.0  # s to say that we leave, at the end of a call


@define(eq=False)
class Client:
    """A person or a bot at a server. Made by `connect`."""

    _session: Session
    _nursery: trio.Nursery
    _engine: Engine | None = None
    _call: Call | None = None
    _listed: trio.Event = field(factory=trio.Event)

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
        await self._session.ask(EndCall(self._here().room_id))

    async def say(self, content: str, reply_to: MessageId | None = None) -> ChatMessage:
        """Write something to the room. Raises Refusal or Disconnected."""
        return (await self._session.ask(SendMessage(self._here().room_id, Text(content), reply_to))).message

    async def react(self, message_id: MessageId, emoji: str) -> ChatMessage:
        """React to a message, or take our reaction back. Raises Refusal or Disconnected."""
        return (await self._session.ask(ReactToMessage(self._here().room_id, message_id, Emoji(emoji)))).message

    async def edit(self, message_id: MessageId, content: str) -> ChatMessage:
        """Put a message of ours differently. Raises Refusal or Disconnected."""
        return (await self._session.ask(EditMessage(self._here().room_id, message_id, Text(content)))).message

    async def delete(self, message_id: MessageId) -> None:
        """Take a message of ours back. Raises Refusal or Disconnected."""
        await self._session.ask(DeleteMessage(self._here().room_id, message_id))

    async def messages(self, before: MessageId | None = None, limit: int = 50) -> MessagesAck:
        """Read the newest messages, or those before one, 1 to 100 at once. Raises Refusal or Disconnected."""
        return await self._session.ask(GetMessages(self._here().room_id, before, limit))

    async def older(self, limit: int = 50) -> MessagesAck:
        """Read the messages before those that the state has, into the state too. Raises Refusal or Disconnected."""
        room = self._here()
        before = room.messages[0].message_id if room.messages else None
        return await self._session.ask(
            GetMessages(room.room_id, before, limit),
            lambda ack: self._session.happen(OlderRead(room.room_id, ack.messages, ack.more)),
        )

    async def transfer_host(self, user_id: UserId) -> RoomView:
        """Hand the host's role to somebody in our room. Raises Refusal or Disconnected."""
        return (await self._session.ask(TransferHost(self._here().room_id, user_id))).room

    async def set_muted(self, is_muted: bool) -> None:
        """Mute or unmute our microphone, and tell the others. Raises Refusal or Disconnected."""
        self._session.happen(MuteChanged(is_muted))
        if self.state.room is not None:
            await self._session.tell_muted()

    async def set_recording(self, is_recording: bool) -> None:
        """Tell the room that we record it, or no longer do. Raises Refusal or Disconnected."""
        await self._session.ask(SetRecording(self._here().room_id, is_recording))

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

    def _here(self) -> RoomView:
        if self.state.room is None:
            raise refusal(Code.NOT_MEMBER, "you are in no room")
        return self.state.room

    # -- sound ---------------------------------------------------------------------------------------------------------
    @asynccontextmanager
    async def call(
        self,
        room: str,
        *,
        room_id: RoomId | None = None,
        source: str = "device",
        sink: str = "device",
        is_muted: bool = False,
    ) -> AsyncIterator[Call]:
        """Join or make the room of that name and talk in it; leaving the block leaves the room.

        Names need not be unique: with `room_id` it is that room, and the name does not matter.

        Raises:
            Refusal: the server does not let us in.
            Disconnected: the connection was lost meanwhile.
        """

        async def sit() -> RoomView:
            if room_id is None:
                return await self.create_room(room, join_existing=True, leave_current=True)
            return await self.join_room(room_id, leave_current=True)

        async with self.talk(sit, source=source, sink=sink, is_muted=is_muted) as call:
            yield call

    @asynccontextmanager
    async def talk(
        self,
        sit: Callable[[], Awaitable[object]] | None = None,
        *,
        source: str = "device",
        sink: str = "device",
        is_muted: bool | None = None,
    ) -> AsyncIterator[Call]:
        """Talk in the room in which `sit` takes a seat, or without it where we sit; leaving the block leaves the room.

        Whoever moves to another room meanwhile (by `accept`, for instance) talks on there. `is_muted` None keeps the
        microphone as it is.

        Raises:
            Refusal: the server does not let us in.
            Disconnected: the connection was lost meanwhile.
        """
        if self._call is not None:
            raise RuntimeError("one call at a time")
        if is_muted is not None:
            self._session.happen(MuteChanged(is_muted))
        call = self._call = Call(self._session, self._running_engine(), source, sink)
        try:
            async with call.running():
                if sit is not None:
                    await sit()
                self._here()
                yield call
        finally:
            self._call = None
            with trio.move_on_after(LEAVE, shield=True), contextlib.suppress(Refusal):
                await self.leave_room()

    async def list_devices(self) -> Devices:
        """Ask the sound engine what there is to hear with and to speak into."""
        engine = self._running_engine()
        with trio.move_on_after(START):
            await engine.wait_up()
            engine.tell(ListDevices())
            await self._listed.wait()
        return self.state.devices or NO_DEVICES

    def _running_engine(self) -> Engine:
        """The engine, which is started when it is first needed and lives as long as we do."""
        if self._engine is None:
            self._engine = Engine(self._on_report, self._on_engine_death)
            self._nursery.start_soon(self._engine.run)
        return self._engine

    def _on_report(self, report: EngineReport) -> None:
        if isinstance(report, engine_messages.Devices):
            self._session.happen(DevicesChanged(report))
            self._listed.set()
            self._listed = trio.Event()
        elif self._call is not None:
            self._call.on_report(report)

    def _on_engine_death(self) -> None:
        if self._call is not None:
            self._call.on_engine_death()


@asynccontextmanager
async def connect(
    url: str, name: str, user_id: str | None = None, *, takes_waiting_calls: bool = False
) -> AsyncIterator[Client]:
    """A client of the server at `url`; it reconnects by itself until the block ends.

    With `takes_waiting_calls` it rings here also while we talk in a room; else callers hear that we are busy.

    Raises:
        ConnectFailed: the first connection cannot be made.
    """
    try:
        state = ClientState(UserId(user_id or str(uuid.uuid4())), read_name(name))
        session = Session(parse_url(url), state, takes_waiting_calls)
    except ValueError as why:
        raise ConnectFailed(str(why), "") from None
    async with helpers() as nursery:
        await nursery.start(session.keep_connected)
        try:
            yield Client(session, nursery)
        finally:
            session.close("the client was closed")


def _room_name(name: str) -> Name:
    try:
        return read_name(name)
    except ValueError as why:
        raise refusal(Code.INVALID_PAYLOAD, f"the room's name: {why}") from None
