"""What a server is told: defaults, then a TOML file, then `PALAVER_*` variables, then the command line."""

from __future__ import annotations

import argparse
import ipaddress
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import attrs
from attrs import field, frozen
from platformdirs import user_state_path

from palaver_media.worker_messages import VIDEO_BITRATE

from .policy import DEFAULT, Policy
from .stores import open_store

MAX_SECONDS: Final = 86_400
BITRATES: Final = range(50_000, 100_000_001)  # bit/s that a video may be held to
MAX_SPEAKERS: Final = 16
MAX_ABOVE: Final = 10_000  # microphones
MAX_CONSUMERS: Final = 1_000_000
DRAIN: Final = 5.0  # s: with last words less than the 10 s that `docker stop` gives


class ConfigError(Exception):
    """A setting is wrong; the message says which, and what would be right."""


def _to_host(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("expected an address")
    return value


def _to_port(value: object) -> int:
    number = _to_int(value)
    if not 0 <= number <= 65535:
        raise ValueError("a port is 0 to 65535")
    return number


def _to_int(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("expected a whole number")
    try:
        return int(value)
    except ValueError:
        raise ValueError("expected a whole number") from None


def _to_workers(value: object) -> int:
    number = _to_int(value)
    if not 1 <= number <= 128:
        raise ValueError("1 to 128 workers")
    return number


def _to_seconds(value: object) -> float:
    try:
        number = float(str(value))
    except ValueError:
        raise ValueError("expected seconds") from None
    if not 0 < number <= MAX_SECONDS:
        raise ValueError(f"more than 0 and up to {MAX_SECONDS} seconds")
    return number


def _to_bitrate(value: object) -> int:
    text = str(value)
    factor = {"k": 1_000, "M": 1_000_000}.get(text[-1:], 1)
    try:
        number = round(float(text if factor == 1 else text[:-1]) * factor)
    except (ValueError, OverflowError):  # the latter: infinite
        raise ValueError("expected bits per second, such as 800k or 1.5M") from None
    if number not in BITRATES:
        raise ValueError("50k to 100M bits per second")
    return number


def _to_speakers(value: object) -> int | None:
    if value is None or str(value) == "off":
        return None
    try:
        number = _to_int(value)
    except ValueError:
        number = 0
    if not 1 <= number <= MAX_SPEAKERS:
        raise ValueError(f"1 to {MAX_SPEAKERS} speakers, or off")
    return number


def _to_above(value: object) -> int:
    number = _to_int(value)
    if not 1 <= number <= MAX_ABOVE:
        raise ValueError(f"1 to {MAX_ABOVE:,} microphones")
    return number


def _to_consumers(value: object) -> int:
    number = _to_int(value)
    if not 1 <= number <= MAX_CONSUMERS:
        raise ValueError(f"1 to {MAX_CONSUMERS} consumers")
    return number


def _to_pause(value: object) -> float:
    return 0.0 if str(value) in ("0", "0.0") else _to_seconds(value)


def _to_ips(value: object) -> tuple[str, ...]:
    items = _to_list(value)
    return tuple(str(ipaddress.ip_address(ip)) for item in items for ip in _to_list(item))


def _to_bool(value: object) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if isinstance(value, bool):
        return value
    if (known := words.get(str(value).lower())) is None:
        raise ValueError("expected yes or no")
    return known


def _to_list(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple):
        raise ValueError("expected a list")
    return tuple(str(item).strip() for item in items if str(item).strip())


def _to_state(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("expected a text")
    open_store(value)  # which opens nothing yet, and says what is wrong
    return value


@frozen
class Config:
    """A server's settings."""

    host: str = field(default="127.0.0.1", converter=_to_host)
    port: int = field(default=8440, converter=_to_port)
    media_port: int | None = field(default=None, converter=attrs.converters.optional(_to_port))
    announce: tuple[str, ...] = field(default=(), converter=_to_ips)
    workers: int = field(factory=lambda: os.cpu_count() or 1, converter=_to_workers)
    video_bitrate: int = field(default=VIDEO_BITRATE, converter=_to_bitrate)
    speakers: int | None = field(default=DEFAULT.speakers, converter=_to_speakers)
    speakers_above: int = field(default=DEFAULT.speakers_above, converter=_to_above)
    spread_above: int = field(default=DEFAULT.spread_above, converter=_to_consumers)
    insecure: bool = field(default=False, converter=_to_bool)
    allow_origin: tuple[str, ...] = field(default=(), converter=_to_list)
    state: str | None = field(default=None, converter=attrs.converters.optional(_to_state))
    ring_timeout: float = field(default=DEFAULT.ring_timeout, converter=_to_seconds)
    host_grace: float = field(default=DEFAULT.host_grace, converter=_to_seconds)
    resume_grace: float = field(default=DEFAULT.resume_grace, converter=_to_seconds)
    hostless: bool = field(default=DEFAULT.has_hostless, converter=_to_bool)
    drain: float = field(default=DRAIN, converter=_to_pause)

    @property
    def policy(self) -> Policy:
        """What is decided about calls and rooms."""
        return Policy(
            self.ring_timeout,
            self.host_grace,
            self.resume_grace,
            self.hostless,
            self.speakers,
            self.speakers_above,
            self.spread_above,
        )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host == "localhost" or (_is_ip(self.host) and ipaddress.ip_address(self.host).is_loopback)

    def worker_port(self, index: int, bound_port: int) -> int:
        """The UDP port of a worker: 0 = any. Without `media_port`, they start at the signalling port's number."""
        first = self.media_port if self.media_port is not None else (bound_port if self.port else 0)
        return first + index if first else 0

    @property
    def state_or_default(self) -> str:
        """Where the state is kept: by itself in a file for each port, and nowhere if the port is another each time."""
        if self.state is not None:
            return self.state
        return f"sqlite:{user_state_path('palaver') / f'server-{self.port}.db'}" if self.port else "memory:"


NAMES: Final = tuple(f.name for f in attrs.fields(Config))


def parse(arguments: Sequence[str], environment: Mapping[str, str]) -> Config:
    """The settings of a command line in an environment.

    Raises:
        ConfigError: a setting is wrong.
        SystemExit: `--help`, or an unknown option.
    """
    given = vars(make_parser().parse_args(arguments))
    path = given.pop("config") or environment.get("PALAVER_CONFIG")
    layers: list[tuple[str, dict[str, Any]]] = []
    if path:
        layers.append((path, read_file(Path(path))))
    layers.append(("environment", {n: environment[variable(n)] for n in NAMES if variable(n) in environment}))
    layers.append(("command line", {n: value for n, value in given.items() if value is not None}))
    config = Config()
    for source, values in layers:
        for name, value in values.items():
            try:
                config = attrs.evolve(config, **{name: value})
            except ValueError as error:
                shown = ", ".join(map(str, value)) if isinstance(value, list) else value
                raise ConfigError(f"{source}: {name.replace('_', '-')} = {shown!r}: {error}") from None
    if not config.is_loopback and not config.insecure:
        raise ConfigError(
            f"{config.host} can be reached from other machines, and nothing is protected by passwords or TLS yet: "
            "add --insecure if that is what you want, or keep to --host 127.0.0.1"
        )
    return config


def variable(name: str) -> str:
    """`media_port` is set by `PALAVER_MEDIA_PORT`."""
    return "PALAVER_" + name.upper()


def read_file(path: Path) -> dict[str, Any]:
    """The settings of a TOML file, whose keys are the options' names.

    Raises:
        ConfigError: it cannot be read, is no TOML, or holds an unknown key.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    values = {key.replace("-", "_"): value for key, value in content.items()}
    if unknown := set(values) - set(NAMES):
        known = ", ".join(name.replace("_", "-") for name in NAMES)
        raise ConfigError(f"{path}: unknown: {', '.join(sorted(unknown))}; known: {known}")
    return values


def make_parser() -> argparse.ArgumentParser:
    """The command line of `palaver serve`."""
    parser = argparse.ArgumentParser(
        prog="palaver serve",
        description="Run a Palaver server: rooms, chat and voice on one TCP port and one UDP port per media worker.",
        epilog="Each option can also be set by a variable (PALAVER_PORT=8440) or in a TOML file (port = 8440). "
        "The command line wins over variables, and variables over the file. "
        "Example: palaver serve --port 8440, then in other terminals: palaver http://127.0.0.1:8440",
    )
    add = parser.add_argument
    add("--host", metavar="ADDRESS", help="address to listen on (127.0.0.1; :: = all of this machine, IPv6 and IPv4)")
    add("--port", metavar="N", help="TCP port of signalling (8440; 0 = any free port)")
    add(
        "--media-port",
        metavar="N",
        help="first UDP port of media; each worker and the spare have one, from here up (as --port; 0 = any)",
    )
    add(
        "--announce",
        metavar="IP",
        action="append",
        help="address told to clients for media (the one they connected to); again, or with commas, for several, the "
        "best first: --announce 2001:db8::7,192.0.2.7",
    )
    add("--workers", metavar="N", help="media worker processes (one per core); one more stands by as a spare")
    add("--video-bitrate", metavar="RATE", help="bits per second that each video is asked to keep to (1.5M)")
    add(
        "--speakers",
        metavar="N|off",
        help="tracks that are sent to everybody in a big room, of whoever speaks loudest, in place of all voices (4); "
        "off = always all voices",
    )
    add("--speakers-above", metavar="N", help="a room is big when more microphones than this are open (12)")
    add(
        "--spread-above",
        metavar="N",
        help="consumers of a room on one worker (one is a track to one listener) above which newcomers are placed on "
        "another (1000); nobody who is seated moves",
    )
    add("--insecure", action="store_true", default=None, help="listen beyond loopback, unprotected as it is")
    add(
        "--allow-origin",
        metavar="URL",
        action="append",
        help="web pages of this origin may connect (repeatable; * = all)",
    )
    add(
        "--state",
        metavar="WHERE",
        help="what outlives the server: sqlite:PATH (a file in the state folder, named after the port), memory: "
        "(nothing; with --port 0), or redis://HOST:PORT/DB (needs appendonly yes, to outlive its own crash too)",
    )
    add("--ring-timeout", metavar="S", help="seconds that a call or an invitation rings (30)")
    add("--host-grace", metavar="S", help="seconds that a room waits for a host who was cut off (30)")
    add("--resume-grace", metavar="S", help="seconds that a seat is held for one who was cut off (15)")
    add("--drain", metavar="S", help="seconds that calls may go on after SIGTERM, and whoever is there is told (5)")
    add("--no-hostless", dest="hostless", action="store_false", default=None, help="end a room when its host is gone")
    add("--config", metavar="FILE", help="TOML file with settings")
    return parser


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
