"""A bug ends the unit in which it is, says so in the log, and is noticed nowhere else."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_server.connection import Connection
from palaver_server.room_state import RoomState
from world import cut, world

pytestmark = pytest.mark.trio


class Bug(Exception):
    """What nobody expected."""


def break_down(*_, **__):
    raise Bug


async def two_rooms(w):
    ann, bob, eve = await w.people("ann", "bob", "eve")
    return ann, bob, eve, await w.room(ann, bob), await w.room(eve, name="attic")


async def test_a_bug_in_a_request_ends_its_room_only(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        healthy = RoomState.apply
        monkeypatch.setattr(RoomState, "apply", lambda s, *a: break_down() if s.room_id == broken else healthy(s, *a))
        refused = await ann.ask("sendMessage", roomId=broken, content="boom")
        assert refused["code"] == "internal"
        for person in (ann, bob):
            assert await person.expect("callEnded") == {"roomId": broken, "reason": "error"}
        await eve.does("sendMessage", roomId=sound, content="all is well")
        assert not eve.heard("callEnded")
        assert set(w.exchange.rooms.open) == {sound}
        assert await bob.may_not("joinRoom", roomId=broken) == "ended"
        await bob.does("joinRoom", roomId=sound)
        (record,) = caplog.records
        assert record.exc_info[0] is Bug


async def test_a_bug_at_a_deadline_ends_its_room_only(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        await cut(ann)
        monkeypatch.setattr(RoomState, "expire", break_down)
        await trio.sleep(31)
        assert await bob.expect("callEnded") == {"roomId": broken, "reason": "error"}
        await eve.does("sendMessage", roomId=sound, content="all is well")
        assert [record.exc_info[0] for record in caplog.records] == [Bug]


async def test_a_bug_when_a_connection_is_lost_ends_its_room_only(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        monkeypatch.setattr(RoomState, "lost", break_down)
        await cut(ann)
        assert await bob.expect("callEnded") == {"roomId": broken, "reason": "error"}
        assert set(w.exchange.people.users) == {"bob", "eve"}
        await eve.does("sendMessage", roomId=sound, content="all is well")
        assert [record.exc_info[0] for record in caplog.records] == [Bug]


@pytest.mark.parametrize("method", ["place_media", "lose_media"])
async def test_a_bug_when_the_router_changes_ends_its_room_only(autojump_clock, monkeypatch, method, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        healthy = getattr(RoomState, method)
        monkeypatch.setattr(RoomState, method, lambda s, *a: break_down() if s.room_id == broken else healthy(s, *a))
        for router in w.routers.made[:]:
            router.dead.set()
        for person in (ann, bob):
            assert await person.expect("callEnded") == {"roomId": broken, "reason": "error"}
        assert await eve.expect("mediaReset")
        await wait_all_tasks_blocked()
        assert set(w.exchange.rooms.open) == {sound}
        assert [record.exc_info[0] for record in caplog.records] == [Bug]


async def test_a_poisoned_room_is_closed_even_when_it_cannot_say_goodbye(autojump_clock, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        w.state(broken).seats["ghost"] = None
        refused = await ann.ask("sendMessage", roomId=broken, content="boom")
        assert refused["code"] == "internal"
        await wait_all_tasks_blocked()
        assert set(w.exchange.rooms.open) == {sound}
        assert set(w.exchange.rooms.where) == {"eve"}
        await bob.does("joinRoom", roomId=sound)
        await eve.does("sendMessage", roomId=sound, content="all is well")
        assert caplog.records


async def test_a_bug_in_a_rooms_task_ends_its_room_only(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob, eve, broken, sound = await two_rooms(w)
        monkeypatch.setattr(w.routers.__class__, "router", break_down)
        w.routers.made[0].dead.set()
        for person in (ann, bob):
            assert await person.expect("callEnded") == {"roomId": broken, "reason": "error"}
        await wait_all_tasks_blocked()
        assert set(w.exchange.rooms.open) == {sound}
        await eve.does("sendMessage", roomId=sound, content="all is well")
        await bob.does("joinRoom", roomId=sound)
        assert caplog.records


async def test_a_bug_in_a_handler_is_an_answer(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        monkeypatch.setattr(w.exchange.rooms.__class__, "named", break_down)
        refused = await ann.ask("createRoom", roomType="group", joinExisting=True)
        assert refused["code"] == "internal"
        await ann.does("createRoom", roomType="group")
        await bob.does("createRoom", roomType="group")
        assert [record.exc_info[0] for record in caplog.records] == [Bug]


async def test_a_bug_in_a_connection_ends_that_one_only(autojump_clock, monkeypatch, caplog):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        healthy = Connection.answer

        def answer(connection, event, size):
            if connection.session.user_id == "bob":
                break_down()
            healthy(connection, event, size)

        monkeypatch.setattr(Connection, "answer", answer)
        await bob.pose("leaveRoom", {"roomId": room_id})
        await bob.left.wait()
        assert await ann.expect("userLeft")
        await ann.does("sendMessage", roomId=room_id, content="all is well")
        assert set(w.exchange.people.users) == {"ann"}
        assert caplog.records
