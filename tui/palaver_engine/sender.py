"""What one call says: 10 ms blocks in, Opus in RTP out (RFC 3550, RFC 7587)."""

from __future__ import annotations

import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from aiortc.rtp import RtcpSenderInfo
from attrs import define, field, frozen

from palaver_media import redundancy, rtcp, rtp
from palaver_media.engine_messages import Send, SendingStats
from palaver_media.sound_settings import Encoding

from .blocks import BLOCK, RATE, SILENCE, SILENT, Samples, level
from .effort import Effort
from .opus import DTX_SIZE, Application, Coding, Encoder
from .rates import LOW_LATENCY, Heard, Rates

if TYPE_CHECKING:
    from aiortc.rtp import RtcpReceiverInfo

HANGOVER: Final = 50  # blocks of silence sent after the last sound, so that listeners need not guess its end
REMEMBERED: Final = 16  # frames of which a copy may be sent
DEFAULT: Final = Encoding()
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


@frozen
class _Shape:
    """A frame's length in blocks, and who encodes it."""

    blocks: int
    encoder: Encoder
    application: Application


class Sender:
    """One RTP stream.

    `talk` and `hush` belong to the sound thread, `hear` and `limit` to the receive thread; these plan, `talk` carries
    out the plan with the next frame.
    """

    def __init__(
        self, command: Send, transmit: Callable[[bytes], int], numbering: Numbering, encoding: Encoding = DEFAULT
    ) -> None:
        """`numbering` is the SSRC's own: SRTP wants it to go on when a sender follows another (RFC 3711, 3.3.1)."""
        self._command = command
        self._transmit = transmit
        self._numbering = numbering
        self._planning = threading.Lock()  # the loop and the receive thread plan; the sound thread never waits
        self._rates = Rates(encoding, has_red=command.red_payload_type > 0)
        self._plan = self._rates.plan
        self._effort = Effort()
        self._shape = self._wanted = _shape(encoding.frame_ms, None)
        self._blocks: list[Samples] = []  # of the frame that is not complete yet
        self._recent: deque[tuple[int, bytes]] = deque(maxlen=REMEMBERED)  # timestamps and frames that were sent
        self._told: RtcpReceiverInfo | None = None  # by the last report
        self._is_talking = False
        self._silent_blocks = HANGOVER
        self._hushed = 0  # blocks of time since anything was said
        self.is_voice: bool | None = None  # what the audio level extension says of it; None: as loud as it is
        self._packets = self._octets = 0
        self._sampled_at = 0.0  # when the frame before the next timestamp was complete
        self.sent_bytes = 0

    @property
    def stream(self) -> tuple[str, int]:
        """The transport's id and the SSRC."""
        return self._command.transport, self._command.ssrc

    @property
    def stats(self) -> SendingStats:
        """How it is sent now."""
        plan = self._plan
        return SendingStats(
            bitrate=plan.bitrate,
            expected_loss=plan.expected_loss,
            copies=plan.copies,
            spacing=plan.spacing,
            frame_ms=10 * self._shape.blocks,
            complexity=self._effort.complexity,
        )

    def set_encoding(self, encoding: Encoding) -> None:
        """Encode like this from the next frame on."""
        self._wanted = _shape(encoding.frame_ms, self._wanted)
        with self._planning:
            self._rates.encoding = encoding
            self._plan = self._rates.plan

    def hear(self, info: RtcpReceiverInfo, round_trip: float | None) -> None:
        """A report of whoever receives the stream."""
        told, self._told = self._told, info
        if told is None:
            return  # what was lost before we know when is no news
        expected = info.highest_sequence - told.highest_sequence & 0xFFFF_FFFF
        if expected > self._packets:
            return  # a receiver that began anew, or had had nothing before
        lost = round(expected * info.fraction_lost / 256)  # a server may count what its listeners lose, too
        with self._planning:
            self._rates.report(Heard(expected, lost, round_trip))
            self._plan = self._rates.plan

    def limit(self, bandwidth: int) -> None:
        """The other side's estimate of what the path takes, in bit/s."""
        with self._planning:
            self._rates.limit(bandwidth)
            self._plan = self._rates.plan

    def talk(self, block: Samples | None, now: float) -> None:
        """Say the next 10 ms; None is nothing to say: after a while of silence nothing is sent, and time goes on."""
        self._hushed = 0
        self._silent_blocks = 0 if block is not None else self._silent_blocks + 1
        self._add(SILENCE if block is None else block, now, is_sent=self._silent_blocks <= HANGOVER)

    def hush(self, now: float) -> None:
        """Send nothing for 10 ms (muted); time goes on."""
        self._hushed += 1
        self._silent_blocks = HANGOVER
        self._add(SILENCE, now, is_sent=False)

    def _add(self, block: Samples, now: float, *, is_sent: bool) -> None:
        if not self._blocks:
            self._shape = self._wanted
        self._blocks.append(block)
        if len(self._blocks) < self._shape.blocks:
            return
        if is_sent:
            self._send(self._blocks)
        else:
            self._is_talking = False
        self._numbering.timestamp = self._numbering.timestamp + BLOCK * len(self._blocks) & 0xFFFFFFFF
        self._blocks.clear()
        self._sampled_at = now

    def catch_up(self, blocks: Sequence[Samples | None], now: float) -> None:
        """Say at once what was hushed until now, each block with the time at which it was."""
        late = blocks[-self._hushed :] if self._hushed else ()
        begun = BLOCK * len(self._blocks)
        self._blocks.clear()
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

    def _send(self, blocks: list[Samples]) -> None:
        payload = self._encode(np.concatenate(blocks))
        if len(payload) <= DTX_SIZE:
            self._is_talking = False
            return
        packet = rtp.RtpPacket(
            payload_type=self._command.payload_type,
            sequence=self._numbering.sequence,
            timestamp=self._numbering.timestamp,
            ssrc=self._command.ssrc,
            body=payload,
            is_marked=not self._is_talking,  # a talk spurt begins (RFC 3551 section 4.1)
            extensions=self._extensions(blocks),
        )
        self._add_copies(packet)
        sent = self._transmit(packet.write())
        if not sent:
            return
        self._recent.append((packet.timestamp, payload))  # what went to nobody must not go out as a copy
        self._is_talking = True
        self._numbering.sequence = self._numbering.sequence + 1 & 0xFFFF
        self._packets += 1
        self._octets += len(packet.body)
        self.sent_bytes += sent

    def _encode(self, frame: Samples) -> bytes:
        plan = self._plan
        self._shape.encoder.use(Coding(plan.bitrate, plan.expected_loss, self._effort.complexity, is_dtx=True))
        began = time.perf_counter()
        payload = self._shape.encoder.encode(frame)
        self._effort.note(time.perf_counter() - began, len(frame) / RATE)
        return payload

    def _add_copies(self, packet: rtp.RtpPacket) -> None:
        offsets = self._plan.offsets
        if not offsets:
            return
        ages = {offset * self._shape.blocks * BLOCK for offset in offsets}
        copies = [each for each in self._recent if (packet.timestamp - each[0] & 0xFFFF_FFFF) in ages]
        packet.body = redundancy.write(packet.payload_type, packet.timestamp, packet.body, copies)
        packet.payload_type = self._command.red_payload_type

    def _extensions(self, blocks: list[Samples]) -> dict[int, bytes]:
        extensions: dict[int, bytes] = {}
        if self._command.mid_extension:
            extensions[self._command.mid_extension] = self._command.mid.encode()
        if self._command.level_extension:
            loudness = max(map(level, blocks))
            dbov = -127 if loudness <= SILENT else round(loudness)
            extensions[self._command.level_extension] = rtp.write_audio_level(
                dbov, loudness > VOICE if self.is_voice is None else self.is_voice
            )
        return extensions


def _shape(frame_ms: int, before: _Shape | None) -> _Shape:
    """Frames of this length, by the encoder there was if it is made for them."""
    application = Application.AUDIO if frame_ms == LOW_LATENCY else Application.VOIP
    has_encoder = before is not None and before.application is application
    encoder = before.encoder if before is not None and has_encoder else Encoder(application=application)
    return _Shape(frame_ms // 10, encoder, application)
