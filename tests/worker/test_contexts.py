"""What SRTP keeps of the SSRCs that a client sends with, over a transport's life."""

from aiortc.rtp import RtcpSenderInfo

from media.inside import Client, Inside, run
from media_peer import audio
from palaver_media import rtcp
from palaver_media.worker_messages import AddProducer, CloseProducer, MediaKind
from palaver_worker.contexts import MAX_CLOSED, MAX_STRANGERS

INFO = RtcpSenderInfo(1 << 32, 960, 1, 80)


def test_every_producer_of_a_long_life_may_report():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        for ssrc in range(100, 100 + 2 * (MAX_STRANGERS + MAX_CLOSED), 2):
            command = AddProducer(
                client.id,
                "p",
                MediaKind.VIDEO,
                90000,
                ssrc,
                {96: 101},
                {},
                rtx_ssrc=ssrc + 1,
                rtx_payload_types={97: 96},
            )
            inside.sfu.apply(command)
            for each in (ssrc, ssrc + 1):
                client.send(client.dtls.protect_rtcp(rtcp.write_sender_report(each, INFO)))
            assert inside.sfu.producers["p"].sender_info is not None
            inside.sfu.apply(CloseProducer("p"))
        assert not inside.port.dropped

    run(scenario)


def test_a_closed_producer_is_known_for_a_while_and_then_forgotten():
    async def scenario(inside: Inside) -> None:
        client = Client(inside)
        client.connect()
        sent = []
        for ssrc in range(1, MAX_CLOSED + 2):
            inside.sfu.apply(AddProducer(client.id, "p", MediaKind.AUDIO, 48000, ssrc, {111: 100}, {}))
            sent.append(
                [
                    client.dtls.protect_rtp(audio(ssrc, 1).write()),
                    client.dtls.protect_rtcp(rtcp.write_sender_report(ssrc, INFO)),
                ]
            )
            client.send(*sent[-1])
            inside.sfu.apply(CloseProducer("p"))
        first, second, *_ = sent
        for ssrc, datagrams, replays in ((2, second, 2), (1, first, 0)):
            inside.port.dropped.clear()
            inside.sfu.apply(AddProducer(client.id, "p", MediaKind.AUDIO, 48000, ssrc, {111: 100}, {}))
            client.send(*datagrams)
            assert inside.port.dropped["SrtpError"] == replays
            inside.sfu.apply(CloseProducer("p"))

    run(scenario)
