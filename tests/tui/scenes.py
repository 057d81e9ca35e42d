"""States as a client has them, and a screen that shows them: data for the tests of the screen."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from attrs import define, evolve, field
from textual.pilot import Pilot

from palaver_client.state import (
    CallStats,
    ClientState,
    ConnectionState,
    IncomingRing,
    MediaState,
    OutgoingRing,
    SideState,
    Sound,
)
from palaver_media.engine_messages import ConsumerStats
from palaver_protocol.models import (
    CallId,
    ChatMessage,
    MessageId,
    Name,
    Participant,
    RoomId,
    RoomStatus,
    RoomSummary,
    RoomType,
    RoomView,
    Text,
    User,
    UserId,
    UserStatus,
)
from palaver_tui.app import PalaverApp
from palaver_tui.messages import StateChanged
from palaver_tui.wishes import Wish

if TYPE_CHECKING:
    from textual.message import Message

SMALL = (80, 24)
WIDE = (200, 60)
PATIENCE = 10.0  # s
LOBBY = RoomId("room-lobby")
OTHER = RoomId("room-other")


def user_id(name: str) -> UserId:
    return UserId(f"id-{name}")


def user(name: str, room: RoomId | None = None) -> User:
    return User(user_id(name), Name(name), UserStatus.IN_CALL if room else UserStatus.IDLE, 0, room)


def listed(room_id: RoomId, name: str, host: str, *people: str) -> RoomSummary:
    names = tuple(Name(person) for person in people)
    return RoomSummary(
        room_id, RoomType.GROUP, Name(name), user_id(host), Name(host), RoomStatus.ACTIVE, 0, False, len(names), names
    )


def participant(name: str, *, is_host: bool = False, is_muted: bool = False) -> Participant:
    return Participant(user_id(name), Name(name), f"socket-{name}", 0, is_host, is_muted=is_muted)


def message(number: int, name: str, content: str) -> ChatMessage:
    return ChatMessage(MessageId(f"message-{number}"), user_id(name), Name(name), Text(content), 1_790_000_000_000)


def room(host: str, *others: str, name: str = "lobby", messages: tuple[ChatMessage, ...] = ()) -> RoomView:
    people = (participant(host, is_host=True), *(participant(other) for other in others))
    return RoomView(
        LOBBY,
        RoomType.GROUP,
        Name(name),
        user_id(host),
        Name(host),
        RoomStatus.ACTIVE,
        0,
        participants=people,
        messages=messages,
    )


def incoming(name: str, number: int = 1, *, lasts: float = 30.0, room_id: RoomId | None = None) -> IncomingRing:
    """A call, or an invitation to a room."""
    kind = None if room_id is None else RoomType.GROUP
    call_id = CallId(room_id or f"call-{number}")
    return IncomingRing(call_id, user_id(name), Name(name), time.monotonic() + lasts, room_id, kind)


def outgoing(name: str, *, lasts: float = 30.0) -> OutgoingRing:
    return OutgoingRing(CallId("call-out"), user_id(name), Name(name), time.monotonic() + lasts)


def direct(*names: str) -> RoomView:
    """A call between two."""
    return evolve(room(*names), room_type=RoomType.DIRECT)


START = ClientState(user_id("ann"), Name("ann"))
ONLINE = evolve(
    START,
    connection=ConnectionState.CONNECTED,
    users=(user("ann"), user("bob", LOBBY), user("eve", OTHER)),
    rooms=(listed(LOBBY, "lobby", "bob", "bob"), listed(OTHER, "planning", "eve", "eve")),
)
TALKING = evolve(
    ONLINE,
    room=room("bob", "ann"),
    media=MediaState.CONNECTED,
    sound=Sound(SideState("device", "Microphone"), SideState("device", "Speaker")),
    stats=CallStats(12.4, 32.0, {user_id("bob"): ConsumerStats(2.0, 0.02, 0.0, 0.0, 40.0, 33.0, 102.0)}),
)


@define(eq=False)
class Shown:
    """The app on a screen without a terminal, and the wishes it uttered."""

    app: PalaverApp
    pilot: Pilot[None]
    wishes: list[Wish] = field(factory=list[Wish])

    async def show(self, *messages: Message | ClientState) -> None:
        """Give it news, and wait until they are shown."""
        for news in messages:
            self.app.post_message(StateChanged(news) if isinstance(news, ClientState) else news)
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def write(self, text: str) -> None:
        await self.press(*("space" if char == " " else char for char in text))

    async def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, self.text()
            await asyncio.sleep(0.01)
            await self.pilot.pause()

    def lines(self) -> list[str]:
        """The screen, as a terminal would show it."""
        strips = self.app.screen._compositor.render_strips()  # what the driver writes; there is no public way to it
        return ["".join(segment.text for segment in strip) for strip in strips]

    def text(self) -> str:
        return "\n".join(self.lines())

    def line(self, part: str) -> str:
        """The first line with this in it."""
        found = [line for line in self.lines() if part in line]
        assert found, f"no {part!r} on this screen:\n{self.text()}"
        return found[0]


@asynccontextmanager
async def screen(
    state: ClientState, size: tuple[int, int] = SMALL, *, is_named: bool = True, last_room: str = "lobby"
) -> AsyncIterator[Shown]:
    """The app with this state, its wish to connect taken."""
    wishes: list[Wish] = []
    quiet = evolve(state, incoming=(), outgoing=None)  # nothing rings before one is online
    app = PalaverApp(quiet, wishes.append, is_named=is_named, last_room=last_room)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        shown = Shown(app, pilot, wishes)
        if is_named:
            await shown.until(lambda: wishes)
            wishes.clear()
        if state != quiet:
            await shown.show(state)
        yield shown
