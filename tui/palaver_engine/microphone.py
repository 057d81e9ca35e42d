"""What a call says: the microphone's blocks, treated as the settings have it, to the sender."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define, field

from palaver_media.engine_messages import EngineReport, Send, Sending, Side, SoundProblem
from palaver_media.sound_settings import Capture, Encoding, Transmit

from . import opus, processing
from .blocks import Meter, Samples
from .far_end import FarEnd
from .sender import Numbering, Sender
from .transmission import NOTHING, Said, Transmission
from .treatment import Treatment


@define(eq=False)
class Microphone:
    """`talk` belongs to the sound thread of the source; all else to the loop, which only replaces what it reads."""

    call: str
    post: Callable[[EngineReport], None]  # from any thread
    is_muted: bool = False
    is_private: bool = False  # what is said is for our own ears, and not sent
    far_end: FarEnd = field(factory=FarEnd)
    meter: Meter = field(factory=Meter)  # of what is or would be sent
    sender: Sender | None = None
    tap: Callable[[Samples | None], None] | None = None  # is given what is said, None for what nobody hears
    _capture: Capture = field(factory=Capture)
    _encoding: Encoding = field(factory=Encoding)
    _is_key_down: bool = False
    _is_live: bool = False
    _treatment: Treatment = field(init=False)
    _transmission: Transmission = field(factory=Transmission)
    _is_sending: bool = False  # as it was told
    _has_complained: bool = False
    _numberings: dict[tuple[str, int], Numbering] = field(factory=dict)  # by transport and SSRC

    def __attrs_post_init__(self) -> None:
        self._treatment = Treatment(None, self._capture)

    def talk(self, block: Samples | None) -> None:
        """Say 10 ms; None is nothing to say."""
        now = time.monotonic()
        far = self.far_end.take()
        is_speech = False
        if block is not None:
            block, is_speech = self._treatment.treat(block, far)
            self.meter.add(block)
        sender, said = self.sender, self._choose(block, is_speech)
        self._tell(sender is not None and said != NOTHING)
        if self.tap is not None:
            self.tap(block if said or self._waits_for_voice else None)
        if sender is None:
            return
        sender.is_voice = is_speech if self._is_live else None
        if not said:
            sender.hush(now)
            return
        *earlier, last = said
        if earlier:
            sender.catch_up(earlier, now)
        sender.talk(last, now)

    @property
    def delay(self) -> float:
        """From a block of the microphone to its packet, in s, without the device and the length of a frame."""
        return self._treatment.delay + opus.LOOK_AHEAD

    def use(self, is_live: bool) -> None:
        """What is said comes from a real microphone from now on, another one too; or from anything else, untreated."""
        self._is_live = is_live
        self._treatment = Treatment(self._library() if is_live else None, self._capture)

    def set_capture(self, capture: Capture) -> None:
        """Treat what is said like this from now on."""
        self._capture = capture
        self._treatment.set(capture)

    def set_talking(self, is_talking: bool) -> None:
        """The push-to-talk key is down, or up again."""
        self._is_key_down = is_talking

    def set_encoding(self, encoding: Encoding) -> None:
        """Encode like this from now on."""
        self._encoding = encoding
        if (sender := self.sender) is not None:
            sender.set_encoding(encoding)

    def send(self, command: Send, transmit: Callable[[bytes], int]) -> None:
        """Send from now on; `transmit` protects and sends a packet, and tells its size.

        What is being encoded when we are muted is not sent any more.
        """

        def pass_on(packet: bytes) -> int:
            is_sent = not self.is_private and not self.is_muted  # in this order, for the loop sets them in the other
            return transmit(packet) if is_sent else 0

        numbering = self._numberings.setdefault((command.transport, command.ssrc), Numbering())
        try:
            self.sender = Sender(command, pass_on, numbering, self._encoding)
        except opus.OpusMissing as why:
            self.post(SoundProblem(self.call, Side.SOURCE, str(why), opus.REMEDY))

    def stop(self) -> None:
        """Send no more."""
        self.sender = None

    def forget(self, transport: str) -> None:
        """This transport is gone."""
        if self.sender is not None and self.sender.stream[0] == transport:
            self.sender = None
        self._numberings = {stream: each for stream, each in self._numberings.items() if stream[0] != transport}

    def _choose(self, block: Samples | None, is_speech: bool) -> Said:
        if self.is_muted:
            self._transmission.mute()
            return NOTHING
        mode = self._capture.transmit
        return self._transmission.pass_on(block, mode, is_speech=is_speech, is_key_down=self._is_key_down)

    @property
    def _waits_for_voice(self) -> bool:
        """Whether what is said now may yet be sent, or was only not loud enough."""
        return not self.is_muted and self._capture.transmit is Transmit.VOICE

    def _tell(self, is_sending: bool) -> None:
        if is_sending != self._is_sending:
            self._is_sending = is_sending
            self.post(Sending(self.call, is_sending))

    def _library(self) -> processing.Library | None:
        try:
            return processing.library()
        except processing.ProcessingMissing as why:
            if not self._has_complained:
                self._has_complained = True
                self.post(SoundProblem(self.call, Side.SOURCE, str(why), processing.REMEDY))
            return None
