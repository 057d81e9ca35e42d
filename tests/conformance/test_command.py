"""`palaver conformance`, as a person or a script runs it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator

import pytest
import trio

from conformance.faulty import faulty
from conformance.runs import FAULTS, our_server
from palaver_conformance.suite import CASES
from running import PYTHONPATH


@pytest.fixture(scope="module")
def upstream() -> Iterator[tuple[str, int]]:
    with our_server() as address:
        yield address


async def conformance(*arguments: str) -> tuple[int, list[str], list[str]]:
    """The exit code, and the lines of both outputs."""
    command = [sys.executable, "-m", "palaver_command", "conformance", *arguments]
    environment = {**os.environ, "PYTHONPATH": PYTHONPATH}
    ran = await trio.run_process(command, capture_stdout=True, capture_stderr=True, check=False, env=environment)
    return ran.returncode, ran.stdout.decode().splitlines(), ran.stderr.decode().splitlines()


@pytest.mark.trio
async def test_a_server_that_keeps_it_passes(upstream: tuple[str, int]) -> None:
    url = f"http://127.0.0.1:{upstream[1]}"
    code, lines, _ = await conformance(url, "--only", "leaveRoom")
    assert code == 0
    assert any(line.startswith("passed   leaveRoom: a room that nobody sits in is over") for line in lines)
    assert lines[-1].startswith(f"{url}: ")
    assert " 0 failed" in lines[-1]


@pytest.mark.trio
async def test_json_has_a_line_for_each_case_and_a_summary(upstream: tuple[str, int]) -> None:
    code, lines, errors = await conformance(f"127.0.0.1:{upstream[1]}", "--json", "--only", "*host*")
    *cases, last = [json.loads(line) for line in lines]
    assert code == 0, errors
    assert {case["verdict"] for case in cases} == {"passed", "skipped"}
    assert all(case["reason"] for case in cases if case["verdict"] == "skipped")
    assert last["summary"]["passed"] + last["summary"]["skipped"] == len(cases)


@pytest.mark.trio
async def test_a_faulty_server_is_told_what_was_expected_and_what_came(upstream: tuple[str, int]) -> None:
    fault = FAULTS["leaveRoom: permitted instead"]
    async with faulty(upstream, fault) as port:
        code, lines, _ = await conformance(f"http://127.0.0.1:{port}", "--only", "leaveRoom: a stranger")
    assert code == 1
    assert lines[0] == "FAILED   leaveRoom: a stranger is refused"
    assert lines[1].split(":", 1)[1].strip() == "leaveRoom by Cy is refused with notMember"
    assert lines[2].split(":", 1)[1].strip() == '{"success":true}'


@pytest.mark.trio
async def test_nobody_there_is_no_success() -> None:
    code, lines, errors = await conformance("http://127.0.0.1:9", "--json")
    assert code == 2
    assert json.loads(lines[0])["summary"]["passed"] == 0
    assert "does not answer" in errors[0]
    assert "palaver serve" in errors[1]


@pytest.mark.trio
async def test_something_else_there_is_no_success() -> None:
    async def shrug(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, shrug, [listener])
        code, _, errors = await conformance(f"http://127.0.0.1:{listener.socket.getsockname()[1]}")
        nursery.cancel_scope.cancel()
    assert code == 2
    assert "does not answer" in errors[0]


@pytest.mark.trio
async def test_only_skipped_cases_are_no_success(upstream: tuple[str, int]) -> None:
    code, lines, _ = await conformance(f"http://127.0.0.1:{upstream[1]}", "--only", "mediaReset:")
    assert code == 2
    assert lines[0].startswith("skipped  mediaReset")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which server?"),
        (["--only", "no such case"], "--list"),
        (["ftp://x"], "expected a URL"),
        (["--timeout", "0"], "timeout"),
    ],
)
@pytest.mark.trio
async def test_wrong_usage(arguments: list[str], said: str) -> None:
    code, _, errors = await conformance(*arguments)
    assert code == 2
    assert said in "\n".join(errors)


@pytest.mark.trio
async def test_the_list_and_the_help() -> None:
    code, lines, _ = await conformance("--list")
    assert code == 0
    assert [line.partition(" (")[0] for line in lines] == sorted(CASES)
    _, lines, _ = await conformance("--help")
    for word in ("--slow", "--json", "--only", "exit code", "skipped"):
        assert word in "\n".join(lines)
