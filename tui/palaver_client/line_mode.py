"""`palaver call`: calls in plain lines, for screen readers, scripts and small windows: its command line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from attrs import evolve

from . import arguments, sound_options
from .arguments import DEFAULT_URL, SINKS, SOURCES, Parser
from .complaints import complain
from .json_help import EVENTS
from .settings import Settings, default_profile

NAME: Final = "palaver call"
PURPOSE: Final = (
    "Talks without the full screen, in a room or with whoever calls: plain lines out, chat and commands in."
)
EXAMPLE: Final = f"{NAME} {DEFAULT_URL} --room lobby --name Ada"


def main(argv: Sequence[str]) -> int:
    """Run `palaver call`; its exit code."""
    options = make_parser().parse(argv)
    settings = load_settings(options.profile, options.name)
    from .talking import run  # all that a call needs, which is much: not for --help, nor to find a wrong option

    return run(NAME, options, settings)


def make_parser() -> Parser:
    """The command line."""
    parser = Parser(NAME, PURPOSE, f"{EXAMPLE}\n\n{EVENTS}")
    parser.add_argument("url", metavar="URL", type=arguments.url, help=f"the server, {DEFAULT_URL} for instance")
    parser.add_argument("--room", type=arguments.name, help="made if need be; without it, wait for calls")
    parser.add_argument("--name", type=arguments.name, help="what others see (the profile's, or your login's)")
    parser.add_argument("--profile", type=arguments.profile, help="who you are and what you chose (the name)")
    parser.add_argument("--input", metavar="SPEC", type=arguments.source, help=f"{SOURCES} (the profile's, or device)")
    parser.add_argument("--output", metavar="SPEC", type=arguments.sink, help=f"{SINKS} (the profile's, or device)")
    parser.add_argument(
        "--seconds", metavar="N", type=arguments.seconds, default=math.inf, help="end by itself after N s"
    )
    sound_options.add_options(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object per line, with statistics each second")
    return parser


def load_settings(profile: str | None, name: str | None) -> Settings:
    """The profile's settings, kept from now on, so that we are the same person the next time."""
    settings = Settings.load(profile or name or default_profile())
    if settings.problem:
        complain(NAME, settings.problem)
    try:
        settings.save()
    except OSError as why:
        complain(NAME, f"cannot keep your settings ({why.strerror}); next time you are somebody else")
    return settings if name is None else evolve(settings, name=name)
