"""Listeners who get a voice under the same numbers are served together by the core in Python: nobody can tell."""

import secrets
import socket
from collections import Counter
from contextlib import ExitStack, suppress

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.inside import Client, Inside, connected, run
from palaver_media import redundancy, rtp
from palaver_media.rtp import AUDIO_LEVEL, MID, RED, RtpPacket
from palaver_media.srtp import REPLAY_WINDOW, Session, SrtpError
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    CloseConsumer,
    CloseProducer,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
)
from palaver_worker.datagrams import OUTGOING, Incoming, Outgoing
from palaver_worker.fanout_c import CFanout
from palaver_worker.fanout_python import PythonFanout
from palaver_worker.fanout_python_groups import MOST
from palaver_worker.packet import Packet
from palaver_worker.sockaddr import pack
from palaver_worker.structs import MOST_STRUCTS, Structs

MIDS = ["0", "7", "12", "3"]  # of the listeners, so that three go together, and one by himself
TYPES = {111: 100, 63: RED}


def read(listener: Client, data: bytes) -> bytes:
    """A packet in the clear."""
    try:
        return listener.dtls.unprotect_rtp(data)
    except SrtpError:
        return b"again " + data[:12]


class Room:
    """Somebody who speaks, and some who hear him."""

    def __init__(self, inside: Inside, mids: list[str], takes: tuple[int, ...] = ()) -> None:
        self.inside, self.takes = inside, takes
        self.speaker, *self.listeners = connected(inside, 1 + len(mids))
        self.speaker.transport.client.limit(10**6, 10**9)
        inside.sfu.apply(AddProducer(self.speaker.id, "p", MediaKind.AUDIO, 48_000, 1, TYPES, {1: MID, 3: AUDIO_LEVEL}))
        self.number = 100
        for at, mid in enumerate(mids):
            self.join(at, mid)

    def join(self, at: int, mid: str) -> None:
        """Let a listener hear."""
        extensions = (MID, AUDIO_LEVEL)
        client = self.listeners[at].id
        self.inside.sfu.apply(AddConsumer(client, f"c{at}", "p", 50 + at, mid, "x", extensions, None, self.takes))
        self.inside.sfu.apply(ResumeConsumer(f"c{at}"))

    def leg(self, at: int):
        return self.inside.sfu.consumers[f"c{at}"].leg

    def say(self, step: int, how: str = "as usual") -> None:
        """Say something, so many numbers on."""
        self.number += step
        body, payload_type, timestamp = bytes([self.number & 0xFF]) * 20, 111, 960 * self.number & 0xFFFF_FFFF
        extensions = {1: b"s", 3: bytes([0x80 | self.number & 0x7F])}
        if how == "with copies":
            body, payload_type = redundancy.write(111, 10_000, body, [(9040, b"before")]), 63
        elif how == "without level":
            del extensions[3]
        elif how == "in another codec":  # that nobody negotiated
            payload_type = 5
        padding = b"\0\2" if how == "padded" else b""  # the core reads it by another way
        packet = RtpPacket(
            payload_type, self.number & 0xFFFF, timestamp, 1, body + padding, False, extensions, b"", len(padding)
        )
        with suppress(SrtpError):  # the speaker's own guard: he said something far ahead before
            self.speaker.socket.sendto(self.speaker.dtls.protect_rtp(packet.write()), self.inside.address)
        self.inside.port.drain(lambda: None)

    def heard(self) -> list[list[bytes]]:
        """What each listener got since, in the clear; of what he has already that it came again."""
        return [[read(each, data) for data in each.receive() if not rtp.is_rtcp(data)] for each in self.listeners]

    def counted(self) -> list[tuple[int, ...]]:
        """What is known of each leg."""
        legs = [consumer.leg for consumer in self.inside.sfu.consumers.values()]
        return [(leg.first, leg.offset, leg.highest, leg.packets, leg.octets) for leg in legs]


WAYS = ["as usual", "as usual", "as usual", "with copies", "padded", "without level", "in another codec"]
says = st.tuples(st.sampled_from([1, 1, 1, 1, 2, -1, -2, 5, 70, 20_000]), st.sampled_from(WAYS))
changes = ["pause", "resume", "leave", "begin anew", "cut off", "connect", "move", "again", "count"]
events = st.tuples(st.integers(0, len(MIDS) - 1), st.sampled_from(changes))
GAP = [(1, "as usual"), (2, "as usual")]
LATE = [(-1, "as usual")] * 2


