"""One room that grows to many open microphones, through the real server: bytes out and CPU at each size."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
from collections.abc import Iterable
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
LATEST: Final = 0.2  # s that a packet may be sent too late: beyond, the load is not what it is said to be
TRACKS: Final = ("newProducer", "producerClosed")
IGNORED: Final = ("onlineUsersUpdated", "roomListUpdated", "userJoined", "activeSpeakers")  # most of what comes
FULL: Final = 90  # % of a core for the worker: beyond, the machine carries no larger room
LOST: Final = 1  # % of the packets
LEAST: Final = 10  # packets/s: at fewer it is speech no longer
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
in one process, the load. It encrypts what it will send before the clock runs, counts all that arrives at the listeners'
sockets, and deciphers a part of that afterwards. CPU is user and system time.

The bench wants a core for the worker and another one for the load. Where the machine is full it says of what, and goes
on at half the rate: what a listener costs then is half as much, and what a packet costs can still be compared.
Read the last columns: what a listener costs grows with the talkers while everybody hears everybody, and stays where it
is once only the loudest are forwarded, because then the room costs N x listeners. `--speakers off` shows it without.
"""


@define(eq=False)
class Guest:
    """A light session in the room: one transport to send, one to receive, and a consumer of all that is announced."""

    person: Person
    room_id: str
    sending: Client
    receiving: Client
    _untold: list[str]  # producers that were there before, of which nothing is announced
    _heard: set[str] = field(factory=set[str])  # producers
    _read: int = 0  # notices

    async def listen(self, producers: Iterable[str]) -> None:
        """Consume these, unless it is done or they are gone."""
        for producer in [each for each in producers if each not in self._heard]:
            self._heard.add(producer)
            about = {"roomId": self.room_id, "producerId": producer, "rtpCapabilities": CAPABILITIES}
            if (answer := await ask(self.person, "consume", **about))["success"]:
                await ask(self.person, "resumeConsumer", roomId=self.room_id, consumerId=answer["params"]["id"])

    async def follow(self) -> bool:
        """Listen to what is there or was announced, and did not end; whether there was anything new."""
        notices, self._read = self.person.notices[self._read :], len(self.person.notices)
        told = {event: [payload["producerId"] for name, payload in notices if name == event] for event in TRACKS}
        told["newProducer"] += self._untold
        self._untold = []
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

    def __init__(self, url: str, pids: dict[str, int], nursery: trio.Nursery) -> None:
        self.guests: list[Guest] = []
        self._talkers: list[Talker] = []
        self._url, self._pids, self._nursery = url, pids, nursery
        self._certificate = Certificate([PROFILES["gcm"]])
        self._inbox = Inbox()
        self._number = 0

    async def grow(self, size: int) -> None:
        """Let people come until there are so many, and everybody listens to all that there is."""
        while len(self.guests) < size:
            numbers = range(len(self.guests), min(size, len(self.guests) + AT_ONCE))
            async with trio.open_nursery() as nursery:
                for number in numbers:
                    nursery.start_soon(self._come, number)
            await self.agree()

    async def _visit(self, number: int, *, task_status: trio.TaskStatus[Person]) -> None:
        async with visiting(self._url, f"guest-{number}", ignored=IGNORED) as person:
            task_status.started(person)
            await trio.sleep_forever()

    async def _come(self, number: int) -> None:
        person: Person = await self._nursery.start(self._visit, number)
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
        producers = [each["producerId"] for other in room["participants"] for each in other["producerIds"]]
        self.guests.append(Guest(person, room_id, sending, receiving, producers))
        self._talkers.append(Talker(sending, 1000 + number))

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

    async def agree(self) -> None:
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
        clients = [*listeners, *(guest.sending for guest in self.guests)]
        first = self._number
        run = Run(self._inbox, clients, listeners, self._talkers, first=first, rate=rate, seconds=seconds)
        run.prepare()
        before = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        run.talk()
        cpu = {name: cpu_seconds(pid) - before[name] for name, pid in self._pids.items()}
        run.check()
        self._number += len(run.sent)
        size, pairs = len(self.guests), len(self.guests) * (len(self.guests) - 1)
        return {
            "size": size,
            "rate": rate,
            "kbytes_per_s": run.octets / 1000 / seconds,
            "packets_per_listener_and_s": run.delivered() / size / seconds,
            "worker_cpu_percent": 100 * cpu["worker"] / seconds,
            "server_cpu_percent": 100 * cpu["server"] / seconds,
            "load_cpu_percent": 100 * cpu["load"] / seconds,
            "bytes_per_pair_and_s": run.octets / pairs / seconds,
            "kbytes_per_listener_and_s": run.octets / 1000 / size / seconds,
            "worker_ms_per_listener_and_s": 1e3 * cpu["worker"] / size / seconds,
            "worker_us_per_packet": 1e6 * cpu["worker"] / max(1, run.delivered()),
            "lost_percent": 100 * run.lost(),
            "late_ms": run.late * 1000,
            "checked_percent": 100 * run.checked / max(1, run.delivered()),
        }


