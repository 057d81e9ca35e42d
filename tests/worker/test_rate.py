"""Who sends more than a voice, a picture or its reports ever need loses what is too much, and nobody else does."""

from collections.abc import Callable, Sequence

import pytest

from media.inside import Client, Inside, connected, hear, run
from media_peer import audio, write_nack
from palaver_media import rtp
from palaver_media.worker_messages import VIDEO_BITRATE, MediaKind
from palaver_worker.client_transport import (
    RTCP_OCTETS,
    RTCP_RATE,
    RTP_RATE,
    TOLERANCE,
    VOICE_OCTETS,
    VOICE_PACKETS,
)
from palaver_worker.rate import Rate

FAR_TOO_MANY = 3  # times what is let through


SMALL, LARGE = b"sound", bytes(1000)  # bodies of packets
VIDEO_OCTETS = TOLERANCE * VIDEO_BITRATE / 8
VOICE, PICTURE = (VOICE_PACKETS, VOICE_OCTETS), (RTP_RATE, VIDEO_OCTETS)


def per_second(limits: tuple[float, float], size: int) -> int:
    """How many of this size have room in limits of packets and of bytes a second."""
    return int(1 / (1 / limits[0] + size / limits[1]))


def flood(
    inside: Inside, speaker: Client, listener: Client, ssrc: int, numbers: range, body: bytes = SMALL
) -> tuple[int, float]:
    """Send these packets as fast as can be: how many were heard, and how long it took (s)."""
    began = inside.loop.time()
    heard = 0
    for number in numbers:
        speaker.send(speaker.dtls.protect_rtp(audio(ssrc, number, body).write()))
        heard += sum(rtp.peek_ssrc(each) == ssrc + 10 for each in listener.send())
    return heard, inside.loop.time() - began


@pytest.mark.parametrize("body", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(("media", "limits"), [(MediaKind.AUDIO, VOICE), (MediaKind.VIDEO, PICTURE)])
def test_what_a_track_sends_beyond_its_rate_is_dropped_and_counted(
    media: MediaKind, limits: tuple[float, float], body: bytes
):
    rate = per_second(limits, len(audio(1, 1, body).write()))

    async def scenario(inside: Inside) -> None:
        speaker, listener = connected(inside)
        hear(inside, speaker, listener, 1, media, types={111: 100})
        total = FAR_TOO_MANY * rate
        heard, seconds = flood(inside, speaker, listener, 1, range(total), body)
        assert rate <= heard <= rate * (1 + seconds) + 2
        assert inside.port.dropped["excess"] == total - heard
        inside.loop.ahead += 1.0
        heard, seconds = flood(inside, speaker, listener, 1, range(total, total + rate), body)
        assert heard == rate

    run(scenario)


def test_all_voices_of_a_client_share_one_budget_and_another_client_loses_nothing_by_it():
    async def scenario(inside: Inside) -> None:
        speaker, listener, other = connected(inside, 3)
        hear(inside, speaker, listener, 1)
        hear(inside, speaker, listener, 2)
        hear(inside, other, listener, 3)
        flood(inside, speaker, listener, 1, range(2 * VOICE_PACKETS))
        heard, seconds = flood(inside, speaker, listener, 2, range(500))
        assert heard <= seconds * VOICE_PACKETS + 1
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


@pytest.mark.parametrize("lost", [[1], range(0, 8000, 20)], ids=["short", "long"])
def test_reports_beyond_their_rate_are_not_looked_at(lost: Sequence[int]):
    compound = write_nack(11, lost)
    rate = per_second((RTCP_RATE, RTCP_OCTETS), len(compound))

    async def scenario(inside: Inside) -> None:
        (listener,) = connected(inside, 1)
        began = inside.loop.time()
        for _ in range(FAR_TOO_MANY * rate):
            listener.send(listener.dtls.protect_rtcp(compound))
        most = rate * (1 + inside.loop.time() - began) + 2
        assert FAR_TOO_MANY * rate - most <= inside.port.dropped["excess"] <= (FAR_TOO_MANY - 1) * rate

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
