"""What is told about one voice, second by second."""

from __future__ import annotations

import pytest

from palaver_engine.consumer import Consumer
from palaver_media.engine_messages import Receive
from palaver_media.rtp import OPUS, RtpPacket
from sound.paths import FRAME, encoded

SSRC = 7


@pytest.fixture
def packets() -> list[RtpPacket]:
    """A second of a voice."""
    payloads = encoded("speech without pauses", 1)
    return [RtpPacket(OPUS, 100 + at, 5000 + at * FRAME, SSRC, payload) for at, payload in enumerate(payloads)]


def test_a_packet_that_comes_when_its_time_is_over_is_told_as_late(packets: list[RtpPacket]):
    consumer = Consumer(Receive("c", "t", "k", SSRC, OPUS))

    def live(arriving: list[RtpPacket], began: float) -> None:
        """All come at once, before the first is due, and half a second passes."""
        for packet in arriving:
            consumer.put(packet, 100, began)
        for tick in range(50):
            consumer.pull(began + tick * 0.01)

    assert consumer.stats(1.0).late == 0
    late = packets.pop(10)
    live(packets[:29], 0.0)
    stats = consumer.stats(0.5)
    assert (stats.late, stats.loss) == (0, pytest.approx(1 / 30, abs=1e-4))
    live([late, *packets[29:]], 0.5)
    assert consumer.stats(0.5).late == pytest.approx(1 / 21, abs=1e-4)
    live([], 1.0)
    assert consumer.stats(0.5).late == 0
