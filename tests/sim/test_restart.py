"""A server that was killed, and its successor on the same state: everything is back, and everybody may come back."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from world import Shelf, cut, talk, world

pytestmark = pytest.mark.trio


async def resuming(w, name, person=None):
    """Somebody who resumes; with what he was before, he comes back."""
    token = person.welcome.data["resume"] if person else ""
    new = await w.link()
    w.nursery.start_soon(new.listen)
    await new.connect({"userId": name, "name": name, "resume": token})
    await new.until(lambda: new.notices)
    return new


def killed(shelf, seconds=0.0):
    """What the successor finds, so many seconds later."""
    return Shelf(dict(shelf.kept), shelf.skipped + seconds)


async def test_rooms_chat_roles_and_seats_are_back(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        room_id = await w.room(ann, bob)
        await bob.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
        await bob.does("setRecording", roomId=room_id, isRecording=True)
        await talk(ann, room_id)
        said = [await ann.does("sendMessage", roomId=room_id, content=f"no. {n}") for n in range(60)]
        ids = [m["message"]["messageId"] for m in said]
        await bob.does("reactToMessage", roomId=room_id, messageId=ids[59], emoji="👍")
        await ann.does("editMessage", roomId=room_id, messageId=ids[58], content="edited")
        await ann.does("deleteMessage", roomId=room_id, messageId=ids[57])
        await ann.does("transferHost", roomId=room_id, userId="bob")
        left = killed(shelf, 5)
    async with world(shelf=left) as w:
        again, other = await resuming(w, "bob", bob), await resuming(w, "ann", ann)
        assert again.welcome.data["resumed"] is other.welcome.data["resumed"] is True
        assert again.welcome.data["sid"] == bob.welcome.data["sid"]
        name, snapshot = again.notices[0]
        assert name == "snapshot"
        room = snapshot["room"]
        assert (room["roomId"], room["roomName"], room["hostId"]) == (room_id, "den", "bob")
        ann_seat, bob_seat = room["participants"]
        assert (ann_seat["isHost"], ann_seat["isAway"], ann_seat["producerIds"]) == (False, True, [])
        assert (bob_seat["isHost"], bob_seat["isMuted"], bob_seat["isRecording"]) == (True, True, True)
        texts = [m["content"] for m in room["messages"]]
        assert texts[-3:] == ["no. 56", "edited", "no. 59"]
        assert room["messages"][-1]["reactions"][0]["userIds"] == ["bob"]
        page = await again.does("getMessages", roomId=room_id, limit=100)
        assert len(page["messages"]) == 59
        await trio.sleep(60)
        assert not {n for n, _ in again.notices + other.notices} & {"userLeft", "roomHostless", "hostChanged"}
        await talk(other, room_id)
        said = await other.does("sendMessage", roomId=room_id, content="the last")
        page = await again.does("getMessages", roomId=room_id, limit=100)
        assert page["messages"][-1] == said["message"]


async def test_who_does_not_come_back_has_left_and_the_host_is_waited_for_as_before(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        room_id = await w.room(ann, bob)
        await cut(ann)
        await trio.sleep(4)
        left = killed(shelf, 6)
    async with world(shelf=left) as w:
        began = trio.current_time()
        again = await resuming(w, "bob", bob)
        await again.expect("userLeft")
        assert abs(trio.current_time() - began - 15) < 0.1
        await again.expect("roomHostless")
        assert abs(trio.current_time() - began - 20) < 0.1  # 30 s, less 4 and 6
        await again.does("endCall", roomId=room_id)
        await wait_all_tasks_blocked()
        assert [key for key in left.kept if not key.startswith("session:")] == []


async def test_a_room_to_which_nobody_returns_is_forgotten(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann = await resuming(w, "ann")
        room_id = await w.room(ann)
        await ann.does("sendMessage", roomId=room_id, content="hello?")
        left = killed(shelf)
    async with world(shelf=left) as w:
        await trio.sleep(16)
        assert not w.exchange.rooms.open
        assert not w.exchange.people.sessions
        assert left.kept == {}


async def test_clients_that_do_not_resume_find_their_seat_by_joining(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        left = killed(shelf)
    async with world(shelf=left) as w:
        ann = await w.person("ann")
        room = (await ann.does("joinRoom", roomId=room_id))["room"]
        assert {p["userId"]: (p["isHost"], p["isAway"]) for p in room["participants"]} == {
            "ann": (True, False),
            "bob": (False, True),
        }
        await ann.expect("userLeft")
        await trio.sleep(60)
        assert not ann.heard("roomHostless")
        await ann.does("sendMessage", roomId=room_id, content="I am here")


async def test_calls_and_invitations_ring_on_until_their_deadlines(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann, bob, eve, ida = [await resuming(w, name) for name in ("ann", "bob", "eve", "ida")]
        await ann.does("callUser", callId="c", targetUserId="bob")
        room_id = (await eve.does("createRoom", roomType="direct", targetUserId="ida"))["room"]["roomId"]
        await trio.sleep(10)
        left = killed(shelf, 5)
    async with world(shelf=left) as w:
        began = trio.current_time()
        again = await resuming(w, "bob", bob)
        (call,) = again.notices[0][1]["calls"]
        assert (call["callId"], call["ringsFor"]) == ("c", 15_000)
        invited = await resuming(w, "ida", ida)
        (call,) = invited.notices[0][1]["calls"]
        assert (call["roomId"], call["ringsFor"], call["roomType"]) == (room_id, 15_000, "direct")
        host = await resuming(w, "eve", eve)
        assert host.notices[0][1]["room"]["status"] == "pending"
        await invited.does("acceptCall", roomId=room_id)
        assert await host.expect("callAccepted")
        caller = await resuming(w, "ann", ann)
        await caller.expect("callTimeout")
        assert abs(trio.current_time() - began - 15) < 0.1
        assert await again.expect("callTimeout") == {"callId": "c"}
        assert not [key for key in left.kept if key.startswith("call:")]


async def test_a_call_whose_deadline_passed_while_no_server_ran_is_over(autojump_clock):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        await ann.does("callUser", callId="c", targetUserId="bob")
        left = killed(shelf, 31)
    async with world(shelf=left) as w:
        await wait_all_tasks_blocked()
        again = await resuming(w, "bob", bob)
        assert again.notices[0][1]["calls"] == []
        assert await again.may_not("acceptCallNew", callId="c") == "ended"


async def test_what_cannot_be_read_is_left_out_and_said(autojump_clock, caplog):
    shelf = Shelf()
    async with world(shelf=shelf) as w:
        ann = await resuming(w, "ann")
        room_id = await w.room(ann)
        left = killed(shelf)
    broken = {"room:bad": b"{", "session:bad": b"[]", "call:bad": b"null", "chat:gone:x": b"\xff"}
    left.kept |= broken
    async with world(shelf=left) as w:
        again = await resuming(w, "ann", ann)
        assert again.notices[0][1]["room"]["roomId"] == room_id
        assert not broken.keys() & left.kept.keys()
        assert len([r for r in caplog.records if "cannot be read" in r.message]) == 4
