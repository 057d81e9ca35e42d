"""One negotiation of a call's sound: two transports, what we send, and what we want to hear.

It lives from the first request until something breaks: it is then thrown away, and another one is made.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final, TypeVar

import trio
from attrs import define, field

from palaver_media import engine_messages as engine_side
from palaver_media.engine_messages import Candidate, Send, StopReceiving
from palaver_media.worker_messages import Fingerprint
from palaver_protocol import rtp_models
from palaver_protocol.models import (
    ConsumerId,
    Direction,
    ProducerId,
    RoomId,
    TransportId,
    UserId,
)
from palaver_protocol.negotiate import AUDIO_LEVEL, MID
from palaver_protocol.requests import (
    ConnectTransport,
    Consume,
    CreateTransport,
    GetRouterRtpCapabilities,
    Produce,
    ResumeConsumer,
)
from palaver_protocol.rtp_models import (
    DtlsParameters,
    DtlsSide,
    Kind,
    RtpCapabilities,
)
from palaver_protocol.table import Ack, Refusal, Request

from .engine import Engine
from .hearable import tracks_of_others
from .opus_parameters import OUR_MID, receiving_capabilities, reception, red_payload_type, sending_parameters
from .session import Session

A = TypeVar("A", bound=Ack)

log = logging.getLogger(__name__)

CONNECT: Final = 15.0  # s until both transports are connected
AT_ONCE: Final = 8  # voices that are being asked for
LATER: Final = 1.0  # s until we ask again, when the server does not say
SOONEST, LATEST = 0.2, 10.0  # s, whatever the server says


@define
class Voice:
    """Somebody's track as we hear it, or that of a speaker, which carries one person after the other.

    `consumer` is None while it is being asked for, or when that was refused for good. `wanted` ends with the track.
    """

    user: UserId
    consumer: ConsumerId | None = None
    wanted: trio.CancelScope = field(factory=trio.CancelScope)


@define(eq=False)
class Negotiation:
    """The media of one seat on one router through one engine. Raises out of `run` when it fails."""

    _session: Session
    _engine: Engine
    _call: str
    _room: RoomId
    on_connected: Callable[[], None]
    on_voice: Callable[[str], None]
    voices: dict[ProducerId, Voice] = field(factory=dict[ProducerId, Voice])
    transports: set[str] = field(factory=set[str])
    _connected: set[str] = field(factory=set[str])
    _is_up: trio.Event = field(factory=trio.Event)
    _changed: trio.Event = field(factory=trio.Event)
    _turns: trio.CapacityLimiter = field(factory=lambda: trio.CapacityLimiter(AT_ONCE))
    _not_before: float = 0.0  # on Trio's clock: the server wants to hear of no voice until then

    async def run(self) -> None:
        """Negotiate, then keep hearing whoever there is to hear.

        Raises:
            ExceptionGroup: of Refusal, Disconnected or trio.TooSlowError.
        """
        capabilities = (await self._session.ask(GetRouterRtpCapabilities(self._room))).rtp_capabilities
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, capabilities)
                nursery.start_soon(self._receive, capabilities, nursery)
                with trio.fail_after(CONNECT):
                    await self._is_up.wait()
        finally:
            for transport in self.transports:
                self._engine.tell(engine_side.CloseTransport(self._call, transport))

    def connected(self, transport: str) -> None:
        """The engine says that ICE and DTLS of a transport are done."""
        self._connected.add(transport)
        if len(self._connected) == len(Direction) and not self._is_up.is_set():
            self._is_up.set()
            self.on_connected()

    def look_again(self) -> None:
        """The tracks in the room have changed."""
        self._changed.set()

    def closed(self, producer: ProducerId) -> None:
        """A track is over for us. It may be asked for again by name."""
        if producer in self.voices:
            self._stop(producer)
        self.look_again()

    def user_of(self, consumer: str) -> UserId | None:
        """Whose voice a consumer carries."""
        return next((voice.user for voice in self.voices.values() if voice.consumer == consumer), None)

    def carried(self) -> dict[str, UserId]:
        """Whom each consumer carries."""
        return {voice.consumer: voice.user for voice in self.voices.values() if voice.consumer is not None}

    # -- sending -------------------------------------------------------------------------------------------------------
    async def _send(self, capabilities: RtpCapabilities) -> None:
        transport = await self._open(Direction.SEND)
        parameters = sending_parameters(capabilities)
        await self._session.ask(Produce(self._room, transport, Kind.AUDIO, parameters))
        extensions = {extension.uri: extension.id for extension in parameters.header_extensions}
        (ssrc,) = [encoding.ssrc for encoding in parameters.encodings if encoding.ssrc is not None]
        self._engine.tell(
            Send(
                self._call,
                transport,
                ssrc=ssrc,
                payload_type=parameters.codecs[0].payload_type,
                cname=parameters.rtcp.cname or "",
                mid=OUR_MID,
                mid_extension=extensions.get(MID, 0),
                level_extension=extensions.get(AUDIO_LEVEL, 0),
                red_payload_type=red_payload_type(parameters.codecs),
            )
        )

    async def _open(self, direction: Direction) -> TransportId:
        """Open one direction of media. The engine begins with ICE while we still name our certificate."""
        params = (await self._session.ask(CreateTransport(self._room, direction))).params
        transport = TransportId(params.id)
        self.transports.add(transport)
        self._engine.tell(
            engine_side.OpenTransport(
                self._call,
                transport,
                engine_side.Direction(direction.value),
                ufrag=params.ice_parameters.username_fragment,
                password=params.ice_parameters.password,
                candidates=tuple(Candidate(each.address, each.port) for each in params.ice_candidates),
                fingerprints=tuple(Fingerprint(f.algorithm, f.value) for f in params.dtls_parameters.fingerprints),
            )
        )
        ours = rtp_models.Fingerprint("sha-256", self._engine.fingerprint)
        await self._session.ask(ConnectTransport(transport, DtlsParameters((ours,), DtlsSide.CLIENT)))
        return transport

    # -- receiving -----------------------------------------------------------------------------------------------------
    async def _receive(self, capabilities: RtpCapabilities, nursery: trio.Nursery) -> None:
        """Hear whoever there is to hear, those who were there first and those who come."""
        transport = await self._open(Direction.RECEIVE)
        understood = receiving_capabilities(capabilities)
        while True:
            self._changed = trio.Event()
            wanted = tracks_of_others(self._session.state)
            for producer in self.voices.keys() - wanted.keys():
                self._stop(producer)
            for producer in wanted.keys() - self.voices.keys():
                voice = self.voices[producer] = Voice(wanted[producer])
                nursery.start_soon(self._consume, transport, producer, voice, understood)
            await self._changed.wait()

    async def _consume(
        self, transport: TransportId, producer: ProducerId, voice: Voice, understood: RtpCapabilities
    ) -> None:
        """Hear a voice when it has its turn, which it keeps until it is heard: better some soon than all late."""
        with voice.wanted:
            async with self._turns:
                try:
                    await self._hear(transport, producer, voice, understood)
                except Refusal as no:  # one voice less; if the track has gone, a notice says so too
                    log.info("cannot hear %s: %s", producer, no)

    async def _hear(
        self, transport: TransportId, producer: ProducerId, voice: Voice, understood: RtpCapabilities
    ) -> None:
        params = (await self._insist(Consume(self._room, producer, understood))).params
        if self.voices.get(producer) is not voice:
            return  # closed meanwhile, and the consumer with it; perhaps it is told of and asked for again already
        voice.consumer = ConsumerId(params.id)
        self.on_voice(voice.consumer)  # before its first sound
        self._engine.tell(reception(self._call, transport, params))
        await self._insist(ResumeConsumer(self._room, voice.consumer))

    async def _insist(self, asked: Request[A]) -> A:
        """Ask for a voice, and again as often as that is refused for now only.

        Such a refusal is about our connection or about the room's media, so the other voices wait as well: a room of
        hundreds costs more than a connection may spend at once.

        Raises:
            Refusal: the server said no for good.
            Disconnected: the connection was lost before the answer came.
        """
        while True:
            await trio.sleep_until(self._not_before)
            try:
                return await self._session.ask(asked)
            except Refusal as no:
                if not no.can_retry:
                    raise
                pause = LATER if no.retry_after is None else no.retry_after
                self._not_before = trio.current_time() + min(max(pause, SOONEST), LATEST)

    def _stop(self, producer: ProducerId) -> None:
        voice = self.voices.pop(producer)
        voice.wanted.cancel()
        if voice.consumer is not None:
            self._engine.tell(StopReceiving(self._call, voice.consumer))
