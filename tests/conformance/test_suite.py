"""The suite covers the table, and our server keeps the contract."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.runs import our_server, run_cases
from palaver_conformance.generated import ADDITIONS
from palaver_conformance.suite import CASES
from palaver_conformance.verdicts import Outcome, Verdict
from palaver_protocol.table import NOTICES, REQUESTS

# What cannot be provoked from outside.
SKIPPED = {"activeSpeakers: who speaks", "mediaReset: the router moved"}
HEARTBEAT = "heartbeat"  # these two wait for 20 s


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, int]]:
    with our_server() as address:
        yield address


def not_passed(verdicts: dict[str, Verdict]) -> list[Verdict]:
    return [verdict for verdict in verdicts.values() if verdict.outcome is not Outcome.PASSED]


@pytest.mark.parametrize("event", [*REQUESTS, *NOTICES])
def test_every_event_has_a_case(event: str) -> None:
    assert [case for case in CASES.values() if case.name.startswith(f"{event}: ")] or event in {
        event for case in CASES.values() for event in case.about
    }


def test_every_request_has_cases_of_its_own() -> None:
    for event in REQUESTS:
        names = [name for name in CASES if name.startswith(f"{event}: ")]
        assert any("refused" in name for name in names), event
        assert any("refused" not in name for name in names), event


def test_what_a_case_is_about_exists() -> None:
    groups = {"connecting", "acks", "limits", "heartbeat", "resuming", "connections"}
    assert {event for case in CASES.values() for event in case.about} <= {*REQUESTS, *NOTICES, *groups}
    assert set(REQUESTS) >= ADDITIONS
    assert all(case.is_addition for case in CASES.values() if case.name.partition(":")[0] in ADDITIONS)


@pytest.mark.trio
@pytest.mark.timeout(180)
async def test_our_server_keeps_the_contract(upstream: tuple[str, int]) -> None:
    verdicts = await run_cases(upstream, [case for case in CASES.values() if HEARTBEAT not in case.name])
    assert {verdict.case for verdict in not_passed(verdicts)} == SKIPPED, not_passed(verdicts)


@pytest.mark.trio
@pytest.mark.long
@pytest.mark.timeout(900)
async def test_and_keeps_it_time_and_again(upstream: tuple[str, int]) -> None:
    for _ in range(10):
        verdicts = await run_cases(upstream, CASES.values())
        assert {verdict.case for verdict in not_passed(verdicts)} == SKIPPED, not_passed(verdicts)
