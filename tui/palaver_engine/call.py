"""One call: what it says, what it hears, and the transports that carry both."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from functools import partial
from typing import Final

from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket, RtcpSrPacket
from attrs import define, field

from palaver_media import rtcp, rtp
from palaver_media.engine_messages import (
    AudioStarted,
    Levels,
    OpenCall,
    OpenTransport,
    Receive,
    Send,
    Side,
    SoundProblem,
    Stats,
    TransportConnected,
    TransportFailed,
)

from . import opus
from .consumer import Consumer
from .mixer import Meter, Samples, mix
from .sender import Numbering, Sender, ntp_at
from .sound import Heard, Sound
from .sources import PcmSource
from .specs import Kind
from .studio import Studio
from .transport import Transport

LEVEL_STEP: Final = 1.0  # dB: a smaller change is not told
REPORTS: Final = 31  # report blocks in one RTCP packet


@define(eq=False)
class Call:
    """A call. `talk` and `hear` belong to sound threads, `_on_rtp` and `_on_rtcp` to the receive thread."""

    name: str
    studio: Studio
    is_muted: bool
    pcm: PcmSource = field(factory=PcmSource)
    _sound: Sound = field(init=False)
    _meter: Meter = field(factory=Meter)
    _takes_pcm: bool = False
    _sender: Sender | None = None
    _numberings: dict[tuple[str, int], Numbering] = field(factory=dict)  # by transport and SSRC
    _transports: dict[str, Transport] = field(factory=dict)
    _consumers: dict[str, Consumer] = field(factory=dict)  # never changed: other threads read it
    _routes: dict[tuple[str, int], Consumer] = field(factory=dict)  # by transport and SSRC; never changed
    _ssrc: int = field(factory=lambda: secrets.randbits(32))  # of our receiver reports
    _rtt: float | None = None  # s, as the server's reports show it
    _told_levels: dict[str, float] = field(factory=dict)
    _told_bytes: int = 0
    _dropped: Counter[str] = field(factory=Counter)  # what came in vain, by reason; the receive thread counts

    def __attrs_post_init__(self) -> None:
        studio = self.studio
        self._sound = Sound(self.name, self.pcm, self.talk, self.hear, studio.ticker, studio.post, studio.loop)

    @classmethod
    def open(cls, command: OpenCall, studio: Studio) -> Call:
        """Start a call's sound."""
        call = cls(command.call, studio, command.is_muted)
        call.use(Side.SOURCE, command.source)
        call.use(Side.SINK, command.sink)
        return call

    def use(self, side: Side, spec: str) -> None:
        """Take another source or sink."""
        if side is Side.SOURCE:
            self._takes_pcm = spec == Kind.PCM.value
        self.studio.control(lambda: self._sound.use(side, spec))

    def check_devices(self) -> None:
        """Find devices that died and those that came back; in the control thread."""
        self._sound.check()

    def close(self) -> None:
        """End everything."""
        self._sender = None
        for transport in self._transports.values():
            transport.close()
        self._transports.clear()
        self._consumers, self._routes = {}, {}
        self.studio.control(self._sound.close)

    # What is said

    def talk(self, block: Samples | None) -> None:
        """Say 10 ms; None is nothing to say."""
        now = time.monotonic()
        if block is not None:
            self._meter.add(block)
        sender = self._sender
        if sender is None:
            return
        if self.is_muted:
            sender.hush(now)
        else:
            sender.talk(block, now)

    def say(self, samples: bytes) -> None:
        """Let the `pcm` source say these samples next."""
        if self._takes_pcm and not self.pcm.push(samples):
            reason, remedy = "the pcm source is full and drops samples", "send no more than a minute ahead"
            self.studio.report(SoundProblem(self.name, Side.SOURCE, reason, remedy))

    def send(self, command: Send) -> None:
        """Send the source over a transport from now on."""
        transport = self._transports.get(command.transport)
        if transport is None:
            return
        numbering = self._numberings.setdefault((command.transport, command.ssrc), Numbering())
        try:
            self._sender = Sender(command, transport.send_rtp, numbering)
        except opus.OpusMissing as why:
            self.studio.report(SoundProblem(self.name, Side.SOURCE, str(why), opus.REMEDY))
            return
        self._told_bytes = 0

    def stop_sending(self) -> None:
        """Send no more."""
        self._sender = None

    # What is heard

    def hear(self) -> Heard:
        """The next 10 ms: all voices together, and each."""
        now = time.monotonic()
        voices: dict[str, Samples] = {}
        for name, consumer in self._consumers.items():
            had_started = consumer.has_started
            voices[name] = consumer.pull(now)
            if consumer.has_started and not had_started:
                self.studio.post(AudioStarted(self.name, name))
        return mix(voices.values()), voices

    def receive(self, command: Receive) -> None:
        """Play a consumer from now on."""
        try:
            consumer = Consumer(command)
        except opus.OpusMissing as why:
            self.studio.report(SoundProblem(self.name, Side.SINK, str(why), opus.REMEDY))
            return
        self.stop_receiving(command.consumer)
        self._consumers = {**self._consumers, command.consumer: consumer}
        self._routes = {**self._routes, (command.transport, command.ssrc): consumer}

    def stop_receiving(self, name: str) -> None:
        """Play a consumer no more."""
        self._keep([consumer for key, consumer in self._consumers.items() if key != name])

    def _keep(self, consumers: list[Consumer]) -> None:
        self._consumers = {each.command.consumer: each for each in consumers}
        self._routes = {(each.command.transport, each.command.ssrc): each for each in consumers}

    # Transports

    def open_transport(self, command: OpenTransport) -> None:
        """Connect to a server's transport."""
        name = command.transport
        self.close_transport(name)
        self._transports[name] = Transport(
            command,
            self.studio.certificate,
            self.studio.receiver,
            on_connected=lambda: self.studio.report(TransportConnected(self.name, name)),
            on_failed=lambda reason: self.studio.report(TransportFailed(self.name, name, reason)),
            on_rtp=partial(self._on_rtp, name),
            on_rtcp=partial(self._on_rtcp, name),
            dropped=self._dropped,
        )

    def close_transport(self, name: str) -> None:
        """Close a transport and what it carries."""
        transport = self._transports.pop(name, None)
        if transport is None:
            return
        if self._sender is not None and self._sender.stream[0] == name:
            self._sender = None
        self._numberings = {stream: each for stream, each in self._numberings.items() if stream[0] != name}
        self._keep([each for each in self._consumers.values() if each.command.transport != name])
        transport.close()

    def _on_rtp(self, transport: str, data: bytes, now: float) -> None:
        consumer = self._routes.get((transport, rtp.peek_ssrc(data)))
        if consumer is None:
            raise ValueError("no consumer of this SSRC")
        consumer.put(rtp.parse(data), len(data), now)

    def _on_rtcp(self, transport: str, data: bytes, now: float) -> None:
        for packet in rtcp.parse(data):
            match packet:
                case RtcpSrPacket(ssrc=ssrc, sender_info=info, reports=reports):
                    consumer = self._routes.get((transport, ssrc))
                    if consumer is not None:
                        consumer.note_sender_report(info.ntp_timestamp, now)
                    self._measure(reports, now)
                case RtcpRrPacket(reports=reports):
                    self._measure(reports, now)
                case _:
                    continue

    def _measure(self, reports: list[RtcpReceiverInfo], now: float) -> None:
        for report in reports:
            rtt = rtcp.round_trip(report, ntp_at(now))
            if rtt is not None:
                self._rtt = rtt

    # What is told

    def send_reports(self, now: float) -> None:
        """RTCP, once a second: what was sent, and how the voices arrive."""
        if self._sender is not None and (report := self._sender.report(now)):
            self._transports[self._sender.stream[0]].send_rtcp(report)
        blocks: dict[str, list[RtcpReceiverInfo]] = {}
        for consumer in self._consumers.values():
            block = consumer.report(now)
            if block is not None:
                blocks.setdefault(consumer.command.transport, []).append(block)
        for name, reports in blocks.items():
            transport = self._transports.get(name)
            for start in range(0, len(reports), REPORTS):
                if transport is not None:
                    transport.send_rtcp(rtcp.write_receiver_report(self._ssrc, reports[start : start + REPORTS]))

    def stats(self, seconds: float) -> Stats:
        """What happened since the last call, `seconds` ago."""
        sent = 0 if self._sender is None else self._sender.sent_bytes
        out, self._told_bytes = max(0, sent - self._told_bytes), sent
        consumers = {name: consumer.stats(seconds) for name, consumer in self._consumers.items()}
        rtt = self._rtt
        if rtt is None:
            rtt = min((each.rtt for each in self._transports.values() if each.rtt is not None), default=None)
        return Stats(
            self.name,
            rtt_ms=None if rtt is None else round(rtt * 1000, 2),
            out_kbps=round(out * 8 / 1000 / seconds, 2),
            consumers=consumers,
            dropped=dict(self._dropped),
        )

    def levels(self) -> Levels | None:
        """How loud it was since the last call; None if nothing has changed."""
        loud = {name: round(consumer.meter.read(), 1) for name, consumer in self._consumers.items()}
        told = {"": round(self._meter.read(), 1), **loud}
        was = self._told_levels
        if told.keys() == was.keys() and all(abs(told[name] - was[name]) < LEVEL_STEP for name in told):
            return None
        self._told_levels = told
        return Levels(self.name, told[""], loud)
