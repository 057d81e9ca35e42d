"""The `palaver` command: a name to a main, imported only when it is the one."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Final, TypeAlias, cast

Main: TypeAlias = Callable[[Sequence[str]], int]

WRONG_USAGE: Final = 2  # exit code
INTERRUPTED: Final = 130  # exit code of what Ctrl-C ended

SCREEN: Final = "palaver_tui"
COMMANDS: Final = {
    "serve": "palaver_server.main",
    "call": "palaver_client.line_mode",
    "conformance": "palaver_conformance.main",
    "devices": "palaver_client.device_list",
    "doctor": "palaver_command.doctor",
    "bot echo": "palaver_bots.echo",
}

HELP: Final = """\
Voice calls for people who live in a terminal.

usage: palaver [URL] [--name NAME] [--room ROOM] [--profile PROFILE]
       palaver COMMAND ...

without a command: the full-screen client
  palaver http://127.0.0.1:8440 --name Ada --room lobby

commands
  serve      run a server
             palaver serve --port 8440
  call       talk without the full screen: plain lines, or JSON for scripts
             palaver call http://127.0.0.1:8440 --room lobby --name Ada
  bot echo   bring a bot into a room that says back what it hears
             palaver bot echo http://127.0.0.1:8440 --room lobby
  conformance
             try whether a server, ours or another one, keeps the protocol
             palaver conformance http://127.0.0.1:8440
  doctor     look at this machine, its sound, and the network to a server: what is amiss, and what would help
             palaver doctor http://127.0.0.1:8440
  devices    list microphones and loudspeakers, as --input and --output take them
             palaver devices

  --version  which version this is
  --help     this text; palaver COMMAND --help tells all options of a command
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    try:
        return dispatch(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # else Python complains at the end
        return 0


def dispatch(argv: Sequence[str]) -> int:
    """Find the main that is meant, and run it."""
    match argv:
        case ["-h" | "--help" | "help", *_]:
            print(HELP, end="", flush=True)
            return 0
        case ["--version", *_]:
            print(f"palaver {version('palaver')}", flush=True)
            return 0
        case ["bot", kind, *rest] if f"bot {kind}" in COMMANDS:
            return load(COMMANDS[f"bot {kind}"])(rest)
        case [command, *rest] if command in COMMANDS:
            return load(COMMANDS[command])(rest)
        case [word, *rest] if not is_address(word):
            print(f"palaver: {unknown(word, rest)}", file=sys.stderr)
            return WRONG_USAGE
        case _:
            return load(SCREEN)(argv)


def load(module: str) -> Main:
    """The main of a module."""
    return cast(Main, import_module(module).main)


def is_address(word: str) -> bool:
    """Whether it is a server's address or an option of the full-screen client, not the name of a command."""
    return word.startswith("-") or word == "localhost" or any(mark in word for mark in ".:/[")


def unknown(word: str, rest: Sequence[str]) -> str:
    """There is no such command; what may have been meant."""
    if word == "bot":
        kinds = ", ".join(name.removeprefix("bot ") for name in COMMANDS if name.startswith("bot "))
        return f"which bot? there is: {kinds} (see palaver --help)"
    near = difflib.get_close_matches(word, [name.split()[0] for name in COMMANDS], n=1)
    if near:
        return f"there is no command {word!r}; did you mean {' '.join(['palaver', near[0], *rest])}"
    return f"there is no command {word!r} (see palaver --help); for a server of that name write http://{word}:8440"
