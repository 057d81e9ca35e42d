"""What a call says: the microphone's blocks, treated as the settings have it, to the sender."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define, field

from palaver_media.engine_messages import EngineReport, Send, Side, SoundProblem
from palaver_media.sound_settings import Capture, Encoding

from . import opus
from .mixer import Meter, Samples
from .sender import Numbering, Sender


@define(eq=False)
class Microphone:
    """`talk` belongs to the sound thread of the source; all else to the loop, which only replaces what it reads."""

    call: str
    report: Callable[[EngineReport], None]
    is_muted: bool = False
    meter: Meter = field(factory=Meter)
    sender: Sender | None = None
    tap: Callable[[Samples | None], None] | None = None  # is given what is said, None while muted; in the sound thread
    _capture: Capture = field(factory=Capture)
    _encoding: Encoding = field(factory=Encoding)
    _is_key_down: bool = False
    _numberings: dict[tuple[str, int], Numbering] = field(factory=dict)  # by transport and SSRC

    def talk(self, block: Samples | None) -> None:
        """Say 10 ms; None is nothing to say."""
        now = time.monotonic()
        if block is not None:
            self.meter.add(block)
        if self.tap is not None:
            self.tap(None if self.is_muted else block)
        sender = self.sender
        if sender is None:
            return
        if self.is_muted:
            sender.hush(now)
        else:
            sender.talk(block, now)

    def set_capture(self, capture: Capture) -> None:
        """Treat what is said like this from now on."""
        self._capture = capture

    def set_talking(self, is_talking: bool) -> None:
        """The push-to-talk key is down, or up again."""
        self._is_key_down = is_talking

    def set_encoding(self, encoding: Encoding) -> None:
        """Encode like this from now on."""
        self._encoding = encoding

    def send(self, command: Send, transmit: Callable[[bytes], int]) -> None:
        """Send from now on; `transmit` protects and sends a packet, and tells its size."""
        numbering = self._numberings.setdefault((command.transport, command.ssrc), Numbering())
        try:
            self.sender = Sender(command, transmit, numbering)
        except opus.OpusMissing as why:
            self.report(SoundProblem(self.call, Side.SOURCE, str(why), opus.REMEDY))

    def stop(self) -> None:
        """Send no more."""
        self.sender = None

    def forget(self, transport: str) -> None:
        """This transport is gone."""
        if self.sender is not None and self.sender.stream[0] == transport:
            self.sender = None
        self._numberings = {stream: each for stream, each in self._numberings.items() if stream[0] != transport}
