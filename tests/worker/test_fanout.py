"""The inner loop of forwarding: one suite for its core in Python, the one in C, and both ways to the kernel."""

from __future__ import annotations

import itertools
import secrets
import socket
from collections import Counter

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpReceiveParameters
from aiortc.rtp import HeaderExtensions, HeaderExtensionsMap
from aiortc.rtp import RtpPacket as AiortcPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from palaver_media import rtp
from palaver_media.rtp import ABS_SEND_TIME, AUDIO_LEVEL, MID, VIDEO_ORIENTATION, RtpPacket
from palaver_media.srtp import REPLAY_WINDOW, Session
from palaver_worker.datagrams import OUTGOING, Incoming, Outgoing
from palaver_worker.fanout_c import CFanout
from palaver_worker.fanout_python import PythonFanout
from palaver_worker.packet import Packet
from palaver_worker.sockaddr import pack, unmapped, unpack

ALL = (MID, ABS_SEND_TIME, AUDIO_LEVEL, VIDEO_ORIENTATION)
IDS = {4: MID, 2: ABS_SEND_TIME, 3: AUDIO_LEVEL, 13: VIDEO_ORIENTATION, 200: AUDIO_LEVEL}  # a sender's to the router's
CORES = [PythonFanout, CFanout]
pytestmark = pytest.mark.parametrize("profile", SRTP_PROFILES, ids=lambda each: each.libsrtp_profile)


class Listener:
    """A socket with the keys of one listener."""

    def __init__(self, fanout, profile, key=None):
        key = key or secrets.token_bytes(profile.key_length + profile.salt_length)
        self.inbound = Session(key, profile, is_inbound=True)
        self.outbound = Session(key, profile, is_inbound=False)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.path = fanout.path()
        self.path.set_keys(self.outbound)
        self.path.set_destination(pack(self.socket.getsockname()))

    def datagrams(self):
        heard = []
        try:
            while True:
                heard.append(self.socket.recv(4096))
        except BlockingIOError:
            return heard

    def packets(self):
        return [rtp.parse(self.inbound.unprotect_rtp(each)) for each in self.datagrams()]


class Hall:
    """A core, its socket, and listeners."""

    def __init__(self, core, profile, *, has_mmsg=True):
        self.profile = profile
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.dropped = Counter()
        incoming = Incoming(self.socket, has_mmsg=has_mmsg)
        self.fanout = core(incoming, Outgoing(self.socket, self.dropped, has_mmsg=has_mmsg))
        self.listeners = []

    def listener(self, key=None):
        self.listeners.append(Listener(self.fanout, self.profile, key))
        return self.listeners[-1]

    def leg(self, listener, ssrc=11, mid="0", extensions=ALL):
        return self.fanout.leg(listener.path, ssrc, mid, extensions)

    def forward(self, packet, legs):
        self.fanout.forward(packet, self.fanout.group(legs))
        self.fanout.outgoing.flush()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in [self, *self.listeners]:
            each.socket.close()


@pytest.fixture(params=itertools.product(CORES, [True, False]), ids=lambda each: f"{each[0].name} mmsg={each[1]}")
def hall(request, profile):
    core, has_mmsg = request.param
    with Hall(core, profile, has_mmsg=has_mmsg) as hall:
        yield hall


def packet(index, body=b"sound", extensions=None, **fields):
    """A packet as the worker has read it from a sender."""
    extensions = {4: b"theirs", 3: b"\x9e"} if extensions is None else extensions
    written = RtpPacket(100, index & 0xFFFF, 1000, 7, body, True, extensions, **fields).write()
    read = Packet(written, IDS, 0.5)
    read.index = index
    return read


