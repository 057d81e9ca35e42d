"""Janus with its VideoRoom plugin: configured in a temporary folder, driven over a Unix socket by JSON and SDP."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import trio

from .client import PASSWORD
from .servers import Offer, Shape, Unavailable

PLUGIN: Final = "janus.plugin.videoroom"
PATIENCE: Final = 10.0  # s for an answer
STARTS: Final = 8  # attempts
SETTLED: Final = 1.0  # s after which it has either failed or listens; it does not say which
LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"

CORE: Final = """\
general: {{ configs_folder = "{folder}"; plugins_folder = "{folder}/plugins"; transports_folder = "{folder}/transports"
            session_timeout = 0; debug_level = 2; debug_colors = false; {event_loops} }}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true; nice_debug = false }}
events: {{ broadcast = false }}
"""
TRANSPORT: Final = 'general: {{ enabled = true; json = "compact"; path = "{folder}/socket"; type = "SOCK_SEQPACKET" }}\n'
SESSION: Final = """\
v=0
o=- 1 1 IN IP4 {host}
s=-
c=IN IP4 {host}
t=0 0
a=group:BUNDLE {mids}
a=ice-ufrag:load
a=ice-pwd:{PASSWORD}
a=fingerprint:sha-256 {fingerprint}
a=setup:active
"""
SECTION: Final = """\
m=audio 9 UDP/TLS/RTP/SAVPF 111
a=mid:{mid}
a=rtpmap:111 opus/48000/2
a=extmap:1 {MID}
a=extmap:10 {LEVEL}
a={direction}
a=rtcp-mux
"""
CANDIDATE: Final = "a=candidate:1 1 udp 2113937151 {host} 9 typ host\na=end-of-candidates\n"


class Janus:
    """A running Janus and one session with it."""

    def __init__(self, pid: int, stream: trio.socket.SocketType) -> None:
        self.pid = pid
        self._socket = stream
        self._transactions = (f"t{number}" for number in count())
        self._session = 0
        self._feeds: dict[str, int] = {}
        self._rooms: set[int] = set()

    async def open(self) -> None:
        """Begin the session."""
        self._session = (await self._ask(janus="create"))["data"]["id"]

    async def expect_talkers(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """A publisher each."""
        offers = []
        for ssrc, id in shape.talker_ids():
            room = await self._room(id)
            handle = await self._attach()
            body = {"request": "joinandconfigure", "room": room, "ptype": "publisher", "display": id}
            offer = {"type": "offer", "sdp": _write_sdp(fingerprint, "sendonly", ["0"], ssrc)}
            answer = await self._message(handle, body, offer)
            self._feeds[id] = answer["plugindata"]["data"]["id"]
            offers.append({**_read_sdp(answer["jsep"]["sdp"]), "id": id, "ssrc": ssrc})
        return offers

    async def expect_listeners(self, shape: Shape, fingerprint: str) -> list[Offer]:
        """A subscriber each, who gets all publishers of his room over one connection."""
        offers = []
        for id in shape.listener_ids():
            handle = await self._attach()
            streams = [{"feed": feed, "mid": "0"} for talker, feed in self._feeds.items() if shape.hears(id, talker)]
            body = {"request": "join", "ptype": "subscriber", "room": await self._room(id), "streams": streams}
            offer = (await self._message(handle, body))["jsep"]["sdp"]
            mids = re.findall(r"a=mid:(\S+)", offer)
            answer = {"type": "answer", "sdp": _write_sdp(fingerprint, "recvonly", mids)}
            await self._message(handle, {"request": "start"}, answer)
            offers.append({**_read_sdp(offer), "id": id})
        return offers

    async def begin(self, shape: Shape, ports: dict[str, int]) -> None:
        """Nothing more is needed."""

    async def _room(self, person: str) -> int:
        room = int(person.split("-")[1]) + 1
        if room not in self._rooms:
            self._rooms.add(room)
            options = {"publishers": 1000, "audiocodec": "opus", "notify_joining": False, "permanent": False}
            await self._message(await self._attach(), {"request": "create", "room": room, **options})
        return room

    async def _attach(self) -> int:
        handle: int = (await self._ask(janus="attach", session_id=self._session, plugin=PLUGIN))["data"]["id"]
        return handle

    async def _message(self, handle: int, body: dict[str, Any], jsep: dict[str, Any] | None = None) -> dict[str, Any]:
        more = {} if jsep is None else {"jsep": jsep}
        answer = await self._ask(janus="message", session_id=self._session, handle_id=handle, body=body, **more)
        if "error" in answer["plugindata"]["data"]:
            raise RuntimeError(f"janus: {answer['plugindata']['data']['error']}")
        return answer

    async def _ask(self, **request: Any) -> dict[str, Any]:
        """A request's answer; that it was received, and what happens besides, is passed over."""
        transaction = next(self._transactions)
        await self._socket.send(json.dumps({**request, "transaction": transaction}).encode())
        with trio.fail_after(PATIENCE):
            while True:
                answer: dict[str, Any] = json.loads(await self._socket.recv(1 << 20))
                if answer["janus"] == "error":
                    raise RuntimeError(f"janus: {answer['error']['reason']}")
                if answer.get("transaction") == transaction and answer["janus"] != "ack":
                    return answer


