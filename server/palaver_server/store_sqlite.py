"""The state in a file: SQLite in a thread, and a lock that the kernel frees when its holder dies."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, TypeVar

import trio
from attrs import define, field

from .store import Group, Store, StoreError, Unavailable, name_holder, read_holder

T = TypeVar("T")

APPLICATION_ID: Final = 0x50414C56  # "PALV", in the file's header
VERSION: Final = 1
BUSY: Final = 2.0  # s to wait in the thread for another program's lock
ELSEWHERE: Final = "--state sqlite:PATH takes another file, --state memory: none"


@define(eq=False)
class SqliteStore(Store):
    """A database file at an absolute path, and beside it a lock file that names its holder."""

    path: Path
    _database: sqlite3.Connection | None = field(init=False, default=None)
    _lock: int | None = field(init=False, default=None)  # a file descriptor
    _one_thread: trio.CapacityLimiter = field(init=False, factory=lambda: trio.CapacityLimiter(1))

    async def open(self, nursery: trio.Nursery) -> Mapping[str, bytes]:
        """Create what is not there yet, lock it and read it all."""
        return await self._in_thread(self._open)

    async def write(self, group: Group) -> None:
        """One transaction."""
        await self._in_thread(lambda: self._write(group))

    async def close(self) -> None:
        """Close the file and free the lock, as soon as the last commit is through."""
        await self._in_thread(self._close)

    async def _in_thread(self, function: Callable[[], T]) -> T:
        """Call it when its forerunner is through. One that hangs in a dead disk may be left; it never gets company."""
        return await trio.to_thread.run_sync(function, abandon_on_cancel=True, limiter=self._one_thread)

    def _open(self) -> dict[str, bytes]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = take_lock(self.path.with_name(self.path.name + ".lock"), self.path)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files get the same mode
            self._database = sqlite3.connect(self.path, timeout=BUSY, isolation_level=None, check_same_thread=False)
            check_format(self._database, self.path)
            return dict(self._database.execute("SELECT key, value FROM state"))
        except OSError as error:
            raise StoreError(f"cannot keep the state in {self.path}: {error.strerror}; {ELSEWHERE}") from None
        except sqlite3.OperationalError as error:  # locked, read-only, full
            raise StoreError(f"cannot use the state in {self.path}: {error}; {ELSEWHERE}") from None
        except sqlite3.Error as error:
            raise StoreError(
                f"the state in {self.path} is damaged ({error}) and was left as it is: put a copy in its place or move "
                f"it away, together with the files {self.path.name}-wal and -shm; {ELSEWHERE}"
            ) from None

    def _write(self, group: Group) -> None:
        database = self._database
        assert database is not None
        kept = [(key, value) for key, value in group.items() if value is not None]
        deleted = [(key,) for key, value in group.items() if value is None]
        try:
            with database:  # commits, or rolls back
                database.execute("BEGIN IMMEDIATE")
                database.executemany("INSERT OR REPLACE INTO state VALUES (?, ?)", kept)
                database.executemany("DELETE FROM state WHERE key = ?", deleted)
        except sqlite3.Error as error:
            raise Unavailable(f"{self.path}: {error}") from None

    def _close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def take_lock(lock: Path, state: Path) -> int:
    """The descriptor of the lock file, locked until it is closed or its process ends.

    The file stays for ever: removed, it could be locked twice, under its old and its new inode. The database itself
    cannot serve, for closing any descriptor of it would drop SQLite's own locks.

    Raises:
        StoreError: another process holds it.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = read_holder(os.pread(descriptor, 200, 0))
        os.close(descriptor)
        if not isinstance(error, BlockingIOError):
            raise
        raise StoreError(f"the state in {state} is in use by {holder}; {ELSEWHERE}") from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, name_holder().encode() + b"\n", 0)
    return descriptor


def check_format(database: sqlite3.Connection, path: Path) -> None:
    """Make a new file ours, and settle how it is written; an old one must be ours, and not newer than this code.

    Raises:
        StoreError: it is another program's, or of a newer Palaver.
    """
    (application,) = database.execute("PRAGMA application_id").fetchone()
    (version,) = database.execute("PRAGMA user_version").fetchone()
    is_new = not (application or version or database.execute("SELECT 1 FROM sqlite_master").fetchone())
    if not is_new and application != APPLICATION_ID:
        raise StoreError(f"{path} is another program's database; {ELSEWHERE}")
    if version > VERSION:
        raise StoreError(
            f"the state in {path} has format {version}, and this Palaver knows {VERSION}: run a newer one; {ELSEWHERE}"
        )
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=NORMAL")  # a power cut may take the last seconds, a dead process takes nothing
    if is_new:
        database.executescript(
            "BEGIN IMMEDIATE; CREATE TABLE state (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;"
            f"PRAGMA application_id={APPLICATION_ID}; PRAGMA user_version={VERSION}; COMMIT"
        )
