"""The pipes between media workers: over them a room that is spread has each of its tracks on all its workers."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from typing import Final, TypeAlias
from uuid import uuid4

from attrs import define, field, frozen

from palaver_media.process import MediaProcess
from palaver_media.worker_messages import (
    AddConsumer,
    AddProducer,
    CloseTransport,
    MediaKind,
    OpenPipe,
    ResumeConsumer,
    WorkerCommand,
    WorkerReport,
)
from palaver_protocol.models import RoomId
from palaver_protocol.negotiate import MID, RED_PAYLOAD_TYPE, ROUTER

from .room_effects import Carry, carrier_id

Process: TypeAlias = MediaProcess[WorkerCommand, WorkerReport]

KEY: Final = 28  # bytes of a key with its salt (RFC 7714)
FIRST_SSRC: Final = 2  # 1 is the worker's, for its own reports


@frozen(eq=False)
class End:
    """A worker's process, and where the others reach it."""

    process: Process
    host: str
    port: int


@define(eq=False)
class Pipe:
    """What leads from one process to another, and back. No SSRC is used on it twice."""

    id: str = field(factory=lambda: str(uuid4()))
    ssrcs: Iterator[int] = field(factory=lambda: itertools.count(FIRST_SSRC))


@define(eq=False)
class Pipes:
    """All pipes: at most one between two processes, whatever number of rooms they share."""

    _open: dict[frozenset[Process], Pipe] = field(factory=dict[frozenset[Process], Pipe])

    def between(self, one: End, other: End) -> Pipe:
        """The pipe of these two, which are told of it when it is new."""
        pair = frozenset((one.process, other.process))
        if pair not in self._open:
            pipe = self._open[pair] = Pipe()
            back, forth = secrets.token_hex(KEY), secrets.token_hex(KEY)
            one.process.tell(OpenPipe(pipe.id, other.host, other.port, inbound=back, outbound=forth))
            other.process.tell(OpenPipe(pipe.id, one.host, one.port, inbound=forth, outbound=back))
        return self._open[pair]

    def carry(self, router: RoomId, here: End, there: End, track: Carry) -> None:
        """Have a track that arrives here as a producer there, too; the far end first, so that it misses nothing."""
        pipe, plan = self.between(here, there), track.plan
        ssrc, consumer = next(pipe.ssrcs), carrier_id(track.producer, track.to)
        red = (RED_PAYLOAD_TYPE,) if plan.has_red else ()
        payload_types = {each: each for each in plan.payload_types.values()}
        ids = tuple(x.preferred_id for x in ROUTER.header_extensions if x.kind is plan.kind and x.uri != MID)
        there.process.tell(
            AddProducer(
                pipe.id,
                track.producer,
                MediaKind(plan.kind.value),
                plan.codec.clock_rate,
                ssrc,
                payload_types,
                {each: each for each in ids},
                router=router,
                seat=track.user_id,
            )
        )
        here.process.tell(AddConsumer(pipe.id, consumer, track.producer, ssrc, "", track.cname, ids, None, red))
        here.process.tell(ResumeConsumer(consumer))

    def close_dead(self) -> None:
        """Close the pipes to processes that are gone."""
        for pair, pipe in list(self._open.items()):
            alive = [process for process in pair if not process.dead.is_set()]
            if len(alive) < len(pair):
                del self._open[pair]
                for process in alive:
                    process.tell(CloseTransport(pipe.id))
