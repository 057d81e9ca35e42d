"""A connection as the rest of the server sees it: who it is, what it may spend, and where notices for it go."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Final

import trio
from attrs import define, field

from palaver_protocol.models import Name, UserId
from palaver_protocol.table import Code, refusal

MAX_WAITING: Final = 512 * 1024  # bytes of memory; a reader for whom more waits is cut off at the next message
BUDGET: Final = 300.0  # tokens: joining a room of 100 spends about 250 at once
REFILL: Final = 40.0  # tokens per second
SIZE_OF_TOKEN: Final = 1024  # bytes of a request that cost one more: what one says at once, all can take


@define(eq=False)
class Outbox:
    """Messages on their way to one connection. `put` never blocks and never calls back.

    Waking the task that sends costs more than sending. So while it waits, a transport may let `send_now` send a message
    at once; it returns whether the message is on its way, and wakes the task if the end of it is left to be sent.
    """

    scope: trio.CancelScope = field(factory=trio.CancelScope)  # of the connection
    send_now: Callable[[str | bytes], bool] | None = None
    _messages: list[str | bytes] = field(factory=list["str | bytes"])
    _latest: dict[str, str] | None = None
    _size: int = 0
    _more: trio.Event | None = None  # set for who waits in `take`, where nothing is left
    _is_closed: bool = False

    def put(self, message: str | bytes) -> None:
        """Send a message. A reader too slow for it is cut off."""
        if self._is_closed or self._is_sent(message):
            return
        if self._size > MAX_WAITING:
            self.scope.cancel()
        self._size += sys.getsizeof(message)
        self._messages.append(message)
        self.wake()

    def put_latest(self, event: str, message: str) -> None:
        """Send a message that stands for all earlier ones of its event: a slow reader gets only the newest."""
        if self._is_closed or self._is_sent(message):
            return
        self._latest = {**(self._latest or {}), event: message}
        self.wake()

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be put into it."""
        return self._is_closed

    def close(self) -> None:
        """Send what waits, and nothing after it."""
        self._is_closed = True
        self.wake()

    async def take(self) -> list[str | bytes]:
        """What is to be sent next; empty when the outbox is closed and drained, or was woken."""
        if not (self._messages or self._latest or self._is_closed):
            self._more = trio.Event()
            await self._more.wait()
        taken = [*self._messages, *(self._latest or {}).values()]
        self._messages.clear()
        self._latest = None
        self._size = 0
        return taken

    def wake(self) -> None:
        """Let who waits in `take` look what there is to do."""
        if self._more is not None:
            self._more.set()
            self._more = None

    def _is_sent(self, message: str | bytes) -> bool:
        """Send a message at once, if its turn is now and the transport can."""
        return self._more is not None and self.send_now is not None and self.send_now(message)


@define
class Budget:
    """A bucket of tokens that requests cost; it fills again with time."""

    tokens: float = BUDGET
    filled: float = 0.0  # s, monotonic

    def spend(self, cost: int, now: float) -> None:
        """Pay for a request.

        Raises:
            Refusal: `rateLimited`, with the time until it can be paid.
        """
        self.tokens = min(BUDGET, self.tokens + (now - self.filled) * REFILL)
        self.filled = now
        if self.tokens < cost:
            wait = math.ceil((cost - self.tokens) / REFILL * 100) / 100
            raise refusal(Code.RATE_LIMITED, f"too many requests: try again in {wait:g} s", retry_after=wait)
        self.tokens -= cost


@define(eq=False)
class Session:
    """One user's connection, as rooms and calls know it; with a token to resume by, it outlives a broken link.

    `number` is never used twice; `address` is where the user reached us; `outbox` is None while he is away.
    """

    number: int
    user_id: UserId
    name: Name
    socket_id: str
    address: str
    connected_at: int
    outbox: Outbox | None
    token: str = ""  # the secret by which the client resumes; empty: it will not
    takes_waiting: bool = False  # calls ring here also while the user is in one
    budget: Budget = field(factory=Budget)
    is_back: trio.Event = field(factory=trio.Event)  # of the present absence

    def put(self, message: str) -> None:
        """Send a message; what an absent one misses, the snapshot tells him when he is back."""
        if self.outbox is not None:
            self.outbox.put(message)

    def put_latest(self, event: str, message: str) -> None:
        """Send a message that stands for all earlier ones of its event."""
        if self.outbox is not None:
            self.outbox.put_latest(event, message)
