"""What survives a restart: the latest value of every key, committed in groups that no room ever waits for."""

from __future__ import annotations

import logging
import math
import os
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Final

import trio
from attrs import define, field

from palaver_protocol.text import one_line

log = logging.getLogger(__name__)

GROUP: Final = 0.03  # s from the first mark to the commit of its group: `kill -9` loses the last 50 ms at most
PATIENCE: Final = 5.0  # s for a commit; doubled with each failure, lest a slow disk be given up again and again
LONGEST_PATIENCE: Final = 60.0  # s
FIRST_PAUSE: Final = 0.1  # s between two tries; doubled with each failure
LONGEST_PAUSE: Final = 1.0  # s
LAST_COMMIT: Final = 2.0  # s for the last group when the server ends
CLOSE: Final = 0.5  # s for giving the lease back

Snapshot = Callable[[], bytes | None]
Group = Mapping[str, bytes | None]  # None deletes the key


class StoreError(Exception):
    """The state cannot be used; the message says why, and what would help."""


class Unavailable(Exception):
    """The store does not take a group now; later it may."""


class Forgotten(Exception):
    """The store has lost what it had taken, as a Redis without persistence does at its restart."""


@define(eq=False)
class Store(ABC):
    """Keys and their latest values, kept somewhere. Marks cost nothing until their group is taken."""

    heartbeat: float = field(init=False, default=math.inf)  # s after which an idle store is asked how it is
    _marks: dict[str, Snapshot] = field(init=False, factory=dict[str, Snapshot])
    _waiting: dict[str, bytes | None] = field(init=False, factory=dict["str", "bytes | None"])
    _group: dict[str, bytes | None] = field(init=False, factory=dict["str", "bytes | None"])
    _live: dict[str, Snapshot | bytes] = field(init=False, factory=dict["str", "Snapshot | bytes"])  # bytes as loaded
    _stored: set[str] = field(init=False, factory=set[str])  # the keys in the store, once it has `_group`
    _marked: trio.Event = field(init=False, factory=trio.Event)
    _due: float = field(init=False, default=0.0)  # s, monotonic: when the marks are to be gathered
    _failed_at: float = field(init=False, default=math.nan)  # s, monotonic; a number while the store is broken

    def mark(self, key: str, snapshot: Snapshot) -> None:
        """Keep the value of an ASCII key; never blocks.

        `snapshot` is called in the Trio thread when the next group is taken, and only if no later mark has replaced
        it; None deletes the key. It is called again if the store forgets, so it must be good until the next mark.
        """
        self._marks[key] = snapshot
        if not self._marked.is_set():
            self._due = trio.current_time() + GROUP
            self._marked.set()

    async def run(self, *, task_status: trio.TaskStatus[Mapping[str, bytes]] = trio.TASK_STATUS_IGNORED) -> None:
        """Take the lease, load, and commit until cancelled; `started` with all that was kept.

        Raises:
            StoreError: the state cannot be used, or another server has taken it over; in a group, as from any nursery.
        """
        async with trio.open_nursery() as nursery:
            try:
                kept = await self.open(nursery)
                self._stored = set(kept)
                self._live = dict(kept)
                task_status.started(kept)
                await self._commit_until_cancelled()
            finally:
                with trio.move_on_after(CLOSE, shield=True):
                    await self.close()

    @property
    def waiting(self) -> int:
        """How many keys have a value, or a deletion, that the store has not taken yet."""
        return len({*self._marks, *self._waiting, *self._group})

    @abstractmethod
    async def open(self, nursery: trio.Nursery) -> Mapping[str, bytes]:
        """Take the lease and load what is kept; `nursery` is for tasks that end with `close`.

        Raises:
            StoreError: the state cannot be used.
        """

    @abstractmethod
    async def write(self, group: Group) -> None:
        """Commit a group in one transaction. One that failed comes again, unchanged, until it is taken.

        Raises:
            Unavailable: try again later.
            Forgotten: all keys are wanted, in place of what the store has.
            StoreError: the lease is lost.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give the lease back; also after `open` has failed or was cancelled."""

    async def _commit_until_cancelled(self) -> None:
        try:
            while True:
                with trio.move_on_after(self.heartbeat):
                    await self._marked.wait()
                    await trio.sleep_until(self._due)
                await self._commit()
        except trio.Cancelled:
            with trio.move_on_after(LAST_COMMIT, shield=True):
                if self.waiting:
                    await self._commit()
            if self.waiting:
                log.error("the state was not kept in time: the latest changes of %d keys are lost", self.waiting)
            raise

    async def _commit(self) -> None:
        """Commit what is marked, however long that takes. An empty group asks a store how it is."""
        self._gather()
        if not self._group:  # else the last one was cancelled, and may have come through or not
            self._next_group()
        patience, pause = PATIENCE, FIRST_PAUSE
        while True:
            try:
                with trio.fail_after(patience):
                    await self.write(self._group)
            except Forgotten:
                self._want_all()
            except (Unavailable, trio.TooSlowError) as error:
                self._tell_broken(error)
                await trio.sleep(pause)
                patience, pause = min(2 * patience, LONGEST_PATIENCE), min(2 * pause, LONGEST_PAUSE)
                self._gather()  # now, lest what is marked and deleted meanwhile piles up
            else:
                self._group = {}
                if not self._waiting:
                    return self._tell_mended()
                self._next_group()

    def _gather(self) -> None:
        """Call the snapshots of all marks. A deletion of what never reached the store leaves nothing behind."""
        marks, self._marks = self._marks, {}
        self._marked = trio.Event()
        for key, snapshot in marks.items():
            try:
                value = snapshot()
            except Exception:  # a bug in one room must not keep the others from the store
                log.exception("%s is not kept, for its snapshot failed", key)
                continue
            if value is not None:
                self._live[key] = snapshot
            else:
                self._live.pop(key, None)
            if value is not None or key in self._stored:
                self._waiting[key] = value
            else:
                self._waiting.pop(key, None)

    def _next_group(self) -> None:
        self._group, self._waiting = self._waiting, {}
        for key, value in self._group.items():
            if value is not None:
                self._stored.add(key)
            else:
                self._stored.discard(key)

    def _want_all(self) -> None:
        """Make everything that is alive the next group."""
        log.warning("the state store has forgotten what it had taken: it is given everything again")
        live = {key: was if callable(was) else _always(was) for key, was in self._live.items()}
        self._marks = {**live, **self._marks}
        self._gather()
        self._next_group()

    def _tell_broken(self, error: Exception) -> None:
        if math.isnan(self._failed_at):
            self._failed_at = trio.current_time()
            why = "no answer" if isinstance(error, trio.TooSlowError) else error
            log.warning("the state is not being kept (%s): nothing is lost while this server runs", why)

    def _tell_mended(self) -> None:
        if not math.isnan(self._failed_at):
            log.warning("the state is kept again, after %.1f s", trio.current_time() - self._failed_at)
            self._failed_at = math.nan


def name_holder() -> str:
    """Who holds a lease, in words for whoever finds it taken."""
    since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    return f"process {os.getpid()} on {socket.gethostname()} since {since}"


def read_holder(text: bytes) -> str:
    """What another server wrote about itself, fit for a terminal."""
    return one_line(text[:200].decode(errors="replace")) or "another process"


def _always(value: bytes) -> Snapshot:
    return lambda: value
