"""A faulty server is found out: each fault by a case, and each case finds one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import trio

from conformance.runs import FAULTS, JOBS, is_caught, likely_cases, likely_faults, our_server, run_cases
from palaver_conformance.suite import CASES
from palaver_conformance.verdicts import Outcome

pytestmark = [pytest.mark.trio, pytest.mark.timeout(1200)]

# What no case can see from outside, and why.
UNSEEN = {
    "activeSpeakers": "nobody speaks: that needs a media engine",
    "mediaReset": "no media worker dies",
}
SAMPLE = 6  # of so many, one is tried always


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, int]]:
    with our_server() as address:
        yield address


def tried_cases() -> dict[str, object]:
    return {name: case for name, case in CASES.items() if name.partition(":")[0] not in UNSEEN}


async def blind_cases(upstream: tuple[str, int], names: list[str]) -> list[str]:
    """The cases that found none of their likely faults."""
    blind: list[str] = []
    limit = trio.CapacityLimiter(JOBS)

    async def search(name: str) -> None:
        async with limit:
            for fault in likely_faults(CASES[name]):
                if await is_caught(upstream, fault, CASES[name]):
                    return
        blind.append(name)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(search, name)
    return sorted(blind)


async def unseen_faults(upstream: tuple[str, int], names: list[str], passing: set[str]) -> list[str]:
    """The faults that no case of those that pass without them found."""
    unseen: list[str] = []
    limit = trio.CapacityLimiter(JOBS)

    async def search(name: str) -> None:
        async with limit:
            for case in likely_cases(FAULTS[name]):
                if case.name in passing and await is_caught(upstream, FAULTS[name], case):
                    return
        unseen.append(name)

    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(search, name)
    return sorted(unseen)


def possible_faults() -> list[str]:
    return [name for name, fault in FAULTS.items() if fault.event not in UNSEEN]


async def test_some_cases_find_a_fault(upstream: tuple[str, int]) -> None:
    names = [name for name in tried_cases() if not CASES[name].is_slow]
    assert "\n".join(await blind_cases(upstream, names[::SAMPLE])) == ""


async def test_some_faults_are_found(upstream: tuple[str, int]) -> None:
    quick = {name: [case for case in likely_cases(FAULTS[name]) if not case.is_slow] for name in possible_faults()}
    names = [name for name, cases in quick.items() if cases][::SAMPLE]
    passing = {case.name for cases in quick.values() for case in cases}
    assert "\n".join(await unseen_faults(upstream, names, passing)) == ""


@pytest.mark.long
async def test_each_case_finds_a_fault(upstream: tuple[str, int]) -> None:
    assert "\n".join(await blind_cases(upstream, list(tried_cases()))) == ""


@pytest.mark.long
async def test_each_fault_is_found(upstream: tuple[str, int]) -> None:
    verdicts = await run_cases(upstream, CASES.values())
    passing = {name for name, verdict in verdicts.items() if verdict.outcome is Outcome.PASSED}
    assert "\n".join(await unseen_faults(upstream, possible_faults(), passing)) == ""
