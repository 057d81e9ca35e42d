"""Voices that the core in C takes all the way: the same as by way of Python, and in the same order."""

import asyncio
import random
import select
import socket
import struct
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.inside import Client, Inside, connected, hear, run
from media_peer import audio
from palaver_media import redundancy, rtp
from palaver_media.rtp import OPUS, RED, RtpPacket
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import AddConsumer, AddProducer, CloseProducer, MediaKind, ResumeConsumer
from palaver_worker.fanout_c import CFanout
from palaver_worker.fanout_python import PythonFanout
from palaver_worker.port import NEVER_FRAGMENT, NEVER_FRAGMENT_IPV6, bind
from palaver_worker.pump import PumpSelector

IDS = {4: 1, 2: 4, 3: 10, 20: 10}  # of extensions: a browser's, and one that needs the two-byte form


TYPES = {111: 100, 9: 9, 63: RED}


def conversation(inside: Inside, takes: tuple[int, ...] = ()) -> tuple[Client, Client]:
    """Somebody who speaks, and somebody who hears him, and may take copies of earlier frames."""
    speaker, listener = connected(inside)
    hear(inside, speaker, listener, types=TYPES, ids=IDS, takes=takes)
    return speaker, listener


def heard(listener: Client, datagrams: list[bytes]) -> list[RtpPacket]:
    """The RTP in these datagrams, without the time of sending."""
    packets = [rtp.parse(listener.dtls.unprotect_rtp(each)) for each in datagrams if not rtp.is_rtcp(each)]
    for packet in packets:
        packet.extensions.pop(4, None)
    return packets


extensions = st.dictionaries(st.sampled_from([2, 3, 4, 7]), st.binary(min_size=1, max_size=16), max_size=4)
copies = st.lists(st.tuples(st.integers(1, 20_000), st.binary(max_size=9)), max_size=redundancy.MOST + 1)
redundant = st.tuples(st.sampled_from([111, 111, 9]), st.binary(max_size=9), copies).map(
    lambda drawn: redundancy.write(drawn[0], 50_000, drawn[1], [(50_000 - offset, body) for offset, body in drawn[2]])
)
packets = st.tuples(
    st.integers(-3, 70),  # how far its number is from the last one's: late ones are kept for less long in C
    st.sampled_from([111, 111, 9, 5, 63, 63]),
    st.binary(max_size=40) | redundant,
    extensions,
    st.booleans(),
    st.integers(0, 3),  # CSRCs
)


@settings(max_examples=80, deadline=None)
@given(st.lists(packets, max_size=15), st.sampled_from([3, 32_760, 65_500]), st.sampled_from([(), (RED,)]))
def test_listeners_and_statistics_see_no_difference(said, first, takes):
    seen = []

    async def scenario(inside: Inside) -> None:
        speaker, listener = conversation(inside, takes)
        position, got = first, []
        for step, payload_type, body, elements, is_marked, csrcs in said:
            position = max(0, position + step)
            timestamp = 960 * position & 0xFFFFFFFF
            padded, padding = (body + b"\0\2", 2) if csrcs == 3 else (body, 0)
            packet = RtpPacket(
                payload_type, position & 0xFFFF, timestamp, 1, padded, is_marked, elements, bytes(4 * csrcs), padding
            )
            with suppress(SrtpError):  # the speaker's own guard: it said this before, or long ago
                speaker.send(speaker.dtls.protect_rtp(packet.write()))
            got += [each.write() for each in heard(listener, listener.send())]
        producer = inside.sfu.producers["p1"]
        counted = producer.reception
        seen.append((got, counted.received, counted.highest, counted.expected, producer.octets, producer.level))

    run(scenario)
    assert seen[0] == seen[1]


@pytest.mark.parametrize("takes", [(), (RED,)])
def test_copies_go_to_those_who_take_them_and_the_frame_alone_to_others(takes):
    async def scenario(inside: Inside) -> None:
        speaker, listener = conversation(inside, takes)
        body = redundancy.write(111, 1920, b"now", [(0, b"first"), (960, b"before")])
        speaker.send(speaker.dtls.protect_rtp(RtpPacket(63, 2, 1920, 1, body, True, {3: b"\x9e"}).write()))
        (came,) = heard(listener, listener.receive())
        assert (came.sequence, came.timestamp, came.is_marked, came.extensions[10]) == (2, 1920, True, b"\x9e")
        if takes:
            read = redundancy.parse(OPUS, came.timestamp, came.payload)
            assert (came.payload_type, read.primary) == (RED, b"now")
            assert read.copies == ((0, b"first"), (960, b"before"))
        else:
            assert (came.payload_type, came.payload) == (OPUS, b"now")
        assert inside.sfu.consumers["c1"].leg.octets == len(came.payload)

    run(scenario)


