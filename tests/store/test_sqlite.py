"""The state in a file: who may read it, what is refused, and what a full disk or a hanging one does."""

from __future__ import annotations

import ctypes
import os
import signal
import sqlite3
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import trio

from palaver_server.store import StoreError
from palaver_server.stores import open_store
from store.places import all_is_kept, keeping, kept_by, read, until

pytestmark = pytest.mark.trio


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "palaver.db"


@pytest.fixture
def spec(path):
    return f"sqlite:{path}"


def refused(match):
    return pytest.RaisesGroup(pytest.RaisesExc(StoreError, match=match), flatten_subgroups=True)


async def make_state(spec, values):
    async with kept_by(store := open_store(spec)):
        for key, value in values.items():
            store.mark(key, lambda value=value: value)


async def test_nobody_else_may_read_it(spec, path):
    store = open_store(spec)
    before = os.umask(0)
    try:
        async with kept_by(store):
            store.mark("room:1", lambda: b"1")
            await all_is_kept(store)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert set(modes) == {path.name + end for end in ("", "-wal", "-shm", ".lock")}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_a_damaged_file_is_refused_and_left_alone(spec, path):
    await make_state(spec, {f"room:{number}": b"x" * 1000 for number in range(50)})
    whole = path.read_bytes()
    for damaged in (b"hello" * 1000, whole[:-8192], whole[:4096] + b"\xff" * 4096 + whole[8192:]):
        path.write_bytes(damaged)
        with refused("is damaged .* and was left as it is: put a copy in its place or move it away.*; --state"):
            await read(spec)
        assert path.read_bytes() == damaged
    path.write_bytes(whole)
    assert len(await read(spec)) == 50


async def test_a_file_of_a_newer_version_is_refused_and_left_alone(spec, path):
    await make_state(spec, {"room:1": b"1"})
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version=2")
    database.close()
    with refused("has format 2, and this Palaver knows 1: run a newer one; --state"):
        await read(spec)
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT key FROM state").fetchall() == [("room:1",)]
    database.close()


async def test_another_programs_database_is_refused(spec, path):
    path.parent.mkdir()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE state (key, value)")
    database.close()
    with refused("is another program's database; --state"):
        await read(spec)


@pytest.mark.parametrize(
    ("place", "says"),
    [("folder", "Is a directory"), ("file/state.db", "exists|Not a directory"), ("loop", "symbolic links")],
)
async def test_a_place_that_cannot_be_used(tmp_path, place, says):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    with refused(f"cannot keep the state in .*{place}: .*({says}).*; --state"):
        await read(f"sqlite:{tmp_path}/{place}")


async def test_a_file_that_another_program_holds_is_refused(spec, path):
    await make_state(spec, {})
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA locking_mode=EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    with refused("cannot use the state in .*: database is locked; --state"):
        await read(spec)
    other.close()


async def test_a_hundred_thousand_keys_load_quickly(spec):
    count = 100_000
    await make_state(spec, {f"chat:ROOM:{number:06d}": b"x" * 200 for number in range(count)})
    started = time.process_time()
    async with kept_by(open_store(spec)) as kept:
        took = time.process_time() - started
    assert len(kept) == count
    assert took < 0.6  # s of CPU; 0.15 to 0.25 were measured


async def test_a_full_disk_loses_nothing(spec):
    async with keeping(spec) as keeper:
        await keeper.say("mark room:1 a\nmark room:2 a\nwait\nlimit 200000")
        await keeper.wait_line(lambda line: line == "limited")
        await keeper.say("mark room:1 b\nbig chat:1 500000\nmark room:3 b")
        await until_said(keeper, "the state is not being kept")
        await keeper.say("mark room:2 b\nlimit none\nwait")
        await keeper.wait_line(lambda line: line == "all is kept", after=3)
        await until_said(keeper, "the state is kept again")
        assert len(keeper.errors) == 2
        await keeper.end(signal.SIGKILL)
    kept = await read(spec)
    assert kept.pop("chat:1") == b"x" * 500_000
    assert kept == {"room:1": b"b", "room:2": b"b", "room:3": b"b"}


async def until_said(keeper, words):
    await until(lambda: any(words in line for line in keeper.errors))


SEIZE, INTERRUPT, DETACH = 0x4206, 0x4207, 17
ANY_CHILD = 0x40000000  # __WALL: threads too


def ptrace(request, thread):
    call = ctypes.CDLL(None, use_errno=True).ptrace
    call.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
    if call(request, thread, None, None):
        raise OSError(ctypes.get_errno(), "ptrace")


@contextmanager
def frozen_thread(pid):
    """The process' one other thread stands still, as in the system call of a disk that does not answer."""
    (thread,) = (int(task.name) for task in Path(f"/proc/{pid}/task").iterdir() if int(task.name) != pid)
    try:
        ptrace(SEIZE, thread)
    except PermissionError:
        pytest.skip("this container allows no ptrace")
    ptrace(INTERRUPT, thread)
    os.waitpid(thread, ANY_CHILD)
    yield
    with suppress(ProcessLookupError):  # it has ended
        ptrace(DETACH, thread)
    with suppress(ChildProcessError):
        os.waitpid(thread, ANY_CHILD)


def is_over(pid):
    """Whether a process is a corpse; the parent may bury it only after its traced thread."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "Z"


async def test_a_disk_that_hangs_holds_nobody_up(spec):
    async with keeping(spec) as keeper:
        await keeper.say("mark room:1 a\nwait")
        await keeper.wait_line(lambda line: line == "all is kept")
        with frozen_thread(keeper.process.pid):
            await keeper.say("mark room:1 b\nlimit none")
            await keeper.wait_line(lambda line: line == "limited")
            await until_said(keeper, "the state is not being kept (no answer)")
            await keeper.say("mark room:1 c\nlimit none")
            await keeper.wait_line(lambda line: line == "limited", after=3)
            await trio.sleep(0.5)  # for another thread to take over, which would be overtaken by the first
            assert len(keeper.errors) == 1
        await keeper.say("wait")
        await keeper.wait_line(lambda line: line == "all is kept", after=4)
        await keeper.end(signal.SIGKILL)
    assert await read(spec) == {"room:1": b"c"}


async def test_a_disk_that_hangs_does_not_hold_up_the_end(spec):
    async with keeping(spec) as keeper:
        await keeper.say("mark room:1 a\nwait")
        await keeper.wait_line(lambda line: line == "all is kept")
        with frozen_thread(keeper.process.pid):
            started = trio.current_time()
            await keeper.say("mark room:1 b")
            assert keeper.process.stdin is not None
            await keeper.process.stdin.aclose()
            await until_said(keeper, "1 keys are lost")
            await until(lambda: is_over(keeper.process.pid), 2)
            assert trio.current_time() - started < 4
    assert await read(spec) == {"room:1": b"a"}
