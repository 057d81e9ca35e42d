"""`palaver conformance URL`: the command."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Final

import trio

from .report import Report
from .stage import Case
from .suite import CASES, run
from .target import Target, read_url

NAME: Final = "palaver conformance"
WRONG_USAGE: Final = 2  # exit code, also where nothing answered
DESCRIPTION: Final = """\
Try whether a server keeps the protocol of docs/protocol.md, whoever wrote it: one case per event, rule and refusal,
over real sockets, looking at raw JSON. The cases bring people and rooms of their own, so a server that others use is
not disturbed (they see a few strangers come and go).
"""
EPILOG: Final = """\
examples
  palaver conformance http://127.0.0.1:8440                    all but the slow cases, in less than half a minute
  palaver conformance http://127.0.0.1:8440 --only callUser    what has to do with one event
  palaver conformance http://127.0.0.1:8440 --only '*refused*' by a pattern
  palaver conformance http://127.0.0.1:8440 --slow             also those that wait for the server's timers
  palaver serve --port 8441 --ring-timeout 2 & palaver conformance http://127.0.0.1:8441 --slow --ring-timeout 2

verdicts
  passed   the server did what the protocol says
  failed   with what was expected and what came
  skipped  with the reason: a slow case without --slow, an addition of Palaver's that the server lacks, or what
           cannot be provoked from outside

exit code: 0 all that was tried passed, 1 something failed, 2 nothing was tried: no such server, or no such case
"""


def main(argv: Sequence[str]) -> int:
    """Run the suite; the exit code."""
    options = make_parser().parse_args(argv)
    cases = chosen(options.only)
    if not cases:
        return complain(f"no case matches {options.only!r}; {NAME} --list shows all")
    if options.list:
        print("\n".join(listed(cases)), flush=True)
        return 0
    if options.url is None:
        return complain("which server? for instance: palaver conformance http://127.0.0.1:8440")
    try:
        host, port, is_secure = read_url(options.url)
    except ValueError as why:
        return complain(str(why))
    target = Target(
        host,
        port,
        is_secure,
        options.timeout,
        options.ring_timeout,
        options.host_grace,
        options.resume_grace,
        options.slow,
    )
    report = Report(target, len(cases), options.json)
    try:
        return trio.run(run, cases, target, report, options.jobs)
    except KeyboardInterrupt:
        report.end()
        raise


def make_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog=NAME, description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("url", metavar="URL", nargs="?", help="the server, http://127.0.0.1:8440 for instance")
    add("--only", metavar="PATTERN", help="cases whose name has this in it, or matches it (* and ?)")
    add("--list", action="store_true", help="show the cases, and run none")
    add("--slow", action="store_true", help="also the cases that wait for timers of the server, up to a minute")
    add("--json", action="store_true", help="one JSON object per line for each case, and one for the summary")
    add("--timeout", metavar="S", type=seconds, default=5.0, help="wait so long for what should come at once (5)")
    add("--ring-timeout", metavar="S", type=seconds, default=30.0, help="how long calls ring at this server (30)")
    add("--host-grace", metavar="S", type=seconds, default=30.0, help="how long it waits for a lost host (30)")
    add("--resume-grace", metavar="S", type=seconds, default=15.0, help="how long it holds a lost one's seat (15)")
    add("--jobs", metavar="N", type=int, default=32, help="cases at once (32)")
    return parser


def seconds(text: str) -> float:
    """A time in s."""
    value = float(text)
    if not 0 < value < 3600:
        raise ValueError
    return value


def chosen(pattern: str | None) -> list[Case]:
    """The cases that a pattern means, by name."""
    wanted = (pattern or "").casefold()
    has_marks = any(mark in wanted for mark in "*?[")
    return [
        case
        for name, case in sorted(CASES.items())
        if (fnmatchcase(name.casefold(), wanted) if has_marks else wanted in name.casefold())
    ]


def listed(cases: Sequence[Case]) -> list[str]:
    """Each case on a line, with what is special about it."""
    marks = {case.name: " (slow)" if case.is_slow else " (addition)" if case.is_addition else "" for case in cases}
    return [name + mark for name, mark in marks.items()]


def complain(what: str) -> int:
    """Say why there is nothing to do."""
    print(f"{NAME}: {what}", file=sys.stderr)
    return WRONG_USAGE
