"""The usual way of a voice's packet through the core in Python, beside the one by which any packet is read."""

import tracemalloc
from random import Random
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.fuzz import RTP, Mutations
from media.inside import Inside, connected, hear, run
from palaver_media import rtp
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, RtpPacket, write_send_time
from palaver_media.worker_messages import AddConsumer, AddProducer, MediaKind, ResumeConsumer
from palaver_worker.fanout import KEPT
from palaver_worker.layout import LONGEST, MOST_PREFIXES, UNKNOWN, Layout, Prefixes, layout_of, prefixes_for
from palaver_worker.packet import Packet

IDS = {4: MID, 2: ABS_SEND_TIME, 3: AUDIO_LEVEL, 9: 11}
NOW = 5.0


def read(layout: Layout, data: bytes) -> tuple[bytes, int | None, bytes]:
    """Elements, level and payload, by the layout."""
    prefix = layout.read(data, NOW)
    assert prefix is not None
    of, before, elements, level = prefix
    assert of is layout
    assert data[12:] == before + data[layout.end :]
    return elements, None if level is None else -level, data[layout.end :]


def fits(layout: Layout, data: bytes) -> bool:
    return layout.read(data, NOW) is not None


def agree(layout: Layout, data: bytes) -> None:
    packet = Packet(data, IDS, NOW)
    assert read(layout, data) == (packet.elements, packet.level, packet.body)
    assert (packet.padding, packet.csrcs) == (0, b"")


def usual(data: bytes) -> Layout | None:
    """The layout; it must be as broken for us as it is for `Packet`."""
    try:
        packet = Packet(data, IDS, NOW)
    except ValueError:
        packet = None
    try:
        layout = layout_of(data, IDS)
    except ValueError:
        assert packet is None
        return None
    assert layout is None or packet is not None
    return layout


def test_mutants_are_read_alike_and_fit_only_where_they_are_laid_out_so():
    layouts: list[Layout] = []
    count = 0
    for data in Mutations(7, RTP).take(20_000):
        if (layout := usual(data)) is not None:
            agree(layout, data)
            layouts = [*layouts[-20:], layout]
        for earlier in layouts:
            if fits(earlier, data):
                agree(earlier, data)
                count += 1
    assert count > 1_000


elements = st.dictionaries(st.sampled_from([2, 3, 4, 7, 9]), st.binary(min_size=1, max_size=16), max_size=3)


@settings(max_examples=200, deadline=None)
@given(elements, st.binary(max_size=30), st.data())
def test_the_same_layout_with_other_values_is_recognised(values, body, data):
    packet = RtpPacket(111, 1, 2, 3, body, extensions=values)
    layout = usual(packet.write())
    assert layout is not None
    others = {id: data.draw(st.binary(min_size=len(value), max_size=len(value))) for id, value in values.items()}
    again = RtpPacket(100, 9, 8, 7, b"other" + body, True, others).write()
    assert fits(layout, again)
    agree(layout, again)
    longer = {**values, 8: b"one more"}
    assert not fits(layout, RtpPacket(111, 1, 2, 3, body, extensions=longer).write())
    assert not fits(layout, again[: layout.end - 1])
    assert not fits(layout, RtpPacket(111, 1, 2, 3, body, csrcs=bytes(4), extensions=values).write())


def test_a_prefix_that_was_read_is_known_by_all_who_have_the_same_ids():
    prefixes, packets = Prefixes(IDS), [RtpPacket(111, 1, 2, 3, b"", extensions={3: bytes([n])}) for n in range(256)]
    usual = None
    for packet in packets:
        data = packet.write()
        prefix = prefixes.read(data, NOW, UNKNOWN)
        assert prefix is not None
        assert prefixes[data[12:]] is prefix
        assert prefix[0] is (usual or prefix[0])  # so that listeners need not learn it anew
        usual = prefix[0]
    for number in range(2 * MOST_PREFIXES):
        prefixes.read(RtpPacket(111, 1, 2, 3, b"", extensions={4: b"%d" % number}).write(), NOW, usual)
        assert len(prefixes) <= MOST_PREFIXES
    before = dict(prefixes)
    timed = prefixes.read(RtpPacket(111, 1, 2, 3, b"", extensions={2: b"abc"}).write(), NOW, usual)
    assert timed is not None
    assert timed[2] == b"\x42" + write_send_time(NOW)
    unknown = RtpPacket(111, 1, 2, 3, b"", extensions={7: b"varies"}).write()
    assert prefixes.read(unknown, NOW, usual) is not None
    assert prefixes == before  # what differs each time does not come again
    assert prefixes_for(IDS) is not prefixes_for({})
    kept = prefixes_for(IDS)
    assert prefixes_for(dict(IDS)) is kept
    gone = ref(kept)
    del kept
    assert gone() is None


