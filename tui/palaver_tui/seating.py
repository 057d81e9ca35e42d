"""The wanted seat: a call there, and when another one is wanted, a call there instead."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio
from attrs import define, evolve, field
from textual.message import Message

from palaver_client import Call, Client, Side
from palaver_protocol.models import RoomView

from .asking import attempt
from .kept_settings import KeptSettings
from .seats import Seat, Stay
from .wishes import Choose, Join


@define(eq=False)
class Seating:
    """Knows where the person at the screen wants to sit, and sits there; `source` and `sink` are for every call."""

    source: str
    sink: str
    settings: KeptSettings
    tell: Callable[[Message], object]
    wanted: Seat | None = None
    call: Call | None = field(default=None, init=False)
    _moved: trio.Event = field(factory=trio.Event, init=False)

    def want(self, seat: Seat | None) -> None:
        """Sit there from now on, or nowhere."""
        self.wanted = seat
        self._moved.set()

    def choose(self, choice: Choose, client: Client | None) -> None:
        """Use a device from now on, in this call and later ones."""
        if choice.side is Side.SOURCE:
            self.source = choice.spec
            self.settings.keep(evolve(self.settings.now, source=choice.spec))
        else:
            self.sink = choice.spec
            self.settings.keep(evolve(self.settings.now, sink=choice.spec))
        if client is not None:
            client.use(choice.side, choice.spec)

    def equip(self, client: Client) -> None:
        """Tell a new client what is used."""
        client.use(Side.SOURCE, self.source)
        client.use(Side.SINK, self.sink)

    def joined(self, client: Client, room: RoomView) -> None:
        """Where we sit is where we want to sit, also when another one's yes or a call that we took brought us there."""
        if self.call is not None or self.wanted is not None:
            self.wanted = Stay(room)  # the call that goes on moves there by itself
        elif client.state.room is not None:
            self.want(Stay(room))

    async def keep(self, client: Client) -> None:
        """Sit in the wanted room; when another one is wanted, leave the one before."""
        while True:
            self._moved = trio.Event()
            async with trio.open_nursery() as nursery:
                if self.wanted is not None:
                    nursery.start_soon(self._sit, client, self.wanted, self._moved)
                await self._moved.wait()
                nursery.cancel_scope.cancel()

    async def _sit(self, client: Client, seat: Seat, moved: trio.Event) -> None:
        """Be in a call until it ends, by itself or by cancellation."""
        await attempt(lambda client: self._talk(client, seat), client, self.tell)
        if not moved.is_set():
            self.wanted = None

    async def _talk(self, client: Client, seat: Seat) -> None:
        async with self._seated(client, seat) as call:
            if not isinstance(seat, Stay):
                self.settings.keep(evolve(self.settings.now, room=seat.room_name))
            self.call = call
            try:
                await call.wait_ended()
            finally:
                self.call = None

    def _seated(self, client: Client, seat: Seat) -> AbstractAsyncContextManager[Call]:
        """A call at that seat."""
        if isinstance(seat, Stay):
            return client.talk(source=self.source, sink=self.sink)
        room_id = seat.room_id if isinstance(seat, Join) else None
        return client.call(
            seat.room_name, room_id=room_id, source=self.source, sink=self.sink, is_muted=client.state.is_muted
        )
