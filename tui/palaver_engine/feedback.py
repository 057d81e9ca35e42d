"""What a call learns and tells by RTCP (RFC 3550, section 6.4): what was sent, how it arrives, how the voices do."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Final

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket
from attrs import define, field

from palaver_media import rtcp

from .listening import Listening
from .microphone import Microphone
from .sender import ntp_at
from .transport import Transport

REPORTS: Final = 31  # report blocks in one RTCP packet


@define(eq=False)
class Feedback:
    """`on_rtcp` belongs to the receive thread, all else to the loop."""

    microphone: Microphone
    listening: Listening
    transports: Mapping[str, Transport]  # the call's own, by name; the loop changes it
    _ssrc: int = field(factory=lambda: secrets.randbits(32))  # of our receiver reports
    _rtt: float | None = None  # s, as the server's reports show it

    @property
    def rtt(self) -> float | None:
        """The round trip in s: as the server's reports show it, and until they do, as connectivity checks do."""
        rtt = self._rtt
        if rtt is None:
            rtt = min((each.rtt for each in self.transports.values() if each.rtt is not None), default=None)
        return rtt

    def on_rtcp(self, transport: str, data: bytes, now: float) -> None:
        """A compound in the clear.

        Raises:
            ValueError: it is none.
        """
        for packet in rtcp.parse(data):
            match packet:
                case RtcpSrPacket(ssrc=ssrc, sender_info=info, reports=reports):
                    consumer = self.listening.routes.get((transport, ssrc))
                    if consumer is not None:
                        consumer.note_sender_report(info.ntp_timestamp, now)
                    self._measure(reports, now)
                case RtcpRrPacket(reports=reports):
                    self._measure(reports, now)
                case rtcp.Remb(bitrate=bitrate, ssrcs=ssrcs):
                    if (sender := self.microphone.sender) is not None and sender.stream[1] in ssrcs:
                        sender.limit(bitrate)
                case _:
                    continue

    def send_reports(self, now: float) -> None:
        """Once a second: what was sent, and how the voices arrive."""
        sender = self.microphone.sender
        if sender is not None and (report := sender.report(now)):
            self.transports[sender.stream[0]].send_rtcp(report)
        blocks: dict[str, list[RtcpReceiverInfo]] = {}
        for consumer in self.listening.consumers.values():
            block = consumer.report(now)
            if block is not None:
                blocks.setdefault(consumer.command.transport, []).append(block)
        for name, reports in blocks.items():
            transport = self.transports.get(name)
            for start in range(0, len(reports), REPORTS):
                if transport is not None:
                    transport.send_rtcp(rtcp.write_receiver_report(self._ssrc, reports[start : start + REPORTS]))

    def _measure(self, reports: list[RtcpReceiverInfo], now: float) -> None:
        for report in reports:
            rtt = rtcp.round_trip(report, ntp_at(now))
            if rtt is not None:
                self._rtt = rtt
            sender = self.microphone.sender
            if sender is not None and sender.stream[1] == report.ssrc:
                sender.hear(report, rtt)