def test_what_a_listener_gets_is_what_aiortc_reads(hall):
    listener = hall.listener()
    extensions = {4: b"sender's", 2: b"\1\2\3", 3: rtp.write_audio_level(-30, True), 9: b"unknown"}
    hall.forward(
        packet(77, extensions=extensions), [hall.leg(listener, 0xBEEF, "12", (MID, AUDIO_LEVEL, VIDEO_ORIENTATION))]
    )
    ids = HeaderExtensionsMap()
    uris = {
        MID: "urn:ietf:params:rtp-hdrext:sdes:mid",
        ABS_SEND_TIME: "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
        AUDIO_LEVEL: "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
    }
    parameters = [RTCRtpHeaderExtensionParameters(id=each, uri=uri) for each, uri in uris.items()]
    ids.configure(RTCRtpReceiveParameters(headerExtensions=parameters))
    (datagram,) = listener.datagrams()
    heard = AiortcPacket.parse(listener.inbound.unprotect_rtp(datagram), ids)
    assert (heard.ssrc, heard.sequence_number, heard.timestamp, heard.payload_type) == (0xBEEF, 77, 1000, 100)
    assert heard.marker == 1
    assert heard.extensions == HeaderExtensions(mid="12", audio_level=(True, 30))
    assert heard.payload == b"sound"


def test_each_listener_gets_what_he_understands(hall):
    ann, bob, cay = hall.listener(), hall.listener(), hall.listener()
    legs = [hall.leg(ann, 1, "0", ALL), hall.leg(bob, 2, "7", (MID,)), hall.leg(cay, 3, "0", ())]
    hall.forward(packet(5, extensions={2: b"old", 3: b"\7", 13: b"\1"}), legs)
    (to_ann,), (to_bob,), (to_cay,) = ann.packets(), bob.packets(), cay.packets()
    assert to_ann.extensions == {
        MID: b"0",
        ABS_SEND_TIME: rtp.write_send_time(0.5),
        AUDIO_LEVEL: b"\7",
        VIDEO_ORIENTATION: b"\1",
    }
    assert to_bob.extensions == {MID: b"7"}
    assert to_cay.extensions == {}
    assert [each.ssrc for each in (to_ann, to_bob, to_cay)] == [1, 2, 3]
    assert [leg.packets for leg in legs] == [1, 1, 1]
    assert [leg.octets for leg in legs] == [5, 5, 5]


def test_csrcs_and_padding_pass_and_padding_is_no_payload(hall):
    listener = hall.listener()
    leg = hall.leg(listener)
    hall.forward(packet(1, b"sound\0\0\3", csrcs=b"\0\0\0\1\0\0\0\2", padding=3), [leg])
    hall.forward(packet(2, bytes(254) + b"\xff", padding=255), [leg])
    first, second = listener.packets()
    assert (first.csrcs, first.payload, first.padding) == (b"\0\0\0\1\0\0\0\2", b"sound", 3)
    assert (second.payload, second.padding) == (b"", 255)
    assert leg.octets == 5


def test_elements_in_two_byte_form_arrive_in_one_byte_form(hall):
    listener = hall.listener()
    header = bytes.fromhex("9064000100000000000000071000") + b"\0\2" + bytes([200, 1, 9, 4, 1, 65, 0, 0])
    hall.forward(Packet(header + b"sound", IDS, 0.0), [hall.leg(listener)])
    (heard,) = listener.packets()
    assert heard.extensions == {MID: b"0", AUDIO_LEVEL: b"\x09"}
    assert heard.payload == b"sound"


def test_what_cannot_be_protected_is_never_sent_and_the_others_get_theirs(hall):
    ann, bob, cay = hall.listener(), hall.listener(), hall.listener()
    legs = [hall.leg(ann), hall.leg(bob), hall.leg(cay)]
    bob.path.set_keys(None)
    hall.forward(packet(1), legs)
    assert [len(each.packets()) for each in (ann, bob, cay)] == [1, 0, 1]
    assert hall.fanout.failures == 1
    bob.path.set_keys(bob.outbound)
    hall.forward(packet(2 * REPLAY_WINDOW), legs[:1])
    hall.forward(packet(2), legs)  # to Ann that is older than what libsrtp would still protect
    assert [len(each.datagrams()) for each in (ann, bob, cay)] == [1, 1, 1]
    assert hall.fanout.failures == 2
    hall.forward(packet(3, bytes(2010)), legs)
    assert [each.datagrams() for each in (ann, bob, cay)] == [[], [], []]
    assert hall.fanout.failures == 5


def test_a_pause_leaves_no_gap_and_late_packets_from_before_it_are_left_out(hall):
    listener = hall.listener()
    leg = hall.leg(listener)
    for index in (70_000, 70_001):
        hall.forward(packet(index), [leg])
    leg.pause()
    for index in (70_100, 70_099, 70_102):
        hall.forward(packet(index), [leg])
    start = 70_000 & 0x7FFF
    assert [each.sequence for each in listener.packets()] == [start, start + 1, start + 2, start + 4]
    assert (leg.first, leg.offset, leg.highest) == (70_100, 70_100 - start - 2, start + 4)


