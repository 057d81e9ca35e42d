"""`palaver call`: a call in plain lines, for screen readers, scripts and small windows."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Final, TypeAlias

import trio
from attrs import define, evolve, field

from palaver_protocol import text
from palaver_protocol.models import EndReason
from palaver_protocol.table import Code, Refusal, refusal

from . import arguments, commands, running, words
from .arguments import DEFAULT_URL, FAILED, SINKS, SOURCES, Parser
from .call import Call
from .changes import AnyEvent, Change, Changes
from .client import Client, connect
from .errors import Disconnected
from .events import Connected
from .json_lines import JsonLines
from .plain_lines import PlainLines
from .scopes import helpers
from .settings import DEFAULT_ROOM, Settings, default_profile
from .standard import STDIN, Output, OutputClosed, typed_lines
from .state import ClientState

Lines: TypeAlias = PlainLines | JsonLines

NAME: Final = "palaver call"
PURPOSE: Final = "Talks in a room without the full screen: plain lines out, chat lines in."
EXAMPLE: Final = f"{NAME} {DEFAULT_URL} --room lobby --name Ada"
HELP: Final = (
    "what you type is chat; /mute, /unmute, /quit and /help are commands; // begins a message with /; " + commands.HELP
)
GOODBYE: Final = 1.0  # s to print the last lines
MAX_PIECE: Final = 16_000  # code points of one message: at most 64 KiB of UTF-8
TRIES: Final = 5  # to say something where the server asks to wait


def main(argv: Sequence[str]) -> int:
    """Run `palaver call`; its exit code."""
    options = make_parser().parse(argv)
    settings = load_settings(options.profile, options.name)
    return running.run(NAME, partial(talk, options, settings))


def make_parser() -> Parser:
    """The command line."""
    parser = Parser(NAME, PURPOSE, EXAMPLE)
    parser.add_argument("url", metavar="URL", type=arguments.url, help=f"the server, {DEFAULT_URL} for instance")
    parser.add_argument("--room", type=arguments.name, default=DEFAULT_ROOM, help=f"made if need be ({DEFAULT_ROOM})")
    parser.add_argument("--name", type=arguments.name, help="what others see (the profile's, or your login's)")
    parser.add_argument("--profile", type=arguments.profile, help="who you are and what you chose (the name)")
    parser.add_argument("--input", metavar="SPEC", type=arguments.source, help=f"{SOURCES} (the profile's, or device)")
    parser.add_argument("--output", metavar="SPEC", type=arguments.sink, help=f"{SINKS} (the profile's, or device)")
    parser.add_argument(
        "--seconds", metavar="N", type=arguments.seconds, default=math.inf, help="end by itself after N s"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object per line, with statistics each second")
    return parser


def load_settings(profile: str | None, name: str | None) -> Settings:
    """The profile's settings, kept from now on, so that we are the same person the next time."""
    settings = Settings.load(profile or name or default_profile())
    if settings.problem:
        running.complain(NAME, settings.problem)
    try:
        settings.save()
    except OSError as why:
        running.complain(NAME, f"cannot keep your settings ({why.strerror}); next time you are somebody else")
    return settings if name is None else evolve(settings, name=name)


async def talk(options: argparse.Namespace, settings: Settings) -> int:
    """One call, from connecting to its end; its exit code."""
    printer = Printer(JsonLines() if options.json else PlainLines(settings.user_id, os.isatty(STDIN)))
    async with (
        connect(options.url, settings.name, settings.user_id) as client,
        client.changes() as changes,
        helpers() as nursery,
    ):
        nursery.start_soon(printer.follow, client.state, changes)
        source, sink = options.input or settings.source, options.output or settings.sink
        reason, began = None, math.inf
        try:
            with printer.over:
                async with client.call(options.room, source=source, sink=sink) as call:
                    began = trio.current_time()
                    printer.over.deadline = began + options.seconds
                    nursery.start_soon(take_lines, client, call, printer)
                    reason = await call.wait_ended()
        finally:
            if began < math.inf:
                changes.close()
                await printer.end(reason, trio.current_time() - began)
    return FAILED if reason is EndReason.ERROR else 0


@define
class Printer:
    """Prints what happens; `over` is cancelled when there is nobody to print for, or nothing more to do."""

    lines: Lines
    over: trio.CancelScope = field(factory=trio.CancelScope)
    _output: Output = field(factory=Output)
    _done: trio.Event = field(factory=trio.Event)

    async def follow(self, state: ClientState, changes: Changes) -> None:
        """Print how we came here, and all changes until they end."""
        try:
            begun: tuple[AnyEvent, ...] = (Connected(), *state.notices)
            for event in begun:
                await self.print(self.lines.of_change(Change(ClientState(state.me, state.name), state, event)))
            async for change in changes:
                await self.print(self.lines.of_change(change))
        finally:
            self._done.set()

    async def print(self, line: str | None) -> None:
        """Print a line, if there is one."""
        try:
            if line is not None:
                await self._output.line(line)
        except OutputClosed:
            self.over.cancel()

    async def end(self, reason: EndReason | None, seconds: float) -> None:
        """Print what is left and the last line, also when a signal has ended us."""
        with trio.move_on_after(GOODBYE, shield=True):
            await self._done.wait()
            await self.print(self.lines.of_end(reason, seconds))


# -- typing ------------------------------------------------------------------------------------------------------------
async def take_lines(client: Client, call: Call, printer: Printer) -> None:
    """Say or do what is typed. The end of standard input ends the typing, not the call."""
    async with aclosing(typed_lines()) as lines:
        async for line in lines:
            try:
                await obey(text.sanitise(line).strip(), client, call, printer)
            except Refusal as no:
                await printer.print(printer.lines.of_error(words.of_refusal(no)))
            except Disconnected as why:
                await printer.print(printer.lines.of_error(f"not sent: {why}"))


async def obey(line: str, client: Client, call: Call, printer: Printer) -> None:
    """Do what a line says. Raises Refusal or Disconnected."""
    match line.split(maxsplit=1)[:1]:
        case []:
            return
        case ["/quit"]:
            printer.over.cancel()
        case ["/mute" | "/unmute" as command]:
            await call.set_muted(command == "/mute")
        case ["/help"]:
            await printer.print(printer.lines.of_help(HELP))
        case [command] if command in commands.COMMANDS:
            answer = await commands.run(command, line[len(command) :].strip(), client)
            if answer is not None:
                await printer.print(printer.lines.of_help(answer))
        case [command] if command.startswith("/") and not command.startswith("//"):
            await printer.print(printer.lines.of_error(f"there is no command {command[:40]}; {HELP}"))
        case _:
            said = line.removeprefix("/") if line.startswith("//") else line
            for start in range(0, len(said), MAX_PIECE):
                await say(client, said[start : start + MAX_PIECE])


async def say(client: Client, content: str) -> None:
    """Say something; where the server asks to wait, wait. Raises Refusal or Disconnected."""
    for _ in range(TRIES):
        try:
            await client.say(content)
            return
        except Refusal as no:
            if no.retry_after is None:
                raise
            await trio.sleep(no.retry_after)
    raise refusal(Code.RATE_LIMITED, "the server would not take it")
