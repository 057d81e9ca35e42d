"""The sound of a call over time: negotiated, and again whenever it broke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import trio
from attrs import define, field

from palaver_media import engine_messages
from palaver_media.engine_messages import TransportConnected
from palaver_media.process import START
from palaver_protocol import notices
from palaver_protocol.models import RoomId, UserId
from palaver_protocol.table import Refusal

from . import events, words
from .changes import AnyEvent
from .engine import Engine
from .errors import Disconnected
from .events import ConnectionLost, Joined, MediaConnected, MediaConnecting, MediaFailed, MediaLost
from .negotiation import Negotiation
from .session import Session

PAUSES: Final = (0.2, 0.5, 1.0, 2.0, 5.0)  # s between attempts; after the last one, wait for news
BROKEN: Final = "the sound engine stopped"


@define(eq=False)
class Media:
    """Keeps a call's sound connected. All but `run` is synchronous: it notes what happened and breaks off."""

    _session: Session
    _engine: Engine
    _call: str
    _on_voice: Callable[[str], None]
    _negotiation: Negotiation | None = None
    _scope: trio.CancelScope = field(factory=trio.CancelScope)
    _reason: str = ""
    _has_worked: bool = False
    _seated: trio.Event = field(factory=trio.Event)
    _news: trio.Event = field(factory=trio.Event)

    async def run(self) -> None:
        """Negotiate, and again after each break, with growing pauses while it fails."""
        failures = 0
        while True:
            await self._wait_for_engine()
            await self._seated.wait()
            if (room := self._session.state.room) is None:
                continue  # lost again since
            reason = await self._attempt(room.room_id)
            if self._session.state.room is None:
                continue  # nobody misses this sound
            failures = 1 if self._has_worked else failures + 1
            if failures <= len(PAUSES):
                self._session.happen(MediaLost(reason))
                with trio.move_on_after(PAUSES[failures - 1]):
                    await self._news.wait()
            else:
                self._session.happen(MediaFailed(reason))
                await self._news.wait()
                failures = 0

    def begin(self) -> None:
        """We have a seat, at first or another one."""
        self._seated.set()
        self._start_anew("you took your seat again")

    def user_of(self, consumer: str) -> UserId | None:
        """Whose voice a consumer carries."""
        return None if self._negotiation is None else self._negotiation.user_of(consumer)

    def carried(self) -> dict[str, UserId]:
        """Whom each consumer carries."""
        return {} if self._negotiation is None else self._negotiation.carried()

    def on_event(self, event: AnyEvent) -> None:
        """Take in what the server told or what happened here."""
        if self._session.state.room is None:
            self._stand_up("you are in no room")
            return
        match event:
            case Joined() | notices.Snapshot():
                self.begin()
            case ConnectionLost():
                self._stand_up("the connection to the server was lost")
            case notices.MediaReset():
                self._start_anew(event.reason or "the server moved the sound")
            case notices.TransportFailed() if self._is_ours(event.transport_id):
                self._break_off(words.transport_failure(event.reason))
            case notices.ProducerClosed():
                if self._negotiation is not None:
                    self._negotiation.closed(event.producer_id)
            case notices.NewProducer() | notices.UserLeft() | notices.ActiveSpeakers() | events.SoundSettingsChanged():
                if self._negotiation is not None:
                    self._negotiation.look_again()
            case _:
                return

    def on_report(self, report: TransportConnected | engine_messages.TransportFailed) -> None:
        """Take in how the engine's transports fare."""
        if self._negotiation is None or not self._is_ours(report.transport):
            return
        if isinstance(report, TransportConnected):
            self._negotiation.connected(report.transport)
        else:
            self._break_off(words.transport_failure(report.reason))

    def on_engine_death(self) -> None:
        """The engine is gone, and the call's sound with it."""
        self._start_anew(BROKEN)

    async def _wait_for_engine(self) -> None:
        with trio.move_on_after(START):
            await self._engine.wait_up()
            return
        self._session.happen(MediaFailed("the sound engine does not start"))
        await self._engine.wait_up()

    async def _attempt(self, room: RoomId) -> str:
        """One negotiation, from its beginning to its end, and why it ended."""
        self._news, self._reason, self._has_worked = trio.Event(), "", False
        self._session.happen(MediaConnecting())
        self._negotiation = Negotiation(self._session, self._engine, self._call, room, self._connected, self._on_voice)
        try:
            with trio.CancelScope() as self._scope:
                await self._negotiation.run()
        except* (Refusal, Disconnected, trio.TooSlowError) as group:
            self._reason = self._reason or _why(group)
        finally:
            self._negotiation = None
        return self._reason

    def _connected(self) -> None:
        self._has_worked = True
        self._session.happen(MediaConnected())

    def _start_anew(self, reason: str) -> None:
        """Break off, and do not wait long before the next attempt."""
        self._news.set()
        self._break_off(reason)

    def _stand_up(self, reason: str) -> None:
        """Break off, and wait for a seat before the next attempt."""
        if self._seated.is_set():
            self._seated = trio.Event()
        self._break_off(reason)

    def _break_off(self, reason: str) -> None:
        self._reason = self._reason or reason
        self._scope.cancel()

    def _is_ours(self, transport: str) -> bool:
        return self._negotiation is not None and transport in self._negotiation.transports


def _why(group: BaseExceptionGroup[BaseException]) -> str:
    """The first failure in a group, for people."""
    return next(_words_of(group))


def _words_of(group: BaseException) -> Iterator[str]:
    match group:
        case BaseExceptionGroup():
            for inner in group.exceptions:
                yield from _words_of(inner)
        case Refusal():
            yield words.of_refusal(group)
        case trio.TooSlowError():
            yield "the media port of the server does not answer"
        case _:
            yield str(group)
