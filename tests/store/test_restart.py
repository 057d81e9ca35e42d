"""A real server, killed and started again on the same state: a room of fifty comes back within two seconds."""

from contextlib import AsyncExitStack, asynccontextmanager
from signal import SIGKILL, SIGTERM

import pytest
import trio

from running import running, serving
from world import visiting

pytestmark = pytest.mark.trio

CROWD = 50
NAMES = [f"user{n}" for n in range(CROWD)]
BACK = 2.0  # s from listening to everybody's being in the room
COMMIT = 0.05  # s that `kill -9` may lose
RING = 10.0  # s, longer than a restart
NEARLY = 0.5  # s, on a busy machine


async def returns(url, name, token, home, all_home):
    """Somebody comes back, and stays until the end."""
    async with visiting(url, name, resume=token) as person:
        snapshot = await person.expect("snapshot")
        home[name] = (person.welcome.data["resumed"], snapshot["room"], trio.current_time())
        if len(home) == CROWD:
            all_home.set()
        await person.left.wait()


async def killed(state):
    """A server with a full room that is killed: its URL, the room, and how each may come back."""
    async with serving("--state", state) as (url, server), AsyncExitStack() as stack:
        people = [await stack.enter_async_context(visiting(url, name, resume="")) for name in NAMES]
        room_id = (await people[0].does("createRoom", roomType="group", roomName="den"))["room"]["roomId"]
        for person in people[1:]:
            await person.does("joinRoom", roomId=room_id)
        await people[1].does("sendMessage", roomId=room_id, content="the last word")
        await trio.sleep(4 * COMMIT)  # what is older than 50 ms must be kept
        assert await server.end(SIGKILL) == -SIGKILL
        tokens = [person.welcome.data["resume"] for person in people]
        return url, room_id, dict(zip(NAMES, tokens, strict=True))


@asynccontextmanager
async def succeeding(url, state, *options):
    """The successor of a killed server, at the same place."""
    port = url.rpartition(":")[2]
    async with running("serve", "--port", port, "--workers", "1", "--state", state, *options) as server:
        await server.wait_line(lambda line: line.startswith("palaver: listening on "))
        yield server


async def test_a_killed_server_is_succeeded(spec):
    url, room_id, tokens = await killed(spec)
    async with succeeding(url, spec) as server:
        listening, home, all_home = trio.current_time(), {}, trio.Event()
        async with trio.open_nursery() as nursery:
            for name, token in tokens.items():
                nursery.start_soon(returns, url, name, token, home, all_home)
            with trio.fail_after(30):
                await all_home.wait()
            nursery.cancel_scope.cancel()
        assert all(resumed for resumed, _, _ in home.values())
        for _, room, _ in home.values():
            assert (room["roomId"], room["hostId"], len(room["participants"])) == (room_id, NAMES[0], CROWD)
            assert room["messages"][-1]["content"] == "the last word"
        assert max(at for _, _, at in home.values()) - listening < BACK
        assert await server.end(SIGTERM) == 0


async def test_what_rings_rings_on_until_its_deadline(spec):
    options = ("--ring-timeout", str(RING))
    async with serving("--state", spec, *options) as (url, server), AsyncExitStack() as stack:
        names = ("ann", "bob", "eve", "ida")
        people = [await stack.enter_async_context(visiting(url, name, resume="")) for name in names]
        ann, _, eve, _ = people
        await ann.does("callUser", callId="c", targetUserId="bob")
        began = trio.current_time()
        room_id = (await eve.does("createRoom", roomType="direct", targetUserId="ida"))["room"]["roomId"]
        await trio.sleep(4 * COMMIT)
        assert await server.end(SIGKILL) == -SIGKILL
        tokens = [person.welcome.data["resume"] for person in people]
    async with succeeding(url, spec, *options), AsyncExitStack() as stack:
        ann, bob, eve, ida = [
            await stack.enter_async_context(visiting(url, name, resume=token))
            for name, token in zip(names, tokens, strict=True)
        ]
        (call,) = (await bob.expect("snapshot"))["calls"]
        left = RING - (trio.current_time() - began)
        assert (call["callId"], call["from"]) == ("c", "ann")
        assert call["ringsFor"] == pytest.approx(left * 1000, abs=NEARLY * 1000)
        (invitation,) = (await ida.expect("snapshot"))["calls"]
        assert (invitation["roomId"], invitation["roomType"]) == (room_id, "direct")
        await ida.does("acceptCall", roomId=room_id)
        assert await eve.expect("callAccepted") == {"userId": "ida", "roomId": room_id}
        for person in (ann, bob):
            assert await person.expect("callTimeout") == {"callId": "c"}
        assert trio.current_time() - began == pytest.approx(RING, abs=NEARLY)


async def test_a_second_server_on_the_same_state_does_not_start(tmp_path):
    state = f"sqlite:{tmp_path / 'state.db'}"
    async with serving("--state", state), running("serve", "--port", "0", "--state", state) as second:
        assert await second.wait() == 1
        (line,) = second.errors
        assert "--state" in line
        assert "process" in line


async def test_a_server_that_ends_in_order_leaves_nothing_behind(tmp_path):
    state = f"sqlite:{tmp_path / 'state.db'}"
    async with serving("--state", state) as (url, server), visiting(url, "ann", resume="") as ann:
        await ann.does("createRoom", roomType="group", roomName="den")
        assert await server.end(SIGTERM) == 0
        assert (await ann.expect("callEnded"))["reason"] == "shutdown"
        token = ann.welcome.data["resume"]
    async with serving("--state", state) as (url, _), visiting(url, "ann", resume=token) as ann:
        assert ann.welcome.data["resumed"] is False
        assert (await ann.expect("roomListUpdated"))["rooms"] == []
