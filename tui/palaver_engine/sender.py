"""What one call says: 10 ms blocks in, Opus in RTP out (RFC 3550, RFC 7587)."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
from aiortc.rtp import RtcpSenderInfo
from attrs import define, field

from palaver_media import rtcp, rtp
from palaver_media.engine_messages import Send

from .mixer import BLOCK, RATE, SILENCE, SILENT, Samples, level
from .opus import FRAME, Encoder

HANGOVER: Final = 25  # frames of silence sent after the last sound, so that listeners need not guess its end
VOICE: Final = -50.0  # dBFS: above it the audio level extension says that it is speech
_WALL: Final = time.time() - time.monotonic()  # s; a stepping wall clock must not bend round-trip times


def ntp_at(now: float) -> int:
    """A time of `time.monotonic` as a 64-bit NTP timestamp."""
    return rtcp.to_ntp(_WALL + now)


@define
class Numbering:
    """What the next packet of an SSRC is numbered with, whoever sends it: under one key no number is used twice."""

    sequence: int = field(factory=lambda: random.randrange(1 << 15))  # no wrap before the receiver has seen it
    timestamp: int = field(factory=lambda: random.randrange(1 << 32))


class Sender:
    """One RTP stream. `talk` belongs to the sound thread; `report` may be called from another."""

    def __init__(self, command: Send, transmit: Callable[[bytes], int], numbering: Numbering) -> None:
        """`numbering` is the SSRC's own: SRTP wants it to go on when a sender follows another (RFC 3711, 3.3.1)."""
        self._command = command
        self._transmit = transmit
        self._encoder = Encoder()
        self._numbering = numbering
        self._half: Samples | None = None  # the first block of a frame
        self._is_talking = False
        self._silent_frames = HANGOVER
        self._hushed = 0  # blocks of time since anything was said
        self.is_voice: bool | None = None  # what the audio level extension says of it; None: as loud as it is
        self._packets = self._octets = 0
        self._sampled_at = 0.0  # when the frame before the next timestamp was complete
        self.sent_bytes = 0

    @property
    def stream(self) -> tuple[str, int]:
        """The transport's id and the SSRC."""
        return self._command.transport, self._command.ssrc

    def talk(self, block: Samples | None, now: float) -> None:
        """Say the next 10 ms; None is nothing to say: after a while of silence nothing is sent, and time goes on."""
        self._hushed = 0
        if self._half is None:
            self._half = SILENCE if block is None else block
            self._silent_frames = self._silent_frames if block is None else 0
            return
        frame = np.concatenate((self._half, SILENCE if block is None else block))
        self._half = None
        self._silent_frames = self._silent_frames + 1 if block is None else 0
        if self._silent_frames <= HANGOVER:
            self._send(frame)
        else:
            self._is_talking = False
        self._advance(now)

    def hush(self, now: float) -> None:
        """Send nothing for 10 ms (muted); time goes on."""
        self._hushed += 1
        self._is_talking = False
        self._silent_frames = HANGOVER
        if self._half is None:
            self._half = SILENCE
        else:
            self._half = None
            self._advance(now)

    def catch_up(self, blocks: Sequence[Samples | None], now: float) -> None:
        """Say at once what was hushed until now, each block with the time at which it was."""
        late = blocks[-self._hushed :] if self._hushed else ()
        begun = 0 if self._half is None else BLOCK
        self._half = None
        self._numbering.timestamp = self._numbering.timestamp + begun - len(late) * BLOCK & 0xFFFFFFFF
        for ago, block in zip(range(len(late), 0, -1), late, strict=True):
            self.talk(block, now - ago * BLOCK / RATE)

    def report(self, now: float) -> bytes | None:
        """A sender report with the CNAME (RFC 3550 section 6.4.1); None before anything was sent."""
        if not self._packets:
            return None
        elapsed = round((now - self._sampled_at) * RATE)
        info = RtcpSenderInfo(
            ntp_timestamp=ntp_at(now),
            rtp_timestamp=self._numbering.timestamp + elapsed & 0xFFFFFFFF,
            packet_count=self._packets & 0xFFFFFFFF,
            octet_count=self._octets & 0xFFFFFFFF,
        )
        ssrc = self._command.ssrc
        return rtcp.write_sender_report(ssrc, info) + rtcp.write_cname(ssrc, self._command.cname)

    def _advance(self, now: float) -> None:
        self._numbering.timestamp = self._numbering.timestamp + FRAME & 0xFFFFFFFF
        self._sampled_at = now

    def _send(self, frame: Samples) -> None:
        packet = rtp.RtpPacket(
            payload_type=self._command.payload_type,
            sequence=self._numbering.sequence,
            timestamp=self._numbering.timestamp,
            ssrc=self._command.ssrc,
            body=self._encoder.encode(frame),
            is_marked=not self._is_talking,  # a talk spurt begins (RFC 3551 section 4.1)
            extensions=self._extensions(frame),
        )
        sent = self._transmit(packet.write())
        if not sent:
            return
        self._is_talking = True
        self._numbering.sequence = self._numbering.sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(packet.body)
        self.sent_bytes += sent

    def _extensions(self, frame: Samples) -> dict[int, bytes]:
        extensions: dict[int, bytes] = {}
        if self._command.mid_extension:
            extensions[self._command.mid_extension] = self._command.mid.encode()
        if self._command.level_extension:
            loudness = max(level(frame[:BLOCK]), level(frame[BLOCK:]))
            dbov = -127 if loudness <= SILENT else round(loudness)
            extensions[self._command.level_extension] = rtp.write_audio_level(
                dbov, loudness > VOICE if self.is_voice is None else self.is_voice
            )
        return extensions
