"""What a call hears: every voice's playout, pulled together each 10 ms."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeAlias

from attrs import define, field

from palaver_media import rtp
from palaver_media.engine_messages import AudioStarted, EngineReport, Receive, Side, SoundProblem
from palaver_media.sound_settings import PersonVolume, Volume

from . import opus
from .blocks import Samples
from .consumer import Consumer
from .mixing import Mixing

BESIDE: Final = ""  # no consumer's name
Heard: TypeAlias = tuple[Samples, Mapping[str, Samples]]  # all voices together, and each by its consumer


@define(eq=False)
class Listening:
    """`hear` belongs to the sound thread of the sink, `on_rtp` to the receive thread, all else to the loop."""

    call: str
    post: Callable[[EngineReport], None]  # from any thread
    consumers: dict[str, Consumer] = field(factory=dict)  # never changed: other threads read it
    routes: dict[tuple[str, int], Consumer] = field(factory=dict)  # by transport and SSRC; never changed
    tap: Callable[[Mapping[str, Samples]], None] | None = None  # is shown each voice as it came; in the sound thread
    beside: Callable[[], Samples] | None = None  # what else is heard, by nobody but us; in the sound thread
    _mixing: Mixing = field(factory=Mixing)

    def hear(self) -> Heard:
        """The next 10 ms: all voices together, as loud as they are to be heard, and each as it came."""
        now = time.monotonic()
        voices: dict[str, Samples] = {}
        for name, consumer in self.consumers.items():
            had_started = consumer.has_started
            voices[name] = consumer.pull(now)
            if consumer.has_started and not had_started:
                self.post(AudioStarted(self.call, name))
        if self.tap is not None:
            self.tap(voices)
        if self.beside is not None:
            return self._mixing.mix({**voices, BESIDE: self.beside()}), voices
        return self._mixing.mix(voices), voices

    def set_volume(self, volume: Volume) -> None:
        """How loud everybody is heard."""
        self._mixing.volumes = self._mixing.volumes.with_master(volume)

    def set_person_volume(self, consumer: str, volume: PersonVolume) -> None:
        """How loud one is heard."""
        self._mixing.volumes = self._mixing.volumes.with_person(consumer, volume)

    def receive(self, command: Receive) -> None:
        """Play a consumer from now on."""
        before = self.consumers.get(command.consumer)
        try:
            consumer = Consumer(command) if before is None else before.succeed(command)
        except opus.OpusMissing as why:
            self.post(SoundProblem(self.call, Side.SINK, str(why), opus.REMEDY))
            return
        self._keep([each for key, each in self.consumers.items() if key != command.consumer])
        self.consumers = {**self.consumers, command.consumer: consumer}
        self.routes = {**self.routes, (command.transport, command.ssrc): consumer}

    def stop(self, name: str) -> None:
        """Play a consumer no more."""
        self._lose([name])

    def forget(self, transport: str) -> None:
        """This transport is gone."""
        self._lose([key for key, each in self.consumers.items() if each.command.transport == transport])

    def close(self) -> None:
        """Hear nobody."""
        self._lose(list(self.consumers))

    def on_rtp(self, transport: str, data: bytes, now: float) -> None:
        """A packet in the clear.

        Raises:
            ValueError: nobody plays it.
        """
        consumer = self.routes.get((transport, rtp.peek_ssrc(data)))
        if consumer is None:
            raise ValueError("no consumer of this SSRC")
        consumer.put(rtp.parse(data), len(data), now)

    def _lose(self, names: Sequence[str]) -> None:
        self._keep([consumer for key, consumer in self.consumers.items() if key not in names])
        self._mixing.volumes = self._mixing.volumes.without(*names)

    def _keep(self, consumers: list[Consumer]) -> None:
        self.consumers = {each.command.consumer: each for each in consumers}
        self.routes = {(each.command.transport, each.command.ssrc): each for each in consumers}
