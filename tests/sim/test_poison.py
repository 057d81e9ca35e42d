"""One member sends whatever can be sent, for ever; the others miss nothing of what they say to each other."""

import random

import orjson
import pytest
import trio

from palaver_protocol.table import REQUESTS
from world import world

pytestmark = pytest.mark.trio

EVERY = 500  # poisoned messages between two words of the others


def strange_value(chance, depth=0):
    """Something that no field wants, as JSON text."""
    kinds = [
        lambda: chance.choice(
            ["null", "true", "0", "-1", "1.5", "NaN", "1e999", "-Infinity", "9" * 400, '""', "[]", "{}"]
        ),
        lambda: '"\\ud800"',
        lambda: '"' + "x" * chance.choice([1, 65, 1000, 70_000]) + '"',
        lambda: '"\\u0000\\u202e\\u001b[2J"',
        lambda: "[" * chance.choice([3, 600, 5_000]),
        lambda: "[" * 400 + "]" * 400,
        lambda: '{"a":1,"a":2,"roomId":"x","roomId":[]}',
        lambda: str(chance.randrange(-(2**70), 2**70)),
    ]
    if depth < 2:
        kinds.append(lambda: "[" + ",".join(strange_value(chance, depth + 1) for _ in range(chance.randrange(4))) + "]")
    return chance.choice(kinds)()


def strange_payload(chance, room_id):
    """A payload of which something may be right."""
    fields = ["roomId", "content", "messageId", "emoji", "isMuted", "transportId", "rtpParameters", "callId", "userId"]
    parts = [f'"{chance.choice(fields)}":{strange_value(chance)}' for _ in range(chance.randrange(5))]
    if chance.random() < 0.7:
        parts.append(f'"roomId":"{room_id}"')
    return "{" + ",".join(parts) + "}"


def poison(chance, room_id):
    """One WebSocket message."""
    event = chance.choice([*REQUESTS, "disconnect", "connect", "\\u0000", "__proto__"])
    if event in ("leaveRoom", "endCall"):
        room_id = "elsewhere"  # it stays, to go on
    ack = chance.choice(["", "7", "99999999999999999999", "-1"])
    return chance.choice(
        [
            lambda: f'42{ack}["{event}",{strange_payload(chance, room_id)}]',
            lambda: f'42{ack}["{event}",{strange_value(chance)}]',
            lambda: f'42{ack}["{event}"]',
            lambda: f"42{ack}{strange_value(chance)}",
            lambda: f'45{chance.randrange(4)}-["{event}",{{"_placeholder":true,"num":{chance.randrange(-2, 5)}}}]',
            lambda: chance.randbytes(chance.randrange(200)),
            lambda: chance.choice(["", "4", "42", "43", "44", "40", "3", "6", "9", "40/x,", "42/x,[]", "2probe"]),
            lambda: f'42{ack}["sendMessage",{{"roomId":"{room_id}","content":"spam"}}]',
        ]
    )()


class Poisoner:
    """The member who does it; whoever cuts it off, it comes back."""

    def __init__(self, w, room_id):
        self.w, self.room_id, self.person, self.cut_off = w, room_id, None, 0

    async def send(self, message):
        if self.person is None or self.person.left.is_set():
            self.cut_off += self.person is not None
            self.person = await self.w.person("mallory")
            await self.person.does("joinRoom", roomId=self.room_id)
        self.person.deaf()
        for session in self.w.exchange.people.of("mallory"):
            session.budget.tokens = 300.0  # or it would be refused unread
        await self.person.send(message)


@pytest.mark.parametrize(
    "number", [4_000, pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(4 * 3600)])]
)
async def test_the_others_miss_nothing(autojump_clock, number, caplog):
    caplog.set_level("ERROR")
    chance = random.Random(number)
    async with world() as w:
        ann, bob = await w.people("ann", "bob")
        room_id = await w.room(ann, bob)
        poisoner = Poisoner(w, room_id)
        for count in range(number):
            await poisoner.send(poison(chance, room_id))
            if count % EVERY == 0:
                await trio.sleep(1)  # or the others would say more than they may
                bob.deaf()
                said = await ann.does("sendMessage", roomId=room_id, content=f"no. {count}")
                with trio.fail_after(10):
                    while (await bob.expect("newMessage"))["messageId"] != said["message"]["messageId"]:
                        pass
        assert poisoner.cut_off > number / 100
        assert not [record for record in caplog.records if record.exc_info], "something broke"
        for name, payload in bob.notices:
            assert name.isalnum()
            orjson.dumps(payload)
        await ann.does("endCall", roomId=room_id)
