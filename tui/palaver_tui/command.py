"""`palaver [URL]`: the options of the full screen, and its beginning and end."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Sequence
from typing import Final

import trio
from attrs import evolve, frozen

from palaver_client import arguments
from palaver_client.arguments import DEFAULT_URL, SINKS, SOURCES
from palaver_client.settings import Settings, default_profile, settings_path
from palaver_client.state import ClientState, SideState, Sound
from palaver_protocol.models import Name

from .terminal import leave_on_signals, terminal_of_its_own

EPILOG: Final = """\
examples:
  palaver                                   the server on this machine
  palaver http://192.0.2.7:8440 --name Ada  another one, as Ada
  palaver --room lobby                      straight into a room, which is made if there is none
  palaver --input tone:440 --output null    without any sound device

Without a screen there is `palaver call`; a server is started by `palaver serve`. Press ? in the program for its keys.
"""


@frozen
class Options:
    """What the command line asks for."""

    url: str
    room: str | None
    settings: Settings
    source: str
    sink: str
    is_named: bool


def parse(argv: Sequence[str]) -> Options:
    """Read the command line, and the settings of its profile. Raises SystemExit, 2 where it is wrong."""
    given = make_parser().parse(argv)
    profile = given.profile or given.name or default_profile()
    is_named = given.name is not None or settings_path(profile).exists()
    settings = Settings.load(profile)
    if given.name is not None:
        settings = evolve(settings, name=given.name)
    source, sink = given.input or settings.source, given.output or settings.sink
    return Options(given.url, given.room, settings, source, sink, is_named)


def make_parser() -> arguments.Parser:
    """The command line."""
    parser = arguments.Parser("palaver", "Talk with others in rooms: the full-screen client.", "")
    parser.epilog = EPILOG
    add = parser.add_argument
    add("url", nargs="?", metavar="URL", type=arguments.url, default=DEFAULT_URL, help=f"the server ({DEFAULT_URL})")
    add("--name", type=arguments.name, help="what others see (the profile's; at first you are asked)")
    add("--room", type=arguments.name, help="sit down in it at once; made if need be")
    add("--profile", type=arguments.profile, help="who you are and what you chose (the name, or your login)")
    add("--input", metavar="SPEC", type=arguments.source, help=f"{SOURCES} (the profile's, or device)")
    add("--output", metavar="SPEC", type=arguments.sink, help=f"{SINKS} (the profile's, or device)")
    return parser


def main(argv: Sequence[str]) -> int:
    """Run the full-screen client.

    Returns:
        The exit code: 0, or 1 after an error, which is told on stderr; 2 for a wrong command line.
    """
    try:
        options = parse(argv)
    except SystemExit as end:
        return int(end.code or 0)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        print("palaver: the full screen needs a terminal; without one there is `palaver call`", file=sys.stderr)
        return arguments.FAILED
    with terminal_of_its_own() as log:
        failure = run(options)
    if failure is None:
        return 0
    print(f"palaver: ended by an error{failure}; more in {log}", file=sys.stderr)
    return arguments.FAILED


def run(options: Options) -> str | None:
    """Run the screen to its end; None if all was well, else what went wrong, as far as it fits into a line.

    Textual tells of its own errors on standard error, which is the log.
    """
    try:
        return "" if asyncio.run(show(options)) else None
    except Exception as why:
        logging.getLogger(__name__).exception("the client ended")
        return f" ({_first_of(why)!r})"


def _first_of(failure: BaseException) -> BaseException:
    """The error inside the groups that nurseries make, and inside what Trio makes of one in a call from outside."""
    if isinstance(failure, BaseExceptionGroup):
        return _first_of(failure.exceptions[0])
    if isinstance(failure, trio.TrioInternalError) and failure.__cause__ is not None:
        return _first_of(failure.__cause__)
    return failure


async def show(options: Options) -> int:
    """The screen on asyncio, and beside it the Trio side: begun before the screen, and awaited after it.

    Returns:
        The exit code that the screen asks for.
    """
    from .app import PalaverApp
    from .caller import Caller
    from .guest import trio_guest
    from .kept_settings import KeptSettings
    from .seating import Seating
    from .wishes import Open, Wish

    def wish(wanted: Wish) -> None:
        guest.soon(lambda: caller.take(wanted))

    settings = options.settings
    sound = Sound(SideState(options.source), SideState(options.sink))
    state = ClientState(settings.user_id, Name(settings.name), sound=sound, choices=settings.sound)
    app = PalaverApp(state, wish, is_named=options.is_named, last_room=settings.room)
    kept = KeptSettings(settings, app.post_message)
    seating = Seating(options.source, options.sink, kept, app.post_message)
    caller = Caller(options.url, kept, seating, app.post_message, state)
    if options.room is not None:
        caller.take(Open(options.room))
    async with trio_guest(caller.run, app.exit) as guest:
        leave_on_signals(app.exit)
        await app.run_async()
    return app.return_code or 0
