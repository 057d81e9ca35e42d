"""What lasts while connections come and go: the state, those who follow it, and our seat in a room."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import trio
from attrs import define, field

from palaver_protocol.models import RoomType, RoomView
from palaver_protocol.notices import SEAT_MOVED, AnyNotice, ServerNotice
from palaver_protocol.requests import CreateRoom, JoinRoom, MediaStateChanged, RoomAck
from palaver_protocol.table import Ack, Code, Notice, Refusal, Request

from . import words
from .changes import AnyEvent, Changes
from .errors import ConnectFailed, Disconnected, LinkLost, LinkRefused
from .events import Connected, ConnectionLost, Joined, Left, RetryFailed
from .link import Link
from .state import ClientState, after, reduce
from .upgrade import open_stream
from .url import ServerUrl

A = TypeVar("A", bound=Ack)
FIRST_PAUSE: Final = 0.5  # s until the first attempt to reconnect; doubled each time
LONGEST_PAUSE: Final = 15.0  # s
GONE: Final = (Code.NOT_FOUND.value, Code.ENDED.value)


@define(eq=False)
class Session:
    """A client's core. Everything that happens passes through `happen`, one thing after the other."""

    url: ServerUrl
    state: ClientState
    closed: trio.Event = field(factory=trio.Event)
    close_reason: str = ""
    _open: Callable[[ServerUrl], Awaitable[trio.abc.Stream]] = open_stream
    _link: Link | None = None
    _readers: set[Changes] = field(factory=set[Changes])
    _followers: list[Callable[[AnyEvent], None]] = field(factory=list[Callable[[AnyEvent], None]])

    def happen(self, event: AnyEvent) -> None:
        """Change the state, and tell those who follow it."""
        self.state = reduce(self.state, event) if isinstance(event, Notice) else after(self.state, event)
        for reader in self._readers:
            reader.put(event, self.state)
        for follow in tuple(self._followers):
            follow(event)

    @contextmanager
    def followed(self, follow: Callable[[AnyEvent], None]) -> Iterator[None]:
        """Call `follow` after each event; it must not block."""
        self._followers.append(follow)
        try:
            yield
        finally:
            self._followers.remove(follow)

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[Changes]:
        """Every change from now on."""
        changes = Changes(self.state)
        if self.closed.is_set():
            changes.close()
        self._readers.add(changes)
        try:
            yield changes
        finally:
            self._readers.discard(changes)

    def close(self, reason: str) -> None:
        """Tell all readers that nothing more comes."""
        self.close_reason = self.close_reason or reason
        self.closed.set()
        for reader in self._readers:
            reader.close()

    async def ask(self, asked: Request[A], then: Callable[[A], None] | None = None) -> A:
        """Send a request and wait for its answer; `then` is called before anything later is taken up.

        Raises:
            Refusal: the server said no.
            Disconnected: there is no connection, or it was lost before the answer came.
        """
        if self._link is None:
            raise Disconnected("not connected to the server")
        return await self._link.ask(asked, then)

    # -- our seat ------------------------------------------------------------------------------------------------------
    async def sit(self, asked: Request[RoomAck]) -> RoomView:
        """Take a seat with this request. Raises Refusal or Disconnected."""
        ack = await self.ask(asked, lambda ack: self.happen(Joined(ack.room)))
        if self.state.is_muted:
            await self.tell_muted()
        return ack.room

    async def tell_muted(self) -> None:
        """Tell the room whether we are muted. Raises Refusal or Disconnected."""
        if self.state.room is not None:
            await self.ask(MediaStateChanged(self.state.room.room_id, self.state.is_muted, is_video_enabled=False))

    async def _sit_again(self, room: RoomView) -> None:
        """Take the seat that we had before the connection was lost, or one in a new room of that name."""
        try:
            await self.sit(JoinRoom(room.room_id, leave_current=True))
        except Refusal as no:
            if no.code not in GONE or room.room_type is not RoomType.GROUP:
                raise
            again = CreateRoom(RoomType.GROUP, room.room_name, join_existing=True, leave_current=True)
            await self.sit(again)

    # -- the connection ------------------------------------------------------------------------------------------------
    async def keep_connected(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and again after each loss, until the server refuses us; `started` when it has let us in.

        Raises:
            ConnectFailed: the first connection could not be made.
        """
        failure = await self._connect(task_status.started)
        if self._link is None:
            raise ConnectFailed(str(failure), words.connect_remedy(failure))
        pause = FIRST_PAUSE
        while not isinstance(failure, LinkRefused):
            if self._link is not None:
                pause = FIRST_PAUSE
            await self._wait_to_retry(failure, pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)
            failure = await self._connect(lambda: None)
        self._link = None
        self.happen(ConnectionLost(str(failure), None, None))
        self.close(str(failure))

    async def _connect(self, on_up: Callable[[], None]) -> LinkLost:
        """One connection from its opening to its loss, and why it is lost."""
        link = Link(self.url, {"userId": self.state.me, "name": self.state.name}, self._told)

        async def come_up() -> None:
            self._link = link
            self.happen(Connected())
            on_up()
            if self.state.room is not None:
                await self._come_back(self.state.room)

        try:
            await link.run(await self._open(self.url), come_up)
        except LinkLost as why:
            return why

    def _told(self, notice: AnyNotice) -> None:
        """The server told something. A seat that was taken along to another connection is ours no more."""
        self.happen(notice)
        if isinstance(notice, ServerNotice) and notice.code == SEAT_MOVED and self.state.room is not None:
            self.happen(Left(notice.message))

    async def _come_back(self, room: RoomView) -> None:
        try:
            await self._sit_again(room)
        except Refusal as no:
            self.happen(Left(words.of_refusal(no)))
        except Disconnected:
            return  # the next connection tries again

    async def _wait_to_retry(self, failure: LinkLost, pause: float) -> None:
        was_up, self._link = self._link is not None, None
        lost = ConnectionLost if was_up else RetryFailed
        self.happen(lost(str(failure), pause, trio.current_time() + pause))
        await trio.sleep(pause)
