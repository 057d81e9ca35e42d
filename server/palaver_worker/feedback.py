"""RTCP at the worker: it ends here, and what matters is passed on in the other side's terms, or counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Final, assert_never

from aiortc.rtp import RtcpByePacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSdesPacket, RtcpSrPacket

from palaver_media import rtcp
from palaver_media.rtcp import FEEDBACK_SSRC, KeyframeRequest, Nack, Remb
from palaver_media.worker_messages import MediaKind

from .consumer import RESENDS

if TYPE_CHECKING:
    from .consumer import Consumer
    from .producer import Producer
    from .transport import Transport

FLOOR: Final = 100_000  # bit/s: a voice in good quality, and a small picture beside it


def take(transport: Transport, compound: bytes, now: float) -> None:
    """What a client says about the tracks it sends and gets.

    Raises:
        ValueError: it is no RTCP.
    """
    for packet in rtcp.parse(compound):
        match packet:
            case RtcpSrPacket(ssrc=ssrc, sender_info=info, reports=blocks):
                _hear(transport, blocks, now)
                if (producer := transport.producers.get(ssrc)) is not None:
                    producer.note_sender_report(info, now)
            case Nack(ssrc, lost):
                if (consumer := transport.consumers.get(ssrc)) is not None:
                    consumer.producer.nacked += len(lost)
                    consumer.resend(lost[:RESENDS], now)
            case KeyframeRequest(ssrc):
                if (consumer := transport.consumers.get(ssrc)) is not None:
                    consumer.ask_keyframe()
            case Remb(bitrate, ssrcs):
                for ssrc in ssrcs:
                    if (consumer := transport.consumers.get(ssrc)) is not None:
                        consumer.hearing.take_bitrate(bitrate, now)
                        consumer.producer.limiting.add(consumer)
            case RtcpRrPacket(reports=blocks):
                _hear(transport, blocks, now)
            case RtcpSdesPacket() | RtcpByePacket():
                pass  # whose a track is, and its end, is signalled
            case _:
                assert_never(packet)


def _hear(transport: Transport, blocks: Iterable[RtcpReceiverInfo], now: float) -> None:
    """Note how a client says that it gets its tracks."""
    for block in blocks:
        consumer = transport.consumers.get(block.ssrc)
        if consumer is not None and (round_trip := consumer.hearing.take(block, now)) is not None:
            transport.round_trip = round_trip


def report(transport: Transport, now: float, video_bitrate: int) -> None:
    """Tell a client how its tracks arrive, and how much video it may send (bit/s)."""
    for producer in transport.producers.values():
        transport.send_rtcp(_about(producer, now, video_bitrate))


def tell_clocks(transport: Transport, now: float) -> None:
    """Tell a client when the tracks that it hears were made."""
    for consumer in transport.consumers.values():
        if not consumer.is_paused and (compound := _sender_report(consumer, now)):
            transport.send_rtcp(compound)


def _about(producer: Producer, now: float, video_bitrate: int) -> bytes:
    """A receiver report, and the bitrate that the weakest listener can take; of video never more than is allowed.

    Nor ever less than `FLOOR` because of a listener. Whoever can take less is served by a pause; if his word went for
    all, anybody could take the picture, or the voice, from a whole room. It is the same for both, for browsers take
    REMB for the limit of all that they send, whichever track it names.
    """
    reception = producer.reception
    producer.told = reception.report(now)
    blocks = [_all_the_way(producer, producer.told, now)] if reception.received else []
    if producer.retransmissions is not None and producer.retransmissions.received:
        blocks.append(producer.retransmissions.report(now))
    compound = rtcp.write_receiver_report(FEEDBACK_SSRC, blocks)
    asked = [(each, each.hearing.bitrate(now)) for each in producer.limiting]
    producer.limiting = {each for each, bitrate in asked if bitrate is not None}
    bitrates = [max(FLOOR, bitrate) for each, bitrate in asked if bitrate is not None and not each.is_paused]
    if producer.media is MediaKind.VIDEO:
        bitrates.append(video_bitrate)
    if bitrates:
        compound += rtcp.write_remb(FEEDBACK_SSRC, min(bitrates), [producer.ssrc])
    return compound


def _all_the_way(producer: Producer, block: RtcpReceiverInfo, now: float) -> RtcpReceiverInfo:
    """What a sender is told who can mend it: the loss of the whole way to the middle one of those who listen.

    What a listener counts is of the whole way, for what does not come to us leaves its gap in what he is sent. It is
    the middle one, or anybody could make a whole room sound worse; and up to the packet that he has counted to, so that
    shares are of the packets they are of. Browsers are told of their own path alone: for their video, too, they would
    take the rest for a path that is full.
    """
    if not producer.has_red:
        return block
    words = [(each, each.hearing.lately(now)) for each in producer.audience if not each.is_paused]
    heard = sorted(((word, each) for each, word in words if word is not None), key=lambda one: one[0].fraction_lost)
    if not heard:
        return block
    word, consumer = heard[len(heard) // 2]
    index = consumer.index_of(word.highest_sequence) if consumer.producer is producer else None
    highest = block.highest_sequence if index is None else index & 0xFFFF_FFFF
    return replace(block, fraction_lost=word.fraction_lost, highest_sequence=highest)


def _sender_report(consumer: Consumer, now: float) -> bytes:
    """What the source's clock shows at `now`, in the listener's terms; empty while that is unknown."""
    if (info := consumer.producer.clock(now)) is None:
        return b""
    info.packet_count, info.octet_count = consumer.leg.packets & 0xFFFF_FFFF, consumer.leg.octets & 0xFFFF_FFFF
    consumer.hearing.note_sender_report(info.ntp_timestamp, now)
    return rtcp.write_sender_report(consumer.ssrc, info) + rtcp.write_cname(consumer.ssrc, consumer.cname)
