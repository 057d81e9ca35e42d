"""What is measured: a call between Alice and Bob by one program or another, Alice's network going through the relay."""

from __future__ import annotations

import shlex
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from attrs import field, frozen

from impairment_relay import Relay, Route, relaying
from running import Program, executing, running, serving
from sound_server import FIRST, VirtualSound

from .cpu import child_of
from .sip import proxying

OURS: Final = "127.0.0.1"  # where programs are
FAR: Final = "127.0.0.2"  # where the relay stands for the server
START: Final = 60.0  # s for a program to be in the call, on a machine that is busy
PEOPLE: Final = ("alice", "bob")


class Unavailable(Exception):
    """A program is not there; what helps."""


@frozen
class Talk:
    """A call that stands. `pids` are the processes that do the sound, by person.

    `statistics` are what the program says of itself since the call began, one JSON object a second, by person. `talker`
    brings in another one who says what is in a file, and ends with the block; None where a call is of two.
    """

    pids: dict[str, int]
    relay: Relay
    statistics: Callable[[], dict[str, list[dict[str, Any]]]] = field(default=dict)
    talker: Callable[[str, Path], AbstractAsyncContextManager[Program]] | None = None


Product: TypeAlias = Callable[[VirtualSound], AbstractAsyncContextManager[Talk]]


def palaver(options: str = "") -> Product:
    """`palaver call` on both sides, on a server with one media worker.

    `options` are parts with `;` between them: options of the command, or what is typed once it runs (`/...`).
    """
    parts = [part.strip() for part in options.split(";")]
    typed = [part for part in parts if part.startswith("/")]
    arguments = [word for part in parts if not part.startswith("/") for word in shlex.split(part)]

    @asynccontextmanager
    async def call(sound: VirtualSound) -> AsyncIterator[Talk]:
        folder = str(sound.folder)
        env = {**sound.env, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
        devices = {person: f"device:{sound.headset(person)}" for person in PEOPLE}
        media = free_ports(2)  # the worker's, and that of its spare
        routes = [Route((FAR, port), (OURS, port)) for port in (media, media + 1)]
        with relaying(*routes) as relay:
            async with (
                serving("--media-port", str(media), "--announce", FAR) as (url, _),
                _joined(url, "alice", devices["alice"], devices["alice"], env, relay, arguments) as alice,
                _joined(url, "bob", devices["bob"], devices["bob"], env, relay, arguments) as bob,
            ):
                programs = {"alice": alice, "bob": bob}
                for program in programs.values():
                    await program.wait_event("mediaStarted", patience=START)
                    for line in typed:
                        await program.say(line)
                pids = {name: child_of(program.process.pid) for name, program in programs.items()}
                yield Talk(
                    pids,
                    relay,
                    statistics=lambda: {name: program.events("stats") for name, program in programs.items()},
                    talker=lambda name, file: _joined(url, name, f"file:{file}", "null", env, relay, arguments),
                )
                for program in programs.values():
                    await program.end()

    return call


@asynccontextmanager
async def _joined(
    url: str, name: str, source: str, sink: str, env: dict[str, str], relay: Relay, more: list[str]
) -> AsyncIterator[Program]:
    relay.name(name)
    line = ("call", url, "--room", "rig", "--name", name, "--input", source, "--output", sink, "--json", *more)
    async with running(*line, env=env) as program:
        await program.wait_event(
            "media", state="connected", patience=START
        )  # by now both its transports are known to the relay
        yield program


# baresip

BARESIP: Final = """\
poll_method epoll
sip_listen {address}:{sip}
call_local_timeout 120
call_max_calls 4
audio_player {driver},{speaker}
audio_source {driver},{microphone}
audio_alert {driver},{speaker}
audio_level no
audio_buffer 20-160
rtp_tos 184
rtp_ports {rtp}-{last}
rtcp_mux no
jitter_buffer_delay 5-10
net_interface {address}
module_path {modules}
module opus.so
module {driver}.so
module_tmp account.so
module_app menu.so
opus_bitrate 48000
opus_inbandfec yes
opus_packet_loss 10
"""


def baresip(driver: str = "pulse") -> Product:
    """Debian's baresip: as it comes, but for Opus at 48 kb/s with FEC for 10 % loss, called directly.

    It has neither echo cancellation nor noise suppression. It is given the precedence that Palaver's engine takes.
    """

    @asynccontextmanager
    async def call(sound: VirtualSound) -> AsyncIterator[Talk]:
        if not shutil.which("baresip") or not (_modules() / f"{driver}.so").exists():
            raise Unavailable("apt-get install baresip baresip-x11")  # the latter brings pulse.so
        first = free_ports(12)
        rtp, relayed = {"alice": first, "bob": first + 2}, {"alice": first + 4, "bob": first + 6}
        sip = {"alice": first + 8, "bob": first + 10}  # and one more each, for TLS
        paths = {"alice": "alice back", "bob": "alice there"}  # to whom a route leads; both are Alice's network
        routes = [Route((OURS, relayed[person]), (OURS, rtp[person]), paths[person]) for person in PEOPLE]
        routes += [Route((OURS, relayed[person] + 1), (OURS, rtp[person] + 1), "rtcp") for person in PEOPLE]
        with relaying(*routes) as relay:
            ports = {rtp[person]: relayed[person] for person in PEOPLE}
            async with proxying(sip["bob"], ports) as proxy:
                homes = {person: _home(sound, person, driver, sip[person], rtp[person]) for person in PEOPLE}
                dial = f"/dial sip:bob@{OURS}:{proxy}"
                async with executing(*FIRST, "baresip", "-4", "-f", str(homes["bob"]), env=sound.env) as bob:
                    await bob.wait_line(lambda line: "baresip is ready" in line)
                    line = (*FIRST, "baresip", "-4", "-f", str(homes["alice"]), "-e", dial)
                    async with executing(*line, env=sound.env) as alice:
                        await alice.wait_line(lambda line: "established" in line)
                        yield Talk({"alice": alice.process.pid, "bob": bob.process.pid}, relay)

    return call


def _home(sound: VirtualSound, person: str, driver: str, sip: int, rtp: int) -> Path:
    folder = sound.folder / f"baresip-{person}"
    folder.mkdir(exist_ok=True)
    ends = {"speaker": sound.speaker(person), "microphone": sound.microphone(person)}
    ports = {"address": OURS, "sip": sip, "rtp": rtp, "last": rtp + 1}
    config = BARESIP.format(driver=driver, modules=_modules(), **ends, **ports)
    (folder / "config").write_text(config)
    (folder / "accounts").write_text(f"<sip:{person}@{OURS}>;regint=0;answermode=auto\n")
    (folder / "contacts").write_text("")
    return folder


def _modules() -> Path:
    """Where baresip keeps its modules."""
    files = subprocess.run(["dpkg", "-L", "baresip-core"], capture_output=True, text=True, check=True).stdout
    return Path(next(line for line in files.splitlines() if line.endswith("/opus.so"))).parent


def free_ports(count: int) -> int:
    """The first of so many UDP ports in a row that were free just now on loopback, an even one."""
    while True:
        with ExitStack() as stack:
            first = _bind(stack, 0) & ~1
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    _bind(stack, port)
        except OSError:
            continue
        return first


def _bind(stack: ExitStack, port: int) -> int:
    end = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    end.bind(("", port))
    return int(end.getsockname()[1])
