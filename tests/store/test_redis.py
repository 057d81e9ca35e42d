"""The state in Redis: what is refused at the start, and groups whose fate was not known."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from palaver_server.store import StoreError
from palaver_server.store_redis import COMMIT
from palaver_server.stores import open_store
from store.places import all_is_kept, free_port, kept_by, read, redis_server

pytestmark = pytest.mark.trio


def refused(match):
    return pytest.RaisesGroup(pytest.RaisesExc(StoreError, match=match), flatten_subgroups=True)


async def test_where_nobody_listens_no_server_starts():
    port = free_port()
    with refused(rf"cannot use the state in redis://127.0.0.1:{port}/0.*establish.*; is Redis running there\? --state"):
        await read(f"redis://127.0.0.1:{port}/0")


@pytest.mark.long
async def test_where_redis_is_frozen_no_server_starts(redis):
    with redis.frozen(), refused("(no answer|establish a connection).*; is Redis running there"):
        await read(redis.spec())


@asynccontextmanager
async def listening(serve):
    """Something else than Redis, and its port."""
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield listener.socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_what_is_not_redis_is_refused():
    async def serve(stream):
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with listening(serve) as port:
        with refused("cannot use the state in redis://"):
            await read(f"redis://127.0.0.1:{port}/0")


async def test_a_password_is_needed_and_never_told(tmp_path):
    with redis_server(tmp_path / "redis", "--requirepass", "se cret/") as server:
        with refused("authenticated"):
            await read(server.spec())
        for name in ("", "default"):
            place = f"{name}:se%20cret%2F@127.0.0.1:{server.port}"
            assert await read(f"redis://{place}/3") == {}
        assert "cret" not in repr(open_store(f"redis://{place}/3"))
        with pytest.RaisesGroup(StoreError, flatten_subgroups=True) as caught:
            await read(f"redis://:guess@127.0.0.1:{server.port}/0")
        assert "guess" not in repr(caught.value)


async def test_state_of_a_newer_format_is_refused(redis):
    async with kept_by(store := open_store(redis.spec("newer"))):
        store.mark("room:1", lambda: b"1")
    redis.ask("HSET", "newer:state", ".format", "2")
    with refused("format of a newer Palaver: run that one; --state"):
        await read(redis.spec("newer"))
    assert redis.ask("HGET", "newer:state", "room:1") == "1"


async def test_a_late_group_of_a_connection_given_up_changes_nothing(redis):
    store = open_store(redis.spec("late"))
    async with kept_by(store):
        store.mark("room:1", lambda: b"1")
        await all_is_kept(store)
        stamp = redis.ask("HGET", "late:state", ".stamp")
        store.mark("room:1", lambda: b"2")
        await all_is_kept(store)
        late = ("2000", "", stamp, "", "1", "room:1", "late")
        answer = redis.ask("EVAL", COMMIT, "2", "late:lease", "late:state", redis.ask("GET", "late:lease"), *late)
        assert answer.startswith("lost")
        store.mark("room:2", lambda: b"2")
    assert await read(redis.spec("late")) == {"room:1": b"2", "room:2": b"2"}


async def test_a_group_whose_answer_was_lost_comes_again(redis):
    swallowed = []

    async def relay(stream):
        async with trio.open_nursery() as nursery, await trio.open_tcp_stream("127.0.0.1", redis.port) as behind:

            async def answer():
                async for data in behind:
                    if swallowed == ["room:1"]:  # its answer
                        swallowed.append("answer")
                        break
                    await stream.send_all(data)
                nursery.cancel_scope.cancel()

            nursery.start_soon(answer)
            async for data in stream:
                if b"room:1" in data and not swallowed:
                    swallowed.append("room:1")
                await behind.send_all(data)
            nursery.cancel_scope.cancel()
        await stream.aclose()

    async with listening(relay) as port:
        spec = f"redis://127.0.0.1:{port}/0?prefix=twice"
        async with kept_by(store := open_store(spec)):
            store.mark("room:1", lambda: b"1")
            await all_is_kept(store)
            assert swallowed == ["room:1", "answer"]
            assert redis.ask("HGET", "twice:state", ".stamp").endswith(".000000000001")
            store.mark("room:2", lambda: b"2")
        assert await read(spec) == {"room:1": b"1", "room:2": b"2"}
