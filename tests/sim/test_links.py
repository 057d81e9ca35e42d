"""One client's link: the first packets, the heartbeat, budgets, slow readers, and what breaks it."""

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_protocol import engineio, socketio
from palaver_server.session import BUDGET, MAX_WAITING, REFILL
from world import cut, world

pytestmark = pytest.mark.trio


# -- the first packets -------------------------------------------------------------------------------------------------
async def test_the_handshake_and_the_first_lists(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        assert ann.handshake == {
            "sid": "sid0",
            "upgrades": [],
            "pingInterval": 10_000,
            "pingTimeout": 10_000,
            "maxPayload": 131_072,
        }
        assert ann.welcome.data["sid"]
        users = (await ann.expect("onlineUsersUpdated"))["users"]
        assert [(u["userId"], u["name"], u["status"]) for u in users] == [("ann", "ann", "idle")]
        assert (await ann.expect("roomListUpdated"))["rooms"] == []


@pytest.mark.parametrize(
    "auth",
    [
        {},
        {"userId": "ann"},
        {"name": "ann"},
        {"userId": "", "name": "ann"},
        {"userId": "a b", "name": "ann"},
        {"userId": "x" * 65, "name": "ann"},
        {"userId": 5, "name": "ann"},
        {"userId": "ann", "name": " "},
        {"userId": "ann", "name": "x" * 33},
        {"userId": "ann", "name": None},
        {"userId": "ann", "name": ["ann"]},
    ],
)
async def test_who_gives_no_proper_id_and_name_is_refused_and_may_try_again(autojump_clock, auth):
    async with world() as w:
        ann = await w.link()
        w.nursery.start_soon(ann.listen)
        await ann.connect(auth)
        assert ann.welcome.type is socketio.PacketType.CONNECT_ERROR
        assert ann.welcome.data["message"].startswith("auth.")
        assert not w.exchange.people.sessions
        ann.welcome = None
        await ann.connect({"userId": "ann", "name": "ann"})
        assert ann.welcome.type is socketio.PacketType.CONNECT


async def test_a_name_is_cleaned(autojump_clock):
    async with world() as w:
        ann = await w.person("  a\x1b[2Jn\u202en  ", "ann")
        assert (await ann.expect("onlineUsersUpdated"))["users"][0]["name"] == "a\ufffd[2Jn\ufffdn"


async def test_an_unknown_namespace_is_refused_and_the_link_stays(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        ann.welcome = None
        await ann.send("40/custom,{}")
        await ann.until(lambda: ann.welcome is not None)
        assert ann.welcome == socketio.Packet(
            socketio.PacketType.CONNECT_ERROR, {"message": "Invalid namespace"}, "/custom"
        )
        await ann.does("createRoom", roomType="group")


@pytest.mark.parametrize("first", [None, '40{"userId":"","name":""}', "40/elsewhere,"])
async def test_who_does_not_connect_within_ten_seconds_is_let_go(autojump_clock, first):
    async with world() as w:
        mute = await w.link()
        w.nursery.start_soon(mute.listen)
        start = trio.current_time()
        if first:
            await mute.send(first)
        await mute.left.wait()
        assert trio.current_time() - start == pytest.approx(10, abs=0.01)


@pytest.mark.parametrize(
    "sent",
    [
        '42["sendMessage",{}]',  # before CONNECT
        "x",
        "",
        "0{}",
        "2",
        "5",
        "6",
        b"bytes of no packet",
        "4",
        "49",
        "40[",
        "40[]",
        '44{"message":"no"}',
        "42{}",
        "42[]",
        "42[5]",
        "42abc",
        "43[]",
        '450-["a"]',
        '4599-["a"]',
        '45["a"]',
        "42" + "[" * 2000 + "]" * 2000,
        '42["\\ud800"]',
        '42["a",NaN]',
        "4" * 1000,
    ],
)
async def test_what_is_no_packet_ends_the_link_and_no_other(autojump_clock, sent):
    async with world() as w:
        ann = await w.person("ann")
        stranger = await w.link()
        w.nursery.start_soon(stranger.listen)
        await stranger.send(sent)
        await stranger.left.wait()
        await ann.does("createRoom", roomType="group")


async def test_connecting_twice_ends_the_link(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await bob.send('40{"userId":"bob","name":"bob"}')
        await bob.left.wait()
        await wait_all_tasks_blocked()
        assert set(w.exchange.people.users) == {"ann"}
        await ann.does("createRoom", roomType="group")


async def test_leaving_and_connecting_in_one_breath_leaves_no_ghost(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        for message in ("41", '40{"userId":"bob","name":"bob"}', '40{"userId":"cay","name":"cay"}'):
            await bob.send(message)
        await bob.left.wait()
        await wait_all_tasks_blocked()
        assert set(w.exchange.people.users) == {"ann"}
        assert len(w.exchange.people.sessions) == 1
        await ann.does("createRoom", roomType="group")


@pytest.mark.parametrize("goodbye", ["41", "1"])
async def test_a_clean_end_is_told_at_once(autojump_clock, goodbye):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await w.room(ann, bob)
        start = trio.current_time()
        await bob.send(goodbye)
        assert await ann.expect("userLeft")
        assert trio.current_time() == start


async def test_nothing_is_handled_after_the_goodbye(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await bob.send("41")
        await bob.pose("sendMessage", {"roomId": room_id, "content": "one more thing"})
        assert await ann.expect("userLeft")
        assert not ann.heard("newMessage")


# -- requests ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("payload", [None, 5, "text", [], True, [{"roomId": "x"}], {"roomId": 5}, {"roomId": None}, {}])
async def test_a_wrong_payload_is_refused_and_the_link_stays(autojump_clock, payload):
    async with world() as w:
        ann = await w.person("ann")
        refused = await ann.answer(await ann.pose("joinRoom", payload))
        assert refused["success"] is False
        assert refused["code"] == "invalidPayload"
        assert refused["canRetry"] is False
        await ann.does("createRoom", roomType="group")


async def test_events_without_arguments_with_many_and_unknown_ones(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        assert (await ann.answer(await ann.pose("joinRoom")))["code"] == "invalidPayload"
        assert (await ann.answer(await ann.pose("joinRoom", {"roomId": "x"}, 2, 3)))["code"] == "notFound"
        unknown = await ann.answer(await ann.pose("\x1b[31mhack", {}))
        assert unknown["code"] == "unknownEvent"
        assert "\x1b" not in unknown["error"]


async def test_a_request_without_an_ack_is_done_and_not_answered(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        await ann.send('42["createRoom",{"roomType":"group","roomName":"quiet"}]')
        await ann.send('42["nonsense"]')
        assert (await ann.may_not("createRoom", roomType="group")) == "inRoom"


async def test_bytes_where_none_belong_are_a_wrong_payload(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        await ann.send('451-7["joinRoom",{"roomId":{"_placeholder":true,"num":0}}]')
        await ann.send(b"roomid")
        assert (await ann.answer(7))["code"] == "invalidPayload"


# -- the heartbeat -----------------------------------------------------------------------------------------------------
async def test_the_server_pings_every_ten_seconds(autojump_clock):
    async with world() as w:
        start = trio.current_time()
        ann = await w.person("ann")
        await trio.sleep_until(start + 45)
        assert ann.pings == pytest.approx([start + 10 * n for n in (1, 2, 3, 4)], abs=0.01)


@pytest.mark.parametrize("is_chatty", [False, True])
async def test_a_client_that_answers_no_ping_is_cut_after_twenty_seconds(autojump_clock, is_chatty):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        start = trio.current_time()
        bob.answers_pings = False
        while is_chatty and trio.current_time() < start + 19.5:  # to talk is not to answer
            await bob.send('42["mediaStateChanged",{}]')
            await trio.sleep(0.5)
        await bob.left.wait()
        assert trio.current_time() - start == pytest.approx(20, abs=0.1)
        assert await ann.expect("userLeft") == {"userId": "bob", "roomId": room_id}


async def test_other_settings_are_told_and_kept(autojump_clock):
    async with world(engineio.Settings(0.3, 0.2, 1_000_000)) as w:
        start = trio.current_time()
        ann = await w.person("ann")
        assert (ann.handshake["pingInterval"], ann.handshake["pingTimeout"]) == (300, 200)
        ann.answers_pings = False
        await ann.left.wait()
        assert trio.current_time() - start == pytest.approx(0.5, abs=0.01)


# -- limits ------------------------------------------------------------------------------------------------------------
async def test_a_message_too_big_ends_the_link_with_1009(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await bob.send("4" + "x" * 140_000)
        await bob.left.wait()
        assert bob.closed == 1009
        await ann.does("createRoom", roomType="group")


@pytest.mark.parametrize(
    ("event", "payload", "cost"), [("leaveRoom", {"roomId": "x"}, 1), ("leaveRoom", 5, 1), ("nonsense", {}, 1)]
)
async def test_who_asks_too_much_is_told_when_to_ask_again(autojump_clock, event, payload, cost):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        codes = []
        for _ in range(int(BUDGET / cost) + 1):
            refused = await ann.answer(await ann.pose(event, payload))
            codes.append(refused["code"])
        assert codes.index("rateLimited") == BUDGET / cost
        assert refused["canRetry"] is True
        assert refused["retryAfter"] == pytest.approx(cost / REFILL, abs=0.01)
        await bob.does("createRoom", roomType="group")
        await trio.sleep(refused["retryAfter"])
        assert (await ann.answer(await ann.pose(event, payload)))["code"] != "rateLimited"


async def test_a_budget_does_not_grow_beyond_its_size(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        await trio.sleep(3600)
        codes = [(await ann.ask("leaveRoom", roomId="x"))["code"] for _ in range(int(BUDGET) + 1)]
        assert codes.count("rateLimited") == 1


async def slow_person(w, name):
    """Somebody in a room who then reads no more, over a stream that blocks its sender."""
    slow = await w.link(is_lockstep=True)
    with trio.CancelScope() as reading:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(slow.listen)
            await slow.connect({"userId": name, "name": name})
            await slow.does("createRoom", roomType="group", roomName="den", joinExisting=True)
            reading.cancel()
    return slow


def afford(w, user_id):
    """Let somebody say more than his budget lets him."""
    w.exchange.people.budgets[user_id].tokens = 300.0


async def test_what_one_says_at_once_costs_by_its_size_and_fits_every_outbox(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        said = 0
        while (await ann.ask("sendMessage", roomId=room_id, content="€" * 20_000))["success"]:
            said += 60_000
        assert 0 < said < MAX_WAITING
        await ann.does("leaveRoom", roomId=room_id)


async def test_a_user_has_one_budget_however_often_he_connects(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        while (await ann.ask("createRoom", roomType="group", leaveCurrent=True))["success"]:
            pass
        await cut(ann)
        again = await w.person("ann")
        assert await again.may_not("createRoom", roomType="group") == "rateLimited"


async def test_a_reader_too_slow_for_the_outbox_is_cut_off_and_nobody_else(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        await slow_person(w, "slow")
        big = "x" * 20_000
        for _ in range(40 + 2 * MAX_WAITING // 20_000):
            if bob.heard("userLeft"):
                break
            afford(w, "ann")
            await ann.does("sendMessage", roomId=room_id, content=big)
            await trio.sleep(0.05)
        assert bob.heard("userLeft") == [{"userId": "slow", "roomId": room_id}]
        assert len(bob.heard("newMessage")) == len(ann.heard("newMessage")) > 20
        await wait_all_tasks_blocked()
        assert set(w.exchange.people.users) == {"ann", "bob"}


async def test_a_reader_who_takes_nothing_for_eight_seconds_is_cut_off_quietly(autojump_clock, caplog):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        await slow_person(w, "slow")
        start = trio.current_time()
        for _ in range(20):  # less than an outbox holds
            afford(w, "ann")
            await ann.does("sendMessage", roomId=room_id, content="x" * 20_000)
        assert await ann.expect("userLeft")
        assert trio.current_time() - start == pytest.approx(8, abs=0.1)
        assert not caplog.records  # a slow network is no bug


async def test_a_torn_connection_is_noticed(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        await w.room(ann, bob)
        await cut(bob)
        assert await ann.expect("userLeft")
        assert len(w.exchange.people.sessions) == 1
