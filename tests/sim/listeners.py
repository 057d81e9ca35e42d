"""People who hear what they are told of and no more, and what a media worker makes of its commands."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from palaver_media import worker_messages as worker
from sim.orderings import Party
from world import CAPABILITIES, OPUS

PLAIN: dict[str, Any] = {**OPUS, "headerExtensions": []}  # of a sender that does not say how loud it is
VIDEO: dict[str, Any] = {"codecs": [{"mimeType": "video/VP8", "payloadType": 96, "clockRate": 90000}]}
PLAYS = {**CAPABILITIES, "codecs": [*CAPABILITIES["codecs"], {**VIDEO["codecs"][0], "kind": "video"}]}


@define(eq=False)
class Listener(Party):
    """A client that knows nothing of speakers: it consumes what is announced until that is closed, and is content."""

    voices: dict[str, str] = field(factory=dict)  # producer -> whose it is; each is consumed
    named: set[str] = field(factory=set)  # those of them that were asked for by name
    sending: str = ""  # the transport
    news: list[tuple[str, dict[str, Any]]] = field(factory=list)
    _ssrc: int = 0

    def told(self, event: str, payload: dict[str, Any]) -> None:
        Party.told(self, event, payload)
        self.news.append((event, payload))

    # -- what he does --------------------------------------------------------------------------------------------------
    async def enter(self) -> None:
        """Take a seat in the room, which is made if it is not there."""
        self.news.clear()
        ack = await self.ask("createRoom", roomType="group", roomName="den", joinExisting=True)
        if ack is not None and ack["success"]:
            await self.negotiate(ack["room"])

    async def negotiate(self, room: dict[str, Any]) -> None:
        """Open both transports, and hear whom the room shows; what came before the answer is news still."""
        assert self.room is not None
        self.voices.clear()
        self.named.clear()
        await self.ask("createTransport", roomId=self.room, direction="receive")
        ack = await self.ask("createTransport", roomId=self.room, direction="send")
        self.sending = ack["params"]["id"]
        for person in room["participants"]:
            for track in person["producerIds"]:
                if person["userId"] != self.user_id:
                    await self.consume(track["producerId"], person["userId"])

    async def produce(self, kind: str, parameters: dict[str, Any]) -> None:
        """Send one more track."""
        self._ssrc += 1
        parameters = {**parameters, "encodings": [{"ssrc": self._ssrc}]}
        payload = {"roomId": self.room, "transportId": self.sending, "kind": kind, "rtpParameters": parameters}
        await self.ask("produce", **payload)

    async def consume(self, producer: str, owner: str) -> None:
        """Hear a track."""
        ack = await self.ask("consume", roomId=self.room, producerId=producer, rtpCapabilities=PLAYS)
        if ack is not None and ack["success"]:
            self.voices[producer] = owner
            await self.ask("resumeConsumer", roomId=self.room, consumerId=ack["params"]["id"])

    async def follow(self) -> bool:
        """Do what the news call for; whether there were any."""
        news, self.news = self.news, []
        for event, told in news:
            match event:
                case "newProducer" if self.room is not None:
                    await self.consume(told["producerId"], told["userId"])
                case "producerClosed":
                    self.voices.pop(told["producerId"], None)
                case "userLeft":
                    self.voices = {voice: whose for voice, whose in self.voices.items() if whose != told["userId"]}
                case "mediaReset":
                    await self.negotiate({"participants": []})
                case "snapshot" if self.room is not None:
                    await self.negotiate(told["room"])
        return bool(news)


@define
class Worker:
    """What a worker holds of a room after these commands."""

    consumers: dict[str, str] = field(factory=dict)  # -> producer
    slots: set[str] = field(factory=set)
    held: set[str] = field(factory=set)  # producers
    _seats: dict[str, str] = field(factory=dict)  # transport -> seat
    _producers: dict[str, str] = field(factory=dict)  # -> transport
    _transports: dict[str, str] = field(factory=dict)  # consumer -> transport

    def take(self, command: worker.WorkerCommand) -> None:
        match command:
            case worker.OpenTransport():
                self._seats[command.transport] = command.seat
            case worker.AddProducer():
                assert command.transport in self._seats
                self._producers[command.producer] = command.transport
            case worker.AddSpeakers():
                assert not self.slots, "a room has speakers once"
                self.slots = set(command.producers)
            case worker.AddConsumer():
                assert command.transport in self._seats
                assert command.producer in self._producers.keys() | self.slots
                self.consumers[command.consumer] = command.producer
                self._transports[command.consumer] = command.transport
            case worker.CloseConsumer():
                del self.consumers[command.consumer]
            case worker.CloseConsumers():
                assert command.producer in self._producers
                self._drop({command.producer})
            case worker.PauseProducer():
                assert command.producer in self._producers
                self.held.add(command.producer)
            case worker.ResumeProducer():
                assert command.producer in self._producers
                self.held.discard(command.producer)
            case worker.CloseProducer():
                assert command.producer in self._producers.keys() | self.slots
                self._close({command.producer})
            case worker.CloseTransport():
                self._shut({command.transport})
            case worker.CloseSeat():
                self._shut({key for key, seat in self._seats.items() if seat == command.seat})

    def _shut(self, transports: set[str]) -> None:
        for transport in transports:
            del self._seats[transport]
        self.consumers = {key: of for key, of in self.consumers.items() if self._transports[key] not in transports}
        self._close({key for key, transport in self._producers.items() if transport in transports})

    def _close(self, producers: set[str]) -> None:
        self._drop(producers)
        self.slots -= producers
        self.held -= producers
        self._producers = {key: path for key, path in self._producers.items() if key not in producers}

    def _drop(self, producers: set[str]) -> None:
        self.consumers = {key: of for key, of in self.consumers.items() if of not in producers}
