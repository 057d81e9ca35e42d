"""The connections of a session, one after the other: made, lost, and made again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, Final

import trio
from attrs import define

from . import words
from .carriers import Opening, websocket_over
from .errors import ConnectFailed, Disconnected, LinkLost, LinkRefused
from .events import CarrierChanged, Connected, ConnectionLost, RetryFailed
from .http_client import Open
from .link import Link
from .long_polling import polling_at
from .session import Session
from .upgrade import open_stream
from .url import ServerUrl

FIRST_PAUSE: Final = 0.5  # s until the first attempt to reconnect; doubled each time
LONGEST_PAUSE: Final = 2.0  # s: a server that restarts has everybody back soon
DOUBT: Final = 3  # WebSockets that fail, one after the other, before it is tried without where one came through
MAX_TOKEN: Final = 1_000  # characters


@define(eq=False)
class Connecting:
    """Keeps a session connected to the server at `url`."""

    url: ServerUrl
    session: Session
    takes_waiting_calls: bool = False
    _open: Open = open_stream
    _resume_token: str = ""
    _failures: int = DOUBT  # of WebSockets, since one came through

    async def keep(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect, and again after each loss, until the server refuses us; `started` when it has let us in.

        Raises:
            ConnectFailed: the first connection could not be made.
        """
        session = self.session
        failure = await self._connect(task_status.started)
        if session.link is None:
            raise ConnectFailed(str(failure), words.connect_remedy(failure))
        pause = FIRST_PAUSE
        while not isinstance(failure, LinkRefused):
            if session.link is not None:
                pause = FIRST_PAUSE
            await self._wait_to_retry(failure, pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)
            failure = await self._connect(lambda: None)
        session.link = None
        session.happen(ConnectionLost(str(failure), None, None))
        session.close(str(failure))

    async def _wait_to_retry(self, failure: LinkLost, pause: float) -> None:
        was_up, self.session.link = self.session.link is not None, None
        lost = ConnectionLost if was_up else RetryFailed
        self.session.happen(lost(str(failure), pause, trio.current_time() + pause))
        with trio.move_on_after(pause):
            await self.session.hurried.wait()

    async def _connect(self, on_up: Callable[[], None]) -> LinkLost:
        """One connection, from its opening to its loss, and why it is lost.

        Where no WebSocket comes about, though the server is there, something on the way may not let it through. What
        goes wrong after the server's first packet is not the way's fault, and polling would only meet it again.
        """
        try:
            stream = await self._open(self.url)
        except LinkLost as why:
            return why
        came_through, failure = await self._serve(
            websocket_over(stream, self.url), on_up, CarrierChanged(is_polling=False)
        )
        if came_through:
            self._failures = 0
            return failure
        self._failures += 1
        if self._failures < DOUBT:
            return failure  # one came through before: more likely the server is just coming back
        polling = CarrierChanged(is_polling=True, reason=str(failure))
        _, later = await self._serve(polling_at(self.url, self._open), on_up, polling)
        return later if self.session.link is not None or isinstance(later, LinkRefused) else failure

    async def _serve(
        self, opening: Opening, on_up: Callable[[], None], changed: CarrierChanged
    ) -> tuple[bool, LinkLost]:
        """One connection over this carrier: whether the server was heard over it, and why it is lost."""
        session, is_resumed = self.session, False

        def let_in(welcome: dict[str, Any]) -> None:
            nonlocal is_resumed
            is_resumed = welcome.get("resumed") is True
            self._resume_token = _token(welcome.get("resume"))
            session.link = link
            session.happen(Connected(is_resumed))
            if session.state.is_polling != changed.is_polling:
                session.happen(changed)
            on_up()

        async def keep_up() -> None:
            try:
                await (session.go_on() if is_resumed else session.return_to_room())
                await session.tell_ourselves_where_we_are_moved()
            except Disconnected:
                return  # the next connection tries again

        link = Link(self.url, self._auth(), session.told, let_in)
        try:
            await link.run(opening, keep_up)
        except LinkLost as why:
            return link.is_open, why

    def _auth(self) -> dict[str, Any]:
        """Who we are, and what we want back."""
        state = self.session.state
        waiting = {"callWaiting": True} if self.takes_waiting_calls else {}
        return {"userId": state.me, "name": state.name, "resume": self._resume_token, **waiting}


def _token(given: object) -> str:
    """What a server says to present the next time; empty where it knows no resumption."""
    return given if isinstance(given, str) and len(given) <= MAX_TOKEN else ""
