"""Calls: from the ring to the one room, and every other end; each end is told to both, once."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_server import rooms
from world import cut, world

pytestmark = pytest.mark.trio

RING = 30.0
OUTCOMES = ("callAcceptedNew", "callRejectedNew", "callTimeout", "callCancelled")


async def ring(caller, callee, call_id="c1", target=None, **more):
    """Ring, and hear it ring."""
    ack = await caller.does("callUser", callId=call_id, targetUserId=target or "bob", **more)
    assert ack["message"] == "ringing"
    return ack, await callee.expect("incomingCallNew")


def outcomes(person):
    return [(name, payload.get("reason")) for name, payload in person.notices if name in OUTCOMES]


async def test_a_call_is_accepted_and_both_sit_in_one_direct_room(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        ack, rings = await ring(ann, bob)
        assert rings == {"callId": "c1", "from": "ann", "fromName": "ann", "ringsFor": 30_000}
        assert ack["ringsFor"] == 30_000
        answer = await bob.does("acceptCallNew", callId="c1")
        accepted = await ann.expect("callAcceptedNew")
        assert answer["roomId"] == accepted["roomId"] == answer["room"]["roomId"]
        assert accepted["room"]["roomType"] == "direct"
        assert accepted["room"]["status"] == "active"
        assert {p["userId"]: p["isHost"] for p in accepted["room"]["participants"]} == {"ann": True, "bob": False}
        await ann.does("sendMessage", roomId=answer["roomId"], content="hello")
        assert (await bob.expect("newMessage"))["content"] == "hello"
        await wait_all_tasks_blocked()
        assert outcomes(ann) == [("callAcceptedNew", None)]
        assert outcomes(bob) == []
        assert not w.exchange.calls.book.calls


async def test_nobody_else_may_come_into_a_direct_room_or_see_it(autojump_clock):
    async with world() as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        await ring(ann, bob)
        room_id = (await bob.does("acceptCallNew", callId="c1"))["roomId"]
        assert await eve.may_not("joinRoom", roomId=room_id) == "notAllowed"
        assert await eve.may_not("acceptCall", roomId=room_id) == "notAllowed"
        await trio.sleep(1)
        assert eve.heard("roomListUpdated")[-1]["rooms"] == []
        ann_seen, *_ = eve.heard("onlineUsersUpdated")[-1]["users"]
        assert (ann_seen["userId"], ann_seen["status"]) == ("ann", "in_call")
        assert "currentRoomId" not in ann_seen  # with whom is not told
        await bob.does("leaveRoom", roomId=room_id)
        await bob.does("joinRoom", roomId=room_id)  # it is still his


async def test_a_call_is_rejected_with_a_reason(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await ring(ann, bob)
        await bob.does("rejectCallNew", callId="c1", reason="in a\u202e meeting")
        assert (await ann.expect("callRejectedNew")) == {"callId": "c1", "reason": "in a\ufffd meeting"}
        assert await bob.may_not("acceptCallNew", callId="c1") == "ended"
        assert await ann.may_not("cancelCall", callId="c1") == "ended"
        assert outcomes(bob) == []  # he knows


async def test_a_call_is_cancelled(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await ring(ann, bob)
        await ann.does("cancelCall", callId="c1")
        assert await bob.expect("callCancelled") == {"callId": "c1"}
        assert await bob.may_not("acceptCallNew", callId="c1") == "ended"
        await trio.sleep(RING + 1)
        assert outcomes(ann) == []


async def test_a_call_times_out_at_its_deadline_and_both_are_told(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        began = trio.current_time()
        await ring(ann, bob)
        await trio.sleep(RING - 0.1)
        assert outcomes(ann) == outcomes(bob) == []
        for person in (ann, bob):
            assert await person.expect("callTimeout") == {"callId": "c1"}
        assert abs(trio.current_time() - began - RING) < 0.1
        assert await bob.may_not("acceptCallNew", callId="c1") == "ended"


async def test_all_connections_ring_and_the_first_accept_wins(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        phone = await w.person("bob", "bob")
        await ring(ann, bob)
        await phone.expect("incomingCallNew")
        late = await w.person("bob", "bob")
        assert (await late.expect("incomingCallNew"))["callId"] == "c1"
        await phone.does("acceptCallNew", callId="c1")
        for other in (bob, late):
            assert await other.expect("callCancelled") == {"callId": "c1"}
        assert await bob.may_not("acceptCallNew", callId="c1") == "ended"
        assert outcomes(phone) == []


async def test_calls_that_cannot_be_placed(autojump_clock):
    async with world() as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        assert await ann.may_not("callUser", callId="x", targetUserId="ann") == "self"
        assert await ann.may_not("callUser", callId="x", targetUserId="nobody") == "offline"
        await ring(ann, bob)
        assert await ann.may_not("callUser", callId="c1", targetUserId="eve") == "duplicate"
        assert await ann.may_not("callUser", callId="c2", targetUserId="eve") == "inCall"
        assert await eve.may_not("acceptCallNew", callId="c1") == "notAllowed"
        assert await ann.may_not("acceptCallNew", callId="c1") == "notAllowed"
        assert await bob.may_not("cancelCall", callId="c1") == "notAllowed"
        assert await bob.may_not("acceptCallNew", callId="c9") == "notFound"
        await bob.does("rejectCallNew", callId="c1")
        assert await ann.may_not("callUser", callId="c1", targetUserId="bob") == "duplicate"


async def test_who_is_in_a_call_is_busy_unless_he_takes_call_waiting(autojump_clock):
    async with world() as w:
        ann, bob, _ = await w.people("ann", "bob", "eve")
        await w.room(bob)
        assert await ann.may_not("callUser", callId="c1", targetUserId="bob") == "busy"
        assert await bob.may_not("callUser", callId="c2", targetUserId="eve") == "inRoom"
        patient = await w.link()
        w.nursery.start_soon(patient.listen)
        await patient.connect({"userId": "bob", "name": "bob", "callWaiting": True})
        await ann.does("callUser", callId="c3", targetUserId="bob")
        assert await bob.may_not("acceptCallNew", callId="c3") == "inRoom"  # and it rings on
        room_id = (await bob.does("acceptCallNew", callId="c3", leaveCurrent=True))["roomId"]
        assert w.exchange.rooms.where["bob"].state.room_id == room_id


async def test_a_caller_leaves_his_room_only_when_the_call_is_accepted(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        await ring(ann, bob, leaveCurrent=True)
        assert w.exchange.rooms.where["ann"].state.room_id == room_id
        await bob.does("acceptCallNew", callId="c1")
        assert w.exchange.rooms.where["ann"].state.room_id == (await ann.expect("callAcceptedNew"))["roomId"]


async def test_three_may_ring_at_one_and_who_sits_down_is_busy_for_the_rest(autojump_clock):
    async with world() as w:
        bob, *callers = await w.people("bob", "ann", "eve", "ida", "joe")
        for number, caller in enumerate(callers[:3]):
            await caller.does("callUser", callId=f"c{number}", targetUserId="bob")
        assert await callers[3].may_not("callUser", callId="c3", targetUserId="bob") == "busy"
        await bob.does("acceptCallNew", callId="c1")
        for number in (0, 2):
            rejected = await callers[number].expect("callRejectedNew")
            assert rejected == {"callId": f"c{number}", "reason": "busy"}
        assert sorted(p["callId"] for p in bob.heard("callCancelled")) == ["c0", "c2"]


async def test_three_rejections_are_enough_for_a_while(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        for number in range(3):
            await ring(ann, bob, f"c{number}")
            await bob.does("rejectCallNew", callId=f"c{number}")
        refused = await ann.ask("callUser", callId="c3", targetUserId="bob")
        assert (refused["code"], refused["canRetry"], refused["retryAfter"]) == ("cooldown", True, 60.0)
        eve = await w.person("eve")
        await eve.does("callUser", callId="e", targetUserId="bob")  # others are not punished
        await trio.sleep(60.5)
        await ring(ann, bob, "c4")


async def test_nobody_is_rung_at_without_end(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        for number in range(10):
            await ring(ann, bob, f"c{number}")
            await ann.does("cancelCall", callId=f"c{number}")
        refused = await ann.ask("callUser", callId="c10", targetUserId="bob")
        assert (refused["code"], refused["retryAfter"]) == ("cooldown", 60.0)
        await trio.sleep(60.5)
        await ring(ann, bob, "c11")


async def test_rejections_far_apart_do_not_add_up(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        for number in range(5):
            await ring(ann, bob, f"c{number}")
            await bob.does("rejectCallNew", callId=f"c{number}")
            await trio.sleep(31)


async def test_who_call_each_other_meet_in_one_room(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        first = await ann.pose("callUser", {"callId": "a", "targetUserId": "bob"})
        second = await bob.pose("callUser", {"callId": "b", "targetUserId": "ann"})
        answers = [await ann.answer(first), await bob.answer(second)]
        assert sorted(a["message"] for a in answers) == ["accepted", "ringing"]
        mine, his = await ann.expect("callAcceptedNew"), await bob.expect("callAcceptedNew")
        assert (mine["callId"], his["callId"]) == ("a", "b")
        assert mine["roomId"] == his["roomId"]
        assert len(w.exchange.rooms.open) == 1


async def test_a_caller_who_vanishes_rings_no_longer(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await ring(ann, bob)
        await cut(ann)
        assert await bob.expect("callCancelled") == {"callId": "c1"}
        assert await bob.may_not("acceptCallNew", callId="c1") == "ended"


async def test_a_callee_who_vanishes_is_offline_for_the_caller(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        phone = await w.person("bob", "bob")
        await ring(ann, bob)
        await cut(bob)
        assert outcomes(ann) == []  # his phone still rings
        await cut(phone)
        assert await ann.expect("callRejectedNew") == {"callId": "c1", "reason": "offline"}


async def test_no_room_for_a_call_is_told_to_both(autojump_clock, monkeypatch):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await ring(ann, bob)
        monkeypatch.setattr(rooms, "MAX_ROOMS", 0)
        refused = await bob.ask("acceptCallNew", callId="c1")
        assert refused["code"] == "full"
        assert await ann.expect("callRejectedNew") == {"callId": "c1", "reason": "full"}
        assert not w.exchange.rooms.where


async def test_a_server_that_is_about_to_end_opens_no_more_rooms(autojump_clock):
    async with world() as w:
        ann, bob, cid, eve = await w.people("ann", "bob", "cid", "eve")
        room_id = await w.room(cid, name="den")
        await ring(ann, bob)
        w.exchange.open_no_more(7)
        await trio.sleep(2)
        for who, event, asked in (
            (eve, "createRoom", {"roomType": "group"}),
            (eve, "createRoom", {"roomType": "direct", "targetUserId": "cid"}),
            (cid, "createRoom", {"roomType": "group", "leaveCurrent": True}),
            (eve, "callUser", {"callId": "c2", "targetUserId": "ann"}),
            (bob, "acceptCallNew", {"callId": "c1"}),
        ):
            refused = await who.ask(event, **asked)
            assert (refused["code"], refused["canRetry"]) == ("overloaded", True)
            assert refused["retryAfter"] == pytest.approx(5, abs=0.01)
        assert await ann.expect("callRejectedNew") == {"callId": "c1", "reason": "overloaded"}
        assert w.exchange.rooms.where["cid"].state.room_id == room_id

        await eve.does("createRoom", roomType="group", roomName="den", joinExisting=True)
        await ann.does("joinRoom", roomId=room_id)


async def test_a_call_without_media_ends_at_its_own_deadline(autojump_clock):
    async with world() as w:
        w.routers.are_up = trio.Event()
        ann, bob = await w.people("ann", "bob")
        await ring(ann, bob)
        await trio.sleep(RING - 1)
        began = trio.current_time()
        await bob.does("acceptCallNew", callId="c1")
        for person in (ann, bob):
            assert (await person.expect("callEnded"))["reason"] == "error"
        assert abs(trio.current_time() - began - 10) < 0.1


# -- the older flow ----------------------------------------------------------------------------------------------------
async def direct(ann, bob):
    room = (await ann.does("createRoom", roomType="direct", targetUserId="bob"))["room"]
    invited = await bob.expect("incomingCall")
    assert invited == {
        "roomId": room["roomId"],
        "roomType": "direct",
        "fromUserId": "ann",
        "fromUserName": "ann",
        "ringsFor": 30_000,
    }
    return room


async def test_a_direct_room_waits_for_the_one_invited(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = await direct(ann, bob)
        assert (room["status"], room["invitedUserIds"]) == ("pending", ["bob"])
        answer = await bob.does("acceptCall", roomId=room["roomId"])
        assert (answer["room"]["status"], answer["room"]["invitedUserIds"]) == ("active", [])
        assert await ann.expect("callAccepted") == {"userId": "bob", "roomId": room["roomId"]}
        await trio.sleep(RING + 1)
        assert not ann.heard("callRejected")
        assert not bob.heard("callCancelled")


async def test_joining_is_accepting(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        phone = await w.person("bob", "bob")
        room = await direct(ann, bob)
        await bob.does("joinRoom", roomId=room["roomId"])
        await ann.expect("callAccepted")
        assert await phone.expect("callCancelled") == {"callId": room["roomId"]}
        assert not w.exchange.calls.book.invitations


async def test_a_rejected_direct_room_ends(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = await direct(ann, bob)
        await bob.does("rejectCall", roomId=room["roomId"], reason="no time")
        rejected = await ann.expect("callRejected")
        assert rejected == {"userId": "bob", "userName": "bob", "roomId": room["roomId"], "reason": "no time"}
        assert await ann.expect("callEnded") == {"roomId": room["roomId"], "endedBy": "bob", "reason": "rejected"}
        assert await bob.may_not("acceptCall", roomId=room["roomId"]) == "ended"


async def test_a_direct_room_that_nobody_answers_ends(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = await direct(ann, bob)
        await trio.sleep(RING - 0.1)
        assert not ann.heard("callRejected")
        assert (await ann.expect("callRejected"))["reason"] == "timeout"
        assert await ann.expect("callEnded") == {"roomId": room["roomId"], "reason": "timeout"}
        assert await bob.expect("callCancelled") == {"callId": room["roomId"]}


async def test_a_direct_room_whose_host_leaves_rings_no_longer(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = await direct(ann, bob)
        await ann.does("leaveRoom", roomId=room["roomId"])
        assert await bob.expect("callCancelled") == {"callId": room["roomId"]}
        assert await bob.may_not("acceptCall", roomId=room["roomId"]) == "ended"


async def test_direct_rooms_that_cannot_be_opened(autojump_clock):
    async with world() as w:
        ann, _, eve = await w.people("ann", "bob", "eve")
        await w.room(eve)
        for more, code in (
            ({}, "invalidPayload"),
            ({"invitedUserIds": ["bob", "eve"]}, "invalidPayload"),
            ({"targetUserId": "ann"}, "self"),
            ({"targetUserId": "nobody"}, "offline"),
            ({"targetUserId": "eve"}, "busy"),
        ):
            assert await ann.may_not("createRoom", roomType="direct", **more) == code
        assert len(w.exchange.rooms.open) == 1


async def test_direct_rooms_opened_for_each_other_are_one(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room = await direct(ann, bob)
        his = await bob.does("createRoom", roomType="direct", targetUserId="ann")
        assert his["room"]["roomId"] == room["roomId"]
        assert await ann.expect("callAccepted")


async def test_a_group_room_rings_at_those_invited_and_goes_on_without_them(autojump_clock):
    async with world() as w:
        ann, bob, eve, ida = await w.people("ann", "bob", "eve", "ida")
        await w.room(ida)
        made = await ann.does(
            "createRoom", roomType="group", roomName="party", invitedUserIds=["bob", "eve", "ida", "off"]
        )
        room_id = made["room"]["roomId"]
        assert made["room"]["status"] == "active"
        assert made["room"]["invitedUserIds"] == ["bob", "eve"]
        assert {p["userId"]: p["reason"] for p in ann.heard("callRejected")} == {"ida": "busy", "off": "offline"}
        await bob.does("acceptCall", roomId=room_id)
        await ann.expect("callAccepted")
        await eve.does("rejectCall", roomId=room_id)
        assert (await ann.expect("callRejected"))["userId"] == "eve"
        assert await eve.may_not("rejectCall", roomId=room_id) == "notFound"
        again = await bob.does(
            "createRoom", roomType="group", roomName="party", joinExisting=True, invitedUserIds=["eve", "ann"]
        )
        assert again["room"]["roomId"] == room_id
        assert len(eve.heard("incomingCall")) == 2
        assert not ann.heard("incomingCall")
        await ann.does("endCall", roomId=room_id)
        assert await eve.expect("callCancelled") == {"callId": room_id}
