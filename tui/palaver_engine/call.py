"""One call: what it says, what it hears, and the transports that carry both."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final

from attrs import define, field

from palaver_media.engine_messages import (
    Levels,
    NameTrack,
    OpenCall,
    OpenTransport,
    Send,
    Side,
    SoundProblem,
    StartRecording,
    Stats,
    TransportConnected,
    TransportFailed,
)
from palaver_media.sound_settings import Encoding

from . import opus
from .blocks import Samples
from .echo_test import EchoTest
from .feedback import Feedback
from .listening import Listening
from .microphone import Microphone
from .rates import LOW_LATENCY
from .recording import Recording
from .sound import Sound
from .sources import PcmSource
from .specs import Kind
from .studio import Studio
from .transport import Transport

LEVEL_STEP: Final = 1.0  # dB: a smaller change is not told


@define(eq=False)
class Call:
    """A call. `_on_said` belongs to the sound thread of the source.

    What comes in the receive thread goes to `listening` and `feedback`. All else belongs to the loop.
    """

    name: str
    studio: Studio
    microphone: Microphone
    listening: Listening
    pcm: PcmSource = field(factory=PcmSource)
    feedback: Feedback = field(init=False)
    _sound: Sound = field(init=False)
    _is_muted: bool = False
    _recording: Recording | None = None
    _echo_test: EchoTest | None = None
    _takes_pcm: bool = False
    _transports: dict[str, Transport] = field(factory=dict)
    _told_levels: dict[str, float] = field(factory=dict)
    _told_bytes: int = 0
    _dropped: Counter[str] = field(factory=Counter)  # what came in vain, by reason; the receive thread counts

    def __attrs_post_init__(self) -> None:
        studio, talk, hear = self.studio, self.microphone.talk, self.listening.hear
        self._is_muted = self.microphone.is_muted
        self.microphone.tap = self._on_said
        self.feedback = Feedback(self.microphone, self.listening, self._transports)
        played = self.microphone.far_end.put
        self._sound = Sound(self.name, self.pcm, talk, hear, played, studio.ticker, studio.post, studio.loop)

    @classmethod
    def open(cls, command: OpenCall, studio: Studio) -> Call:
        """Start a call's sound."""
        microphone = Microphone(command.call, studio.post, command.is_muted)
        call = cls(command.call, studio, microphone, Listening(command.call, studio.post))
        call.use(Side.SOURCE, command.source)
        call.use(Side.SINK, command.sink)
        return call

    def use(self, side: Side, spec: str) -> None:
        """Take another source or sink."""
        if side is Side.SOURCE:
            self._takes_pcm = spec == Kind.PCM.value
            self.microphone.use(spec.partition(":")[0] == Kind.DEVICE.value)
        self.studio.control(lambda: self._sound.use(side, spec))

    @property
    def sound(self) -> Sound:
        """Its devices, for the control thread."""
        return self._sound

    def check_devices(self) -> None:
        """Find devices that died and those that came back; in the control thread."""
        self._sound.check()

    def close(self) -> None:
        """End everything."""
        self.microphone.stop()
        for transport in self._transports.values():
            transport.close()
        self._transports.clear()
        self.listening.close()
        self.stop_recording()
        self.studio.control(self._sound.close)

    def say(self, samples: bytes) -> None:
        """Let the `pcm` source say these samples next."""
        if self._takes_pcm and not self.pcm.push(samples):
            reason, remedy = "the pcm source is full and drops samples", "send no more than a minute ahead"
            self.studio.report(SoundProblem(self.name, Side.SOURCE, reason, remedy))

    def send(self, command: Send) -> None:
        """Send the source over a transport from now on."""
        transport = self._transports.get(command.transport)
        if transport is not None:
            self.microphone.send(command, transport.send_rtp)
            self._told_bytes = 0

    def set_encoding(self, encoding: Encoding) -> None:
        """Encode like this from now on; who sends short frames wants to hear soon, too."""
        self.microphone.set_encoding(encoding)
        is_near = encoding.frame_ms <= LOW_LATENCY
        self.studio.control(lambda: self._sound.set_near(is_near=is_near))

    def set_muted(self, *, is_muted: bool) -> None:
        """Send nothing, or send again."""
        self._is_muted = is_muted
        self.microphone.is_muted = is_muted and self._echo_test is None

    def set_echo_test(self, *, is_on: bool) -> None:
        """Let us, and only us, hear ourselves; or no more."""
        if not is_on:
            self.microphone.is_muted = self._is_muted  # before anything is sent again
            self._echo_test = self.listening.beside = None
            self.microphone.is_private = False
        elif self._echo_test is None:
            try:
                self._echo_test = EchoTest()
            except opus.OpusMissing as why:
                self.studio.report(SoundProblem(self.name, Side.SOURCE, str(why), opus.REMEDY))
                return
            self.listening.beside = self._echo_test.hear
            self.microphone.is_private = True
            self.microphone.is_muted = False

    def _on_said(self, block: Samples | None) -> None:
        """What would be sent, 10 ms of it; while the echo test is on it is for our ears only."""
        echo_test, recording = self._echo_test, self._recording
        if echo_test is not None:
            echo_test.talk(block)
            block = None
        if recording is not None:
            recording.said(block)

    # Recording

    def start_recording(self, command: StartRecording) -> None:
        """Record into new files from now on."""
        self.stop_recording()
        self._recording = Recording(command, self.studio.post)
        self.listening.tap = self._recording.heard

    def name_track(self, command: NameTrack) -> None:
        """Call a voice's file so, if there is a recording."""
        if self._recording is not None:
            self._recording.name(command)

    def stop_recording(self) -> None:
        """Record no more, if there is a recording."""
        if self._recording is not None:
            self.listening.tap = None
            self._recording.stop()
            self._recording = None

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
            on_rtp=partial(self.listening.on_rtp, name),
            on_rtcp=partial(self.feedback.on_rtcp, name),
            dropped=self._dropped,
        )

    def close_transport(self, name: str) -> None:
        """Close a transport and what it carries."""
        transport = self._transports.pop(name, None)
        if transport is not None:
            self.microphone.forget(name)
            self.listening.forget(name)
            transport.close()

    # What is told

    def stats(self, seconds: float) -> Stats:
        """What happened since the last call, `seconds` ago."""
        sender = self.microphone.sender
        sent = 0 if sender is None else sender.sent_bytes
        out, self._told_bytes = max(0, sent - self._told_bytes), sent
        rtt = self.feedback.rtt
        way = None if rtt is None else self._way(rtt)
        consumers = {name: consumer.stats(seconds, way) for name, consumer in self.listening.consumers.items()}
        return Stats(
            self.name,
            rtt_ms=None if rtt is None else round(rtt * 1000, 2),
            out_kbps=round(out * 8 / 1000 / seconds, 2),
            consumers=consumers,
            dropped=dict(self._dropped),
            input_ms=round(self._sound.input_latency * 1000, 1),
            output_ms=round(self._sound.output_latency * 1000, 1),
            sending=None if sender is None else sender.stats,
        )

    def _way(self, rtt: float) -> float:
        """From mouth to ear in s, were the other's devices, processing and network like ours, but for what differs."""
        return self._sound.input_latency + self.microphone.delay + rtt + self._sound.output_latency

    def levels(self) -> Levels | None:
        """How loud it was since the last call; None if nothing has changed."""
        loud = {name: round(consumer.meter.read(), 1) for name, consumer in self.listening.consumers.items()}
        told = {"": round(self.microphone.meter.read(), 1), **loud}
        was = self._told_levels
        if told.keys() == was.keys() and all(abs(told[name] - was[name]) < LEVEL_STEP for name in told):
            return None
        self._told_levels = told
        return Levels(self.name, told[""], loud)