@settings(max_examples=150, deadline=None)
@given(st.lists(says | says | events, max_size=40), st.sampled_from([(), (RED,)]))
@example([*GAP, (2, "padded"), (-1, "as usual"), (0, "pause"), (0, "resume"), (2, "as usual")], ())
@example([*GAP, (-1, "as usual"), (0, "pause"), (0, "resume"), (3, "as usual")], ())
@example([*GAP, (1, "pause"), (1, "resume"), (1, "as usual"), (-2, "as usual")], ())
@example([*GAP, (1, "begin anew"), (2, "as usual")], ())
@example([*GAP, (1, "cut off"), (1, "as usual"), (1, "connect"), (1, "as usual")], ())
@example([*GAP, (1, "cut off"), (-1, "as usual"), (2, "as usual")], ())
@example([(0, "cut off"), *GAP, (-1, "as usual"), (0, "connect"), (-1, "as usual"), (5, "as usual")], ())
@example([(0, "cut off"), (1, "as usual"), (-1, "as usual")], ())
@example([(0, "cut off"), (5, "as usual"), (0, "connect"), *LATE, (5, "as usual")], ())
@example([*GAP, (0, "pause"), (0, "resume"), (0, "cut off"), (5, "as usual"), (0, "connect"), *LATE, *GAP], ())
@example([*GAP, (1, "move"), (1, "as usual")], ())
@example([*GAP, (20_000, "as usual"), (20_000, "as usual"), (1, "padded")], ())
@example([*GAP, (20_000, "in another codec"), (20_000, "as usual"), (1, "as usual")], ())
@example([*GAP, (0, "pause"), (1, "as usual"), (0, "resume"), *GAP, (20_000, "in another codec"), *GAP * 2], ())
@example([*GAP, (1, "without level"), (1, "as usual")], ())
def test_both_cores_serve_a_room_alike_whatever_happens_to_it(happens, takes):
    seen = []

    async def scenario(inside: Inside) -> None:
        room = Room(inside, MIDS, takes)
        got = [[] for _ in MIDS]
        counts = []
        said = set()
        for value, what in happens:
            id, listener = f"c{value}", room.listeners[value % len(MIDS)]
            match what:
                case "pause":
                    inside.sfu.apply(PauseConsumer(id))
                case "resume":
                    inside.sfu.apply(ResumeConsumer(id))
                case "leave":
                    inside.sfu.apply(CloseConsumer(id))
                case "begin anew":
                    if id in inside.sfu.consumers:
                        room.leg(value).pause()
                case "cut off":
                    listener.transport.path.set_keys(None)
                case "connect":
                    listener.transport.path.set_keys(listener.transport.outbound)
                case "move":
                    listener.socket = listener.new_socket()
                    listener.check()
                case "again":
                    if id in inside.sfu.consumers:
                        highest = room.leg(value).highest
                        inside.sfu.consumers[id].resend([highest & 0xFFFF, highest - 1 & 0xFFFF], inside.port.now())
                        inside.port.flush()
                case "count":
                    counts.append(room.counted())
                case how if room.number + value not in said:
                    said.add(room.number + value)
                    room.say(value, how)
            for all_, new in zip(got, room.heard(), strict=True):
                all_ += new
        seen.append((got, counts, room.counted(), inside.port.dropped["unprotected"]))

    run(scenario)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("who", range(3))
def test_who_cannot_be_sent_to_costs_nobody_else_his_packet(who):
    async def scenario(inside: Inside) -> None:
        room = Room(inside, ["0", "1", "2"])
        for _ in range(3):
            room.say(1)
        assert [len(each) for each in room.heard()] == [3, 3, 3]
        ahead = RtpPacket(100, 103 + 2 * REPLAY_WINDOW, 0, 50 + who, b"")
        room.listeners[who].transport.outbound.protect_rtp(ahead.write())  # so they refuse what comes now
        for _ in range(3):
            room.say(1)
        assert [len(each) for each in room.heard()] == [0 if at == who else 3 for at in range(3)]
        assert inside.port.dropped["unprotected"] == 3
        assert [room.leg(at).packets for at in range(3)] == [3 if at == who else 6 for at in range(3)]
        assert [room.leg(at).octets for at in range(3)] == [60 if at == who else 120 for at in range(3)]
        assert len({room.leg(at).highest for at in range(3)}) == 1

    run(scenario)


def test_more_listeners_than_the_block_holds_are_served_in_several_calls():
    async def scenario(inside: Inside) -> None:
        room = Room(inside, ["0"])
        listener = room.listeners[0]
        for at in range(OUTGOING + MOST):
            inside.sfu.apply(AddConsumer(listener.id, f"more{at}", "p", 1000 + at, f"{at % 10}", "x", (MID,)))
            inside.sfu.apply(ResumeConsumer(f"more{at}"))
        heard = set()
        for _ in range(4):
            room.say(1)
            heard |= {rtp.peek_ssrc(data) for data in listener.receive()}
        consumers = [each.leg for each in inside.sfu.consumers.values()]
        assert {leg.packets for leg in consumers} == {4}
        assert len(heard) >= MOST  # a socket's buffer may not hold them all

    run(scenario)


def test_nothing_is_kept_of_a_voice_that_has_ended():
    async def scenario(inside: Inside) -> None:
        room = Room(inside, ["0", "1"])
        room.say(1)
        room.say(1)
        path = room.listeners[0].transport.path
        assert path.unisons
        inside.sfu.apply(CloseProducer("p"))
        assert not path.unisons

    run(scenario, [PythonFanout])


