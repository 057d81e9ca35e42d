"""Where a case plays: its people, and what cases have in common. And the list of all cases."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias
from uuid import uuid4

import trio
from attrs import define, evolve, field, frozen

from palaver_protocol import socketio

from .links import NETWORK, LinkLost
from .person import Person
from .shape import shown
from .target import Target
from .verdicts import Failed, Outcome, Skipped, Verdict

GOOD_BYE: Final = 1.0  # s
LACKING: Final = "an addition of Palaver's that this server lacks"
UNKNOWN: Final = '"unknownEvent"'


@define(eq=False)
class Stage:
    """People whom nobody knows, in rooms of their own."""

    target: Target
    nursery: trio.Nursery
    people: list[Person] = field(factory=list[Person])

    async def link(self, name: str = "Ada", user_id: str | None = None, **options: Any) -> Person:
        """Somebody who has a link and has not said who he is."""
        person = Person(self.target, name, user_id or str(uuid4()), **options)
        self.people.append(person)
        await self.nursery.start(person.live)
        await person.until(lambda: bool(person.handshake), "the open packet")
        return person

    async def person(
        self, name: str = "Ada", user_id: str | None = None, *, transport: str = "websocket", **auth: Any
    ) -> Person:
        """Somebody online."""
        person = await self.link(name, user_id, transport=transport)
        welcome = await person.connect(userId=person.user_id, name=name, **auth)
        if welcome.type is not socketio.PacketType.CONNECT:
            raise Failed(f"{name} is let in", shown(welcome.data))
        return person

    async def cast(self, *names: str) -> list[Person]:
        """Several people online."""
        return [await self.person(name) for name in names]

    async def room(self, host: Person, *others: Person, **payload: Any) -> str:
        """A group room with these people in it; its id. All of them have heard of each other."""
        room_id = str((await host.does("createRoom", **group(**payload)))["room"]["roomId"])
        for count, person in enumerate(others, 1):
            await person.does("joinRoom", roomId=room_id)
            for other in (host, *others)[:count]:
                await other.hears("userJoined", userId=person.user_id)
        return room_id

    async def room_of(self, *names: str) -> tuple[str, list[Person]]:
        """A room, and the people in it; the first is its host."""
        people = await self.cast(*names)
        return await self.room(*people), people

    async def check_quiet(self) -> None:
        """Everybody who is still there has heard what he should, and nothing else. Raises Failed."""
        for person in self.people:
            if person.welcome is not None and not person.left.is_set():
                await person.barrier()
        for person in self.people:
            person.check()
            person.check_nothing_else()

    async def close(self) -> None:
        """Everybody goes, so that nobody on the server is left waiting for them."""
        for person in self.people:
            if not person.left.is_set():
                await person.leave()

    def seen(self) -> frozenset[str]:
        """The events that came, as answers or notices."""
        return frozenset(event for person in self.people for event in person.events())


def group(**payload: Any) -> dict[str, Any]:
    """A room that nobody else uses."""
    return {"roomType": "group", "roomName": f"conformance {uuid4().hex[:12]}", **payload}


Play: TypeAlias = Callable[[Stage], Awaitable[None]]


@frozen
class Case:
    """One rule. `about` are the events that it tries; an addition need not be there; a slow one waits for a timer."""

    name: str
    play: Play
    about: frozenset[str]
    is_slow: bool = False
    is_addition: bool = False


CASES: Final[dict[str, Case]] = {}


def case(name: str, *about: str, is_slow: bool = False, is_addition: bool = False) -> Callable[[Play], Play]:
    """Enter a case. It is about the event before the colon of its name, and those given."""

    def enter(play: Play) -> Play:
        assert name not in CASES
        events = frozenset({name.partition(":")[0], *about})
        CASES[name] = Case(name, play, events, is_slow, is_addition)
        return play

    return enter


async def try_case(case: Case, target: Target) -> Verdict:
    """Play a case; never raises but for a bug of ours."""
    if case.is_slow and not target.tries_slow:
        return Verdict(case.name, Outcome.SKIPPED, reason="it waits for a timer: --slow")
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        stage = Stage(target, nursery)
        verdict = await _play(case, stage)
        with trio.move_on_after(GOOD_BYE):
            await stage.close()
        nursery.cancel_scope.cancel()
    return evolve(verdict, seconds=trio.current_time() - start, seen=stage.seen())


async def _play(case: Case, stage: Stage) -> Verdict:
    try:
        with trio.fail_after(stage.target.longest):
            await case.play(stage)
            await stage.check_quiet()
    except Skipped as why:
        return Verdict(case.name, Outcome.SKIPPED, reason=str(why))
    except Failed as why:
        if case.is_addition and UNKNOWN in why.came:
            return Verdict(case.name, Outcome.SKIPPED, reason=LACKING)
        return Verdict(case.name, Outcome.FAILED, expected=why.expected, came=_with_shape(stage, why.came))
    except (LinkLost, *NETWORK, trio.TooSlowError) as why:
        came = _with_shape(stage, str(why) or type(why).__name__)
        return Verdict(case.name, Outcome.FAILED, expected="answers", came=came)
    except (LookupError, TypeError, ValueError, AttributeError) as why:  # a case reads what is not there
        came = _with_shape(stage, f"{type(why).__name__}: {why}")
        return Verdict(case.name, Outcome.FAILED, expected="what the case reads in an answer or notice", came=came)
    return Verdict(case.name, Outcome.PASSED)


def _with_shape(stage: Stage, came: str) -> str:
    """What came, and what was wrong with it by the schema: that says more than what it led to."""
    wrong = next((f"{person.name} got {person.wrong[0]}" for person in stage.people if person.wrong), "")
    return came if came.startswith(wrong) else f"{came}; and {wrong}"