def test_nobody_can_have_what_was_read_grow():
    prefixes, random = Prefixes(IDS), Random(5)
    longest = RtpPacket(111, 1, 2, 3, b"", extensions={2: b"abc"}).write()[:12] + b"\xbe\xde" + bytes([0, LONGEST // 4])
    assert layout_of(longest + b"\x30a" * (LONGEST // 2), IDS) is not None
    assert layout_of(longest[:-1] + bytes([LONGEST // 4 + 1]) + b"\x30a" * (LONGEST // 2 + 2), IDS) is None
    tracemalloc.start()
    try:
        for _ in range(4_000):
            block = b"".join(
                bytes([random.choice([0x30, 0x40, 0x20]), random.randrange(256)]) for _ in range(LONGEST // 2)
            )
            prefixes.read(longest + block, NOW, UNKNOWN)
        assert tracemalloc.get_traced_memory()[0] < 1 << 20
    finally:
        tracemalloc.stop()


def test_what_nobody_asked_about_for_long_is_counted():
    counted = []

    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, ids={3: AUDIO_LEVEL})
        for number in range(5 * KEPT):
            sequence, loud = 60_000 + number & 0xFFFF, {3: b"\x14"}
            packet = RtpPacket(111, sequence, 960 * number, 1, bytes(number % 50), extensions=loud)
            speaker.send(speaker.dtls.protect_rtp(packet.write()))
            listener.receive()
            inside.loop.ahead += 0.02 + 0.001 * (number % 7)
        producer = inside.sfu.producers["p1"]
        found = producer.reception
        assert (found.received, found.highest, found.expected) == (5 * KEPT, 60_000 + 5 * KEPT - 1, 5 * KEPT)
        assert (producer.level, producer.octets) == (-20, sum(number % 50 for number in range(5 * KEPT)))
        assert inside.sfu.conversations
        assert producer.track.loudness[1] == pytest.approx(inside.loop.time() - 0.02, abs=0.01)
        counted.append((found.jitter, producer.track.loudness[0]))

    run(scenario)
    in_python, in_c = counted
    assert in_python[0] > 0.001
    assert in_python == pytest.approx(in_c)


def test_what_is_sent_again_is_byte_for_byte_what_it_was():
    """Else one place of the key stream would hide two texts. The time of sending is the first one's, too."""

    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        inside.sfu.apply(AddProducer(speaker.id, "p", MediaKind.AUDIO, 48000, 1, {111: 100}, {2: 4, 3: 10, 20: 10}))
        inside.sfu.apply(AddConsumer(listener.id, "c", "p", 11, "0", "someone", (1, 4, 10)))
        inside.sfu.apply(ResumeConsumer("c"))
        kinds = (
            {"extensions": {2: b"abc", 3: b"\x85"}},
            {"extensions": {3: b"\x86"}, "is_marked": True},
            {"extensions": {20: b"\x87"}},  # the two-byte form
            {"csrcs": bytes(4), "extensions": {3: b"\x88"}},
            {"padding": 2},
            {},
        )
        sent: dict[int, bytes] = {}
        for number, fields in enumerate(kinds):
            packet = RtpPacket(111, 500 + number, 960 * number, 1, b"sound\0\2", **fields)
            for datagram in speaker.send(speaker.dtls.protect_rtp(packet.write())) + listener.receive():
                sent[500 + number] = datagram
        assert len(sent) == len(kinds)
        inside.loop.ahead += 0.3
        for consumer in inside.sfu.consumers.values():
            consumer.resend(sent, inside.loop.time())
        inside.port.flush()
        assert [each for each in listener.receive() if not rtp.is_rtcp(each)] == list(sent.values())

    run(scenario)