def test_all_go_on_together_who_can_after_each_change():
    async def scenario(inside: Inside) -> None:
        room = Room(inside, ["0", "1", "2"])

        def together() -> list[set[int]]:
            unisons = {leg.unison: set() for leg in map(room.leg, range(3)) if leg.unison is not None}
            for at in range(3):
                if room.leg(at).unison is not None:
                    unisons[room.leg(at).unison].add(at)
            return list(unisons.values())

        room.say(1)
        assert together() == [{0, 1, 2}]
        inside.sfu.apply(PauseConsumer("c1"))
        assert together() == []
        room.say(1)
        assert together() == [{0, 2}]
        inside.sfu.apply(ResumeConsumer("c1"))
        room.say(1)
        assert together() == [{0, 2}, {1}]  # he has numbers of his own now: those he missed are not left out
        unisons = [room.leg(at).unison for at in range(3)]
        room.listeners[2].transport.path.set_destination(room.listeners[2].transport.path.destination)
        room.say(1)
        room.say(1, "padded")
        room.say(1)
        assert [room.leg(at).unison for at in range(3)] == unisons  # nothing has changed
        room.listeners[2].transport.path.set_keys(None)
        room.say(1)
        assert together() == [{0}, {1}] or together() == [{1}, {0}]
        room.listeners[2].transport.path.set_keys(room.listeners[2].transport.outbound)
        room.say(1)
        assert [len(each) for each in room.heard()] == [8, 7, 7]

    run(scenario, [PythonFanout])


def test_structs_are_kept_for_few_sizes():
    structs = Structs("2s1x", "pack_into")
    for size in range(3 * MOST_STRUCTS):
        memory = bytearray(b"x" * (3 + size))
        structs.make(size)(memory, 0, b"ee", b"c" * size)
        assert memory == b"ee\0" + b"c" * size
        assert structs.by_size[size] is not None
        assert len(structs.by_size) - structs.by_size.count(None) <= MOST_STRUCTS


def test_a_number_that_was_used_by_another_way_is_never_used_again():
    async def scenario(inside: Inside) -> None:
        room = Room(inside, ["0", "1"])
        room.say(1)
        room.say(1)
        ahead = Packet(RtpPacket(100, 110, 0, 1, b"").write(), {}, 0.0)
        inside.port.fanout.forward(ahead, inside.port.fanout.group([room.leg(0), room.leg(1)]))
        room.say(1)  # the next one of those who are together
        assert [room.leg(at).highest for at in range(2)] == [110, 110]
        inside.port.flush()

    run(scenario)


@pytest.mark.parametrize("core", [PythonFanout, CFanout])
@pytest.mark.parametrize(("host", "has_mmsg"), [("127.0.0.1", False), ("::1", True), ("::1", False)])
def test_a_voice_reaches_each_by_either_family_and_way_to_the_kernel(core, host, has_mmsg):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    profile = SRTP_PROFILES[0]
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(family, socket.SOCK_DGRAM)) for _ in range(5)]
        for each in sockets:
            each.bind((host, 0))
            each.settimeout(2)
        udp, mouth, *ears = sockets
        udp.setblocking(False)
        dropped = Counter()
        fanout = core(Incoming(udp, has_mmsg=has_mmsg), Outgoing(udp, dropped, has_mmsg=has_mmsg))
        key = secrets.token_bytes(profile.key_length + profile.salt_length)
        client = fanout.client()
        client.set_keys(Session(key, profile, is_inbound=True))
        client.limit(1000, 10**6)
        fanout.admit(pack(mouth.getsockname()), client)
        track = client.track(AddProducer("t", "p", MediaKind.AUDIO, 48_000, 1, TYPES, {3: AUDIO_LEVEL}), list)
        legs = []
        for at, ear in enumerate(ears):
            path = fanout.path()
            path.set_keys(Session(key, profile, is_inbound=False))
            path.set_destination(pack(ear.getsockname()))
            legs.append(fanout.leg(path, 50 + at, str(at), (MID, AUDIO_LEVEL)))
        track.set_group(fanout.group(legs))
        outbound = Session(key, profile, is_inbound=False)
        inbound = [Session(key, profile, is_inbound=True) for _ in ears]
        for number in range(100, 104):
            said = RtpPacket(111, number, 960 * number, 1, b"sound", False, {3: b"\x85"})
            mouth.sendto(outbound.protect_rtp(said.write()), udp.getsockname())
            fanout.receive(dropped)
            assert fanout.process(number / 50, dropped) == []
            fanout.outgoing.flush()
            for at, ear in enumerate(ears):
                heard = rtp.parse(inbound[at].unprotect_rtp(ear.recv(2048)))
                assert (heard.ssrc, heard.sequence, heard.payload) == (50 + at, number, b"sound")
                assert heard.extensions == {MID: str(at).encode(), AUDIO_LEVEL: b"\x85"}
        assert not dropped
        assert [leg.packets for leg in legs] == [4, 4, 4]
