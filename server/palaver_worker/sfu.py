"""The selective forwarding unit: its tables, and what each command does to them.

Commands name things that may be gone already (a transport fails while the server writes): those do nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import assert_never

from palaver_media.dtls import Certificate
from palaver_media.worker_messages import (
    VIDEO_BITRATE,
    AddConsumer,
    AddProducer,
    AddSpeakers,
    CloseConsumer,
    CloseConsumers,
    CloseProducer,
    CloseRouter,
    CloseSeat,
    CloseTransport,
    ConnectTransport,
    MediaKind,
    OpenPipe,
    OpenTransport,
    PauseConsumer,
    PauseProducer,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    WorkerCommand,
    WorkerReport,
)

from .alarm import Alarm
from .audio_producer import AudioProducer
from .client_transport import ClientTransport
from .consumer import Consumer
from .pipe import Pipe
from .port import Port
from .producer import Producer
from .reports import Reports
from .source import Source
from .speakers import Conversation
from .stage import Slot, Stage
from .transport import Transport
from .video_producer import VideoProducer

log = logging.getLogger(__name__)


class Sfu:
    """All transports, producers and consumers of this worker, by their ids.

    `video_bitrate` is what a sender of video is told to send at most, in bit/s.
    """

    def __init__(
        self,
        certificate: Certificate,
        port: Port,
        report: Callable[[WorkerReport], None],
        video_bitrate: int = VIDEO_BITRATE,
    ) -> None:
        self.certificate, self.port, self.report = certificate, port, report
        self.video_bitrate = video_bitrate
        self.transports: dict[str, ClientTransport] = {}
        self.pipes: dict[str, Pipe] = {}
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.conversations: dict[str, Conversation] = {}  # by router, where somebody speaks
        self.stages: dict[str, Stage] = {}  # by router, where not everybody can be heard at once
        self.slots: dict[str, Slot] = {}
        self.rtcp_reports = Reports(self)

    def apply(self, command: WorkerCommand) -> None:
        """Carry out a command of the server."""
        match command:
            case OpenTransport():
                self.transports[command.transport] = ClientTransport(self, command)
            case ConnectTransport(transport=id):
                if (transport := self.transports.get(id)) is not None:
                    transport.connect(command)
            case RestartIce(transport=id):
                if (transport := self.transports.get(id)) is not None:
                    transport.restart_ice(command)
            case OpenPipe():
                self._open_pipe(command)
            case CloseTransport(transport=id):
                if (path := self._path(id)) is not None:
                    self.close_transport(path)
            case CloseSeat(router=router, seat=seat):
                self._close_transports([t for t in self.transports.values() if (t.router, t.seat) == (router, seat)])
            case CloseRouter(router=router):
                self._close_router(router)
            case AddProducer():
                self._add_producer(command)
            case CloseProducer(producer=id):
                self._close_source(id)
            case PauseProducer(producer=id):
                if (producer := self.producers.get(id)) is not None:
                    producer.pause()
            case ResumeProducer(producer=id):
                if (producer := self.producers.get(id)) is not None:
                    producer.resume()
            case CloseConsumers(producer=id):
                if (source := self._source(id)) is not None:
                    self._close_consumers(each for each in source.consumers if each.transport.id in self.transports)
            case AddSpeakers():
                self._add_speakers(command)
            case AddConsumer():
                self._add_consumer(command)
            case ResumeConsumer(consumer=id):
                if (consumer := self.consumers.get(id)) is not None:
                    consumer.resume()
            case PauseConsumer(consumer=id):
                if (consumer := self.consumers.get(id)) is not None:
                    consumer.pause()
            case CloseConsumer(consumer=id):
                if (consumer := self.consumers.get(id)) is not None:
                    self._close_consumers([consumer])
            case _:
                assert_never(command)

    def alarm(self, ring: Callable[[], None]) -> Alarm:
        """An alarm after which what it brought to send is sent."""

        def ring_and_flush() -> None:
            ring()
            self.port.flush()

        return Alarm(ring_and_flush)

    def close_transport(self, transport: Transport) -> None:
        """Forget a transport with all it carries."""
        for producer in list(transport.producers.values()):
            self._close_producer(producer)
        self._close_consumers(transport.consumers.values())
        transport.close()
        self.transports.pop(transport.id, None)
        self.pipes.pop(transport.id, None)

    def close(self) -> None:
        """Say goodbye to everyone."""
        self._close_transports([*self.transports.values(), *self.pipes.values()])
        for stage in list(self.stages.values()):
            self._close_stage(stage)

    def _close_transports(self, transports: Iterable[Transport]) -> None:
        for transport in transports:
            self.close_transport(transport)

    def _close_router(self, router: str) -> None:
        self._close_transports([each for each in self.transports.values() if each.router == router])
        for producer in [each for each in self.producers.values() if each.router == router]:  # that came by pipes
            self._close_producer(producer)
        if (stage := self.stages.get(router)) is not None:
            self._close_stage(stage)

    def _open_pipe(self, command: OpenPipe) -> None:
        pipe = Pipe(self, command)
        for older in [each for each in self.pipes.values() if each.destination == pipe.destination]:
            self.close_transport(older)
        self.pipes[pipe.id] = pipe

    def _path(self, id: str) -> Transport | None:
        return self.transports.get(id) or self.pipes.get(id)

    def _source(self, id: str) -> Source | None:
        return self.producers.get(id) or self.slots.get(id)

    def _add_speakers(self, command: AddSpeakers) -> None:
        if (older := self.stages.get(command.router)) is not None:
            self._close_stage(older)
        stage = self.stages[command.router] = Stage(self, command)
        self.slots.update((slot.id, slot) for slot in stage.slots)
        stage.review()

    def _close_stage(self, stage: Stage) -> None:
        for slot in list(stage.slots):
            self._close_slot(slot)

    def _close_slot(self, slot: Slot) -> None:
        self._close_consumers(slot.consumers)
        del self.slots[slot.id]
        stage = self.stages[slot.router]
        stage.remove(slot)
        if not stage.slots:
            del self.stages[slot.router]

    def _close_source(self, id: str) -> None:
        if (producer := self.producers.get(id)) is not None:
            self._close_producer(producer)
        elif (slot := self.slots.get(id)) is not None:
            self._close_slot(slot)

    def _close_consumers(self, consumers: Iterable[Consumer]) -> None:
        sources = {consumer.producer: None for consumer in [self._forget(each) for each in list(consumers)]}
        for source in sources:  # once, however many have gone
            source.regroup()

    def _add_producer(self, command: AddProducer) -> None:
        transport = self._path(command.transport)
        if transport is None:
            return
        if {command.ssrc, command.rtx_ssrc} & {ssrc for each in transport.producers.values() for ssrc in each.ssrcs}:
            log.error("transport %s has a producer with SSRC %d already", transport.id, command.ssrc)
            return
        kind = AudioProducer if command.media is MediaKind.AUDIO else VideoProducer
        producer = kind(self, transport, command)
        self.producers[producer.id] = producer
        transport.add_producer(producer)

    def _close_producer(self, producer: Producer) -> None:
        self._close_consumers(producer.consumers)
        producer.close()
        producer.transport.received.add(producer.reception.received, producer.octets)
        del self.producers[producer.id]
        producer.transport.remove_producer(producer)

    def _add_consumer(self, command: AddConsumer) -> None:
        transport, source = self._path(command.transport), self._source(command.producer)
        if transport is None or source is None:
            return
        ssrcs = [command.ssrc] if command.rtx is None else [command.ssrc, command.rtx.ssrc]
        if min(ssrcs) <= transport.highest_ssrc:  # the server's rise; an older one's numbers would begin anew, same key
            log.error("SSRCs %s may have been used before on transport %s", ssrcs, transport.id)
            return
        transport.highest_ssrc = max(ssrcs)
        consumer = Consumer(transport, source, command)
        self.consumers[consumer.id] = consumer
        transport.add_consumer(consumer)
        source.add(consumer)

    def _forget(self, consumer: Consumer) -> Consumer:
        consumer.producer.remove(consumer)
        consumer.transport.remove_consumer(consumer)
        del self.consumers[consumer.id]
        return consumer
