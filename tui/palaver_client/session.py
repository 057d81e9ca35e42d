"""What lasts while connections come and go: the state, those who follow it, and our seat in a room."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar

import trio
from attrs import define, evolve, field

from palaver_protocol.models import CallId, RoomId, RoomType, RoomView
from palaver_protocol.notices import SEAT_MOVED, AnyNotice, CallAcceptedNew, ServerNotice, Snapshot
from palaver_protocol.requests import (
    AcceptedAck,
    CreateRoom,
    JoinRoom,
    LeaveRoom,
    MediaStateChanged,
    RoomAck,
    SetRecording,
)
from palaver_protocol.table import Ack, Code, Notice, Refusal, Request

from . import words
from .after import after
from .changes import AnyEvent, Changes
from .errors import Disconnected
from .events import Joined, Left, RingOver
from .link import Link
from .reduce import reduce
from .state import ClientState

A = TypeVar("A", bound=Ack)
Seat = TypeVar("Seat", RoomAck, AcceptedAck)
GONE: Final = (Code.NOT_FOUND.value, Code.ENDED.value)


@define(eq=False)
class Session:
    """A client's core. Everything that happens passes through `happen`, one thing after the other."""

    state: ClientState
    link: Link | None = None  # while we are connected
    closed: trio.Event = field(factory=trio.Event)
    close_reason: str = ""
    hurried: trio.Event = field(factory=trio.Event)  # the next attempt to connect shall not wait
    is_recording: bool = False  # whether we record each room in which we sit
    _is_muted_there: bool = False  # as the server knows it
    _is_recording_there: bool | None = False  # likewise; None where an answer was lost
    _moved: trio.Event = field(factory=trio.Event)
    _given_up: RoomId | None = None  # a seat that we left while nobody could be told
    _readers: set[Changes] = field(factory=set[Changes])
    _followers: list[Callable[[AnyEvent], None]] = field(factory=list[Callable[[AnyEvent], None]])

    def happen(self, event: AnyEvent) -> None:
        """Change the state, and tell those who follow it."""
        if isinstance(event, Notice):
            self.state = reduce(self.state, event, trio.current_time())
        else:
            self.state = after(self.state, event)
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

    def hurry(self) -> None:
        """Do not wait with the next attempt to connect."""
        self.hurried.set()
        self.hurried = trio.Event()

    async def ask(self, asked: Request[A], then: Callable[[A], None] | None = None) -> A:
        """Send a request and wait for its answer; `then` is called before anything later is taken up.

        Raises:
            Refusal: the server said no.
            Disconnected: there is no connection, or it was lost before the answer came.
        """
        if self.link is None:
            raise Disconnected("not connected to the server")
        return await self.link.ask(asked, then)

    # -- our seat ------------------------------------------------------------------------------------------------------
    async def sit(self, asked: Request[Seat], *, settles: CallId | None = None, is_again: bool = False) -> RoomView:
        """Take a seat with this request, which settles what rings under that id. Raises Refusal or Disconnected."""

        def seated(ack: RoomAck | AcceptedAck) -> None:
            self._is_muted_there = self._is_recording_there = False
            if settles is not None:
                self.happen(RingOver(settles))
            self.happen(Joined(ack.room, is_again))

        ack = await self.ask(asked, seated)
        await self.tell_ourselves()
        return ack.room

    async def tell_ourselves(self) -> None:
        """Tell the room what it does not know of us. Raises Refusal or Disconnected."""
        await self.tell_recording()
        await self.tell_muted()

    async def tell_recording(self) -> None:
        """Tell the room whether we record it, if it does not know. Raises Refusal or Disconnected."""
        is_recording, before = self.is_recording, self._is_recording_there
        if self.state.room is not None and is_recording != before:
            self._is_recording_there = None
            await self.ask(SetRecording(self.state.room.room_id, is_recording), lambda _: self._heard_of(is_recording))

    def _heard_of(self, is_recording: bool) -> None:
        self._is_recording_there = is_recording

    async def tell_muted(self) -> None:
        """Tell the room whether we are muted, if it does not know. Raises Refusal or Disconnected."""
        is_muted = self.state.is_muted
        if self.state.room is not None and is_muted != self._is_muted_there:
            await self.ask(MediaStateChanged(self.state.room.room_id, is_muted, is_video_enabled=False))
            self._is_muted_there = is_muted

    def give_up(self, room_id: RoomId) -> None:
        """Leave a room that cannot be told now; it is told as soon as it can be, if our seat was kept."""
        self._given_up = room_id

    async def _sit_again(self, room: RoomView) -> None:
        """Take the seat that we had before the connection was lost, or one in a new room of that name."""
        try:
            await self.sit(JoinRoom(room.room_id, leave_current=True), is_again=True)
        except Refusal as no:
            if no.code not in GONE or room.room_type is not RoomType.GROUP:
                raise
            again = CreateRoom(RoomType.GROUP, room.room_name, join_existing=True, leave_current=True)
            await self.sit(again, is_again=True)

    # -- what connections bring ----------------------------------------------------------------------------------------
    def told(self, notice: AnyNotice) -> None:
        """The server told something, which may have moved us."""
        before = self.state.room
        if isinstance(notice, Snapshot) and notice.room is not None and notice.room.room_id == self._given_up:
            notice = evolve(notice, room=None)
        self.happen(notice)
        match notice:
            case CallAcceptedNew():
                self._move(notice.room)
            case Snapshot(room=None) if before is not None:
                self.happen(Left(words.ROOM_GONE))
            case Snapshot(room=RoomView() as room) if before is None or before.room_id != room.room_id:
                self._move(room)
            case ServerNotice(code=code) if code == SEAT_MOVED and before is not None:
                self.happen(Left(notice.message))  # it was taken along to another connection
            case _:
                return

    def _move(self, room: RoomView) -> None:
        """The server has given us a seat by itself."""
        self._is_muted_there = self._is_recording_there = False
        self._moved.set()
        self.happen(Joined(room))

    async def tell_ourselves_where_we_are_moved(self) -> None:
        """Let each room into which the server puts us know what it does not know of us. Raises Disconnected."""
        while True:
            await self._moved.wait()
            self._moved = trio.Event()
            with contextlib.suppress(Refusal):  # we may be out of that room already
                await self.tell_ourselves()

    async def go_on(self) -> None:
        """The server has kept all that was ours: tell it what has changed here since. Raises Disconnected."""
        with contextlib.suppress(Refusal):
            if self._given_up is not None:
                await self.ask(LeaveRoom(self._given_up))
        self._given_up = None  # not before: the snapshot, which comes first, still has that room
        with contextlib.suppress(Refusal):
            await self.tell_ourselves()

    async def return_to_room(self) -> None:
        """The server has kept nothing, or it is our first connection: sit where we sat. Raises Disconnected."""
        self._given_up = None
        if self.state.room is None:
            return
        try:
            await self._sit_again(self.state.room)
        except Refusal as no:
            self.happen(Left(words.of_refusal(no)))
