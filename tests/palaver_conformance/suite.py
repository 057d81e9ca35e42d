"""All cases, and how they are run: several at once, each with people of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import trio

from . import calls, chat, connecting, generated, invitations, media, presence, recording, resuming, rooms, tracks
from .report import Report
from .stage import CASES, Case, Stage, try_case
from .target import Target
from .verdicts import Outcome, Verdict

MODULES: Final = (connecting, presence, rooms, chat, calls, invitations, resuming, media, tracks, recording, generated)
NOTHING: Final = 2  # exit code
FAILED: Final = 1  # exit code

__all__ = ["CASES", "run"]


async def run(cases: Sequence[Case], target: Target, report: Report, jobs: int) -> int:
    """Try the cases and report; the exit code."""
    why = await reach(target)
    if why:
        report.unreachable(why)
        return NOTHING
    verdicts = await try_all(cases, target, report, jobs)
    report.end()
    outcomes = {verdict.outcome for verdict in verdicts}
    if Outcome.FAILED in outcomes:
        return FAILED
    return 0 if Outcome.PASSED in outcomes else NOTHING


async def reach(target: Target) -> str:
    """Why nobody answers there; empty if somebody does."""

    async def knock(stage: Stage) -> None:
        await stage.link()

    return (await try_case(Case("reach", knock, frozenset()), target)).came


async def try_all(cases: Sequence[Case], target: Target, report: Report, jobs: int) -> list[Verdict]:
    """Try the cases, some at once; slow ones begin first, since they mostly wait."""
    verdicts: list[Verdict] = []
    limit = trio.CapacityLimiter(jobs)

    async def one(case: Case) -> None:
        verdict = await try_case(case, target)
        verdicts.append(verdict)
        report.add(verdict)

    async def in_turn(case: Case) -> None:
        async with limit:
            await one(case)

    async with trio.open_nursery() as nursery:
        for case in cases:
            nursery.start_soon(one if case.is_slow else in_turn, case)
    return verdicts