async def measure(sizes: list[int], rate: float, seconds: float, speakers: str) -> dict[str, Any]:
    """Grow and measure; where the machine is full, that size again and all larger ones at half the rate."""
    found: list[dict[str, float]] = []
    full: list[str] = []
    async with serving("--state", "memory:", "--speakers", speakers) as (url, server), trio.open_nursery() as nursery:
        worker = min(children_of(server.process.pid))  # the spare is started later
        room = Room(url, {"server": server.process.pid, "worker": worker, "load": os.getpid()}, nursery)
        for size in sizes:
            print(f"{size} microphones ...", file=sys.stderr)
            await room.grow(size)
            found.append(room.talk(rate, seconds))
            while (why := find_full(found[-1])) and rate >= 2 * LEAST:
                full.append(why)
                rate /= 2
                await room.agree()
                found.append(room.talk(rate, seconds))
            if why:
                full.append(why)
                break
        nursery.cancel_scope.cancel()
    return {"seconds": seconds, "sizes": found, "full": full}


def find_full(figures: dict[str, float]) -> str | None:
    """What was used up, so that the figures do not say what such a room costs."""
    who = f"{figures['size']:.0f} who say {figures['rate']:g} packets/s each"
    if figures["worker_cpu_percent"] > FULL:
        return f"{who}: the worker takes {figures['worker_cpu_percent']:.0f} % of the one core that it can use"
    if figures["late_ms"] > 1000 * LATEST:
        return f"{who}: the load itself is late, by {figures['late_ms']:.0f} ms"
    if figures["lost_percent"] > LOST:
        return f"{who}: {figures['lost_percent']:.1f} % of what they should hear is lost"
    return None


COLUMNS: Final = {
    "size": "microphones",
    "rate": "packets/s each says",
    "packets_per_listener_and_s": "packets/s each hears",
    "lost_percent": "lost, %",
    "kbytes_per_s": "kB/s out",
    "worker_cpu_percent": "worker, % of a core",
    "server_cpu_percent": "server, % of a core",
    "load_cpu_percent": "load, % of a core",
    "kbytes_per_listener_and_s": "kB/s per listener",
    "worker_ms_per_listener_and_s": "ms/s per listener",
    "worker_us_per_packet": "us per packet heard",
}


def table(found: dict[str, Any]) -> str:
    """A size in each line."""
    lines = ["".join(title.rjust(22) for title in COLUMNS.values())]
    lines += ["".join(f"{each[name]:22,.1f}" for name in COLUMNS) for each in found["sizes"]]
    return "\n".join([*lines, *(f"too much for this machine, {why}" for why in found["full"])])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench rooms",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=SIZES, metavar="N", help=f"microphones ({' '.join(map(str, SIZES))})"
    )
    parser.add_argument("--rate", type=float, default=50, metavar="N", help="packets/s of each, at first (50)")
    parser.add_argument("--speakers", default="4", metavar="N|off", help="as of `palaver serve` (4)")
    parser.add_argument("--seconds", type=float, default=3, help="that they talk at each size (3)")
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found = trio.run(measure, sorted(options.sizes), options.rate, options.seconds, options.speakers)
    print(json.dumps(found, indent=2) if options.json else table(found))


if __name__ == "__main__":
    main()
