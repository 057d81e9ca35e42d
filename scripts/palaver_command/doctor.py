"""`palaver doctor`: what this machine has of all that Palaver can use, how sound and network are, what would help."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from attrs import asdict

from palaver_client import arguments, running
from palaver_client.arguments import DEFAULT_URL, Parser
from palaver_protocol import text

from .doctor_engine import look_at_engine
from .doctor_machine import look_at_machine
from .doctor_network import look_at_network
from .doctor_sound import Chosen, look_at_sound
from .findings import Finding

NAME: Final = "palaver doctor"
PURPOSE: Final = """\
Says what this machine has of all that Palaver can use, and how to get what it lacks. It plays four short sounds and
listens for them; with the address of a server it also tries the network to there, in a room of its own."""
EXAMPLE: Final = f"{NAME} {DEFAULT_URL}"


def main(argv: Sequence[str]) -> int:
    """Look at everything and tell; 1 if something is missing, 130 after Ctrl-C."""
    parser = Parser(NAME, PURPOSE, EXAMPLE)
    parser.add_argument("url", metavar="URL", nargs="?", type=arguments.url, help="a server, to try the network, too")
    heard, played = f"the microphone: {arguments.SOURCES}", f"the loudspeaker: {arguments.SINKS}"
    parser.add_argument("--input", default="device", metavar="SOURCE", type=arguments.source, help=heard)
    parser.add_argument("--output", default="device", metavar="SINK", type=arguments.sink, help=played)
    parser.add_argument("--no-sound", action="store_true", help="play nothing and do not listen")
    parser.add_argument("--json", action="store_true", help="objects of what, found and remedy (empty: all is well)")
    return running.run(NAME, partial(look, parser.parse(argv)), is_endless=False)


async def look(options: Any) -> int:
    """Tell each finding when it is there, or all of them as JSON."""
    found: list[Finding] = []

    def tell(finding: Finding) -> None:
        found.append(finding)
        if not options.json:
            print("\n".join(lines(finding)), flush=True)

    for finding in (*look_at_machine(), *look_at_engine()):
        tell(finding)
    if not options.no_sound:
        await look_at_sound(Chosen(options.input, options.output), tell)
    if options.url:
        await look_at_network(options.url, tell)
    if options.json:
        print(json.dumps([asdict(each) for each in found], indent=2), flush=True)
    return int(any(each.remedy for each in found))


def lines(finding: Finding) -> list[str]:
    """A finding for people; an exclamation mark for what should be mended."""
    first = f"{'!' if finding.remedy else ' '} {finding.what:20} {text.one_line(finding.found)}"
    return [first, f"  {'':20} {text.one_line(finding.remedy)}"] if finding.remedy else [first]
