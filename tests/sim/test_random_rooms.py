"""Rooms driven by commands at random: whatever happens, everybody believes what is, and in the end nothing is left."""

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, note, settings

from sim.orderings import play
from world import CAPABILITIES, DTLS, OPUS


class Named:
    """A step that says what it is when it fails."""

    def __init__(self, step, *words):
        self.step, self.words = step, words

    def __call__(self, s):
        return self.step(s)

    def __repr__(self):
        return " ".join(map(str, self.words))


NAMES = ("ann", "bob", "eve", "ida")
ROOMS = ("den", "attic")
CALLS = ("c1", "c2", "c3")


async def cast(s):
    """Four people, of whom one never resumes."""
    for name in NAMES:
        await s.party(name, resumes=name != "ida")


def rooms_of(s):
    """The ids of all rooms, the open ones first."""
    return [*s.exchange.rooms.open, *s.exchange.rooms.ended, "nowhere"]


def messages_of(s):
    """The ids of all messages."""
    states = [room.state for room in s.exchange.rooms.open.values()]
    return [said.message_id for state in states for said in state.chat.history.last()] or ["none"]


def ids_of(s, what):
    """The ids of everybody's transports, producers or consumers."""
    states = [room.state for room in s.exchange.rooms.open.values()]
    return [key for state in states for seat in state.seats.values() for key in getattr(seat, what)] or ["none"]


PAYLOADS = {
    "joinRoom": lambda s, n, flag: {"leaveCurrent": flag},
    "acceptCall": lambda s, n, flag: {"leaveCurrent": flag},
    "rejectCall": lambda s, n, flag: {},
    "leaveRoom": lambda s, n, flag: {},
    "endCall": lambda s, n, flag: {},
    "transferHost": lambda s, n, flag: {"userId": NAMES[n % 4]},
    "sendMessage": lambda s, n, flag: {"content": f"no. {n}"} | ({"replyTo": messages_of(s)[0]} if flag else {}),
    "reactToMessage": lambda s, n, flag: {"messageId": messages_of(s)[-1], "emoji": "👍" if flag else "🎉"},
    "editMessage": lambda s, n, flag: {"messageId": messages_of(s)[-1], "content": "edited"},
    "deleteMessage": lambda s, n, flag: {"messageId": messages_of(s)[n % len(messages_of(s))]},
    "getMessages": lambda s, n, flag: {"limit": n},
    "mediaStateChanged": lambda s, n, flag: {"isMuted": flag, "isVideoEnabled": not flag},
    "setRecording": lambda s, n, flag: {"isRecording": flag},
    "createTransport": lambda s, n, flag: {"direction": "send" if flag else "receive"},
    "connectTransport": lambda s, n, flag: {
        "transportId": ids_of(s, "transports")[n % len(ids_of(s, "transports"))],
        "dtlsParameters": DTLS,
    },
    "produce": lambda s, n, flag: {
        "transportId": ids_of(s, "transports")[n % len(ids_of(s, "transports"))],
        "kind": "audio",
        "rtpParameters": {**OPUS, "encodings": [{"ssrc": 1 + n}]},
    },
    "closeProducer": lambda s, n, flag: {"producerId": ids_of(s, "producers")[n % len(ids_of(s, "producers"))]},
    "consume": lambda s, n, flag: {
        "producerId": ids_of(s, "producers")[n % len(ids_of(s, "producers"))],
        "rtpCapabilities": CAPABILITIES,
    },
    "resumeConsumer": lambda s, n, flag: {"consumerId": ids_of(s, "consumers")[n % len(ids_of(s, "consumers"))]},
}


def asks_room(who, event, n, flag):
    async def step(s):
        known = rooms_of(s)
        payload = {"roomId": known[n % len(known)]} | PAYLOADS[event](s, n, flag)
        await s.parties[who].ask(event, **payload)

    return Named(step, who, event, n, flag)


def asks_call(who, event, n, flag):
    async def step(s):
        payload = {"callId": CALLS[n % 3]}
        if event == "callUser":
            payload |= {"targetUserId": NAMES[n % 4], "leaveCurrent": flag}
        await s.parties[who].ask(event, **payload)

    return Named(step, who, event, n, flag)


def opens(who, n, flag, is_direct):
    async def step(s):
        payload = {"roomType": "direct", "targetUserId": NAMES[n % 4]}
        if not is_direct:
            payload = {"roomType": "group", "roomName": ROOMS[n % 2], "joinExisting": flag}
            payload |= {"invitedUserIds": list(NAMES[: n % 4])}
        await s.parties[who].ask("createRoom", leaveCurrent=flag, **payload)

    return Named(step, who, "opens", n, flag, is_direct)


def befalls(who, what):
    async def step(s):
        party = s.parties[who]
        if what != "come":
            await getattr(party, what)()
        elif party.connection is None:
            await party.come()

    return Named(step, who, what)


def passes(seconds):
    async def step(s):
        await s.pass_time(seconds)

    return Named(step, seconds, "s")


async def the_worker_dies(s):
    for router in s.routers.made[:]:
        router.dead.set()
    await s.settle()


people, numbers, flags = st.sampled_from(NAMES), st.integers(0, 60), st.booleans()
steps = st.one_of(
    st.builds(asks_room, people, st.sampled_from(sorted(PAYLOADS)), numbers, flags),
    st.builds(opens, people, numbers, flags, flags),
    st.builds(
        asks_call, people, st.sampled_from(["callUser", "acceptCallNew", "rejectCallNew", "cancelCall"]), numbers, flags
    ),
    st.builds(befalls, people, st.sampled_from(["cut", "come", "go"])),
    st.builds(passes, st.sampled_from([1, 14, 16, 31])),
    st.just(the_worker_dies),
)


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=3, max_size=40))
def test_nobody_is_told_what_is_not(order):
    note(f"in this order: {order}")
    play(cast, order)


@pytest.mark.long
@pytest.mark.timeout(1800)
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(steps, min_size=10, max_size=80))
def test_nobody_is_told_what_is_not_for_long(order):
    note(f"in this order: {order}")
    play(cast, order)
