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
    OpenPipe,
    OpenTransport,
    PauseConsumer,
    RestartIce,
    ResumeConsumer,
    WorkerCommand,
    WorkerReport,
)

from .alarm import Alarm
from .consumer import Consumer
from .port import Port
from .producer import Producer
from .speakers import Conversation
from .transport import Transport

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
        self.transports: dict[str, Transport] = {}
        self.producers: dict[str, Producer] = {}
        self.consumers: dict[str, Consumer] = {}
        self.conversations: dict[str, Conversation] = {}  # by router, where somebody speaks

    def apply(self, command: WorkerCommand) -> None:
        """Carry out a command of the server."""
        match command:
            case OpenTransport():
                self.transports[command.transport] = Transport(self, command)
            case ConnectTransport(transport=id):
                if (transport := self.transports.get(id)) is not None:
                    transport.connect(command)
            case RestartIce(transport=id):
                if (transport := self.transports.get(id)) is not None:
                    transport.restart_ice(command)
            case CloseTransport(transport=id):
                self._close_transports([self.transports[id]] if id in self.transports else [])
            case CloseSeat(router=router, seat=seat):
                self._close_transports([t for t in self.transports.values() if (t.router, t.seat) == (router, seat)])
            case CloseRouter(router=router):
                self._close_transports([t for t in self.transports.values() if t.router == router])
            case AddProducer():
                self._add_producer(command)
            case CloseProducer(producer=id):
                if (producer := self.producers.get(id)) is not None:
                    self._close_producer(producer)
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
                    self._close_consumer(consumer)
            case OpenPipe() | AddSpeakers() | CloseConsumers():
                pass  # next
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
        for consumer in list(transport.consumers.values()):
            self._close_consumer(consumer)
        transport.close()
        del self.transports[transport.id]

    def close(self) -> None:
        """Say goodbye to everyone."""
        self._close_transports(list(self.transports.values()))

    def _close_transports(self, transports: Iterable[Transport]) -> None:
        for transport in transports:
            self.close_transport(transport)

    def _add_producer(self, command: AddProducer) -> None:
        transport = self.transports.get(command.transport)
        if transport is None:
            return
        taken = transport.producers.keys() | transport.retransmitted.keys()
        if {command.ssrc, command.rtx_ssrc} & taken:
            log.error("transport %s has a producer with SSRC %d already", transport.id, command.ssrc)
            return
        producer = Producer(self, transport, command)
        self.producers[producer.id] = transport.producers[producer.ssrc] = producer
        if producer.rtx_ssrc is not None:
            transport.retransmitted[producer.rtx_ssrc] = producer

    def _close_producer(self, producer: Producer) -> None:
        for consumer in list(producer.consumers):
            self._close_consumer(consumer)
        producer.close()
        producer.transport.received.add(producer.reception.received, producer.octets)
        del self.producers[producer.id], producer.transport.producers[producer.ssrc]
        if producer.rtx_ssrc is not None:
            del producer.transport.retransmitted[producer.rtx_ssrc]

    def _add_consumer(self, command: AddConsumer) -> None:
        transport, producer = self.transports.get(command.transport), self.producers.get(command.producer)
        if transport is None or producer is None:
            return
        ssrcs = {command.ssrc} if command.rtx is None else {command.ssrc, command.rtx.ssrc}
        if ssrcs & transport.spent_ssrcs:  # its numbers would begin again under the same key
            log.error("SSRCs %s were used before on transport %s", ssrcs, transport.id)
            return
        transport.spent_ssrcs |= ssrcs
        consumer = Consumer(transport, producer, command)
        self.consumers[consumer.id] = transport.consumers[consumer.ssrc] = consumer
        producer.consumers.append(consumer)

    def _close_consumer(self, consumer: Consumer) -> None:
        if (keys := consumer.transport.dtls.outbound) is not None:
            keys.forget(consumer.ssrc)
            if consumer.retransmissions is not None:
                keys.forget(consumer.retransmissions.ssrc)
        consumer.producer.consumers.remove(consumer)
        consumer.producer.regroup()
        consumer.transport.sent.add(consumer.leg.packets, consumer.leg.octets)
        del self.consumers[consumer.id], consumer.transport.consumers[consumer.ssrc]
