"""The forwarding unit in this process: its deadlines on a clock that can be put forward, and its numbering."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from media.inside import Client, Inside, connected, hear, run
from media_peer import audio, video, write_nack
from palaver_media import rtcp, rtp, stun
from palaver_media.rtcp import KeyframeRequest
from palaver_media.srtp import SrtpError
from palaver_media.worker_messages import (
    DtlsRole,
    MediaKind,
    PauseConsumer,
    ResumeConsumer,
    TransportFailed,
)
from palaver_worker.client_transport import CONNECT, CONSENT
from palaver_worker.contexts import MAX_STRANGERS
from palaver_worker.ice_lite import CHECKS, MAX_ADDRESSES
from palaver_worker.sockaddr import pack
from palaver_worker.video_producer import KEYFRAME_PATIENCE, KEYFRAME_THROTTLE


def test_a_client_that_does_not_connect_in_time_is_given_up():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        await inside.pass_time(600)  # nobody has to connect at once
        client.accept(DtlsRole.SERVER)
        client.check()
        await inside.pass_time(CONNECT - 0.1)
        assert not inside.reports
        await inside.pass_time(0.2)
        assert inside.reports == [TransportFailed("room", client.id, "timeout")]
        client.check()
        assert not inside.sfu.transports

    run(scenario)


def test_a_client_that_stops_checking_is_gone_after_its_consent():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        await inside.pass_time(CONSENT - 1)
        client.check()
        await inside.pass_time(CONSENT - 1)
        client.send(client.dtls.protect_rtcp(rtcp.write_pli(1, 1)))  # media is no consent
        assert TransportFailed("room", client.id, "consent") not in inside.reports
        await inside.pass_time(1.1)
        assert inside.reports[-1] == TransportFailed("room", client.id, "consent")
        assert not inside.sfu.transports

    run(scenario)


def test_consent_for_one_address_is_none_for_another():
    """A check may claim to come from anywhere; who is sent everything by it is so for no longer than consent lasts."""

    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        forged = client.new_socket()
        client.check(through=forged)
        assert client.transport.destination == pack(forged.getsockname())
        for _ in range(4):
            await inside.pass_time(CONSENT / 4 - 0.1)
            client.check(nominates=False)
        assert client.transport.destination == pack(forged.getsockname())
        await inside.pass_time(1)
        assert client.transport.destination == pack(client.socket.getsockname())
        await inside.pass_time(CONSENT - 5)
        client.check(nominates=False)
        await inside.pass_time(CONSENT - 1)
        assert client.transport.is_connected
        await inside.pass_time(1.1)
        assert inside.reports[-1] == TransportFailed("room", client.id, "consent")

    run(scenario)


@pytest.mark.parametrize("nominates", [False, True])
def test_a_check_that_was_overheard_moves_nobody_and_uses_nobodys_share_up(nominates: bool):
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        own = pack(client.socket.getsockname())
        overheard = [client.make_check(nominates) for _ in range(3)]
        for check in overheard:
            assert client.send(check)
        replayer = client.new_socket()
        for _ in range(2 * CHECKS):
            for check in overheard:
                client.send(check, through=replayer)
        assert client.transport.destination == own
        assert list(client.transport.ice.validated) == [own]
        assert all(client.send(client.make_check(nominates)) for _ in range(10))
        client.check(through=replayer)  # which he may have moved to, for all that one knows
        assert client.transport.destination == pack(replayer.getsockname())

    run(scenario)


def test_checks_beyond_their_rate_are_not_answered_and_strangers_use_up_nobodys():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        forged, _ = stun.make_request(f"{client.id}:us", "guessed", 1)
        began = inside.loop.time()
        assert not any(client.send(forged) for _ in range(2 * CHECKS))
        answered = sum(len(client.send(client.make_check())) for _ in range(3 * CHECKS))
        assert (
            CHECKS <= answered <= CHECKS * (1 + inside.loop.time() - began) + 2
        )  # a core and Python count for themselves
        await inside.pass_time(1)
        assert client.send(client.make_check())

    run(scenario)


def test_a_client_has_few_addresses_and_rtcp_senders():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        sockets = [client.new_socket() for _ in range(MAX_ADDRESSES + 5)]
        for each in sockets:
            client.check(through=each)
        assert len(inside.port.by_address) == len(client.transport.ice.validated) == MAX_ADDRESSES
        assert client.transport.ice.selected == pack(sockets[-1].getsockname())
        for ssrc in range(MAX_STRANGERS + 10):
            client.send(client.dtls.protect_rtcp(rtcp.write_pli(ssrc, 1)), through=sockets[-1])
        assert inside.port.dropped["ValueError"] == 10
        for each in [*sockets, client.socket]:
            each.close()

    run(scenario)


def test_an_address_taken_over_by_another_transport_stays_his():
    async def scenario(inside: Inside) -> None:
        first, second = Client(inside), Client(inside)
        first.check()
        second.check(through=first.socket)
        inside.sfu.close_transport(first.transport)
        assert list(inside.port.by_address.values()) == [second.transport]

    run(scenario)


def test_what_cannot_be_protected_or_sent_is_not_sent():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener)
        longest = audio(1, 1, bytes(1300))  # its extensions make it too long for the sender; cut out, it would fit
        speaker.send(speaker.dtls.protect_rtp(longest.write()))
        assert len(listener.send()) == 1
        listener.transport.path.set_keys(None)  # no keys any more, as after an error
        speaker.send(speaker.dtls.protect_rtp(audio(1, 2).write()))
        assert listener.send() == []
        assert inside.port.dropped["unprotected"] == 1
        inside.port.send(b"to nowhere", pack(("127.0.0.1", 0)))
        inside.port.flush()
        assert any(reason.startswith("send:") for reason in inside.port.dropped)

    run(scenario)


def test_one_sender_is_not_asked_for_keyframes_all_the_time():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, media=MediaKind.VIDEO)

        async def asked(seconds: float) -> int:
            await inside.pass_time(seconds)
            return [rtcp.parse(speaker.dtls.unprotect_rtcp(each)) for each in speaker.send()].count(
                [KeyframeRequest(1)]
            )

        assert await asked(0) == 1
        for sequence in (1, 2):
            speaker.send(speaker.dtls.protect_rtp(video(1, sequence, is_keyframe=True).write()))
            listener.send(listener.dtls.protect_rtcp(rtcp.write_pli(1, 11)))
            assert await asked(KEYFRAME_THROTTLE - 0.1) == 0
            assert await asked(0.1) == 1
        inside.sfu.apply(PauseConsumer("c1"))
        assert await asked(KEYFRAME_PATIENCE) == 0  # nobody would see it
        assert await asked(10) == 0

    run(scenario)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("say"), st.sampled_from([1, 1, 2, 3, -1, -2, 30])),
        st.tuples(st.sampled_from(["pause", "resume", "break"]), st.just(0)),
        st.tuples(st.just("nack"), st.integers(0, 40)),
    ),
    min_size=10,
    max_size=60,
)


@example([("say", 1), ("say", 2), ("say", -1), ("break", 0), ("say", 2)], 5)
@example([("say", 1), ("pause", 0), ("say", 1), ("resume", 0), ("say", 2), ("say", -1)], 5)
@given(STEPS, st.sampled_from([0, 5, 32760, 65500]))
@settings(max_examples=100, deadline=None)
def test_a_number_never_stands_for_two_packets(steps, first):
    """Pauses, gaps, reordering and resends in any order: each number on the wire has one ciphertext."""

    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, ids={4: 1, 3: 10})
        sent: dict[int, bytes] = {}
        position = highest = first
        for step, value in steps:
            heard = []
            if step == "say":
                position += value
                heard = speaker_says(speaker, listener, position)
            elif step == "nack":
                nack = write_nack(11, [(highest - each) & 0xFFFF for each in range(value, -1, -1)])
                heard = listener.send(listener.dtls.protect_rtcp(nack))
            if step in ("pause", "break"):
                inside.sfu.apply(PauseConsumer("c1"))
            if step in ("resume", "break"):
                inside.sfu.apply(ResumeConsumer("c1"))
            for datagram in heard:
                sequence = int.from_bytes(datagram[2:4], "big")
                assert sent.setdefault(sequence, datagram) == datagram
                highest = sequence
        speaker.socket.close()
        listener.socket.close()

    def speaker_says(speaker: Client, listener: Client, position: int) -> list[bytes]:
        packet = audio(1, position, position.to_bytes(4, "big", signed=True))
        packet.timestamp &= 0xFFFFFFFF
        try:
            datagram = speaker.dtls.protect_rtp(packet.write())
        except SrtpError:  # the speaker's own guard: it said this before, or long ago
            return []
        speaker.send(datagram)
        return listener.send()

    run(scenario)


def test_numbers_are_gapless_over_pauses_and_keep_the_senders_gaps_over_the_wrap():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener)
        heard = []
        for position in [*range(65000, 65700), *range(95000, 95100), *range(125000, 125100)]:
            if position in (65100, 65200):
                inside.sfu.apply(PauseConsumer("c1") if position == 65100 else ResumeConsumer("c1"))
            inside.loop.ahead += 0.02
            speaker.send(speaker.dtls.protect_rtp(audio(1, position).write()))
            heard += [rtp.parse(listener.dtls.unprotect_rtp(each)).sequence for each in listener.send()]
        first = 65000 & 0x7FFF
        expected = [*range(600), *range(29900, 30000), *range(59900, 60000)]
        assert heard == [(first + each) & 0xFFFF for each in expected]

    run(scenario)
