"""Janus with its VideoRoom plugin: configured in a temporary folder, driven over a WebSocket by JSON and SDP."""

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
from trio_websocket import WebSocketConnection, open_websocket_url

from .client import PASSWORD
from .servers import Offer, Shape, Unavailable

PLUGIN: Final = "janus.plugin.videoroom"
PATIENCE: Final = 10.0  # s for an answer
PAUSE: Final = 0.05  # s between looks whether it listens yet
LEVEL: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
MID: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"

CORE: Final = """\
general: {{ configs_folder = "{folder}"; plugins_folder = "{folder}/plugins"; transports_folder = "{folder}/transports"
            loggers_folder = "{folder}/loggers"; session_timeout = 0; debug_level = 2; {event_loops} }}
media: {{ ipv6 = false }}
nat: {{ ice_lite = true }}
"""
TRANSPORT: Final = 'general: {{ json = "compact"; ws = true; ws_ip = "127.0.0.1"; ws_port = {port}; wss = false }}\n'
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

    def __init__(self, pid: int, connection: WebSocketConnection) -> None:
        self.pid = pid
        self._connection = connection
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
        await self._connection.send_message(json.dumps({**request, "transaction": transaction}))
        with trio.fail_after(PATIENCE):
            while True:
                answer: dict[str, Any] = json.loads(await self._connection.get_message())
                if answer["janus"] == "error":
                    raise RuntimeError(f"janus: {answer['error']['reason']}")
                if answer.get("transaction") == transaction and answer["janus"] != "ack":
                    return answer


def _write_sdp(fingerprint: str, direction: str, mids: list[str], ssrc: int = 0) -> str:
    """What a client says of itself (RFC 8866, RFC 8829): it begins DTLS, and is found by its checks."""
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


def _configure(folder: Path, port: int, event_loops: str) -> None:
    """Write the configuration, and let it load nothing but the plugin and the WebSocket."""
    libraries = next(Path("/usr/lib").glob("*/janus"), Path("/usr/lib/janus"))
    for kind, library in {"plugins": "libjanus_videoroom.so", "transports": "libjanus_websockets.so"}.items():
        (folder / kind).mkdir()
        (folder / kind / library).symlink_to(libraries / kind / library)
    (folder / "loggers").mkdir()
    (folder / "janus.jcfg").write_text(CORE.format(folder=folder, event_loops=event_loops))
    (folder / "janus.transport.websockets.jcfg").write_text(TRANSPORT.format(port=port))
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")


def _free_port() -> int:
    """A TCP port that nobody has at the moment: Janus does not tell which one it was given."""
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        port: int = tcp.getsockname()[1]
        return port


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
    port = _free_port()
    _configure(folder, port, event_loops)
    command = [find_janus(), "--configs-folder", str(folder)]
    with (folder / "log").open("wb") as log:
        process = await trio.lowlevel.open_process(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        await _wait_until_it_listens(port, folder / "log")
        async with open_websocket_url(f"ws://127.0.0.1:{port}", subprotocols=["janus-protocol"]) as connection:
            server = Janus(process.pid, connection)
            await server.open()
            yield server
    finally:
        with trio.CancelScope(shield=True):
            process.terminate()
            await process.wait()


async def _wait_until_it_listens(port: int, log: Path) -> None:
    """It does not say when."""
    with trio.move_on_after(PATIENCE):
        while True:
            try:
                stream = await trio.open_tcp_stream("127.0.0.1", port)
            except OSError:
                await trio.sleep(PAUSE)
            else:
                return await stream.aclose()
    raise Unavailable(f"Janus did not start: {log.read_text()[-500:]}")
