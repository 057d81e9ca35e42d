"""Cases about what is written in rooms."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from palaver_protocol.table import Code

from .checks import check, check_fields
from .person import Person
from .rooms import view
from .stage import Stage, case

EMOJIS = [chr(code) for code in range(0x1F600, 0x1F600 + 33)]


async def say(stage: Stage, room_id: str, sender: Person, content: str, *hearers: Person) -> dict[str, Any]:
    """Somebody says something, and these people hear it: the message."""
    said: dict[str, Any] = (await sender.manages("sendMessage", roomId=room_id, content=content))["message"]
    for person in hearers:
        await person.hears("newMessage", messageId=said["messageId"], content=content)
    return said


# -- sendMessage -------------------------------------------------------------------------------------------------------
@case("sendMessage: everybody hears the same message, its sender too", "newMessage")
async def send(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    said = (await ada.does("sendMessage", roomId=room_id, content="Grüezi\n👋"))["message"]
    check_fields("the message", said, userId=ada.user_id, userName="Ada", content="Grüezi\n👋", reactions=[])
    check("replyTo" not in said, "no replyTo", said)
    for person in (ada, bo):
        check(await person.hears("newMessage") == said, "the same message for all", person.heard[-1].payload)


@case("sendMessage: a reply quotes the message that it names, by its id or as an object", "newMessage")
async def reply(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    first = await say(stage, room_id, ada, "who has the key?", ada, bo)
    quote = {"messageId": first["messageId"], "userName": "Ada", "content": "who has the key?"}
    lie = {"messageId": first["messageId"], "userName": "Mallory", "content": "a lie"}
    for named in (first["messageId"], lie):
        said = (await bo.does("sendMessage", roomId=room_id, content="I have", replyTo=named))["message"]
        check_fields("the message", said, replyTo=quote)
        for person in (ada, bo):
            await person.hears("newMessage", replyTo=quote)


@case("sendMessage: a reply to a message that is not there is refused")
async def reply_to_nothing(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    await ada.refused("sendMessage", Code.NOT_FOUND, roomId=room_id, content="what?", replyTo=str(uuid4()))


@case("sendMessage: 20,000 characters pass", "newMessage")
async def longest(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    await say(stage, room_id, ada, "x" * 20_000, ada, bo)


@case("sendMessage: what is blank or too long is refused")
async def too_long(stage: Stage) -> None:
    room_id, (ada, _) = await stage.room_of("Ada", "Bo")
    for content in ("", " \n\t", "x" * 20_001, "👋" * 16_400):  # the last has more than 64 KiB
        await ada.refused("sendMessage", Code.INVALID_PAYLOAD, Code.TOO_LARGE, roomId=room_id, content=content)


@case("sendMessage: what terminals obey does not pass", "newMessage")
async def sanitised(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    said = (await ada.does("sendMessage", roomId=room_id, content="a\x1b[2Jb\u202ec"))["message"]
    check(said["content"] == "a\ufffd[2Jb\ufffdc", "U+FFFD in place of control and bidirectional marks", said)
    await ada.hears("newMessage", content=said["content"])


# -- history -----------------------------------------------------------------------------------------------------------
@case("joinRoom: who comes late sees what was said", "sendMessage")
async def late(stage: Stage) -> None:
    ada, bo = await stage.cast("Ada", "Bo")
    room_id = await stage.room(ada)
    said = [await say(stage, room_id, ada, f"number {n}", ada) for n in range(3)]
    room = (await bo.does("joinRoom", roomId=room_id))["room"]
    await ada.hears("userJoined")
    check(room["messages"] == said, "the three messages, the oldest first", room["messages"])


@case("getMessages: pages go back to the first message", is_addition=True)
async def pages(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    said = [await say(stage, room_id, ada, f"number {n}", ada) for n in range(7)]
    newest = await ada.does("getMessages", roomId=room_id, limit=3)
    check(newest["messages"] == said[4:], "the newest three", newest["messages"])
    check_fields("the answer", newest, more=True)
    older = await ada.does("getMessages", roomId=room_id, limit=4, before=said[4]["messageId"])
    check(older["messages"] == said[:4], "the four before", older["messages"])
    check_fields("the answer", older, more=False)
    everything = await ada.does("getMessages", roomId=room_id)
    check(everything["messages"] == said, "all of them", everything["messages"])


@case("getMessages: a senseless limit, or a message that is not there, is refused", is_addition=True)
async def wrong_page(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    for limit in (0, -1, 101):
        await ada.refused("getMessages", Code.INVALID_PAYLOAD, roomId=room_id, limit=limit)
    await ada.refused("getMessages", Code.NOT_FOUND, roomId=room_id, before=str(uuid4()))


@case("getMessages: a room keeps its last 200 messages and shows 50", "sendMessage", is_addition=True)
async def kept(stage: Stage) -> None:
    room_id, people = await stage.room_of("Ada", "Bo", "Cy", "Dee")
    posed = {
        one: [await one.pose("sendMessage", {"roomId": room_id, "content": f"{n}"}) for n in range(52)]
        for one in people
    }
    for person, numbers in posed.items():
        for number in numbers:
            await person.answer(number)
    for person in people:
        await person.barrier()
        person.may_hear("newMessage")
    ada = people[0]
    said = [heard.payload for heard in ada.heard if heard.event == "newMessage"]
    shown = (await view(ada, room_id))["messages"]
    check(shown == said[-50:], "the last 50 in the room", [message["content"] for message in shown])
    page = await ada.does("getMessages", roomId=room_id, limit=100)
    found: list[Any] = page["messages"]
    while page["more"] and len(found) < len(said):
        page = await ada.does("getMessages", roomId=room_id, limit=100, before=found[0]["messageId"])
        found = page["messages"] + found
    check(found == said[-200:], "the last 200 messages", len(found))


@case("getMessages: a room keeps a mebibyte of text, the newest", "sendMessage", is_addition=True)
async def kept_bytes(stage: Stage) -> None:
    room_id, people = await stage.room_of("Ada", "Bo", "Cy", "Di", "Ed")  # more than one may say at once
    ada, text = people[0], "€" * 20_000  # 60,000 bytes
    said = [await say(stage, room_id, people[number % 5], text, *people) for number in range(20)]
    answer = await ada.does("getMessages", roomId=room_id, limit=100)
    kept_messages: list[Any] = answer["messages"]
    check(kept_messages == said[-len(kept_messages) :], "the newest messages", len(kept_messages))
    check(10 <= len(kept_messages) <= 17, "at most 1 MiB of them, and not much less", len(kept_messages))


# -- reactions ---------------------------------------------------------------------------------------------------------
@case("reactToMessage: everybody gets all reactions, and a second time takes one's own back", "messageReactionUpdated")
async def react(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    message_id = (await say(stage, room_id, ada, "lunch?", ada, bo))["messageId"]
    steps = [(ada, [ada]), (bo, [ada, bo]), (ada, [bo]), (bo, [])]
    for who, left in steps:
        answer = await who.does("reactToMessage", roomId=room_id, messageId=message_id, emoji="👍🏽")
        users = [person.user_id for person in left]
        reactions = [{"emoji": "👍🏽", "userIds": users, "count": len(users)}] if users else []
        check_fields("the message", answer["message"], reactions=reactions, messageId=message_id)
        for person in (ada, bo):
            await person.hears("messageReactionUpdated", messageId=message_id, reactions=reactions)


@case("reactToMessage: a message that is not there, and what is no emoji, is refused")
async def react_wrongly(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    message_id = (await say(stage, room_id, ada, "lunch?", ada))["messageId"]
    await ada.refused("reactToMessage", Code.NOT_FOUND, roomId=room_id, messageId=str(uuid4()), emoji="👍")
    for emoji in ("x", "", "👍👍", "👍 "):
        await ada.refused("reactToMessage", Code.INVALID_PAYLOAD, roomId=room_id, messageId=message_id, emoji=emoji)


@case("reactToMessage: a message holds 32 different emojis", "messageReactionUpdated")
async def full(stage: Stage) -> None:
    room_id, (ada,) = await stage.room_of("Ada")
    message_id = (await say(stage, room_id, ada, "lunch?", ada))["messageId"]
    for emoji in EMOJIS[:32]:
        await ada.does("reactToMessage", roomId=room_id, messageId=message_id, emoji=emoji)
        await ada.hears("messageReactionUpdated")
    await ada.refused("reactToMessage", Code.FULL, roomId=room_id, messageId=message_id, emoji=EMOJIS[32])


# -- one's own messages ------------------------------------------------------------------------------------------------
@case("editMessage: everybody hears the new words", "messageEdited", is_addition=True)
async def edit(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    message_id = (await say(stage, room_id, ada, "teh key", ada, bo))["messageId"]
    edited = await ada.does("editMessage", roomId=room_id, messageId=message_id, content="the key")
    check_fields("the message", edited["message"], content="the key", messageId=message_id)
    for person in (ada, bo):
        heard = await person.hears("messageEdited", messageId=message_id, content="the key")
        check_fields("the message", edited["message"], editedAt=heard["editedAt"])
    (kept_message,) = (await view(bo, room_id))["messages"]
    check(kept_message == edited["message"], "the new words in the room", kept_message)


@case("deleteMessage: everybody hears that it is gone", "messageDeleted", is_addition=True)
async def delete(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    message_id = (await say(stage, room_id, ada, "oops", ada, bo))["messageId"]
    answer = await ada.does("deleteMessage", roomId=room_id, messageId=message_id)
    check_fields("the message", answer["message"], messageId=message_id)
    for person in (ada, bo):
        await person.hears("messageDeleted", messageId=message_id)
    await ada.refused("deleteMessage", Code.NOT_FOUND, roomId=room_id, messageId=message_id)
    messages = (await view(bo, room_id))["messages"]
    check(messages == [], "no message in the room", messages)


@case("editMessage: somebody else's message, or none, is refused", is_addition=True)
async def edit_wrongly(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    message_id = (await say(stage, room_id, bo, "mine", ada, bo))["messageId"]
    await ada.refused("editMessage", Code.NOT_ALLOWED, roomId=room_id, messageId=message_id, content="yours")
    await ada.refused("editMessage", Code.NOT_FOUND, roomId=room_id, messageId=str(uuid4()), content="x")


@case("deleteMessage: somebody else's message is refused, even to the host", is_addition=True)
async def delete_wrongly(stage: Stage) -> None:
    room_id, (ada, bo) = await stage.room_of("Ada", "Bo")
    message_id = (await say(stage, room_id, bo, "mine", ada, bo))["messageId"]
    await ada.refused("deleteMessage", Code.NOT_ALLOWED, roomId=room_id, messageId=message_id)
