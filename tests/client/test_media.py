"""A call's sound: negotiated, and again when it breaks, on a virtual clock, with an engine that only takes notes."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from attrs import define, evolve, field

from client.scripted import MemoryNetwork, Server
from client.worlds import ANN, BOB, CEM, LOBBY, person, room
from palaver_client import (
    Call,
    Change,
    ClientState,
    EndReason,
    MediaConnected,
    MediaFailed,
    MediaLost,
    MediaStarted,
    MediaState,
)
from palaver_client.connecting import Connecting
from palaver_client.engine import Engine
from palaver_client.media import PAUSES
from palaver_client.negotiation import CONNECT
from palaver_client.session import Session
from palaver_client.speaking import THRESHOLD
from palaver_client.url import ServerUrl
from palaver_media import engine_messages as engine_side
from palaver_media.codec import Pcm
from palaver_media.engine_messages import (
    AudioStarted,
    ConsumerStats,
    EngineCommand,
    Levels,
    OpenCall,
    OpenTransport,
    Receive,
    Send,
    SetMuted,
    Stats,
    StopReceiving,
    TransportConnected,
)
from palaver_protocol.converter import write_ack
from palaver_protocol.models import Name, ProducerId, ProducerRef, RoomView, UserId
from palaver_protocol.negotiate import ROUTER
from palaver_protocol.requests import CapabilitiesAck, ConsumerAck, JoinRoom, ProducerAck, RoomAck, TransportAck
from palaver_protocol.rtp_models import (
    Codec,
    ConsumerParams,
    DtlsParameters,
    Encoding,
    Fingerprint,
    IceCandidate,
    IceParameters,
    Kind,
    RtpParameters,
    TransportParams,
)

Clock = trio.testing.MockClock


class Notebook(Engine):
    """An engine that lives and dies when a test says so, and takes notes."""

    def __init__(self) -> None:
        super().__init__(lambda report: None, lambda: None)
        self.told: list[EngineCommand] = []

    def tell(self, command: EngineCommand) -> None:
        self.told.append(command)

    def rise(self, fingerprint: str) -> None:
        self.fingerprint = fingerprint
        self._fallen = trio.Event()
        self._risen.set()

    def die(self) -> None:
        self._risen = trio.Event()
        self._fallen.set()

    def noted(self, kind: type) -> list[Any]:
        return [command for command in self.told if isinstance(command, kind)]


@define
class MediaServer:
    """Answers all media requests; `held` may hold an answer back, `refused` names events to refuse and how often.

    `code` and `no` say what such a refusal is.
    """

    room: RoomView
    asked: list[tuple[float, str, dict[str, Any]]] = field(factory=list)
    refused: dict[str, int] = field(factory=dict)
    held: dict[str, trio.Event] = field(factory=dict)
    code: str = "mediaUnavailable"
    no: dict[str, Any] = field(factory=dict)
    server: Server | None = None
    _made: int = 0

    async def __call__(self, server: Server) -> None:
        self.server = server
        await server.welcome()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.ping, server)
            while True:
                ack_id, event, payload = await server.asked()
                self.asked.append((trio.current_time(), event, payload))
                nursery.start_soon(self.answer, server, ack_id, event, payload)

    async def ping(self, server: Server) -> None:
        while True:
            await trio.sleep(10)
            await server.send("2")

    async def answer(self, server: Server, ack_id: int, event: str, payload: dict[str, Any]) -> None:
        key = f"{event} {payload.get('direction', '')}".strip()
        if key in self.held:
            await self.held[key].wait()
        if self.refused.get(event, 0) > 0:
            self.refused[event] -= 1
            await server.refuse(ack_id, self.code, **self.no)
            return
        await server.answer(ack_id, **self.fields(event, payload))

    def fields(self, event: str, payload: dict[str, Any]) -> dict[str, Any]:
        self._made += 1
        match event:
            case "joinRoom":
                ack: Any = RoomAck(self.room)
            case "getRouterRtpCapabilities":
                ack = CapabilitiesAck(ROUTER)
            case "createTransport":
                ack = TransportAck(transport(f"{payload['direction']}-{self._made}"))
            case "produce":
                ack = ProducerAck(ProducerId("mine"))
            case "consume":
                ack = ConsumerAck(consumer(payload["producerId"]))
            case _:
                return {}
        return {key: value for key, value in write_ack(ack).items() if key != "success"}

    async def tell(self, event: str, **payload: Any) -> None:
        assert self.server is not None
        await self.server.tell(event, **payload)

    def events(self) -> list[str]:
        return [event for _, event, _ in self.asked]

    def payloads(self, event: str) -> list[dict[str, Any]]:
        return [payload for _, asked, payload in self.asked if asked == event]


def transport(name: str) -> TransportParams:
    candidate = IceCandidate("f", 1, "127.0.0.1", "127.0.0.1", 4000)
    return TransportParams(
        name, IceParameters("ufrag", "password"), (candidate,), DtlsParameters((Fingerprint("sha-256", "AA"),))
    )


def consumer(producer: str) -> ConsumerParams:
    parameters = RtpParameters((Codec("audio/opus", 100, 48_000, 2),), "0", (), (Encoding(7),))
    return ConsumerParams(f"c-{producer}", producer, Kind.AUDIO, parameters)


@define
class World:
    server: MediaServer
    engine: Notebook
    session: Session
    call: Call
    seen: list[Change] = field(factory=list)

    async def settle(self) -> None:
        await trio.testing.wait_all_tasks_blocked()

    def connect_transports(self, last: int = 2) -> None:
        """The engine says that ICE and DTLS of the newest transports are done."""
        for each in self.engine.noted(OpenTransport)[-last:]:
            self.call.on_report(TransportConnected(each.call, each.transport))

    def events(self, *kinds: type) -> list[Any]:
        return [change.event for change in self.seen if isinstance(change.event, kinds)]


@asynccontextmanager
async def in_call(*people: Any, prepare: Callable[[MediaServer], None] = lambda server: None) -> AsyncIterator[World]:
    """Ann, in the lobby with these people; her engine lives."""
    server = MediaServer(room(person(ANN, "ours"), *people))
    prepare(server)
    engine = Notebook()
    async with trio.open_nursery() as nursery:
        network = MemoryNetwork(nursery, server, server, server)
        session = Session(ClientState(ANN, Name("Ann")))
        world = World(server, engine, session, Call(session, engine, "pcm", "pcm"))

        async def watch() -> None:
            async with session.changes() as changes:
                async for change in changes:
                    world.seen.append(change)

        nursery.start_soon(watch)
        await nursery.start(Connecting(ServerUrl("server", 8440, False), session, open=network.open).keep)
        engine.rise("FP1")
        async with world.call.running():
            await session.sit(JoinRoom(LOBBY))
            await world.settle()
            yield world
        nursery.cancel_scope.cancel()


BOB_TALKS = person(BOB, "p1")


@pytest.mark.trio
async def test_both_ways_are_negotiated_and_who_talks_is_heard(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        world.connect_transports()
        await world.settle()
        assert sorted(world.server.events()) == sorted(
            [
                "joinRoom",
                "getRouterRtpCapabilities",
                *["createTransport", "connectTransport"] * 2,
                "produce",
                "consume",
                "resumeConsumer",
            ]
        )
        assert [p["dtlsParameters"] for p in world.server.payloads("connectTransport")] == [
            {"role": "client", "fingerprints": [{"algorithm": "sha-256", "value": "FP1"}]}
        ] * 2
        (opened,) = world.engine.noted(OpenCall)
        assert (opened.source, opened.sink, opened.is_muted) == ("pcm", "pcm", False)
        (produced,) = world.server.payloads("produce")
        (send,) = world.engine.noted(Send)
        parameters = produced["rtpParameters"]
        assert produced["transportId"] == send.transport
        assert parameters["codecs"][0]["payloadType"] == send.payload_type == 100
        assert parameters["encodings"] == [{"ssrc": send.ssrc}]
        assert {each["uri"]: each["id"] for each in parameters["headerExtensions"]} == {
            "urn:ietf:params:rtp-hdrext:sdes:mid": send.mid_extension,
            "urn:ietf:params:rtp-hdrext:ssrc-audio-level": send.level_extension,
        }
        (receive,) = world.engine.noted(Receive)
        assert (receive.consumer, receive.ssrc, receive.payload_type) == ("c-p1", 7, 100)
        assert [codec["mimeType"] for codec in parameters["codecs"]] == ["audio/opus", "audio/red"]
        assert send.red_payload_type == parameters["codecs"][1]["payloadType"] == 105
        (asked,) = world.server.payloads("consume")
        assert asked["rtpCapabilities"]["codecs"][1]["parameters"] == {"redundancy": "100/100"}
        assert world.engine.told.index(opened) < world.engine.told.index(world.engine.noted(OpenTransport)[0])
        assert world.events(MediaConnected) == [MediaConnected()]
        world.call.on_report(AudioStarted(receive.call, "c-p1"))
        await world.settle()
        assert world.events(MediaStarted) == [MediaStarted(BOB)]


@pytest.mark.trio
async def test_a_producer_that_is_told_before_we_can_receive_is_heard_later(autojump_clock: Clock) -> None:
    ready = trio.Event()
    async with in_call(
        person(BOB), prepare=lambda server: server.held.update({"createTransport receive": ready})
    ) as world:
        await world.server.tell("newProducer", producerId="early", userId=BOB, kind="audio")
        await world.settle()
        assert world.engine.noted(Receive) == []
        ready.set()
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-early"]


@pytest.mark.trio
async def test_voices_come_and_go(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        await world.server.tell("newProducer", producerId="p2", userId=BOB, kind="audio")
        await world.server.tell("newProducer", producerId="camera", userId=BOB, kind="video")
        await world.settle()
        await world.server.tell("producerClosed", producerId="p1", userId=BOB)
        await world.settle()
        await world.server.tell("userLeft", userId=BOB, roomId=LOBBY)
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p1", "c-p2"]
        assert [each.consumer for each in world.engine.noted(StopReceiving)] == ["c-p1", "c-p2"]


@pytest.mark.trio
async def test_speakers_take_the_place_of_voices_and_give_it_back(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        tell = world.server.tell
        for number in (1, 2):
            await tell("newProducer", producerId=f"s{number}", userId=f"speaker-{number}", kind="audio")
        await tell("producerClosed", producerId="p1", userId=BOB)
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p1", "c-s1", "c-s2"]
        assert [each.consumer for each in world.engine.noted(StopReceiving)] == ["c-p1"]
        await tell("newProducer", producerId="p1", userId=BOB, kind="audio")
        for number in (1, 2):
            await tell("producerClosed", producerId=f"s{number}", userId=f"speaker-{number}")
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)][3:] == ["c-p1"]
        assert {each.consumer for each in world.engine.noted(StopReceiving)[1:]} == {"c-s1", "c-s2"}


@pytest.mark.trio
async def test_a_voice_that_ends_and_begins_again_while_it_is_asked_for_is_played_once(autojump_clock: Clock) -> None:
    answered = trio.Event()
    async with in_call(person(BOB), prepare=lambda server: server.held.update(consume=answered)) as world:
        await world.server.tell("newProducer", producerId="p1", userId=BOB, kind="audio")
        await world.settle()
        await world.server.tell("producerClosed", producerId="p1", userId=BOB)
        await world.settle()
        await world.server.tell("newProducer", producerId="p1", userId=BOB, kind="audio")
        await world.settle()
        answered.set()
        await world.settle()
        assert len(world.server.payloads("consume")) == 2
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p1"]


@pytest.mark.trio
async def test_who_joins_a_big_room_hears_its_speakers_until_a_reset(autojump_clock: Clock) -> None:
    def make_big(server: MediaServer) -> None:
        server.room = evolve(server.room, speaker_ids=(ProducerRef(ProducerId("s1"), Kind.AUDIO),))

    async with in_call(BOB_TALKS, prepare=make_big) as world:
        assert {each.consumer for each in world.engine.noted(Receive)} == {"c-s1", "c-p1"}
        await world.server.tell("mediaReset", roomId=LOBBY, reason="the media worker was replaced")
        await world.settle()
        assert len(world.server.payloads("consume")) == 2  # nothing of before is asked for
        await world.server.tell("newProducer", producerId="p2", userId=BOB, kind="audio")
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)[2:]] == ["c-p2"]


@pytest.mark.trio
async def test_who_speaks_on_a_speaker_is_seen_to_speak(autojump_clock: Clock) -> None:
    def make_big(server: MediaServer) -> None:
        server.room = evolve(server.room, speaker_ids=(ProducerRef(ProducerId("s1"), Kind.AUDIO),))

    async with in_call(person(BOB), person(CEM), prepare=make_big) as world:
        call = world.engine.noted(OpenCall)[0].call
        spoken = [{"userId": BOB, "producerId": "p1", "level": 20}, {"userId": CEM, "producerId": "p2", "level": 49}]
        await world.server.tell("activeSpeakers", roomId=LOBBY, speakers=spoken)
        await world.settle()
        world.call.on_report(Levels(call, -100.0, {"c-s1": -30.0}))
        assert world.session.state.sound.levels == {BOB: -20.0, CEM: THRESHOLD}
        assert world.session.state.sound.speaking == {BOB, CEM}
        world.call.on_report(AudioStarted(call, "c-s1"))
        world.call.on_report(Stats(call, 1.5, 33.0, {"c-s1": ConsumerStats(1.0, 0.0, 0.0, 0.0, 40.0, 32.0)}))
        assert world.session.state.stats is not None
        assert list(world.session.state.stats.users) == ["speaker-1"]
        await world.server.tell("activeSpeakers", roomId=LOBBY, speakers=[])
        await world.settle()
        world.call.on_report(Levels(call, -100.0, {"c-s1": -100.0}))
        await trio.sleep(0.6)
        assert world.session.state.sound.speaking == frozenset()


@pytest.mark.trio
async def test_one_voice_that_is_refused_does_not_hurt_the_others(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS, prepare=lambda server: server.refused.update(consume=1)) as world:
        await world.server.tell("newProducer", producerId="p2", userId=BOB, kind="audio")
        world.connect_transports()
        await world.settle()
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p2"]
        assert world.events(MediaLost) == []


@pytest.mark.trio
async def test_a_reset_is_negotiated_anew_at_once(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        world.connect_transports()
        await world.settle()
        before = trio.current_time()
        old = {each.transport for each in world.engine.noted(OpenTransport)}
        await world.server.tell("mediaReset", roomId=LOBBY, reason="the media worker was replaced")
        await world.settle()
        world.connect_transports()
        await world.settle()
        assert trio.current_time() == before
        assert {each.transport for each in world.engine.noted(engine_side.CloseTransport)} == old
        assert len(world.engine.noted(OpenTransport)) == 4
        assert world.events(MediaLost, MediaConnected) == [
            MediaConnected(),
            MediaLost("the media worker was replaced"),
            MediaConnected(),
        ]


@pytest.mark.parametrize("by_whom", ["server", "engine"])
@pytest.mark.trio
async def test_a_transport_that_fails_is_negotiated_again(by_whom: str, autojump_clock: Clock) -> None:
    async with in_call() as world:
        world.connect_transports()
        failed = world.engine.noted(OpenTransport)[0]
        if by_whom == "server":
            await world.server.tell("transportFailed", transportId=failed.transport, reason="consent")
        else:
            world.call.on_report(engine_side.TransportFailed(failed.call, failed.transport, "consent"))
        await trio.sleep(1)
        assert len(world.engine.noted(OpenTransport)) == 4
        assert world.events(MediaLost) == [MediaLost("the media port of the server answers no more")]
        await world.server.tell("transportFailed", transportId=failed.transport, reason="consent")  # of old: no matter
        await trio.sleep(1)
        assert len(world.engine.noted(OpenTransport)) == 4


@pytest.mark.trio
async def test_after_several_failures_it_waits_for_news(autojump_clock: Clock) -> None:
    async with in_call(prepare=lambda server: server.refused.update(getRouterRtpCapabilities=100)) as world:
        await trio.sleep(60)
        times = [at for at, event, _ in world.server.asked if event == "getRouterRtpCapabilities"]
        pauses = [later - earlier for earlier, later in itertools.pairwise(times)]
        assert pauses == pytest.approx(PAUSES)
        assert len(world.events(MediaFailed)) == 1
        world.server.refused.clear()
        await world.server.tell("mediaReset", roomId=LOBBY, reason="")
        await world.settle()
        world.connect_transports()
        await world.settle()
        assert world.events(MediaConnected) == [MediaConnected()]


@pytest.mark.trio
async def test_a_media_port_that_does_not_answer_is_told(autojump_clock: Clock) -> None:
    async with in_call() as world:
        world.connect_transports(last=1)  # one way only
        await trio.sleep(CONNECT + 0.1)
        assert world.events(MediaLost) == [MediaLost("the media port of the server does not answer")]


@pytest.mark.trio
async def test_an_engine_that_dies_is_followed_by_another(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        world.connect_transports()
        await world.call.set_muted(True)
        world.engine.die()
        world.call.on_engine_death()
        await world.settle()
        assert world.events(MediaLost) == [MediaLost("the sound engine stopped")]
        world.engine.rise("FP2")
        await trio.sleep(1)
        world.connect_transports()
        await world.settle()
        assert [each.is_muted for each in world.engine.noted(OpenCall)] == [False, True]
        fingerprints = [
            p["dtlsParameters"]["fingerprints"][0]["value"] for p in world.server.payloads("connectTransport")
        ]
        assert fingerprints == ["FP1", "FP1", "FP2", "FP2"]
        assert len(world.events(MediaConnected)) == 2


@pytest.mark.trio
async def test_a_lost_connection_is_followed_by_a_new_seat_and_new_media(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        world.connect_transports()
        assert world.server.server is not None
        await world.server.server.send("41")
        await world.settle()
        assert world.events(MediaLost) == [MediaLost("the connection to the server was lost")]
        await trio.sleep(5)
        world.connect_transports()
        await world.settle()
        assert world.server.events().count("joinRoom") == 2
        assert len(world.events(MediaConnected)) == 2
        assert [each.consumer for each in world.engine.noted(Receive)] == ["c-p1", "c-p1"]


@pytest.mark.trio
async def test_muting_reaches_the_engine_before_the_server(autojump_clock: Clock) -> None:
    held = trio.Event()
    async with in_call(prepare=lambda server: server.held.update(mediaStateChanged=held)) as world:
        with trio.move_on_after(1):
            await world.call.set_muted(True)
        assert world.engine.noted(SetMuted) == [SetMuted(world.engine.noted(OpenCall)[0].call, True)]


@pytest.mark.trio
async def test_levels_and_figures_are_those_of_people(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS, person(UserId("silent"))) as world:
        call = world.engine.noted(OpenCall)[0].call
        world.call.on_report(Levels(call, -20.0, {"c-p1": -30.0, "c-unknown": 0.0}))
        figures = ConsumerStats(1.0, 0.0, 0.0, 0.0, 40.0, 32.0)
        world.call.on_report(Stats(call, 1.5, 33.0, {"c-p1": figures, "c-unknown": figures}))
        state = world.session.state
        assert state.sound.input_dbfs == -20.0
        assert state.sound.levels == {BOB: -30.0, "silent": -100.0}
        assert state.sound.speaking == {ANN, BOB}
        assert state.stats is not None
        assert state.stats.users == {BOB: figures}
        world.call.on_report(Levels(call, -100.0, {"c-p1": -100.0}))
        await trio.sleep(0.6)
        assert world.session.state.sound.speaking == frozenset()
        world.call.on_report(Levels("another call", 0.0, {}))
        assert world.session.state.sound.input_dbfs == -100.0


@pytest.mark.trio
async def test_a_program_hears_and_speaks(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        call = world.engine.noted(OpenCall)[0].call
        heard: list[Any] = []

        async def listen() -> None:
            async for block in world.call.hear():
                heard.append(block)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await world.settle()
            world.call.on_report(Pcm(call, "c-p1", b"\1\0"))
            await world.settle()
            assert [(block.user_id, block.samples) for block in heard] == [(BOB, b"\1\0")]
            began = trio.current_time()
            await world.call.speak(bytes(96_000 * 2))
            assert trio.current_time() - began == pytest.approx(2 - 0.2, abs=0.03)  # all but what may wait
            assert sum(len(each.samples) for each in world.engine.noted(Pcm)) == 96_000 * 2
            await world.server.tell("callEnded", roomId=LOBBY, reason="hostLeft")
            assert await world.call.wait_ended() is EndReason.HOST_LEFT  # and the listener ends by itself


@pytest.mark.trio
async def test_the_end_of_the_room_is_the_end_of_its_sound(autojump_clock: Clock) -> None:
    async with in_call(BOB_TALKS) as world:
        world.connect_transports()
        await world.server.tell("callEnded", roomId=LOBBY, reason="ended")
        await trio.sleep(60)
        assert world.session.state.media is MediaState.NONE
        assert world.events(MediaLost, MediaFailed) == []
        assert len(world.engine.noted(engine_side.CloseTransport)) == 2
        await world.session.sit(JoinRoom(LOBBY))
        await world.settle()
        assert len(world.engine.noted(OpenTransport)) == 4


@pytest.mark.trio
async def test_the_lights_of_one_room_do_not_shine_in_the_next(autojump_clock: Clock) -> None:
    async with in_call() as world:
        call = world.engine.noted(OpenCall)[0].call
        world.call.on_report(Levels(call, -20.0, {}))
        await world.server.tell("callEnded", roomId=LOBBY, reason="ended")
        await world.settle()
        assert world.session.state.sound.speaking == frozenset()
        await world.session.sit(JoinRoom(LOBBY))
        world.call.on_report(Levels(call, -21.0, {}))
        assert world.session.state.sound.speaking == {ANN}


@pytest.mark.trio
async def test_what_is_told_before_we_sit_does_not_keep_the_sound_away(autojump_clock: Clock) -> None:
    held = trio.Event()

    async def release(server: MediaServer) -> None:
        await trio.sleep(1)
        await server.tell("roomListUpdated", rooms=[])
        held.set()

    async with trio.open_nursery() as nursery:

        def hold(server: MediaServer) -> None:
            server.held.update(joinRoom=held)
            nursery.start_soon(release, server)

        async with in_call(BOB_TALKS, prepare=hold) as world:
            assert len(world.engine.noted(OpenTransport)) == 2
