"""People at the Trio side of the screen, with a real server and a real sound engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import trio
from attrs import define, field
from textual.message import Message

from palaver_client import ClientState, Settings
from palaver_protocol.models import CallId, MessageId, Name, UserId
from palaver_tui.caller import Caller
from palaver_tui.kept_settings import KeptSettings
from palaver_tui.messages import Happened, StateChanged, Trouble
from palaver_tui.seating import Seating
from palaver_tui.wishes import Connect, Wish

PATIENCE = 20.0  # s, on a loaded machine


@define(eq=False)
class Person:
    """A caller, and what it told the screen."""

    caller: Caller
    told: list[Message] = field(factory=list[Message])

    @property
    def state(self) -> ClientState:
        states = [message.state for message in self.told if isinstance(message, StateChanged)]
        return states[-1] if states else self.caller.state

    @property
    def user_id(self) -> UserId:
        return self.state.me

    def wants(self, wish: Wish) -> None:
        self.caller.take(wish)

    def has_heard(self, kind: type[Happened | Trouble], part: str) -> bool:
        return any(isinstance(message, kind) and part in message.text for message in self.told)

    async def until(self, condition: Callable[[ClientState], object]) -> None:
        with trio.move_on_after(PATIENCE):
            while not condition(self.state):  # noqa: ASYNC110 - the screen has no event for it either
                await trio.sleep(0.01)
            return
        others = [vars(message) for message in self.told if not isinstance(message, StateChanged)]
        raise AssertionError(f"it never came; {others} {self.state}")

    async def hears(self, kind: type[Happened | Trouble], part: str) -> None:
        await self.until(lambda _: self.has_heard(kind, part))

    async def ring(self) -> CallId:
        """The first call or invitation that rings here."""
        await self.until(lambda state: state.incoming)
        return self.state.incoming[0].call_id

    def newest(self) -> MessageId:
        assert self.state.room is not None
        return self.state.room.messages[-1].message_id


@asynccontextmanager
async def calling(url: str, name: str) -> AsyncIterator[Person]:
    """Somebody who has come online, as far as the server is there."""
    settings = Settings.load(name)
    told: list[Message] = []
    state = ClientState(UserId(settings.user_id), Name(name))
    kept = KeptSettings(settings, told.append)
    seating = Seating("tone:440", "null", kept, told.append)
    person = Person(Caller(url, kept, seating, told.append, state), told)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(person.caller.run)
        person.wants(Connect(name))
        yield person
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def online(url: str, *names: str) -> AsyncIterator[list[Person]]:
    """People who all see each other online."""
    async with trio.open_nursery() as nursery:
        people: list[Person] = []
        ready = [trio.Event() for _ in names]

        async def be(number: int, name: str) -> None:
            async with calling(url, name) as person:
                people.append(person)
                ready[number].set()
                await trio.sleep_forever()

        for number, name in enumerate(names):
            nursery.start_soon(be, number, name)
            await ready[number].wait()
        for person in people:
            await person.until(lambda state: len(state.users) == len(names))
        yield people
        nursery.cancel_scope.cancel()


def sits(name: str) -> Callable[[ClientState], bool]:
    return lambda state: state.room is not None and state.room.room_name == name


def with_people(count: int) -> Callable[[ClientState], bool]:
    return lambda state: state.room is not None and len(state.room.participants) == count
