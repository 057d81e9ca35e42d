"""Who sends more than a voice, a picture or its reports ever need loses what is too much, and nobody else does."""

from collections.abc import Callable

import pytest

from media.inside import Client, Inside, connected, hear, run
from media_peer import audio, write_nack
from palaver_media import rtp
from palaver_media.worker_messages import MediaKind
from palaver_worker.client_transport import RTCP_RATE, RTP_RATE, VOICE_OCTETS, VOICE_PACKETS
from palaver_worker.rate import Rate

FAR_TOO_MANY = 3  # times what is let through


VOICE_RATE = 1 / (1 / VOICE_PACKETS + len(audio(1, 1).write()) / VOICE_OCTETS)  # of the small packets sent here


def flood(
    inside: Inside, speaker: Client, listener: Client, ssrc: int, numbers: range, body: bytes = b"sound"
) -> tuple[int, float]:
    """Send these packets as fast as can be: how many were heard, and how long it took (s)."""
    began = inside.loop.time()
    heard = 0
    for number in numbers:
        speaker.send(speaker.dtls.protect_rtp(audio(ssrc, number, body).write()))
        heard += sum(rtp.peek_ssrc(each) == ssrc + 10 for each in listener.send())
    return heard, inside.loop.time() - began


@pytest.mark.parametrize(("media", "rate"), [(MediaKind.AUDIO, round(VOICE_RATE)), (MediaKind.VIDEO, RTP_RATE)])
def test_what_a_track_sends_beyond_its_rate_is_dropped_and_counted(media: MediaKind, rate: int):
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, 1, media, types={111: 100})
        total = FAR_TOO_MANY * rate
        heard, seconds = flood(inside, speaker, listener, 1, range(total))
        assert rate <= heard <= rate * (1 + seconds) + 1
        assert inside.port.dropped["excess"] == total - heard
        inside.loop.ahead += 1.0
        heard, seconds = flood(inside, speaker, listener, 1, range(total, total + rate))
        assert heard == rate

    run(scenario)


def test_large_packets_of_a_voice_are_let_through_by_their_bytes():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, 1)
        body = bytes(1000)
        cost = 1 / VOICE_PACKETS + len(audio(1, 1, body).write()) / VOICE_OCTETS
        heard, seconds = flood(inside, speaker, listener, 1, range(VOICE_PACKETS), body)
        assert 1 / cost <= heard <= (1 + seconds) / cost + 1

    run(scenario)


def test_all_voices_of_a_client_share_one_budget_and_another_client_loses_nothing_by_it():
    async def scenario(inside: Inside) -> None:
        speaker, listener, other = connected(inside, 3)
        hear(inside, speaker, listener, 1)
        hear(inside, speaker, listener, 2)
        hear(inside, other, listener, 3)
        flood(inside, speaker, listener, 1, range(2 * VOICE_PACKETS))
        heard, seconds = flood(inside, speaker, listener, 2, range(500))
        assert heard <= seconds * VOICE_RATE + 1
        assert flood(inside, other, listener, 3, range(500))[0] == 500

    run(scenario)


def test_strangers_use_up_nobodys_share():
    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, 1)
        for number in range(FAR_TOO_MANY * VOICE_PACKETS):  # from his address, with his SSRC, under other keys
            speaker.send(listener.dtls.protect_rtp(audio(1, number).write()))
        assert inside.port.dropped["SrtpError"] == FAR_TOO_MANY * VOICE_PACKETS
        assert flood(inside, speaker, listener, 1, range(500))[0] == 500

    run(scenario)


def test_reports_beyond_their_rate_are_not_looked_at():
    async def scenario(inside: Inside) -> None:
        (listener,) = connected(inside, 1)
        began = inside.loop.time()
        for _ in range(FAR_TOO_MANY * RTCP_RATE):
            listener.send(listener.dtls.protect_rtcp(write_nack(11, [1])))
        most = RTCP_RATE * (1 + inside.loop.time() - began) + 1
        assert FAR_TOO_MANY * RTCP_RATE - most <= inside.port.dropped["excess"] <= (FAR_TOO_MANY - 1) * RTCP_RATE

    run(scenario)


def admitted(rate: Rate, times: list[float]) -> int:
    return sum(rate.admits(each) for each in times)


@pytest.mark.parametrize(
    ("gap", "expected"),
    [
        pytest.param(lambda each: 0.0, 10, id="all at once"),
        pytest.param(lambda each: each / 10, 100, id="as many as may come"),
        pytest.param(lambda each: each / 20, 59, id="twice as many: the burst, and half"),
        pytest.param(lambda each: each // 10 * 1.0, 100, id="in bursts of a second"),
    ],
)
def test_a_rate_lets_through_a_burst_and_then_what_it_says(gap: Callable[[int], float], expected: int):
    assert admitted(Rate(10), [1000 + gap(each) for each in range(100)]) == pytest.approx(expected, abs=1)
