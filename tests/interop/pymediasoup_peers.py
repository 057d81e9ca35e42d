"""Two clients nobody here wrote, in a call: python-socketio for signalling, pymediasoup on aiortc for media.

Run as `python pymediasoup_peers.py URL` where the server can be reached over something else than loopback (aioice
gathers no candidates there). Each peer says a tone of his own; a third one comes late. Prints one JSON object: what
each heard of whom, in Hz. As `python pymediasoup_peers.py URL NAME HZ COUNT` it is one peer among others, who prints
what he hears of the next COUNT people, and stays until his input ends.
"""

from __future__ import annotations

import asyncio
import fractions
import json
import sys
from typing import Any

import av
import numpy as np
import socketio
from aiortc import MediaStreamTrack
from pymediasoup import AiortcHandler, Device
from pymediasoup.rtp_parameters import RtpCapabilities, RtpParameters

RATE = 48_000
BLOCK = 960  # samples, 20 ms
LISTEN = 75  # blocks of which the last 50 count: the first ones hold the codec's start


class Tone(MediaStreamTrack):
    """A tone without end, in real time."""

    kind = "audio"

    def __init__(self, hz: float) -> None:
        super().__init__()
        self.hz, self.position = hz, 0
        self.begin: float | None = None

    async def recv(self) -> av.AudioFrame:
        now = asyncio.get_running_loop().time()
        self.begin = now if self.begin is None else self.begin
        await asyncio.sleep(max(0.0, self.begin + self.position / RATE - now))
        phase = 2 * np.pi * self.hz * (self.position + np.arange(BLOCK)) / RATE
        frame = av.AudioFrame.from_ndarray((8000 * np.sin(phase)).astype(np.int16)[None, :], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self.position, fractions.Fraction(1, RATE)
        self.position += BLOCK
        return frame


class Peer:
    """A person with an unmodified client."""

    def __init__(self, url: str, name: str, hz: float) -> None:
        self.url, self.name, self.track = url, name, Tone(hz)
        self.user_id = f"peer-{name}"
        self.socket = socketio.AsyncClient()
        self.device = Device(handlerFactory=AiortcHandler.createFactory(tracks=[self.track]))
        self.listening: asyncio.Queue[tuple[str, MediaStreamTrack]] = asyncio.Queue()
        self.room_id = ""
        self.can_receive = asyncio.Event()

    async def ask(self, event: str, **payload: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.socket.call(event, payload, timeout=10)
        assert answer["success"], answer
        return answer

    async def join(self, room: str) -> None:
        self.socket.on("newProducer", self.on_producer)
        await self.socket.connect(
            self.url, auth={"userId": self.user_id, "name": self.name}, transports=["websocket"], retry=False
        )
        joined = await self.ask("createRoom", roomType="group", roomName=room, joinExisting=True)
        self.room_id = joined["room"]["roomId"]
        capabilities = await self.ask("getRouterRtpCapabilities", roomId=self.room_id)
        await self.device.load(RtpCapabilities(**capabilities["rtpCapabilities"]))
        await self.send()
        await self.receive()
        for person in joined["room"]["participants"]:
            for producer in person["producerIds"]:
                await self.consume(producer["producerId"], person["userId"])

    async def send(self) -> None:
        params = (await self.ask("createTransport", roomId=self.room_id, direction="send"))["params"]
        transport = self.device.createSendTransport(**params, sctpParameters=None)

        @transport.on("connect")
        async def on_connect(dtls: Any) -> None:
            await self.ask(
                "connectTransport", transportId=transport.id, dtlsParameters=dtls.model_dump(exclude_none=True)
            )

        @transport.on("produce")
        async def on_produce(kind: str, rtp: Any, app_data: Any) -> str:
            parameters = rtp.model_dump(exclude_none=True)
            answer = await self.ask(
                "produce", roomId=self.room_id, transportId=transport.id, kind=kind, rtpParameters=parameters
            )
            return str(answer["producerId"])

        await transport.produce(track=self.track, stopTracks=False, appData={})

    async def receive(self) -> None:
        params = (await self.ask("createTransport", roomId=self.room_id, direction="recv"))["params"]
        self.receiving = self.device.createRecvTransport(**params, sctpParameters=None)

        @self.receiving.on("connect")
        async def on_connect(dtls: Any) -> None:
            await self.ask(
                "connectTransport", transportId=self.receiving.id, dtlsParameters=dtls.model_dump(exclude_none=True)
            )

        self.can_receive.set()

    async def on_producer(self, told: dict[str, Any]) -> None:
        await self.can_receive.wait()
        await self.consume(told["producerId"], told["userId"])

    async def consume(self, producer_id: str, user_id: str) -> None:
        capabilities = self.device.rtpCapabilities.model_dump(exclude_none=True)
        answer = await self.ask("consume", roomId=self.room_id, producerId=producer_id, rtpCapabilities=capabilities)
        params = answer["params"]
        consumer = await self.receiving.consume(
            id=params["id"],
            producerId=params["producerId"],
            kind=params["kind"],
            rtpParameters=RtpParameters(**params["rtpParameters"]),
        )
        await self.ask("resumeConsumer", roomId=self.room_id, consumerId=params["id"])
        self.listening.put_nowait((user_id, consumer.track))

    async def hears(self, count: int) -> dict[str, float]:
        """The pitch of the next `count` people who are heard."""
        async with asyncio.timeout(20):
            people = [await self.listening.get() for _ in range(count)]
            return {user: await listen(track) for user, track in people}


async def listen(track: MediaStreamTrack) -> float:
    """The strongest pitch of a track, in Hz."""
    blocks: list[np.ndarray[Any, Any]] = []
    for _ in range(LISTEN):
        frame = await track.recv()
        blocks.append(frame.to_ndarray().reshape(-1, len(frame.layout.channels))[:, 0])
    sound = np.concatenate(blocks[-50:]).astype(np.float64)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return round(float(np.fft.rfftfreq(len(sound), 1 / RATE)[int(np.argmax(spectrum))]), 1)


async def be_one(url: str, name: str, hz: str, count: str) -> None:
    peer = Peer(url, name, float(hz))
    await peer.join("interop")
    print(json.dumps(await peer.hears(int(count))), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await peer.socket.disconnect()


async def be_three(url: str) -> None:
    first, second, late = Peer(url, "ann", 440.0), Peer(url, "ben", 880.0), Peer(url, "cy", 1320.0)
    await first.join("interop")
    await second.join("interop")
    heard = {"ann": await first.hears(1), "ben": await second.hears(1)}
    await late.join("interop")
    heard["cy"] = await late.hears(2)
    for peer in (first, second, late):
        await peer.socket.disconnect()
    print(json.dumps(heard), flush=True)


if __name__ == "__main__":
    asyncio.run(be_three(*sys.argv[1:]) if len(sys.argv) == 2 else be_one(*sys.argv[1:]))
