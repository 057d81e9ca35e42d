"""One room that grows to many open microphones, through the real server: bytes out and CPU at each size."""

from __future__ import annotations

import argparse
import json
import resource
import sys
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Any, Final

import trio
from attrs import define, field

from benches.forwarding.client import Client, connect
from benches.forwarding.inbox import Inbox
from benches.forwarding.keys import PROFILES
from benches.forwarding.load import EXTENSIONS, PAYLOAD_TYPE, Run, Talker
from benches.forwarding.watch import cpu_seconds
from palaver_media.dtls import Certificate
from running import serving
from world import Person, children_of, visiting

SIZES: Final = (2, 4, 8, 16, 32, 64, 128, 256, 500)
AT_ONCE: Final = 32  # people who come together
QUIET: Final = 2.5  # s in which nobody is told of a track: then all is agreed upon, and what was replaced has ended
LATEST: Final = 0.2  # s that a packet may be sent too late, and
TRACKS: Final = ("newProducer", "producerClosed")
FULL: Final = 90  # % of a core for the worker: beyond, the machine carries no larger room
URIS: Final = ("urn:ietf:params:rtp-hdrext:sdes:mid", "urn:ietf:params:rtp-hdrext:ssrc-audio-level")
OPUS: Final = {"mimeType": "audio/opus", "clockRate": 48000, "channels": 2}
CAPABILITIES: Final = {
    "codecs": [{"kind": "audio", **OPUS, "preferredPayloadType": PAYLOAD_TYPE}],
    "headerExtensions": [
        {"kind": "audio", "uri": uri, "preferredId": id} for uri, id in zip(URIS, EXTENSIONS, strict=True)
    ],
}

HELP: Final = """\
Everybody has an open microphone and talks, 50 Opus packets a second of 80 bytes (`--rate`), and listens to every track
that the server announces. The sessions are light: signalling over a WebSocket, ICE, DTLS-SRTP, no sound engine; all are
in one process. CPU is user and system time. Where the machine carries no larger room, the bench says so and stops.
Read the last columns: what a listener costs grows with the talkers while everybody hears everybody, and stays where it
is once only the loudest are forwarded, because then the room costs N x listeners. `--speakers off` shows it without.
"""


@define(eq=False)
class Guest:
    """A light session in the room: one transport to send, one to receive, and a consumer of all that is announced."""

    person: Person
    room_id: str
    certificate: Certificate
    sending: Client
    receiving: Client
    heard: set[str] = field(factory=set[str])  # producers
    _read: int = 0  # notices

    async def listen(self, producers: Iterable[str]) -> None:
        """Consume these, unless it is done or they are gone."""
        for producer in [each for each in producers if each not in self.heard]:
            self.heard.add(producer)
            about = {"roomId": self.room_id, "producerId": producer, "rtpCapabilities": CAPABILITIES}
            if (answer := await ask(self.person, "consume", **about))["success"]:
                await ask(self.person, "resumeConsumer", roomId=self.room_id, consumerId=answer["params"]["id"])

    async def follow(self) -> bool:
        """Listen to what was announced meanwhile; whether there was anything."""
        notices, self._read = self.person.notices[self._read :], len(self.person.notices)
        told = {event: [payload["producerId"] for name, payload in notices if name == event] for event in TRACKS}
        await self.listen(each for each in told["newProducer"] if each not in told["producerClosed"])
        return any(told.values())


async def ask(person: Person, event: str, **payload: Any) -> dict[str, Any]:
    """A request, asked again when the server says to come back later."""
    while True:
        answer = await person.ask(event, **payload)
        if answer["success"] or answer.get("code") != "rateLimited":
            return answer
        await trio.sleep(answer["retryAfter"])


