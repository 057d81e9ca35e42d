"""A pool of workers that never run, and what each of them would have by what it was told.

`Books` keep a worker's tables as its commands change them, and fail where a command names what is not there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from attrs import define, field

from palaver_media.codec import Frames
from palaver_media.worker_messages import (
    WORKER_CODEC,
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
    PauseProducer,
    Ready,
    RestartIce,
    ResumeConsumer,
    ResumeProducer,
    WorkerCommand,
)
from palaver_server.pipes import Process
from palaver_server.workers import Pool, Worker


@define(eq=False)
class Books:
    """One process: what it was told, and what it has."""

    process: Process
    told: list[WorkerCommand] = field(factory=list)
    transports: dict[str, tuple[str, str]] = field(factory=dict)  # router and seat
    pipes: dict[str, tuple[str, int]] = field(factory=dict)  # where to
    producers: dict[str, AddProducer] = field(factory=dict)
    speakers: dict[str, str] = field(factory=dict)  # router
    consumers: dict[str, AddConsumer] = field(factory=dict)
    held: set[str] = field(factory=set)  # producers
    spent: set[tuple[str, int]] = field(factory=set)  # SSRCs of pipes

    def read(self) -> list[WorkerCommand]:
        """Take what it was told since; that."""
        bodies = Frames().feed(bytes(self.process._waiting))
        self.process._waiting.clear()
        news = [WORKER_CODEC.read_command(body) for body in bodies]
        for command in news:
            self.told.append(command)
            self.apply(command)
        return news

    def of(self, kind: type[Any]) -> list[Any]:
        """All it was told of one kind."""
        return [command for command in self.told if isinstance(command, kind)]

    def apply(self, command: WorkerCommand) -> None:
        """Change the tables."""
        match command:
            case OpenTransport():
                assert command.transport not in self.transports
                self.transports[command.transport] = command.router, command.seat
            case ConnectTransport(transport=id) | RestartIce(transport=id):
                assert id in self.transports
            case OpenPipe():
                where = command.host, command.port
                for older in [key for key, to in self.pipes.items() if to == where]:
                    self.close_path(older)
                self.pipes[command.transport] = where
            case CloseTransport(id):
                self.close_path(id)
            case CloseSeat(router, seat):
                for id in [key for key, of in self.transports.items() if of == (router, seat)]:
                    self.close_path(id)
            case CloseRouter(router):
                self.close_router(router)
            case AddProducer():
                self.add_producer(command)
            case AddSpeakers(router, producers):
                self.speakers |= dict.fromkeys(producers, router)
            case CloseProducer(id):
                self.close_producer(id)
            case PauseProducer(id):
                assert self.producers[id].transport not in self.pipes
                self.held.add(id)
            case ResumeProducer(id):
                assert self.producers[id].transport not in self.pipes
                self.held.discard(id)
            case CloseConsumers(id):
                for consumer in [key for key, of in self.consumers.items() if of.producer == id]:
                    if self.consumers[consumer].transport not in self.pipes:
                        del self.consumers[consumer]
            case AddConsumer():
                self.add_consumer(command)
            case ResumeConsumer(id) | PauseConsumer(id):
                assert id in self.consumers
            case CloseConsumer(id):
                del self.consumers[id]

    def add_producer(self, command: AddProducer) -> None:
        assert command.producer not in self.producers
        if command.transport in self.pipes:
            assert command.router
            assert command.seat
        else:
            assert command.transport in self.transports
            assert command.router is command.seat is None
        self.producers[command.producer] = command

    def add_consumer(self, command: AddConsumer) -> None:
        assert command.consumer not in self.consumers
        assert command.producer in self.producers or command.producer in self.speakers
        assert command.transport in self.transports or command.transport in self.pipes
        if command.transport in self.pipes:
            self.spend(command.transport, command.ssrc)
        self.consumers[command.consumer] = command

    def spend(self, pipe: str, ssrc: int) -> None:
        assert ssrc >= 2
        assert (pipe, ssrc) not in self.spent
        self.spent.add((pipe, ssrc))

    def close_path(self, id: str) -> None:
        """A transport is gone, or a pipe."""
        for producer in [key for key, each in self.producers.items() if each.transport == id]:
            self.close_producer(producer)
        for consumer in [key for key, each in self.consumers.items() if each.transport == id]:
            del self.consumers[consumer]
        self.transports.pop(id, None)
        self.pipes.pop(id, None)

    def close_router(self, router: str) -> None:
        for id in [key for key, (of, _) in self.transports.items() if of == router]:
            self.close_path(id)
        for producer in [key for key, each in self.producers.items() if each.router == router]:
            self.close_producer(producer)
        for speaker in [key for key, of in self.speakers.items() if of == router]:
            self.close_producer(speaker)

    def close_producer(self, id: str) -> None:
        self.close_consumers(producer=id)
        self.producers.pop(id, None)
        self.held.discard(id)
        self.speakers.pop(id, None)

    def close_consumers(self, producer: str) -> None:
        for consumer in [key for key, each in self.consumers.items() if each.producer == producer]:
            del self.consumers[consumer]


@define(eq=False)
class Fleet:
    """A pool, and the books of all its processes that live."""

    pool: Pool
    books: dict[int, Books] = field(factory=dict)  # by the worker's number

    def up(self, number: int) -> None:
        """A worker's next process is there."""
        worker = self.pool.workers[number]
        process = worker.make()
        self.books[number] = Books(process)
        worker.reported(Ready(worker.port, "AA:BB"))
        self.pool._up(worker, process)

    def die(self, number: int) -> None:
        """A worker's process is gone, and what it had."""
        self.books.pop(number).process.dead.set()

    def __getitem__(self, number: int) -> Books:
        """The books of a worker, up to now."""
        books = self.books[number]
        books.read()
        return books

    def __iter__(self) -> Iterator[Books]:
        return (self[number] for number in sorted(self.books))


def fleet_of(count: int, host: str = "127.0.0.1") -> Fleet:
    """A fleet of which so many workers are up, the spare included; their ports are from 40000 on."""
    fleet = Fleet(Pool([Worker(host, (), 40000 + number) for number in range(count)]))
    for number in range(count):
        fleet.up(number)
    return fleet