@pytest.mark.parametrize("inside_type", [9, 110])
def test_copies_of_another_codec_go_to_nobody(inside_type):
    async def scenario(inside: Inside) -> None:
        speaker, listener = conversation(inside, (RED,))
        body = redundancy.write(inside_type, 960, b"now", [(0, b"before")])
        speaker.send(speaker.dtls.protect_rtp(RtpPacket(63, 1, 960, 1, body).write()))
        assert heard(listener, listener.receive()) == []
        assert inside.port.dropped["ValueError"] == 1

    run(scenario)


@pytest.mark.parametrize(("count", "is_heard"), [(redundancy.MOST, True), (redundancy.MOST + 1, False)])
def test_more_copies_than_anybody_would_send_go_to_nobody(count, is_heard):
    async def scenario(inside: Inside) -> None:
        speaker, listener = conversation(inside)
        body = redundancy.write(111, 48_000, b"now", [(48_000 - 960, b"before")] * count)
        speaker.send(speaker.dtls.protect_rtp(RtpPacket(63, 50, 48_000, 1, body).write()))
        assert [each.payload for each in heard(listener, listener.receive())] == [b"now"] * is_heard

    run(scenario)


elements = st.one_of(
    st.integers(0, 255).map(lambda head: bytes([head]) + bytes(head & 15)),
    st.binary(max_size=20),
)
blocks = st.tuples(st.sampled_from([0xBEDE, 0x1000, 0x100F, 7]), st.lists(elements, max_size=8), st.integers(1, 100))


@settings(max_examples=60, deadline=None)
@given(st.lists(blocks, min_size=1, max_size=6))
@example([(0xBEDE, [b"\x20\0"], 520)])  # times of sending that are too short: nothing may become longer by them
@example([(0x1000, [b"\2\1\0"], 400)])
def test_no_block_of_extensions_is_too_long_for_either_core(said):
    seen = []

    async def scenario(inside: Inside) -> None:
        speaker, listener = conversation(inside)
        came: list[bytes] = []
        for number, (profile, parts, times) in enumerate(said):
            block = (b"".join(parts) * times)[:1_800]
            block += bytes(-len(block) % 4)
            header = struct.pack("!BBHIIHH", 0x90, 111, 500 + number, 960 * number, 1, profile, len(block) // 4)
            speaker.send(speaker.dtls.protect_rtp(header + block + b"sound"))
            came += listener.receive()
        seen.append(([each.write() for each in heard(listener, came)], inside.port.dropped["ValueError"]))

    run(scenario)
    assert seen[0] == seen[1]


def test_each_of_many_tracks_is_found():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        ssrcs = random.Random(4).sample(range(1, 1 << 32), 40)
        for number, ssrc in enumerate(ssrcs):
            inside.sfu.apply(AddProducer(speaker.id, f"p{number}", MediaKind.AUDIO, 48000, ssrc, {111: 100}, IDS))
            inside.sfu.apply(AddConsumer(listener.id, f"c{number}", f"p{number}", 100 + number, "0", "someone", ()))
            inside.sfu.apply(ResumeConsumer(f"c{number}"))
        left = list(range(len(ssrcs)))
        for time, closed in enumerate((None, 0, 17, 39)):
            if closed is not None:
                inside.sfu.apply(CloseProducer(f"p{closed}"))
                left.remove(closed)
            came: list[bytes] = []
            for ssrc in (0, *ssrcs, 0xFFFF_FFFF):
                speaker.send(speaker.dtls.protect_rtp(audio(ssrc, time).write()))
                came += listener.receive()
            assert [each.ssrc - 100 for each in heard(listener, came)] == left

    run(scenario)


@pytest.mark.parametrize("datagrams", [0, 1, 2])
def test_what_else_there_is_to_do_is_seen_with_the_datagrams(datagrams):
    """So that commands can be applied first."""

    async def scenario(inside: Inside) -> None:
        stranger = Client(inside)
        owner, ours = socket.socketpair()
        with stranger.socket, owner, ours, select.epoll() as others:
            others.register(ours, select.EPOLLIN)
            for has_command in (False, True):
                for _ in range(datagrams):
                    stranger.socket.sendto(audio(2, 1).write(), inside.address)
                if has_command:
                    owner.send(b"command")
                assert inside.port.fanout.wait(others.fileno(), 0.0) == (datagrams > 0, has_command)
                inside.port.act(None)
            assert inside.port.dropped["stranger"] == 2 * datagrams

    run(scenario)


def test_a_batch_that_nobody_acted_on_is_not_taken_for_the_next():
    async def scenario(inside: Inside) -> None:
        stranger = Client(inside)
        owner, ours = socket.socketpair()
        with stranger.socket, owner, ours, select.epoll() as others:
            others.register(ours, select.EPOLLIN)
            for _ in range(3):
                stranger.socket.sendto(b"?", inside.address)
            owner.send(b"command")
            assert inside.port.fanout.wait(others.fileno(), 0.0) == (True, True)
            ours.recv(10)  # which raised
            for _ in range(2):
                stranger.socket.sendto(b"!", inside.address)
                assert inside.port.fanout.wait(others.fileno(), 0.0) == (True, False)
            assert inside.port.fanout.process(inside.port.now(), inside.port.dropped) == [0]

    run(scenario)


@pytest.mark.parametrize("core", [PythonFanout, CFanout])
def test_a_batch_that_goes_wrong_costs_no_other(core, caplog):
    async def scenario(pump: PumpSelector) -> None:
        with await bind("127.0.0.1", 0) as udp:
            loop = asyncio.get_running_loop()
            inside = Inside(loop, udp, core)
            stranger = Client(inside)
            woken = asyncio.Event()

            def act(_are_others: bool) -> None:
                inside.port.act(None)
                woken.set()
                if inside.port.dropped["stranger"] == 1:
                    raise RuntimeError("a bug")

            pump.attach(inside.port.fanout, act)
            async with asyncio.timeout(10):
                for _ in range(2):
                    stranger.socket.sendto(b"?", inside.address)
                    await woken.wait()
                    woken.clear()
            pump.detach()
            stranger.socket.close()

    pump = PumpSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(pump)) as runner:
        runner.run(scenario(pump))
    assert [str(each.exc_info[1]) for each in caplog.records if each.exc_info] == ["a bug"]


