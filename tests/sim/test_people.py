"""Rooms and the people in them: joining, leaving, hosts, graces, and whose connection a seat belongs to."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from world import cut, open_media, talk, world

pytestmark = pytest.mark.trio


# -- opening and joining -----------------------------------------------------------------------------------------------
async def test_a_room_from_its_opening_to_its_end(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = (await ann.does("createRoom", roomType="group", roomName="den"))["room"]
        assert room["roomName"] == "den"
        assert room["hostId"] == "ann"
        assert room["status"] == "active"
        assert room["isHostless"] is False
        assert "endedAt" not in room
        assert [p["userId"] for p in room["participants"]] == ["ann"]
        joined = (await bob.does("joinRoom", roomId=room["roomId"]))["room"]
        assert [(p["userId"], p["isHost"]) for p in joined["participants"]] == [("ann", True), ("bob", False)]
        told = await ann.expect("userJoined")
        assert told == {"userId": "bob", "userName": "bob", "socketId": joined["participants"][1]["socketId"]}
        assert not bob.heard("userJoined")
        await bob.does("leaveRoom", roomId=room["roomId"])
        assert await ann.expect("userLeft") == {"userId": "bob", "roomId": room["roomId"]}
        assert not bob.heard("userLeft")
        await ann.does("leaveRoom", roomId=room["roomId"])
        assert await bob.may_not("joinRoom", roomId=room["roomId"]) == "ended"
        await wait_all_tasks_blocked()
        assert not w.exchange.rooms.open
        assert not w.exchange.rooms.where


async def test_many_who_create_or_join_one_name_meet_in_one_room(autojump_clock):
    async with world() as w:
        people = await w.people(*(f"p{n}" for n in range(30)))
        posed = [
            await person.pose("createRoom", {"roomType": "group", "roomName": name, "joinExisting": True})
            for person, name in zip(people, ["Den", "den", " DEN "] * 10, strict=True)
        ]
        rooms = [(await p.answer(n))["room"] for p, n in zip(people, posed, strict=True)]
        assert len({room["roomId"] for room in rooms}) == 1
        assert len(w.exchange.rooms.open) == 1
        assert len(w.state(rooms[0]["roomId"]).seats) == 30


async def test_without_join_existing_two_rooms_may_have_one_name(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        assert await w.room(ann) != await w.room(bob)


async def test_join_existing_passes_by_a_room_that_ended(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        ended = await ann.pose("endCall", {"roomId": room_id})
        again = await bob.does("createRoom", roomType="group", roomName="den", joinExisting=True)
        assert (await ann.answer(ended))["success"]
        assert again["room"]["roomId"] != room_id


async def test_joining_again_answers_with_the_room_as_it_is(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        again = await bob.does("joinRoom", roomId=room_id)
        assert len(again["room"]["participants"]) == 2
        assert not ann.heard("userJoined")


async def test_one_room_per_user(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        first, second = await w.room(ann), await w.room(bob, name="attic")
        assert await bob.may_not("joinRoom", roomId=first) == "inRoom"
        assert await bob.may_not("createRoom", roomType="group", roomName="hall") == "inRoom"
        assert await bob.may_not("createRoom", roomType="group", roomName="den", joinExisting=True) == "inRoom"
        await bob.does("joinRoom", roomId=first, leaveCurrent=True)
        assert list(w.state(first).seats) == ["ann", "bob"]
        assert await ann.may_not("joinRoom", roomId=second) == "ended"  # bob was alone there


async def test_leave_current_leaves_nothing_when_the_wanted_room_is_not_there(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        assert await bob.may_not("joinRoom", roomId="nowhere", leaveCurrent=True) == "notFound"
        assert "bob" in w.state(room_id).seats


async def test_a_room_without_a_name_is_named_after_its_host(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        assert (await ann.does("createRoom", roomType="group"))["room"]["roomName"] == "ann's room"


# -- a seat belongs to one connection ----------------------------------------------------------------------------------
async def test_a_second_connection_may_not_act_and_joining_moves_the_seat(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        producer = await talk(bob, room_id)
        ann.deaf()
        other = await w.person("bob", "bob")
        assert await other.may_not("sendMessage", roomId=room_id, content="hi") == "notMember"
        assert await other.may_not("leaveRoom", roomId=room_id) == "notMember"
        moved = await other.does("joinRoom", roomId=room_id)
        assert moved["room"]["participants"][1]["producerIds"] == []
        assert (await bob.expect("serverNotice"))["code"] == "seatMoved"
        assert await ann.expect("producerClosed") == {"producerId": producer, "userId": "bob"}
        assert await bob.may_not("sendMessage", roomId=room_id, content="hi") == "notMember"
        await other.does("sendMessage", roomId=room_id, content="hi")
        assert not ann.heard("userJoined")
        assert not ann.heard("userLeft")
        await cut(bob)  # the old connection's loss is nobody's any more
        assert not ann.heard("userLeft")
        await cut(other)
        assert await ann.expect("userLeft")


async def test_a_second_connection_that_joins_elsewhere_takes_its_user_along(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        other = await w.person("bob", "bob")
        assert await other.may_not("createRoom", roomType="group", roomName="attic") == "inRoom"
        await other.does("createRoom", roomType="group", roomName="attic", leaveCurrent=True)
        assert await ann.expect("userLeft") == {"userId": "bob", "roomId": room_id}
        assert (await bob.expect("serverNotice"))["code"] == "seatMoved"
        await bob.websocket.aclose()
        await wait_all_tasks_blocked()
        assert w.exchange.rooms.where["bob"].state.name == "attic"


async def test_a_user_is_online_until_the_last_connection_is_gone(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        again = await w.person("bob", "bob")
        await cut(bob)
        await trio.sleep(1)
        assert [u["userId"] for u in ann.heard("onlineUsersUpdated")[-1]["users"]] == ["ann", "bob"]
        await cut(again)
        await trio.sleep(1)
        assert [u["userId"] for u in ann.heard("onlineUsersUpdated")[-1]["users"]] == ["ann"]


# -- hosts -------------------------------------------------------------------------------------------------------------
async def test_a_host_who_leaves_makes_the_room_hostless_and_anybody_may_end_it(autojump_clock):
    async with world() as w:
        ann, bob, cay = await w.people("ann", "bob", "cay")
        room_id = await w.room(ann, bob, cay)
        assert await bob.may_not("endCall", roomId=room_id) == "notHost"
        await ann.does("leaveRoom", roomId=room_id)
        told = await bob.expect("roomHostless")
        assert told["roomId"] == room_id
        assert told["message"]
        await bob.does("endCall", roomId=room_id)
        for person in (bob, cay):
            assert await person.expect("callEnded") == {"roomId": room_id, "endedBy": "bob", "reason": "ended"}
        assert not ann.heard("callEnded")


async def test_a_host_who_comes_back_to_a_hostless_room_is_one_of_many(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await ann.does("leaveRoom", roomId=room_id)
        again = await ann.does("joinRoom", roomId=room_id)
        assert again["room"]["isHostless"] is True
        assert not any(person["isHost"] for person in again["room"]["participants"])
        await ann.does("leaveRoom", roomId=room_id)
        await wait_all_tasks_blocked()
        assert len(bob.heard("roomHostless")) == 1  # it was so before


async def test_the_role_waits_thirty_seconds_for_a_host_who_was_cut_off(autojump_clock):
    async with world() as w:
        ann, bob, cay = await w.people("ann", "bob", "cay")
        room_id = await w.room(ann, bob)
        await cut(ann)
        lost = trio.current_time()
        assert await bob.expect("userLeft")
        view = (await cay.does("joinRoom", roomId=room_id))["room"]
        assert view["hostDisconnectedAt"] > 0
        assert view["isHostless"] is False
        await trio.sleep_until(lost + 29.999)
        await wait_all_tasks_blocked()
        assert not bob.heard("roomHostless")
        assert await bob.may_not("endCall", roomId=room_id) == "notHost"
        await trio.sleep_until(lost + 30.001)
        await wait_all_tasks_blocked()
        assert len(bob.heard("roomHostless")) == 1
        assert "hostDisconnectedAt" not in (await bob.does("joinRoom", roomId=room_id))["room"]
        await bob.does("endCall", roomId=room_id)


async def test_a_host_who_returns_in_time_is_the_host_again(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await cut(ann)
        await trio.sleep(29.9)
        ann = await w.person("ann")
        view = (await ann.does("joinRoom", roomId=room_id))["room"]
        assert "hostDisconnectedAt" not in view
        assert {p["userId"]: p["isHost"] for p in view["participants"]} == {"bob": False, "ann": True}
        await trio.sleep(60)
        assert not bob.heard("roomHostless")
        await ann.does("endCall", roomId=room_id)


async def test_a_second_loss_starts_the_grace_anew(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        for _ in range(2):
            await cut(ann)
            await trio.sleep(20)
            ann = await w.person("ann")
            await ann.does("joinRoom", roomId=room_id)
        await trio.sleep(40)
        assert not bob.heard("roomHostless")


async def test_a_room_ends_when_the_last_one_is_cut_off(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        await cut(ann)
        assert not w.exchange.rooms.open
        assert await bob.may_not("joinRoom", roomId=room_id) == "ended"


# -- the end -----------------------------------------------------------------------------------------------------------
async def test_ended_rooms_answer_ended_and_ending_again_is_no_error(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        first, second = [await ann.pose("endCall", {"roomId": room_id}) for _ in range(2)]
        assert (await ann.answer(first))["success"] is True
        assert (await ann.answer(second))["success"] is True  # at once, while the room still winds down
        await ann.does("endCall", roomId=room_id)
        assert len(bob.heard("callEnded")) == 1
        assert await bob.may_not("sendMessage", roomId=room_id, content="late") == "ended"
        assert await bob.may_not("joinRoom", roomId=room_id) == "ended"
        assert await bob.may_not("joinRoom", roomId="never") == "notFound"
        await bob.does("createRoom", roomType="group", roomName="next")  # nobody is stuck in the old one


async def test_ended_rooms_vanish_from_the_lists(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        await trio.sleep(1)
        (room,) = bob.heard("roomListUpdated")[-1]["rooms"]
        assert room["roomId"] == room_id
        assert room["participantCount"] == 1
        assert room["participantNames"] == ["ann"]
        assert "messages" not in room
        (first, _) = bob.heard("onlineUsersUpdated")[-1]["users"]
        assert first["status"] == "in_call"
        assert first["currentRoomId"] == room_id
        await ann.does("endCall", roomId=room_id)
        await trio.sleep(1)
        assert bob.heard("roomListUpdated")[-1]["rooms"] == []
        (first, _) = bob.heard("onlineUsersUpdated")[-1]["users"]
        assert first["status"] == "idle"
        assert "currentRoomId" not in first


async def test_shutting_down_says_why(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        w.exchange.shut_down()
        for person in (ann, bob):
            assert await person.expect("callEnded") == {"roomId": room_id, "reason": "shutdown"}
            await person.left.wait()
            assert person.closed == 1001


async def test_hundred_joins_and_leaves_leave_nothing_behind(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        for _ in range(100):
            await bob.does("joinRoom", roomId=room_id)
            await open_media(bob, room_id, "receive")
            await bob.does("leaveRoom", roomId=room_id)
            await trio.sleep(1)  # for the budget
        assert list(w.state(room_id).seats) == ["ann"]
        assert not w.state(room_id).effects
        for _ in range(100):
            carol = await w.person("carol")
            await carol.does("joinRoom", roomId=room_id)
            await cut(carol)
        assert list(w.state(room_id).seats) == ["ann"]
        assert len(w.exchange.people.sessions) == 2
        assert set(w.exchange.people.users) == {"ann", "bob"}


async def test_a_host_hands_over_his_role(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        assert await ann.may_not("transferHost", roomId=room_id, userId="ann") == "self"
        assert await ann.may_not("transferHost", roomId=room_id, userId="eve") == "notFound"
        assert (await ann.does("transferHost", roomId=room_id, userId="bob"))["room"]["hostId"] == "bob"
        told = {"roomId": room_id, "hostId": "bob", "hostName": "bob", "reason": "transfer"}
        for person in (ann, bob):
            assert await person.expect("hostChanged") == told
        assert await ann.may_not("endCall", roomId=room_id) == "notHost"
        await bob.does("endCall", roomId=room_id)


async def test_all_hear_that_a_lost_host_returned(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await cut(ann)
        again = await w.person("ann")
        await again.does("joinRoom", roomId=room_id)
        told = await bob.expect("hostChanged")
        assert told == {"roomId": room_id, "hostId": "ann", "hostName": "ann", "reason": "returned"}


async def test_a_hostless_room_can_have_a_host_again(autojump_clock):
    async with world() as w:
        ann, bob, cay = await w.people("ann", "bob", "cay")
        room_id = await w.room(ann, bob, cay)
        await ann.does("leaveRoom", roomId=room_id)
        room = (await bob.does("transferHost", roomId=room_id, userId="cay"))["room"]
        assert room["isHostless"] is False
        assert room["hostId"] == "cay"
        assert await bob.may_not("endCall", roomId=room_id) == "notHost"
