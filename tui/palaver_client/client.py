"""A connection to a server that mends itself, and what one can ask over it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from palaver_media.engine_messages import Devices
from palaver_protocol.models import ChatMessage, MessageId, RoomId, RoomView, UserId

from .call import Call
from .changes import Changes
from .state import ClientState


class Client:
    """A person or a bot at a server. Made by `connect`."""

    @property
    def state(self) -> ClientState:
        """All that is known now."""
        return self._state

    @property
    def user_id(self) -> UserId:
        """Our own id."""
        return self._state.me

    def changes(self) -> AbstractAsyncContextManager[Changes]:
        """Every change from now on; the iteration ends with the client."""
        raise NotImplementedError

    async def create_room(self, name: str, *, join_existing: bool = False, leave_current: bool = False) -> RoomView:
        """Open a room, or with `join_existing` join the one of that name. Raises Refusal or Disconnected."""
        raise NotImplementedError

    async def join_room(self, room_id: RoomId, *, leave_current: bool = False) -> RoomView:
        """Take a seat in a room. Raises Refusal or Disconnected."""
        raise NotImplementedError

    async def leave_room(self) -> None:
        """Give up our seat, if we have one. Raises Refusal or Disconnected."""
        raise NotImplementedError

    async def end_room(self) -> None:
        """End our room for everyone. Raises Refusal or Disconnected."""
        raise NotImplementedError

    async def say(self, content: str, reply_to: MessageId | None = None) -> ChatMessage:
        """Write something to the room. Raises Refusal or Disconnected."""
        raise NotImplementedError

    async def set_muted(self, is_muted: bool) -> None:
        """Mute or unmute our microphone, and tell the others."""
        raise NotImplementedError

    async def list_devices(self) -> Devices:
        """Ask the sound engine what there is to hear with and to speak into."""
        raise NotImplementedError

    def call(
        self, room: str, *, source: str = "device", sink: str = "device", is_muted: bool = False
    ) -> AbstractAsyncContextManager[Call]:
        """Join or make the room of that name and talk in it; leaving the block leaves the room."""
        raise NotImplementedError

    async def wait_closed(self) -> str:
        """Wait until there will be no connection any more, and say why."""
        raise NotImplementedError


@asynccontextmanager
async def connect(url: str, name: str, user_id: UserId | str | None = None) -> AsyncIterator[Client]:
    """A client of the server at `url`; it reconnects by itself until the block ends.

    Raises:
        ConnectFailed: the first connection cannot be made.
    """
    raise NotImplementedError
    yield Client()
