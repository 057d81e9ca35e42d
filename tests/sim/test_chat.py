"""What is said in a room, and who hears it."""

import contextlib
import random
import tracemalloc
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from palaver_protocol.models import ChatMessage, Emoji, MessageId, Name, RoomId, Text, UserId
from palaver_protocol.requests import SendMessage
from palaver_protocol.table import Refusal
from palaver_server.chat import MAX_BYTES, MAX_MESSAGES, MAX_REACTIONS, Chat
from world import Shelf, world

pytestmark = pytest.mark.trio


async def test_everybody_hears_a_message_the_sender_included_under_one_id(autojump_clock):
    async with world() as w:
        ann, bob, eve = await w.people("ann", "bob", "eve")
        room_id = await w.room(ann, bob)
        said = (await ann.does("sendMessage", roomId=room_id, content="hello\nthere"))["message"]
        assert said["content"] == "hello\nthere"
        assert said["userId"] == said["userName"] == "ann"
        assert isinstance(said["timestamp"], int)
        assert said["reactions"] == []
        assert "replyTo" not in said
        for person in (ann, bob):
            assert await person.expect("newMessage") == said
        assert not eve.heard("newMessage")


async def test_a_reply_names_a_message_by_id_or_object_and_the_server_quotes_it(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        first = (await ann.does("sendMessage", roomId=room_id, content="x" * 500))["message"]
        quote = {"messageId": first["messageId"], "userName": "ann", "content": "x" * 200}
        forged = {"messageId": first["messageId"], "userName": "bob", "content": "I agree"}
        for reply_to in (first["messageId"], first, forged):
            reply = (await bob.does("sendMessage", roomId=room_id, content="yes", replyTo=reply_to))["message"]
            assert reply["replyTo"] == quote
        assert await bob.may_not("sendMessage", roomId=room_id, content="yes", replyTo="gone") == "notFound"
        assert await bob.may_not("sendMessage", roomId=room_id, content="yes", replyTo={}) == "invalidPayload"
        assert await bob.may_not("sendMessage", roomId=room_id, content="yes", replyTo=7) == "invalidPayload"


async def test_a_late_joiner_gets_the_last_fifty(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann)
        for number in range(60):
            await ann.does("sendMessage", roomId=room_id, content=str(number))
        messages = (await bob.does("joinRoom", roomId=room_id))["room"]["messages"]
        assert [m["content"] for m in messages] == [str(n) for n in range(10, 60)]


async def test_text_arrives_clean(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        said = (await ann.does("sendMessage", roomId=room_id, content="\x1b]52;c;aGk=\x07\u202egnirts"))["message"]
        assert said["content"] == "\ufffd]52;c;aGk=\ufffd\ufffdgnirts"


@pytest.mark.parametrize("content", ["", " \n ", "x" * 20_001, "\U0001f600" * 17_000, None, 5, ["a"], {"a": 1}])
async def test_what_is_no_message(autojump_clock, content):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        assert await ann.may_not("sendMessage", roomId=room_id, content=content) == "invalidPayload"


async def test_the_longest_message_passes(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        assert await ann.does("sendMessage", roomId=room_id, content="é" * 20_000)
        assert await ann.does("sendMessage", roomId=room_id, content="\U0001f600" * 16_384)


async def test_media_states_reach_the_others_and_the_late_joiner(autojump_clock):
    async with world() as w:
        ann, bob, cay = await w.people("ann", "bob", "cay")
        room_id = await w.room(ann, bob)
        await bob.does("mediaStateChanged", roomId=room_id, isMuted=True, isVideoEnabled=False)
        told = await ann.expect("participantMediaStateUpdated")
        assert told == {"userId": "bob", "name": "bob", "isMuted": True, "isVideoEnabled": False, "isAway": False}
        await wait_all_tasks_blocked()
        assert not bob.heard("participantMediaStateUpdated")
        (_, seen, _) = (await cay.does("joinRoom", roomId=room_id))["room"]["participants"]
        assert seen["isMuted"] is True
        assert seen["isVideoEnabled"] is False
        assert seen["mediaStateUpdatedAt"] > 0
        bad = await bob.may_not("mediaStateChanged", roomId=room_id, isMuted="no", isVideoEnabled=False)
        assert bad == "invalidPayload"


async def test_lists_are_told_a_few_times_a_second_however_many_join(autojump_clock):
    async with world() as w:
        (ann,) = await w.people("ann")
        await w.room(ann)
        await trio.sleep(2)
        ann.deaf()
        start = trio.current_time()
        for number in range(100):
            guest = await w.person(f"guest{number}")
            await guest.does("createRoom", roomType="group", roomName="den", joinExisting=True)
            await trio.sleep_until(start + (number + 1) / 100)
        await trio.sleep(1)
        for event in ("onlineUsersUpdated", "roomListUpdated"):
            assert 2 <= len(ann.heard(event)) <= 8
        assert len(ann.heard("onlineUsersUpdated")[-1]["users"]) == 101
        assert ann.heard("roomListUpdated")[-1]["rooms"][0]["participantCount"] == 101
        assert len(ann.heard("userJoined")) == 100


def message(number, size):
    text = Text("x" * size)
    return ChatMessage(MessageId(str(number)), UserId("ann"), Name("ann"), text, 0)


async def test_a_history_holds_two_hundred_messages():
    chat = Chat()
    for number in range(250):
        chat.add(message(number, 1))
    assert [m.message_id for m in chat.last(1000)] == [str(n) for n in range(50, 250)]


async def test_a_history_holds_one_mebibyte():
    chat = Chat()
    for number in range(200):
        chat.add(message(number, 20_000))
    kept = chat.last(1000)
    assert MAX_BYTES - 21_000 < sum(len(m.content) + 256 for m in kept) <= MAX_BYTES
    assert kept[-1].message_id == "199"


async def test_a_reaction_toggles_and_everybody_hears(autojump_clock):
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        said = (await ann.does("sendMessage", roomId=room_id, content="hi"))["message"]
        which = {"roomId": room_id, "messageId": said["messageId"]}
        both = {"emoji": "👍", "userIds": ["ann", "bob"], "count": 2}
        await ann.does("reactToMessage", **which, emoji="👍")
        assert (await bob.does("reactToMessage", **which, emoji="👍"))["message"]["reactions"] == [both]
        for person in (ann, bob):
            await person.expect("messageReactionUpdated")
            told = await person.expect("messageReactionUpdated")
            assert told == {"messageId": said["messageId"], "reactions": [both]}
        await ann.does("reactToMessage", **which, emoji="👍")
        assert (await bob.does("reactToMessage", **which, emoji="👍"))["message"]["reactions"] == []
        assert await ann.may_not("reactToMessage", roomId=room_id, messageId="gone", emoji="👍") == "notFound"


@pytest.mark.parametrize("emoji", ["", "a", "1", "👍👍", "👍\u202e", "👍" + "\u0301" * 80, 5, None])
async def test_what_is_no_reaction(autojump_clock, emoji):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        said = (await ann.does("sendMessage", roomId=room_id, content="hi"))["message"]
        payload = {"roomId": room_id, "messageId": said["messageId"], "emoji": emoji}
        assert await ann.may_not("reactToMessage", **payload) == "invalidPayload"


@pytest.mark.parametrize("emoji", ["❤️", "🇩🇪", "👩‍💻", "👍🏽", "1️⃣"])
async def test_an_emoji_of_several_characters_is_one(autojump_clock, emoji):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        said = (await ann.does("sendMessage", roomId=room_id, content="hi"))["message"]
        seen = await ann.does("reactToMessage", roomId=room_id, messageId=said["messageId"], emoji=emoji)
        assert seen["message"]["reactions"][0]["emoji"] == emoji


async def test_only_ones_own_messages_can_be_edited_and_deleted(autojump_clock):
    async with world() as w:
        ann, bob, cay = await w.people("ann", "bob", "cay")
        room_id = await w.room(ann, bob)
        said = (await bob.does("sendMessage", roomId=room_id, content="helo"))["message"]
        which = {"roomId": room_id, "messageId": said["messageId"]}
        assert await ann.may_not("editMessage", **which, content="no") == "notAllowed"
        assert await ann.may_not("deleteMessage", **which) == "notAllowed"
        edited = (await bob.does("editMessage", **which, content="hello"))["message"]
        told = {"messageId": said["messageId"], "content": "hello", "editedAt": edited["editedAt"]}
        assert await ann.expect("messageEdited") == told
        assert (await cay.does("joinRoom", roomId=room_id))["room"]["messages"] == [edited]
        await bob.does("deleteMessage", **which)
        assert await ann.expect("messageDeleted") == {"messageId": said["messageId"]}
        assert (await cay.does("getMessages", roomId=room_id))["messages"] == []
        assert await bob.may_not("editMessage", **which, content="again") == "notFound"


async def test_the_history_is_read_page_by_page(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        for number in range(120):
            await ann.does("sendMessage", roomId=room_id, content=str(number))
        page = await ann.does("getMessages", roomId=room_id)
        assert [m["content"] for m in page["messages"]] == [str(n) for n in range(70, 120)]
        assert page["more"] is True
        before = page["messages"][0]["messageId"]
        page = await ann.does("getMessages", roomId=room_id, before=before, limit=100)
        assert [m["content"] for m in page["messages"]] == [str(n) for n in range(70)]
        assert page["more"] is False
        for limit in (0, -1, 101):
            assert await ann.may_not("getMessages", roomId=room_id, limit=limit) == "invalidPayload"
        assert await ann.may_not("getMessages", roomId=room_id, before="gone") == "notFound"


async def test_a_flood_of_reactions_is_told_to_wait(autojump_clock):
    async with world() as w:
        ann = await w.person("ann")
        room_id = await w.room(ann)
        said = (await ann.does("sendMessage", roomId=room_id, content="hi"))["message"]
        which = {"roomId": room_id, "messageId": said["messageId"], "emoji": "👍"}
        answers = [await ann.ask("reactToMessage", **which) for _ in range(200)]
        refused = [answer for answer in answers if not answer["success"]]
        assert refused
        assert all(answer["code"] == "rateLimited" and answer["retryAfter"] > 0 for answer in refused)


@pytest.mark.parametrize("count", [5_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(3600)])])
async def test_a_room_stays_within_its_limits_whatever_is_said(autojump_clock, count):
    """So many messages and as many reactions, through the exchange and into the store."""
    dice, shelf = random.Random(3), Shelf()
    emoji = [Emoji(chr(0x1F600 + number)) for number in range(MAX_REACTIONS + 8)]
    async with world(shelf=shelf) as w:
        ann = await w.person("ann")
        room_id = RoomId(await w.room(ann))
        exchange, room, chat = w.exchange, w.exchange.rooms.open[room_id], w.state(room_id).chat.history
        (session,) = exchange.people.sessions.values()
        session.outbox = None  # who hears it all is not the question here
        reactors = [UserId(f"user{number}") for number in range(1000)]
        memory: list[int] = []
        tracemalloc.start()
        for number in range(count):
            exchange.handle(session, SendMessage(room_id, Text("x" * dice.choice((1, 100, 20_000)))))
            said = dice.choice(chat.last(200))
            reaction = said.message_id, dice.choice(reactors), dice.choice(emoji)
            with contextlib.suppress(Refusal):
                room.do(partial(chat.react, *reaction))
            if number % 500 == 0 or number == count - 1:
                kept = chat.last(1000)
                assert len(kept) <= MAX_MESSAGES
                assert sum(len(m.content) + 256 for m in kept) <= MAX_BYTES
                assert all(len(m.reactions) <= MAX_REACTIONS for m in kept)
                assert sum(key.startswith("chat:") for key in shelf.kept) == len(kept)
                memory.append(tracemalloc.get_traced_memory()[0])
                assert memory[-1] < memory[min(2, len(memory) - 1)] + MAX_BYTES  # once it is full, it is full
        tracemalloc.stop()


async def test_a_message_takes_only_so_many_reactions():
    chat = Chat()
    chat.add(message(1, 1))
    for number in range(MAX_REACTIONS):
        chat.react(MessageId("1"), UserId("ann"), Emoji(chr(0x1F600 + number)))
    with pytest.raises(Refusal) as no:
        chat.react(MessageId("1"), UserId("ann"), Emoji("👍"))
    assert no.value.code == "full"
    chat.react(MessageId("1"), UserId("bob"), Emoji(chr(0x1F600)))
