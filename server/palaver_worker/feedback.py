"""RTCP at the worker: it ends here, and what matters is passed on in the other side's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from aiortc.rtp import RtcpByePacket, RtcpRrPacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSrPacket

from palaver_media import rtcp
from palaver_media.rtcp import FEEDBACK_SSRC, KeyframeRequest, Nack, Remb

from .consumer import RESENDS

if TYPE_CHECKING:
    from .consumer import Consumer
    from .producer import Producer
    from .transport import Transport


def take(transport: Transport, compound: bytes, now: float) -> None:
    """What a client says about the tracks it sends and gets.

    Raises:
        ValueError: it is no RTCP.
    """
    for packet in rtcp.parse(compound):
        match packet:
            case RtcpSrPacket(ssrc=ssrc, sender_info=info):
                if (producer := transport.producers.get(ssrc)) is not None:
                    producer.sender_info = info, now
                    producer.reception.note_sender_report(info.ntp_timestamp, now)
            case Nack(ssrc, lost):
                if (consumer := transport.consumers.get(ssrc)) is not None:
                    consumer.resend(lost[:RESENDS])
            case KeyframeRequest(ssrc):
                if (consumer := transport.consumers.get(ssrc)) is not None:
                    consumer.ask_keyframe()
            case Remb(bitrate, ssrcs):
                for ssrc in ssrcs:
                    if (consumer := transport.consumers.get(ssrc)) is not None:
                        consumer.bitrate = bitrate
            case RtcpRrPacket() | RtcpSdesPacket() | RtcpByePacket():
                pass  # the listener's loss is mended by NACK; a track's end is signalled
            case _:
                assert_never(packet)


def report(transport: Transport, now: float) -> None:
    """Tell a client how its tracks arrive, and when those it hears were made."""
    for producer in transport.producers.values():
        transport.send_rtcp(_about(producer, now))
    for consumer in transport.consumers.values():
        if not consumer.is_paused and (compound := _sender_report(consumer, now)):
            transport.send_rtcp(compound)


def _about(producer: Producer, now: float) -> bytes:
    """A receiver report, and the bitrate that the weakest listener can take."""
    compound = rtcp.write_receiver_report(FEEDBACK_SSRC, [producer.reception.report(now)])
    bitrates = [each.bitrate for each in producer.consumers if not each.is_paused and each.bitrate is not None]
    if bitrates:
        compound += rtcp.write_remb(FEEDBACK_SSRC, min(bitrates), [producer.ssrc])
    return compound


def _sender_report(consumer: Consumer, now: float) -> bytes:
    """The producer's last sender report carried on to `now`, in the listener's terms; empty before there was one."""
    if consumer.producer.sender_info is None:
        return b""
    info, arrival = consumer.producer.sender_info
    elapsed = now - arrival
    carried = RtcpSenderInfo(
        ntp_timestamp=(info.ntp_timestamp + int(elapsed * (1 << 32))) & 0xFFFF_FFFF_FFFF_FFFF,
        rtp_timestamp=(info.rtp_timestamp + int(elapsed * consumer.producer.clock_rate)) & 0xFFFF_FFFF,
        packet_count=consumer.leg.packets & 0xFFFF_FFFF,
        octet_count=consumer.leg.octets & 0xFFFF_FFFF,
    )
    return rtcp.write_sender_report(consumer.ssrc, carried) + rtcp.write_cname(consumer.ssrc, consumer.cname)
