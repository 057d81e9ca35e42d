"""Connections that break and come back: the seat is held, nobody notices more than that, and nothing is lost."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_media import worker_messages as worker
from palaver_server.policy import Policy
from world import cut, talk, world

pytestmark = pytest.mark.trio

HELD = 15.0


async def resuming(w, name, token="", user_id=None):
    """Somebody who resumes: a new one, or with a token one who comes back."""
    person = await w.link()
    w.nursery.start_soon(person.listen)
    await person.connect({"userId": user_id or name, "name": name, "resume": token})
    return person


async def back(w, name, person):
    """The same person over a new link, who has been told the first thing."""
    again = await resuming(w, name, person.welcome.data["resume"])
    await again.until(lambda: again.notices)
    return again


async def two(w):
    ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
    return ann, bob, await w.room(ann, bob)


async def test_the_answer_to_connect_tells_how_to_resume(autojump_clock):
    async with world() as w:
        plain = await w.person("eve")
        assert plain.welcome.data.keys() == {"sid", "userId", "resumed"}
        ann = await resuming(w, "ann")
        assert ann.welcome.data.keys() == {"sid", "userId", "resumed", "resume"}
        assert (ann.welcome.data["userId"], ann.welcome.data["resumed"]) == ("ann", False)
        await cut(ann)
        again = await back(w, "ann", ann)
        assert again.welcome.data == {**ann.welcome.data, "resumed": True}


async def test_a_seat_is_held_without_noise_and_the_snapshot_tells_the_rest(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        await ann.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
        bob.deaf()
        await cut(ann)
        away = await bob.expect("participantMediaStateUpdated")
        assert away == {"userId": "ann", "name": "ann", "isMuted": True, "isVideoEnabled": False, "isAway": True}
        await bob.does("sendMessage", roomId=room_id, content="are you there?")
        await trio.sleep(HELD - 1)
        again = await back(w, "ann", ann)
        assert again.notices[0][0] == "snapshot"
        snapshot = again.notices[0][1]
        assert snapshot["user"]["userId"] == "ann"
        assert {user["userId"] for user in snapshot["users"]} == {"ann", "bob"}
        assert snapshot["room"]["roomId"] == room_id
        assert [m["content"] for m in snapshot["room"]["messages"]] == ["are you there?"]
        me = snapshot["room"]["participants"][0]
        assert (me["isMuted"], me["isHost"], me["isAway"]) == (True, True, False)
        assert (await bob.expect("participantMediaStateUpdated"))["isAway"] is False
        await trio.sleep(60)
        assert not {name for name, _ in bob.notices} & {"userLeft", "userJoined", "hostChanged", "roomHostless"}
        await again.does("endCall", roomId=room_id)


async def test_who_does_not_come_back_in_time_has_left(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        began = trio.current_time()
        await cut(bob)
        assert await ann.expect("userLeft") == {"userId": "bob", "roomId": room_id}
        assert abs(trio.current_time() - began - HELD) < 0.1
        again = await back(w, "bob", bob)
        assert again.welcome.data["resumed"] is False
        assert again.welcome.data["resume"] != bob.welcome.data["resume"]


async def test_a_host_who_is_cut_off_keeps_the_role_for_the_host_grace_from_the_cut_on(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        began = trio.current_time()
        await cut(ann)
        await bob.expect("userLeft")
        assert abs(trio.current_time() - began - HELD) < 0.1
        await bob.expect("roomHostless")
        assert abs(trio.current_time() - began - 30) < 0.1
        assert w.state(room_id).host.is_vacant


async def test_a_clean_close_is_a_goodbye(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        began = trio.current_time()
        for person in (bob,):
            await person.send("41")  # Socket.IO's disconnect
        assert (await ann.expect("userLeft"))["userId"] == "bob"
        eve = await resuming(w, "eve")
        await eve.does("joinRoom", roomId=room_id)
        await eve.websocket.aclose(1001)
        assert (await ann.expect("userLeft"))["userId"] == "eve"
        ida = await resuming(w, "ida")
        await ida.does("joinRoom", roomId=room_id)
        await ida.send("1")  # Engine.IO's close
        assert (await ann.expect("userLeft"))["userId"] == "ida"
        assert trio.current_time() - began < 1


async def test_a_token_is_good_for_its_own_user_only(autojump_clock):
    async with world() as w:
        ann, _, room_id = await two(w)
        await cut(ann)
        thief = await resuming(w, "eve", ann.welcome.data["resume"])
        assert thief.welcome.data["resumed"] is False
        assert await thief.may_not("sendMessage", roomId=room_id, content="I am ann") == "notMember"


async def test_a_link_that_we_still_believe_in_is_replaced(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        again = await back(w, "ann", ann)  # before the server noticed that the old link is dead
        assert again.welcome.data["resumed"] is True
        await ann.left.wait()
        await wait_all_tasks_blocked()
        assert len(w.exchange.people.sessions) == 2
        await bob.does("sendMessage", roomId=room_id, content="hi")
        await again.expect("newMessage")
        await trio.sleep(HELD + 1)
        assert not bob.heard("userLeft")


async def test_away_twice_in_a_row_is_held_from_the_second_time_on(autojump_clock):
    async with world() as w:
        ann, bob, _ = await two(w)
        await cut(bob)
        await trio.sleep(HELD - 1)
        again = await back(w, "bob", bob)
        await cut(again)
        await trio.sleep(HELD - 1)
        third = await back(w, "bob", again)
        assert third.welcome.data["resumed"] is True
        assert not ann.heard("userLeft")


async def test_media_goes_on_while_one_is_away(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        producer = await talk(ann, room_id)
        commands = len(w.routers.made[0].commands)
        await cut(ann)
        assert len(w.routers.made[0].commands) == commands
        again = await back(w, "ann", ann)
        assert again.notices[0][1]["room"]["participants"][0]["producerIds"] == [
            {"producerId": producer, "kind": "audio"}
        ]
        await talk(again, room_id, ssrc=2222)  # and is negotiated again
        assert await bob.expect("producerClosed")


async def test_it_rings_on_for_a_callee_who_is_away(autojump_clock):
    async with world() as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        await ann.does("callUser", callId="c", targetUserId="bob")
        await cut(bob)
        await trio.sleep(10)
        again = await back(w, "bob", bob)
        (call,) = again.notices[0][1]["calls"]
        assert call == {
            "callId": "c",
            "from": "ann",
            "fromName": "ann",
            "to": "bob",
            "toName": "bob",
            "ringsFor": 20_000,
        }
        await again.does("acceptCallNew", callId="c")
        await ann.expect("callAcceptedNew")


async def test_a_caller_who_is_away_is_seated_and_waited_for(autojump_clock):
    async with world() as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        await ann.does("callUser", callId="c", targetUserId="bob")
        await cut(ann)
        await trio.sleep(5)
        room = (await bob.does("acceptCallNew", callId="c"))["room"]
        assert [p["isAway"] for p in room["participants"]] == [True, False]
        again = await back(w, "ann", ann)
        assert again.notices[0][1]["room"]["roomId"] == room["roomId"]


async def test_a_caller_who_stays_away_rings_no_longer(autojump_clock):
    async with world() as w:
        ann, bob = await resuming(w, "ann"), await resuming(w, "bob")
        await ann.does("callUser", callId="c", targetUserId="bob")
        await cut(ann)
        await trio.sleep(HELD - 1)
        assert not bob.heard("callCancelled")
        await bob.expect("callCancelled")


async def test_where_no_room_may_be_without_a_host_it_ends_with_him(autojump_clock):
    async with world(policy=Policy(has_hostless=False)) as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await ann.does("leaveRoom", roomId=room_id)
        assert await bob.expect("callEnded") == {"roomId": room_id, "reason": "hostLeft"}
        room_id = await w.room(ann, bob)
        began = trio.current_time()
        await cut(ann)
        await trio.sleep(29)
        assert not bob.heard("callEnded")
        assert await bob.expect("callEnded") == {"roomId": room_id, "reason": "hostLeft"}
        assert abs(trio.current_time() - began - 30) < 0.1


async def test_the_timers_are_the_policys(autojump_clock):
    async with world(policy=Policy(ring_timeout=3, host_grace=4, resume_grace=2)) as w:
        ann, bob, room_id = await two(w)
        began = trio.current_time()
        await cut(ann)
        await bob.expect("userLeft")
        assert abs(trio.current_time() - began - 2) < 0.1
        await bob.expect("roomHostless")
        assert abs(trio.current_time() - began - 4) < 0.1
        await w.person("eve")
        began = trio.current_time()
        await bob.does("callUser", callId="c", targetUserId="eve", leaveCurrent=True)
        await bob.expect("callTimeout")
        assert abs(trio.current_time() - began - 3) < 0.1
        assert w.state(room_id)


async def test_who_comes_back_while_he_sits_elsewhere_is_in_no_room(autojump_clock):
    async with world() as w:
        ann = await resuming(w, "ann")
        await cut(ann)
        phone = await w.person("ann", "ann")
        room_id = await w.room(phone)
        again = await back(w, "ann", ann)
        assert again.notices[0][1]["user"]["currentRoomId"] == room_id
        assert "room" not in again.notices[0][1]


async def test_who_comes_back_is_told_who_speaks_but_first_who_he_is(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        producer = await talk(bob, room_id)
        room = w.exchange.rooms.open[room_id]
        room.reported(worker.SpeakersChanged(room_id, (worker.Speaking(producer, 20),)))
        await cut(ann)
        again = await back(w, "ann", ann)  # which takes the answer to CONNECT before all else, or fails
        told = await again.expect("activeSpeakers")
        assert [speaker["userId"] for speaker in told["speakers"]] == ["bob"]
        assert [name for name, _ in again.notices][:2] == ["snapshot", "activeSpeakers"]


async def test_recording_is_told_to_all_and_to_late_joiners(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        await ann.does("setRecording", roomId=room_id, isRecording=True)
        for person in (ann, bob):
            told = await person.expect("recordingStateChanged")
            assert told == {"roomId": room_id, "userId": "ann", "isRecording": True}
        eve = await w.person("eve")
        room = (await eve.does("joinRoom", roomId=room_id))["room"]
        assert [p["isRecording"] for p in room["participants"]] == [True, False, False]


@pytest.mark.parametrize("way", ["leaves", "loses the connection for good", "ends it"])
async def test_that_a_recording_has_ended_is_told_before_the_recorder_is_gone(autojump_clock, way):
    async with world() as w:
        ann, bob, room_id = await two(w)
        eve = await w.person("eve")
        await eve.does("joinRoom", roomId=room_id)
        await bob.does("setRecording", roomId=room_id, isRecording=True)
        for person in (ann, eve):
            await person.expect("recordingStateChanged")
            person.deaf()
        if way == "leaves":
            await bob.does("leaveRoom", roomId=room_id)
        elif way == "ends it":
            await bob.does("setRecording", roomId=room_id, isRecording=False)
        else:
            await cut(bob)
        for person in (ann, eve):
            told = await person.expect("recordingStateChanged")
            assert told == {"roomId": room_id, "userId": "bob", "isRecording": False}
            names = [name for name, _ in person.notices]
            assert "userLeft" not in names[: names.index("recordingStateChanged")]
        again = (await eve.does("joinRoom", roomId=room_id))["room"]
        assert not any(each["isRecording"] for each in again["participants"])


async def test_who_records_is_kept_while_his_seat_is_held_and_found_by_who_comes_back(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        await cut(ann)
        await bob.does("setRecording", roomId=room_id, isRecording=True)
        await cut(bob)
        await trio.sleep(HELD / 2)
        eve = await w.person("eve")
        records = {each["userId"]: each["isRecording"] for each in await seated(eve, room_id)}
        assert records == {"ann": False, "bob": True, "eve": False}
        for name, person in (("ann", ann), ("bob", bob)):
            again = await back(w, name, person)
            lines = again.notices[0][1]["room"]["participants"]
            assert {each["userId"]: each["isRecording"] for each in lines} == records
        assert "recordingStateChanged" not in {name for name, _ in eve.notices}


async def seated(person, room_id):
    return (await person.does("joinRoom", roomId=room_id))["room"]["participants"]


async def test_a_seat_that_is_taken_along_to_another_connection_records_no_longer(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        await bob.does("setRecording", roomId=room_id, isRecording=True)
        await ann.expect("recordingStateChanged")
        ann.deaf()
        phone = await w.person("bob", "bob")
        assert not any(each["isRecording"] for each in await seated(phone, room_id))
        told = await ann.expect("recordingStateChanged")
        assert told == {"roomId": room_id, "userId": "bob", "isRecording": False}


async def test_what_is_said_again_is_told_to_nobody_and_strangers_are_refused(autojump_clock):
    async with world() as w:
        ann, bob, room_id = await two(w)
        for _ in range(3):
            await bob.does("setRecording", roomId=room_id, isRecording=True)
        eve = await w.person("eve")
        refused = await eve.ask("setRecording", roomId=room_id, isRecording=True)
        assert (refused["success"], refused["code"]) == (False, "notMember")
        await ann.does("sendMessage", roomId=room_id, content="is that all?")
        await ann.expect("newMessage")
        assert [name for name, _ in ann.notices].count("recordingStateChanged") == 1