def test_more_than_the_block_holds_goes_out_in_several_calls(hall):
    listener = hall.listener()
    legs = [hall.leg(listener, ssrc) for ssrc in range(OUTGOING + 5)]
    heard = Counter()
    group = hall.fanout.group(legs)
    hall.fanout.forward(packet(1), group)
    heard.update(rtp.peek_ssrc(each) for each in listener.datagrams())
    assert len(heard) <= OUTGOING
    hall.fanout.outgoing.flush()
    heard.update(rtp.peek_ssrc(each) for each in listener.datagrams())
    sent = sum(leg.packets for leg in legs)
    assert sent == OUTGOING + 5
    assert max(heard.values()) == 1
    assert len(heard) > OUTGOING // 2  # a socket's buffer may not hold them all


def test_where_the_kernel_refuses_one_the_rest_is_sent(hall):
    ann, bob = hall.listener(), hall.listener()
    legs = [hall.leg(ann), hall.leg(bob)]
    ann.path.set_destination(pack(("127.0.0.1", 0)))
    hall.forward(packet(1), legs)
    assert (len(ann.datagrams()), len(bob.packets())) == (0, 1)
    assert sum(hall.dropped.values()) == 1


bodies = st.binary(max_size=60)
extension_sets = st.dictionaries(st.sampled_from([2, 3, 4, 9, 13]), st.binary(min_size=1, max_size=16), max_size=5)
understood = st.lists(st.sampled_from(ALL), unique=True)
listener_kinds = st.tuples(st.integers(0, 2**32 - 1), st.text("019az", min_size=1, max_size=16), understood)
steps = st.lists(st.tuples(st.integers(-3, 40), bodies, extension_sets, st.booleans()), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(
    steps,
    st.lists(st.tuples(st.integers(0, 2**32 - 1), st.text("019az", min_size=1, max_size=16), understood), max_size=4),
)
def test_both_cores_write_the_same_bytes(profile, steps, listeners):
    """Under the same keys: numbers, extensions, pauses and ciphertext."""
    keys = [secrets.token_bytes(profile.key_length + profile.salt_length) for _ in listeners]
    said = []
    for core in CORES:
        with Hall(core, profile) as hall:
            people = [hall.listener(key) for key in keys]
            legs = [hall.leg(each, *rest) for each, rest in zip(people, listeners, strict=True)]
            index = 100
            for step, body, extensions, pauses in steps:
                index += step
                if pauses:
                    for leg in legs:
                        leg.pause()
                hall.forward(packet(index, body, extensions), legs)
            counters = [(leg.first, leg.offset, leg.highest, leg.packets, leg.octets) for leg in legs]
            said.append(([each.datagrams() for each in people], counters, hall.fanout.failures))
    assert said[0] == said[1]


@pytest.mark.parametrize("has_mmsg", [True, False])
def test_one_socket_hears_and_answers_both_families(profile, has_mmsg):
    with (
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as four,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as six,
    ):
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.bind(("::", 0))
        udp.setblocking(False)
        four.bind(("127.0.0.1", 0))
        six.bind(("::1", 0))
        dropped = Counter()
        incoming, outgoing = Incoming(udp, has_mmsg=has_mmsg), Outgoing(udp, dropped, has_mmsg=has_mmsg)
        four.sendto(b"four", ("127.0.0.1", udp.getsockname()[1]))
        six.sendto(b"six", ("::1", udp.getsockname()[1]))
        assert incoming.receive(dropped) == 2
        heard = {incoming.data(slot): incoming.source(slot) for slot in range(2)}
        assert unmapped(heard[b"four"]) == four.getsockname()
        assert unmapped(heard[b"six"]) == unpack(heard[b"six"]) == six.getsockname()[:2]
        for data, source in heard.items():
            outgoing.put(data + b"!", source)
        outgoing.flush()
        assert (four.recv(99), six.recv(99)) == (b"four!", b"six!")
        assert incoming.receive(dropped) == 0
        assert not dropped