class Room:
    """A room that grows, on a running server."""

    def __init__(self, url: str, pids: dict[str, int], stack: AsyncExitStack) -> None:
        self.guests: list[Guest] = []
        self._talkers: list[Talker] = []
        self._url, self._pids, self._stack = url, pids, stack
        self._certificate = Certificate([PROFILES["gcm"]])
        self._inbox = Inbox()
        self._number = 0

    async def grow(self, size: int) -> None:
        """Let people come until there are so many, and everybody listens to all that there is."""
        while len(self.guests) < size:
            for _ in range(min(AT_ONCE, size - len(self.guests))):
                await self._come()
            await self._agree()

    async def _come(self) -> None:
        number = len(self.guests)
        person = await self._stack.enter_async_context(visiting(self._url, f"guest-{number}"))
        asked = {"roomType": "group", "roomName": "bench", "joinExisting": True}
        room = (await person.does("createRoom", **asked))["room"]
        room_id = room["roomId"]
        sending, transport = await self._open(person, room_id, "send")
        receiving, _ = await self._open(person, room_id, "receive")
        await trio.to_thread.run_sync(connect, [sending, receiving])
        parameters = {
            "codecs": [{**OPUS, "payloadType": PAYLOAD_TYPE}],
            "headerExtensions": [{"uri": uri, "id": id} for uri, id in zip(URIS, EXTENSIONS, strict=True)],
            "encodings": [{"ssrc": 1000 + number}],
        }
        about = {"roomId": room_id, "transportId": transport, "kind": "audio", "rtpParameters": parameters}
        await person.does("produce", **about)
        guest = Guest(person, room_id, self._certificate, sending, receiving)
        self.guests.append(guest)
        self._talkers.append(Talker(sending, 1000 + number))
        await guest.listen([each["producerId"] for other in room["participants"] for each in other["producerIds"]])

    async def _open(self, person: Person, room_id: str, direction: str) -> tuple[Client, str]:
        params = (await person.does("createTransport", roomId=room_id, direction=direction))["params"]
        (candidate, *_), (fingerprint, *_) = params["iceCandidates"], params["dtlsParameters"]["fingerprints"]
        offer = {
            "host": candidate["address"],
            "port": candidate["port"],
            "ufrag": params["iceParameters"]["usernameFragment"],
            "password": params["iceParameters"]["password"],
            "fingerprint": fingerprint["value"],
        }
        ours = {"algorithm": "sha-256", "value": self._certificate.fingerprint}
        dtls = {"role": "client", "fingerprints": [ours]}
        await person.does("connectTransport", roomId=room_id, transportId=params["id"], dtlsParameters=dtls)
        return Client(offer, self._certificate, "gcm"), params["id"]

    async def _agree(self) -> None:
        """Have everybody listen to all that is announced, until nothing more is."""
        news = [True]
        while any(news):
            await trio.sleep(QUIET)
            news.clear()
            async with trio.open_nursery() as nursery:
                for guest in self.guests:
                    guest.sending.check()
                    guest.receiving.check()
                    nursery.start_soon(self._follow, guest, news)

    async def _follow(self, guest: Guest, news: list[bool]) -> None:
        news.append(await guest.follow())

    def talk(self, rate: float, seconds: float) -> dict[str, float]:
        """Everybody talks for so long, with so many packets a second: what it took, per second."""
        listeners = [guest.receiving for guest in self.guests]
        run = Run(self._inbox, [*listeners, *(guest.sending for guest in self.guests)], listeners, self._number)
        before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        run.talk(self._talkers, rate, seconds)
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in self._pids.items()}
        self._number += len(run.sent)
        size, pairs = len(self.guests), len(self.guests) * (len(self.guests) - 1)
        return {
            "size": size,
            "kbytes_per_s": run.octets / 1000 / seconds,
            "packets_per_listener_and_s": run.delivered() / size / seconds,
            "worker_cpu_percent": 100 * cpu["worker"] / seconds,
            "server_cpu_percent": 100 * cpu["server"] / seconds,
            "bytes_per_pair_and_s": run.octets / pairs / seconds,
            "kbytes_per_listener_and_s": run.octets / 1000 / size / seconds,
            "worker_ms_per_listener_and_s": 1e3 * cpu["worker"] / size / seconds,
            "late_ms": run.late * 1000,
        }


async def measure(most: int, rate: float, seconds: float, speakers: str) -> dict[str, Any]:
    """Grow and measure, as far as the machine carries it."""
    found: list[dict[str, float]] = []
    async with serving("--state", "memory:", "--speakers", speakers) as (url, server), AsyncExitStack() as stack:
        worker = min(children_of(server.process.pid))  # the spare is started later
        room = Room(url, {"server": server.process.pid, "worker": worker}, stack)
        for size in [*(size for size in SIZES if size < most), most]:
            print(f"{size} microphones ...", file=sys.stderr)
            await room.grow(size)
            figures = room.talk(rate, seconds)
            found.append(figures)
            if figures["late_ms"] > 1000 * LATEST or figures["worker_cpu_percent"] > FULL:
                return {"sizes": found, "stopped": f"this machine carries no more than {size} who all talk"}
    return {"sizes": found, "stopped": None}


COLUMNS: Final = {
    "size": "microphones",
    "kbytes_per_s": "kB/s out",
    "packets_per_listener_and_s": "packets/s each hears",
    "worker_cpu_percent": "worker, % of a core",
    "server_cpu_percent": "server, % of a core",
    "bytes_per_pair_and_s": "B/s per pair",
    "kbytes_per_listener_and_s": "kB/s per listener",
    "worker_ms_per_listener_and_s": "ms/s per listener",
}


def table(found: dict[str, Any]) -> str:
    """A size in each line."""
    lines = ["".join(title.rjust(22) for title in COLUMNS.values())]
    lines += ["".join(f"{each[name]:22,.1f}" for name in COLUMNS) for each in found["sizes"]]
    return "\n".join([*lines, *([found["stopped"]] if found["stopped"] else [])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench rooms",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--most", type=int, default=500, metavar="N", help="microphones at last (500)")
    parser.add_argument("--rate", type=float, default=50, metavar="N", help="packets of each talker and second (50)")
    parser.add_argument("--speakers", default="4", metavar="N|off", help="as of `palaver serve` (4)")
    parser.add_argument("--seconds", type=float, default=3, help="that they talk at each size (3)")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = trio.run(measure, options.most, options.rate, options.seconds, options.speakers)
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
