"""Cases against our server, straight or through a fault; and which fault a case is likely to catch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import trio

from conformance.faults import ANY, Fault, On, all_faults
from conformance.faulty import faulty
from palaver_conformance.stage import Case, try_case
from palaver_conformance.suite import CASES
from palaver_conformance.target import Target
from palaver_conformance.verdicts import Outcome, Verdict
from standing import standing

RING, HOST_GRACE, RESUME_GRACE = 2.0, 1.0, 1.0  # s, of the server of these tests
TIMERS = ("--ring-timeout", str(RING), "--host-grace", str(HOST_GRACE), "--resume-grace", str(RESUME_GRACE))
JOBS = 16
FAULTS = {fault.name: fault for fault in all_faults()}


@contextmanager
def our_server() -> Iterator[tuple[str, int]]:
    """Our server with short timers, as a process; its host and port."""
    with standing("-m", "palaver_command", "serve", "--port", "0", "--workers", "1", *TIMERS) as url:
        host, port = url.removeprefix("http://").split(":")
        yield host, int(port)


def target(port: int, patience: float, *, slow: bool) -> Target:
    """Our server, or one with a fault before it."""
    return Target("127.0.0.1", port, False, patience, RING, HOST_GRACE, RESUME_GRACE, slow)


async def run_cases(upstream: tuple[str, int], cases: Iterable[Case]) -> dict[str, Verdict]:
    """The verdicts of cases on a server without a fault."""
    verdicts: dict[str, Verdict] = {}
    limit = trio.CapacityLimiter(JOBS)

    async def one(case: Case) -> None:
        async with limit:
            verdicts[case.name] = await try_case(case, target(port, 10.0, slow=True))

    async with faulty(upstream, None) as port, trio.open_nursery() as nursery:
        for case in cases:
            nursery.start_soon(one, case)
    return verdicts


async def is_caught(upstream: tuple[str, int], fault: Fault, case: Case) -> bool:
    """Whether a case fails on a server with this fault."""
    async with faulty(upstream, fault) as port:
        verdict = await try_case(case, target(port, 1.0, slow=True))
    return verdict.outcome is Outcome.FAILED


def likely_cases(fault: Fault) -> list[Case]:
    """The cases that may catch a fault, the likeliest first."""
    first = next((case for name, case in FOUND_BY.items() if fault.name.startswith(name)), f"{fault.event}: ")

    def unlikeliness(case: Case) -> int:
        speaks_of_it = ("refused" in case.name) == (fault.on is On.REFUSAL)
        return (not case.name.startswith(first)) * 2 + (not speaks_of_it) + (case.is_slow and not fault.delay) * 4

    about = [case for case in CASES.values() if fault.event in case.about or fault.event == ANY]
    if fault.delay:
        about = [case for case in about if case.is_slow]
    return sorted(about, key=unlikeliness)


# Which cases are about what belongs to no event.
FOUND_BY = {
    "open packet": "connecting: the open packet",
    "CONNECT: resumed": "resuming",
    "CONNECT: everybody": "connecting: CONNECT is answered",
    "CONNECT": "connecting: CONNECT",
    "link: stays-open": "limits",
    "link: no-pings": "heartbeat",
    "link: hangs-up": "acks",
    "link": "connecting",
    "refusals: without retryAfter": "limits: a flood",
    "refusals": "acks: an unknown",
    "answers": "acks",
    "notices": "sendMessage",
}


def likely_faults(case: Case) -> list[Fault]:
    """The faults that a case may catch, the likeliest first."""
    event = case.name.partition(":")[0]
    first = [f"{event}: permitted instead"] if "refused" in case.name else []
    first += [f"{about}: never told" for about in sorted(case.about, key=lambda about: about != event)]
    first += [f"{about}: refused instead" for about in sorted(case.about, key=lambda about: about != event)]
    first += OF_LINKS.get(event, [])
    first += [name for name, fault in FAULTS.items() if fault.event in case.about]
    return [FAULTS[name] for name in dict.fromkeys(first) if name in FAULTS]


# For cases that are about no event.
GENERAL = [name for name, fault in FAULTS.items() if fault.event == ANY]
OF_LINKS = {
    "connecting": [
        "CONNECT: permitted instead",
        "CONNECT: not answered",
        "link: http-200",
        "link: loses-polls",
        "link: no-probe",
        "link: stays-open",
        "open packet: without upgrades",
        "CONNECT: everybody gets the same id",
        "onlineUsersUpdated: notice with another users",
    ],
    "acks": ["answers: under another number", "refusals: of an unknown event permitted"],
    "limits": ["link: stays-open", "refusals: without retryAfter"],
    "heartbeat": ["link: no-pings", "link: stays-open"],
    "resuming": ["CONNECT: resumed is wrong"],
    "connections": ["link: stays-open"],
}
