"""The store under a whole server: where it is by itself, and what its troubles are to whoever started the server."""

from __future__ import annotations

import os
import signal

import pytest
import trio

from running import running, serving
from store.places import free_port, read, redis_server, until
from world import visiting

pytestmark = pytest.mark.trio


async def test_by_itself_the_state_is_in_the_state_folder(tmp_path):
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path)}
    port = free_port()
    async with running("serve", "--port", str(port), "--workers", "1", env=env) as server:
        await server.wait_line(lambda line: "listening" in line)
        assert await server.end(signal.SIGTERM) == 0
    assert await read(f"sqlite:{tmp_path}/palaver/server-{port}.db") == {}
    async with serving(env=env):
        assert len(list((tmp_path / "palaver").glob("*.db"))) == 1  # --port 0 keeps nothing


async def test_a_server_whose_lease_is_lost_ends_and_says_so(tmp_path):
    with redis_server(tmp_path / "redis") as redis:
        async with serving("--state", redis.spec()) as (url, server), visiting(url, "ann") as ann:
            await ann.does("createRoom", roomType="group")
            await until(lambda: redis.ask("HLEN", "palaver:state") != "0")
            redis.ask("SET", "palaver:lease", "somebody else")
            assert await server.wait() == 1
            (line,) = server.errors
            assert "taken over by somebody else: this server ends" in line


async def test_a_redis_that_is_not_there_is_told_in_one_line():
    port = free_port()
    async with running("serve", "--port", "0", "--workers", "1", "--state", f"redis://127.0.0.1:{port}") as server:
        assert await server.wait() == 1
        await until(lambda: bool(server.errors))
        (line,) = server.errors
        assert line.startswith(f"palaver serve: cannot use the state in redis://127.0.0.1:{port}/0")
        assert not server.lines


@pytest.mark.parametrize("pause", [0, pytest.param(0.5, marks=pytest.mark.long)])
async def test_a_redis_that_freezes_stops_no_call(tmp_path, pause):
    with redis_server(tmp_path / "redis") as redis:
        async with serving("--state", redis.spec()) as (url, _), visiting(url, "ann") as ann:
            room = (await ann.does("createRoom", roomType="group"))["room"]
            with redis.frozen():
                for number in range(20):
                    with trio.fail_after(2):
                        await ann.does("sendMessage", roomId=room["roomId"], content=f"while it is frozen {number}")
                    await trio.sleep(pause)  # in all 10 s: so long it is frozen
            await until(lambda: redis.ask("HKEYS", "palaver:state").count("chat:") == 20)