def test_a_voice_wakes_nobody_and_a_check_does():
    """On a real loop: it waits in C, and `act` is called for what is no voice."""

    async def scenario(pump: PumpSelector) -> None:
        with await bind("127.0.0.1", 0) as udp:
            loop = asyncio.get_running_loop()
            inside = Inside(loop, udp, CFanout)
            speaker, listener = conversation(inside)

            woken = asyncio.Event()

            def act(_are_others: bool) -> None:
                woken.set()
                inside.port.act(None)

            pump.attach(inside.port.fanout, act)
            async with asyncio.timeout(10):
                for sequence in range(1, 51):
                    packet = audio(1, sequence)
                    packet.extensions = {3: b"\x7f"}  # silence: nobody begins to speak
                    speaker.socket.sendto(speaker.dtls.protect_rtp(packet.write()), inside.address)
                    datagram = await loop.sock_recv(listener.socket, 2048)
                    assert [each.sequence for each in heard(listener, [datagram])] == [sequence]
                assert not woken.is_set()
                speaker.socket.sendto(audio(2, 1).write(), inside.address)  # of no track
                await woken.wait()
            assert inside.port.dropped["ValueError"] == 1
            pump.detach()
            inside.sfu.close()
            speaker.socket.close()
            listener.socket.close()

    pump = PumpSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(pump)) as runner:
        runner.run(scenario(pump))


@pytest.mark.parametrize(("host", "to"), [("127.0.0.1", "127.0.0.1"), ("::", "::ffff:127.0.0.1")])
def test_what_is_sent_is_never_fragmented_and_needs_no_identification(host: str, to: str):
    async def scenario() -> None:
        with await bind(host, 0) as udp:
            options = [NEVER_FRAGMENT] if udp.family == socket.AF_INET else [NEVER_FRAGMENT, NEVER_FRAGMENT_IPV6]
            for level, option, value in options:
                assert udp.getsockopt(level, option) == value
            with suppress(PermissionError):  # only root may look at the wire
                look_at_the_wire(udp, to)

    def look_at_the_wire(udp: socket.socket, to: str) -> None:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP) as wire,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener,
        ):
            wire.settimeout(5)
            listener.bind(("127.0.0.1", 0))
            port = listener.getsockname()[1]
            udp.sendto(b"said", (to, port))
            while (packet := wire.recv(2048))[22:24] != port.to_bytes(2, "big"):
                pass
            identification, flags = struct.unpack("!HH", packet[4:8])
            assert (packet[28:], identification, flags) == (b"said", 0, 0x4000)  # don't fragment (RFC 791, 3.1)

    asyncio.run(scenario())