def _write_sdp(fingerprint: str, direction: str, mids: list[str], ssrc: int = 0) -> str:
    """What a client says of itself (RFC 8866, RFC 8829): it begins DTLS, and is found by its checks.

    It is short, because Janus takes no more than 8 KiB from its socket at once.
    """
    host = _address()
    head = SESSION.format(host=host, mids=" ".join(mids), PASSWORD=PASSWORD, fingerprint=fingerprint)
    sections = [SECTION.format(mid=mid, MID=MID, LEVEL=LEVEL, direction=direction) for mid in mids]
    sections[0] += CANDIDATE.format(host=host) + (f"a=ssrc:{ssrc} cname:load\n" if ssrc else "")
    return (head + "".join(sections)).replace("\n", "\r\n")


def _read_sdp(sdp: str) -> Offer:
    """Where Janus is, and how to get in."""
    (host, port), *_ = re.findall(r"a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", sdp)
    found = {name: re.findall(rf"a={name}(\S+)", sdp)[0] for name in ("ice-ufrag:", "ice-pwd:", "fingerprint:sha-256 ")}
    ufrag, password, fingerprint = found.values()
    return {"host": host, "port": int(port), "ufrag": ufrag, "password": password, "fingerprint": fingerprint}


def _address() -> str:
    """The machine's own address that is not a loopback one: Janus looks at no other. Nothing is sent.

    Raises:
        Unavailable: it has none.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        try:
            udp.connect(("192.0.2.1", 9))  # TEST-NET-1 (RFC 5737): anything the default route leads to
        except OSError as why:
            raise Unavailable(
                "Janus takes no loopback address, and there is no other. Give the machine one: "
                "sudo ip link add bench0 type dummy && sudo ip addr add 10.99.0.1/24 dev bench0 && "
                "sudo ip link set bench0 up && sudo ip route add default dev bench0"
            ) from why
        address: str = udp.getsockname()[0]
        return address


def _configure(folder: Path, event_loops: str) -> None:
    """Write the configuration, and let it load nothing but the plugin and the Unix socket."""
    libraries = next(Path("/usr/lib").glob("*/janus"), Path("/usr/lib/janus"))
    for kind, library in {"plugins": "libjanus_videoroom.so", "transports": "libjanus_pfunix.so"}.items():
        (folder / kind).mkdir()
        (folder / kind / library).symlink_to(libraries / kind / library)
    (folder / "janus.jcfg").write_text(CORE.format(folder=folder, event_loops=event_loops))
    (folder / "janus.transport.pfunix.jcfg").write_text(TRANSPORT.format(folder=folder))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")


def find_janus() -> str:
    """The program's path.

    Raises:
        Unavailable: it is not installed, or cannot be used on this machine.
    """
    if (program := shutil.which("janus")) is None:
        raise Unavailable("Janus is not installed: sudo apt-get install --no-install-recommends janus")
    _address()
    return program


def version() -> str:
    """Which Janus this is."""
    found = subprocess.run([find_janus(), "--version"], capture_output=True, text=True, check=False)
    return next(iter(re.findall(r"\d+\.\d+\.\d+", found.stdout)), "unknown")


@asynccontextmanager
async def janus(folder: Path, event_loops: str) -> AsyncIterator[Janus]:
    """Janus for the length of the block; `event_loops` is a line of its configuration, or nothing.

    Raises:
        Unavailable: it does not start.
    """
    folder.mkdir()
    _configure(folder, event_loops)
    process = await _start(folder)
    try:
        with trio.socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as stream:
            await stream.connect(str(folder / "socket"))
            server = Janus(process.pid, stream)
            await server.open()
            yield server
    finally:
        with trio.CancelScope(shield=True):
            process.terminate()
            await process.wait()


async def _start(folder: Path) -> trio.Process:
    """Start until it stays: now and then the thread of its socket looks too early whether it may live, and ends."""
    command = [find_janus(), "--configs-folder", str(folder)]
    for _ in range(STARTS):
        with (folder / "log").open("wb") as log:
            process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        with trio.move_on_after(SETTLED):
            await process.wait()
        if process.returncode is None and (folder / "socket").exists():
            return process
        process.kill()
        await process.wait()
    raise Unavailable(f"Janus did not start: {(folder / 'log').read_text()[-500:]}")
